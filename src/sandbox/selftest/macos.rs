//! The self-test on macOS: the system's shell in `sandbox-exec`, after the profile.
//! Unproven on a Mac.

use std::path::PathBuf;
use std::time::Duration;

use super::scene::Scene;
use super::{Layer, Status};
use crate::sandbox::launch::{self, CommandLimits, Job, Launcher};
use crate::sandbox::text::Limit;
use crate::sandbox::{Policy, Rules, secrets};

/// A line, what is said when it holds, and a script that prints what worked. `$1` is
/// a file beside the workspace, the rest are places that have to look empty.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "seatbelt",
        "enforced: writes outside denied",
        "touch /cairn-doctor \"$HOME/.cairn-doctor\" && echo a file outside was made",
    ),
    (
        "protected",
        ".git can't be changed or moved",
        "echo bad > .git/config && echo .git/config was written; \
         mv .git moved && echo .git was moved",
    ),
    (
        "secrets",
        "places with keys or histories can't be read",
        "shift; for at; do ls \"$at\" | grep -q . && echo \"$at was read\"; done",
    ),
    (
        "network",
        "off: nothing can be reached",
        "nc -z -w 1 127.0.0.1 22 && echo a port was reached",
    ),
];

/// What Seatbelt has no part in.
const NONE: &[&str] = &["namespaces", "private-tmp", "limits"];

pub fn run() -> Vec<Layer> {
    let mut layers: Vec<Layer> = match Scene::new() {
        Ok(scene) => ROWS.iter().map(|row| tried(&scene, row)).collect(),
        Err(error) => vec![Layer {
            name: "seatbelt",
            status: Status::Fails,
            detail: format!("no folder to try it in: {error}"),
        }],
    };
    layers.extend(NONE.iter().map(|name| Layer {
        name,
        status: Status::Untried,
        detail: "not on macOS".to_owned(),
    }));
    layers
}

fn tried(scene: &Scene, (name, holds, script): &(&'static str, &str, &str)) -> Layer {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let hidden = secrets::hidden(variable("HOME").as_deref(), variable);
    let shell = ["/bin/sh", "-c", script, "sh"].map(str::to_owned);
    let mut argv = shell.to_vec();
    argv.push(scene.beside("outside").to_string_lossy().into_owned());
    argv.extend(
        hidden
            .iter()
            .map(|path| path.to_string_lossy().into_owned()),
    );
    let (launcher, policy) = (Launcher::this(), Policy::new(Rules::default()));
    let job = Job::new(&launcher, &policy, &scene.workspace, &argv);
    let limits = CommandLimits {
        time: Duration::from_secs(10),
        output: Limit {
            bytes: 64 << 10,
            lines: 100,
        },
        flood: 1 << 20,
        memory: None,
    };
    let finished = launch::run(job, &limits, &|| false, &mut |_| {});
    let (status, detail) = match finished {
        Err(error) => (Status::Fails, error.to_string()),
        Ok(finished) => {
            let lines = finished.output.text.lines();
            let worked: Vec<&str> = lines.filter(|line| line.contains(" was ")).collect();
            match worked.is_empty() && scene.protected_is_safe() {
                true => (Status::Holds, (*holds).to_owned()),
                false => (Status::Fails, worked.join("; ")),
            }
        }
    };
    Layer {
        name,
        status,
        detail,
    }
}
