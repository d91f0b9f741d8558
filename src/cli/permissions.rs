//! `cairn permissions`: the rules in the user's config.

use std::io::{self, Write};

use serde_json::json;

use super::args::{PermissionsArgs, PermissionsCommand};
use super::folders;
use crate::agent::Exit;
use crate::config::{ConfigError, List, User};
use crate::sandbox::{Rule, sanitize};

pub fn run(args: &PermissionsArgs) -> Exit {
    let Some(folder) = folders::config() else {
        let message = "there is no config folder: neither XDG_CONFIG_HOME nor HOME is set";
        return super::fail(Exit::Usage, message);
    };
    let user = User::in_folder(&folder);
    let done = match &args.what {
        None | Some(PermissionsCommand::List) => list(&user, args.json),
        Some(PermissionsCommand::Allow { rule }) => add(&user, List::Allow, rule),
        Some(PermissionsCommand::Deny { rule }) => add(&user, List::Deny, rule),
        Some(PermissionsCommand::Remove { rule }) => match user.remove(rule) {
            Ok(0) => {
                let message = format!("there is no rule {rule} (`cairn permissions` lists them)");
                return super::fail(Exit::Usage, &message);
            }
            Ok(_) => Ok(format!("removed: {rule}\n")),
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(text) => print(&text),
        Err(error) => super::fail(Exit::Usage, &error.to_string()),
    }
}

fn add(user: &User, list: List, rule: &Rule) -> Result<String, ConfigError> {
    user.add(list, rule)?;
    Ok(format!("{}: {rule}\n", list.name()))
}

fn list(user: &User, json: bool) -> Result<String, ConfigError> {
    let layer = user.load()?.layer;
    if json {
        let object = json!({
            "v": 1,
            "file": user.path().to_string_lossy(),
            "allow": layer.allow,
            "deny": layer.deny,
        });
        return Ok(crate::batch::line(&object) + "\n");
    }
    let lists = [(List::Allow, layer.allow), (List::Deny, layer.deny)];
    let rows: String = lists
        .iter()
        .flat_map(|(list, rules)| rules.iter().map(move |rule| (list.name(), rule)))
        .map(|(list, rule)| {
            let rule = rule.to_string();
            format!("{list:5}  {}\n", sanitize::for_line(&rule))
        })
        .collect();
    let place = user.path().to_string_lossy();
    Ok(match rows.is_empty() {
        true => format!("no rules in {}\n", sanitize::for_line(&place)),
        false => rows,
    })
}

fn print(text: &str) -> Exit {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Exit::Done,
        // `| head` is success.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => super::fail(Exit::Internal, &format!("stdout: {error}")),
    }
}
