//! `cairn config edit`: an editor on a copy of the user's file, which replaces it
//! once it can be read.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::fail;
use crate::agent::Exit;
use crate::cli::editor;
use crate::config::User;
use crate::config::settings::{Kind, SETTINGS};
use crate::sandbox::sanitize;

pub fn run(user: &User) -> Exit {
    let Some(editor) = editor::chosen() else {
        let message = format!(
            "neither VISUAL nor EDITOR is set; the file is {}",
            user.path().display()
        );
        return fail(Exit::Usage, &message);
    };
    let seen = match user.text() {
        Ok(seen) => seen,
        Err(error) => return fail(Exit::Usage, &error.to_string()),
    };
    let copy = match Copy::make(user.path(), seen.as_deref().unwrap_or(&template())) {
        Ok(copy) => copy,
        Err(error) => {
            let folder = user.path().parent().unwrap_or(Path::new("."));
            return fail(Exit::Internal, &format!("{}: {error}", folder.display()));
        }
    };
    let before = copy.text();
    loop {
        if let Err(why) = editor::open(&editor, &copy.path) {
            let message = format!("{why}; {} is as it was", user.path().display());
            return fail(Exit::Internal, &message);
        }
        let text = match copy.text() {
            Ok(text) => text,
            Err(error) => {
                let message = format!("{error}; {} is as it was", user.path().display());
                return fail(Exit::Internal, &message);
            }
        };
        if before.as_ref().is_ok_and(|before| *before == text) {
            say("nothing was changed");
            return Exit::Done;
        }
        let problems = user.parse(&text).problems;
        if problems.is_empty() {
            return match user.replace(seen.as_deref(), &text) {
                Ok(()) => {
                    say(&format!("saved: {}", user.path().display()));
                    Exit::Done
                }
                Err(error) => {
                    let kept = copy.keep();
                    fail(Exit::Internal, &format!("{error}; your text is in {kept}"))
                }
            };
        }
        for problem in &problems {
            fail(Exit::Usage, &problem.to_string());
        }
        if !again() {
            let message = format!(
                "{} is as it was; your text is in {}",
                user.path().display(),
                copy.keep()
            );
            return fail(Exit::Usage, &message);
        }
    }
}

/// Whether to go back to the editor; nobody to ask is a no.
fn again() -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    let mut out = io::stdout().lock();
    let mut answer = String::new();
    let asked = out
        .write_all(b"edit it again? [y]es / [n]o: ")
        .and_then(|()| out.flush())
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    let answer = answer.trim().to_ascii_lowercase();
    asked.is_ok_and(|read| read > 0) && matches!(answer.as_str(), "" | "y" | "yes")
}

fn say(text: &str) {
    // Without stdout the status still says how it ended.
    let _ = writeln!(io::stdout(), "{}", sanitize::for_line(text));
}

/// What is edited; it goes away unless it is kept.
struct Copy {
    path: PathBuf,
    keep: std::cell::Cell<Fate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Removed,
    Kept,
}

impl Copy {
    fn make(original: &Path, text: &str) -> io::Result<Self> {
        let folder = original.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let path = folder.join(format!(".config-{}.toml", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let copy = Self {
            path,
            keep: Fate::Removed.into(),
        };
        file.write_all(text.as_bytes())?;
        Ok(copy)
    }

    fn text(&self) -> Result<String, String> {
        let user = User::at(self.path.clone());
        let text = user.text().map_err(|error| error.to_string())?;
        text.ok_or_else(|| "the copy that was edited is gone".to_owned())
    }

    /// Where it stays.
    fn keep(&self) -> String {
        self.keep.set(Fate::Kept);
        self.path.display().to_string()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if self.keep.get() == Fate::Removed {
            // There is nothing to do about one that stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What a file that is not there begins as: every setting, out of use.
fn template() -> String {
    let mut text = String::from(
        "# Settings of cairn; `cairn config show` says which count. A setting is in use\n\
         # when its # is taken away.\n",
    );
    for setting in SETTINGS
        .iter()
        .filter(|setting| setting.kind != Kind::Policy)
    {
        text.push_str(&format!(
            "\n# {} (default: {})\n# {} =\n",
            setting.help,
            setting.default_text(),
            setting.key
        ));
    }
    text.push_str("\n# [sandbox] and [permissions] say what may be done: see the README.\n");
    text
}
