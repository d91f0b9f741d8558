//! `cairn trust`: shows a project's own settings and asks whether they count.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::args::TrustArgs;
use super::folders;
use super::permitted::Standing;
use crate::agent::Exit;
use crate::config::{PROJECT_FILE, Project, Trust};
use crate::sandbox::{Workspace, sanitize};

pub fn run(args: &TrustArgs) -> Exit {
    match decide(args) {
        Ok(exit) => exit,
        Err(message) => super::fail(Exit::Usage, &message),
    }
}

fn decide(args: &TrustArgs) -> Result<Exit, String> {
    let folder = args.workspace.clone().unwrap_or_else(|| PathBuf::from("."));
    let workspace =
        Workspace::open(&folder).map_err(|e| format!("--workspace {}: {e}", folder.display()))?;
    let root = workspace.root();
    let config = folders::config()
        .ok_or("there is no config folder: neither XDG_CONFIG_HOME nor HOME is set")?;
    let trust = Trust::in_folder(&config);
    if args.forget {
        let known = trust.forget(root).map_err(|e| e.to_string())?;
        say(match known {
            true => "no longer trusted",
            false => "nothing was trusted here",
        });
        return Ok(Exit::Done);
    }
    let project = Project::find(&workspace)
        .map_err(|e| e.to_string())?
        .ok_or_else(|| format!("there is no {PROJECT_FILE} in {}", root.display()))?;
    // What can't be used is not worth the question.
    project.parse().map_err(|e| e.to_string())?;
    if project
        .is_trusted(root, &trust)
        .map_err(|e| e.to_string())?
    {
        say("it is trusted as it is");
        return Ok(Exit::Done);
    }
    if !args.yes {
        if let Some(old) = trust.text(root).map_err(|e| e.to_string())? {
            say("it is another one than you trusted, which was:");
            say(&sanitize::for_terminal(&old));
            say("now it is:");
        }
        say(sanitize::for_terminal(&project.text).trim_end());
        if !io::stdin().is_terminal() {
            return Err("nobody can be asked here; --yes trusts it".into());
        }
        if !asked()? {
            say("not trusted");
            return Ok(Exit::Refused);
        }
    }
    trust
        .accept(root, &project.text)
        .map_err(|e| e.to_string())?;
    say("trusted, until it changes (--forget takes it back)");
    Ok(Exit::Done)
}

/// A project's settings that the user has not decided about.
pub struct Undecided {
    root: PathBuf,
    trust: Trust,
    project: Project,
}

/// Those of a workspace; `None` if there are none, they are trusted, or can't be used.
pub fn undecided(folder: &Path) -> Option<Undecided> {
    let workspace = Workspace::open(folder).ok()?;
    let config = folders::config()?;
    let Ok(Standing::Untrusted(project)) = Standing::of(&workspace, Some(&config)) else {
        return None;
    };
    project.parse().ok()?;
    Some(Undecided {
        root: workspace.root().to_owned(),
        trust: Trust::in_folder(&config),
        project,
    })
}

impl Undecided {
    /// What they say; not sanitised.
    pub fn text(&self) -> &str {
        &self.project.text
    }

    /// # Errors
    /// When that can't be written down.
    pub fn accept(&self) -> Result<(), String> {
        let accepted = self.trust.accept(&self.root, &self.project.text);
        accepted.map_err(|error| error.to_string())
    }
}

fn asked() -> Result<bool, String> {
    let mut out = io::stdout().lock();
    let mut answer = String::new();
    out.write_all(
        b"trust these settings? They can forbid, and choose how the model answers. [y]es / [n]o: ",
    )
    .and_then(|()| out.flush())
    .and_then(|()| io::stdin().lock().read_line(&mut answer).map(drop))
    .map_err(|e| format!("the terminal: {e}"))?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

fn say(text: &str) {
    // Without stdout the status still says how it ended.
    let _ = writeln!(io::stdout(), "{text}");
}
