//! Project memory: what `AGENTS.md` files say, from the repository down to the
//! workspace, and nested ones when something there is touched. It is text that
//! the user's messages take along, never the system's, and no policy follows from it.

use std::path::{Component, Path, PathBuf};

use super::driver::Agent;
use super::entry::{FileText, Kind};
use super::event::{Event, Front};
use super::present::thousands;
use crate::sandbox::text::{Limit, bound};
use crate::sandbox::{own_file, repository_above, sanitize};
use crate::tools::{NotGiven, plain_text};

const NAME: &str = "AGENTS.md";
/// Bytes of one file.
const MOST: usize = 32 * 1024;
/// The share of the window for all files at the start, and for each nested one.
const SHARE: usize = 8;
const NESTED_SHARE: usize = 16;
/// Tokens that a file is not cut below.
const LEAST: usize = 64;

/// What a session begins with.
#[derive(Debug, Default)]
pub(super) struct ProjectMemory {
    /// Whether anything is given, nested files too.
    given: bool,
    files: Vec<FileText>,
    /// Lines for the user.
    pub notices: Vec<String>,
}

impl Agent {
    /// Reads the project's `AGENTS.md` files for the first message to take along;
    /// `home` is where the user's own folders end. A bundle with a persona is not
    /// given any: it knows nothing of such notes.
    pub fn remember_project(&mut self, home: Option<&Path>) {
        let found = self.project_files(home);
        if found.is_empty() {
            self.memory.given = self.persona.is_none();
            return;
        }
        let names: Vec<&str> = found.iter().map(|file| file.path.as_str()).collect();
        if self.persona.is_some() {
            let line = format!("{} is not given to this model", names.join(", "));
            self.memory.notices = vec![line];
            return;
        }
        // The nearest matters most, and stands last.
        let mut room = self.model.context / SHARE;
        let mut files = Vec::new();
        for file in found.into_iter().rev() {
            match self.cut_memory(file, room) {
                Ok((file, tokens)) => {
                    room = room.saturating_sub(tokens);
                    self.memory.notices.insert(0, line(&file, tokens));
                    files.insert(0, file);
                }
                Err(path) => {
                    let line = format!("project memory: {path} is left out, there is no room");
                    self.memory.notices.insert(0, line);
                }
            }
        }
        self.memory.files = files;
        self.memory.given = true;
    }

    /// From the repository down to the workspace.
    fn project_files(&self, home: Option<&Path>) -> Vec<FileText> {
        let root = self.toolbox.workspace().root();
        let home = home.and_then(|home| home.canonicalize().ok());
        let mut found = Vec::new();
        let mut up = PathBuf::new();
        for folder in repository_above(root, home.as_deref()) {
            up.push("..");
            // Most of them don't exist; one that can't be read says nothing either.
            let bytes = own_file(&folder.join(NAME), MOST as u64 + 1).unwrap_or_default();
            found.extend(plain_text(&bytes).and_then(|text| file(&up.join(NAME), text)));
        }
        found.reverse();
        found.extend(self.file_in(Path::new("")));
        found
    }

    /// The file in a folder of the workspace, if the model may read it.
    fn file_in(&self, folder: &Path) -> Option<FileText> {
        let path = folder.join(NAME);
        match self.toolbox.give(path.to_str()?) {
            Ok(text) => file(&path, text),
            Err(NotGiven::Missing | NotGiven::Folder | NotGiven::Because(_)) => None,
        }
    }

    /// The file in at most so many tokens, and how many; its path if there is no room.
    fn cut_memory(&self, mut file: FileText, room: usize) -> Result<(FileText, usize), String> {
        let tokens = self.model.count_tokens(&file.text);
        if tokens <= room {
            return Ok((file, tokens));
        }
        if room < LEAST {
            return Err(file.path);
        }
        file.text = self.cut_to(&file.text, tokens, room).text;
        file.truncated = true;
        let tokens = self.model.count_tokens(&file.text);
        Ok((file, tokens))
    }

    /// Before the first message of a session.
    pub(super) fn give_memory(&mut self, front: &mut dyn Front) {
        let machine = self.session.machine();
        let begins = machine.messages().is_empty() && machine.remembered().is_empty();
        if begins && !self.memory.files.is_empty() {
            let files = self.memory.files.clone();
            self.record(Kind::Memory { files }, front);
        }
    }

    /// After a call that was about `path`: what the folders on the way there say.
    pub(super) fn give_nested_memory(&mut self, path: &str, front: &mut dyn Front) {
        if !self.memory.given {
            return;
        }
        let Ok(relative) = self.toolbox.workspace().relative(path) else {
            return;
        };
        let mut components = relative.components();
        if !components.all(|part| matches!(part, Component::Normal(_))) {
            return;
        }
        let mut files = Vec::new();
        let folders: Vec<&Path> = relative.ancestors().collect();
        for folder in folders.into_iter().rev() {
            let name = shown(&folder.join(NAME));
            if folder.as_os_str().is_empty() || self.session.machine().remembered().contains(&name)
            {
                continue;
            }
            let room = self.model.context / NESTED_SHARE;
            let found = self.file_in(folder).map(|file| self.cut_memory(file, room));
            if let Some(Ok((file, tokens))) = found {
                let text = line(&file, tokens);
                front.event(&Event::Notice { text });
                files.push(file);
            }
        }
        if !files.is_empty() {
            self.record(Kind::Memory { files }, front);
        }
    }
}

/// A file's text, if it has any.
fn file(path: &Path, text: String) -> Option<FileText> {
    let limit = Limit {
        bytes: MOST,
        lines: usize::MAX,
    };
    let text = bound(&text, limit);
    (!text.text.trim().is_empty()).then(|| FileText {
        path: shown(path),
        lines: String::new(),
        text: text.text,
        truncated: text.truncated,
    })
}

fn shown(path: &Path) -> String {
    sanitize::for_line(&path.to_string_lossy()).into_owned()
}

fn line(file: &FileText, tokens: usize) -> String {
    let cut = match file.truncated {
        true => ", cut to head and tail",
        false => "",
    };
    let path = &file.path;
    format!("project memory: {path} ({} tokens{cut})", thousands(tokens))
}
