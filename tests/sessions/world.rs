//! A workspace and folders of its own for the real program, with the demo model
//! that comes with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A workspace, and cairn's own folders.
pub struct World(pub TempDir);

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("work/src")).unwrap();
        fs::write(dir.path().join("work/src/main.rs"), "fn main() {}\n").unwrap();
        fs::write(dir.path().join("work/notes.txt"), "call the bank\n").unwrap();
        Self(dir)
    }

    pub fn workspace(&self) -> PathBuf {
        self.0.path().join("work")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        for (name, folder) in [
            ("XDG_STATE_HOME", "state"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
        ] {
            command.env(name, self.0.path().join(folder));
        }
        command
            .env_remove("CAIRN_MODEL")
            .env_remove("NO_COLOR")
            .current_dir(self.workspace())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a run that ends well.
    pub fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}{errors}");
        text
    }

    /// The one line of a run that is refused.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        // A slow machine says that it loads.
        let lines: Vec<&str> = { errors.lines() }
            .filter(|line| !line.starts_with("loading "))
            .collect();
        assert_eq!(lines.len(), 1, "{errors}");
        lines[0].to_owned()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.good(arguments)).unwrap()
    }

    /// Ids, the last used first.
    pub fn ids(&self) -> Vec<String> {
        let list = self.json(&["sessions", "--json"]);
        let rows = list["sessions"].as_array().unwrap();
        rows.iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn log(&self, id: &str) -> PathBuf {
        let sessions = self.0.path().join("state/cairn/sessions");
        sessions.join(id).join("log.jsonl")
    }

    /// What decides how a session goes on: the path's entries without what a run
    /// costs and where it is kept.
    pub fn course(&self, id: &str) -> Vec<Value> {
        let whole = self.json(&["sessions", "export", id, "--format", "json"]);
        let path = whole["path"].as_array().unwrap();
        let entries = whole["entries"].as_array().unwrap();
        let mut course = Vec::new();
        for entry in entries.iter().filter(|entry| path.contains(&entry["id"])) {
            let mut entry = entry.clone();
            if matches!(entry["type"].as_str(), Some("usage" | "cache_mark")) {
                continue;
            }
            let fields = entry.as_object_mut().unwrap();
            for name in ["id", "parent", "at", "trace", "change"] {
                fields.remove(name);
            }
            for token in fields
                .get_mut("tokens")
                .into_iter()
                .flat_map(|t| t.as_array_mut())
            {
                token.iter_mut().for_each(|token| {
                    token.as_object_mut().unwrap().remove("ms");
                });
            }
            course.push(entry);
        }
        course
    }

    /// Runs until so many bytes of tokens are kept, then kills it. `None` if it ended
    /// before; else the session's id.
    pub fn killed_after(&self, arguments: &[&str], bytes: u64) -> Option<String> {
        let sessions = self.0.path().join("state/cairn/sessions");
        let mut child = self.command(arguments).spawn().unwrap();
        let enough = || {
            let folders = fs::read_dir(&sessions).into_iter().flatten().flatten();
            let mut kept = folders.filter_map(|folder| {
                let tokens = fs::metadata(folder.path().join("tokens.bin")).ok()?;
                Some((folder.file_name().into_string().ok()?, tokens.len()))
            });
            kept.find(|(_, len)| *len >= bytes).map(|(id, _)| id)
        };
        loop {
            if let Some(id) = enough() {
                let ended = child.try_wait().unwrap().is_some();
                // It may have ended meanwhile.
                let _ = child.kill();
                child.wait().unwrap();
                return (!ended).then_some(id);
            }
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }

    /// Runs until a line of JSON is the `n`-th of the model's own, then kills it.
    pub fn killed_at(&self, arguments: &[&str], n: usize) {
        let mut child = self.command(arguments).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let object: Value = serde_json::from_str(&line).unwrap();
            seen += usize::from(matches!(
                object["type"].as_str(),
                Some("text" | "reasoning")
            ));
            if seen == n {
                break;
            }
        }
        // It may have ended meanwhile.
        let _ = child.kill();
        child.wait().unwrap();
    }
}
