//! `cairn config`: the settings, where each comes from, and the files they are in.
//! What is wrong with a file is said; it stops none of this.

mod edit;
mod show;

use serde_json::json;

use super::args::{ConfigArgs, ConfigCommand, RunArgs};
use super::chosen::{self, Layers};
use super::permitted::Standing;
use super::{fail, folders, look};
use crate::agent::Exit;
use crate::config::{ConfigError, User};
use crate::sandbox::{Workspace, sanitize};

pub fn run(args: &ConfigArgs, run: &RunArgs) -> Exit {
    let folder = args.workspace.as_deref().or(run.workspace.as_deref());
    let workspace = chosen::workspace(folder);
    if let (Some(folder), None) = (folder, &workspace) {
        let message = format!("--workspace {}: can't be opened", folder.display());
        return fail(Exit::Usage, &message);
    }
    match args.what.unwrap_or(ConfigCommand::Show) {
        ConfigCommand::Show => {
            let (settings, problems) = Layers::read(workspace.as_ref()).resolve(run);
            let printed = look::print(&match args.json {
                true => show::json(&settings, &problems),
                false => show::text(&settings),
            });
            finished(printed, &problems)
        }
        ConfigCommand::Path => path(args, workspace.as_ref()),
        ConfigCommand::Check => check(args, workspace.as_ref(), run),
        ConfigCommand::Edit => match user() {
            Ok(user) => edit::run(&user),
            Err(exit) => exit,
        },
    }
}

/// All that is wrong, a line each, and what that means for the status.
fn finished(printed: Exit, problems: &[ConfigError]) -> Exit {
    problems.iter().fold(printed, |_, problem| {
        fail(Exit::Usage, &problem.to_string())
    })
}

fn user() -> Result<User, Exit> {
    let folder = folders::config();
    folder.as_deref().map(User::in_folder).ok_or_else(|| {
        let message = "there is no config folder: neither XDG_CONFIG_HOME nor HOME is set";
        fail(Exit::Usage, message)
    })
}

fn path(args: &ConfigArgs, workspace: Option<&Workspace>) -> Exit {
    let layers = Layers::read(workspace);
    let mut rows = Vec::new();
    if let Some(user) = &layers.user {
        let standing = match user.path().exists() {
            true => "there",
            false => "not there",
        };
        rows.push(("user", user.path().to_owned(), standing));
    }
    if let Some(workspace) = workspace {
        let standing = match &layers.standing {
            Ok(Standing::Absent) => "not there",
            Ok(Standing::Trusted(_)) => "there, trusted",
            Ok(Standing::Untrusted(_)) => "there, not trusted (`cairn trust`)",
            Ok(Standing::Unreadable(_)) | Err(_) => "can't be read",
        };
        rows.push(("project", chosen::project_file(workspace), standing));
    }
    look::print(&match args.json {
        true => {
            let files: Vec<_> = rows
                .iter()
                .map(|(layer, path, standing)| {
                    json!({
                        "layer": layer,
                        "path": path.to_string_lossy(),
                        "exists": standing.starts_with("there"),
                        "standing": standing,
                    })
                })
                .collect();
            crate::batch::line(&json!({"v": 1, "files": files})) + "\n"
        }
        false => rows
            .iter()
            .map(|(layer, path, standing)| {
                let path = path.to_string_lossy();
                format!("{layer:7}  {}  {standing}\n", sanitize::for_line(&path))
            })
            .collect(),
    })
}

fn check(args: &ConfigArgs, workspace: Option<&Workspace>, run: &RunArgs) -> Exit {
    let layers = Layers::read(workspace);
    // One that does not count is worth a look before it is trusted.
    let untrusted = match &layers.standing {
        Ok(Standing::Untrusted(project)) => project.read().problems,
        _ => Vec::new(),
    };
    let (_, mut problems) = layers.resolve(run);
    problems.extend(untrusted);
    if args.json {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let object = json!({"v": 1, "ok": lines.is_empty(), "problems": lines});
        return match look::print(&(crate::batch::line(&object) + "\n")) {
            Exit::Done if !problems.is_empty() => Exit::Usage,
            exit => exit,
        };
    }
    match problems.is_empty() {
        true => look::print("nothing is wrong\n"),
        false => finished(Exit::Usage, &problems),
    }
}
