//! Where the REPL's lines come from: an editor with history on a terminal, or
//! plain lines when stdin is a file or a pipe.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use super::complete::Names;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Cmd, CompletionType, Config, Editor, KeyCode, KeyEvent, Modifiers};

/// Entries of history kept.
const HISTORY: usize = 1000;
/// Most bytes of one message.
const MOST_LINE: u64 = 1 << 20;

/// What came of asking for a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the end of the script.
    End,
}

pub enum Input {
    Editor {
        editor: Box<Editor<Names, FileHistory>>,
        history: Option<PathBuf>,
    },
    Plain(Box<dyn BufRead>),
}

impl Input {
    /// An editor, with the history that `history` holds.
    ///
    /// # Errors
    /// When the terminal can't be used.
    pub fn editor(history: Option<PathBuf>) -> Result<Self, String> {
        let config = Config::builder()
            .max_history_size(HISTORY)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(|e| format!("line editor: {e}"))?
            .auto_add_history(false)
            .bracketed_paste(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor: Editor<Names, FileHistory> =
            Editor::with_config(config).map_err(|e| format!("line editor: {e}"))?;
        editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
        if let Some(path) = &history {
            // No history yet, or none that can be read: start without.
            let _ = editor.load_history(path);
        }
        Ok(Self::Editor {
            editor: Box::new(editor),
            history,
        })
    }

    /// Completes these from now on, where there is an editor.
    pub fn complete(&mut self, names: Names) {
        if let Self::Editor { editor, .. } = self {
            editor.set_helper(Some(names));
        }
    }

    /// Whether somebody types, with an editor's help.
    pub fn is_editor(&self) -> bool {
        matches!(self, Self::Editor { .. })
    }

    pub fn plain(source: impl BufRead + 'static) -> Self {
        Self::Plain(Box::new(source))
    }

    /// A message: one line, or several where a line ends with `\`. The prompt
    /// says in what `manner` things are done.
    pub fn message(&mut self, manner: &str) -> io::Result<Line> {
        let mut message = String::new();
        let mut prompt = format!("[{manner}] cairn> ");
        loop {
            match self.line(&prompt)? {
                Line::Text(line) => match line.strip_suffix('\\') {
                    Some(head) => {
                        message.push_str(head);
                        message.push('\n');
                        prompt = "  ...> ".to_owned();
                    }
                    None => {
                        message.push_str(&line);
                        self.remember(&message);
                        return Ok(Line::Text(message));
                    }
                },
                Line::End if !message.is_empty() => {
                    return Ok(Line::Text(message.trim_end_matches('\n').to_owned()));
                }
                other => return Ok(other),
            }
        }
    }

    /// One line, asked for with `prompt`.
    pub fn line(&mut self, prompt: &str) -> io::Result<Line> {
        match self {
            Self::Editor { editor, .. } => match editor.readline(prompt) {
                Ok(line) => Ok(Line::Text(line)),
                Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
                Err(ReadlineError::Eof) => Ok(Line::End),
                Err(error) => Err(io::Error::other(error.to_string())),
            },
            Self::Plain(source) => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(prompt.as_bytes())?;
                stdout.flush()?;
                drop(stdout);
                let Some(text) = plain_line(source)? else {
                    return Ok(Line::End);
                };
                // A terminal echoes, a script does not: the record shows what was said.
                if !io::stdin().is_terminal() {
                    writeln!(
                        io::stdout(),
                        "{}",
                        crate::sandbox::sanitize::for_line(&text)
                    )?;
                }
                Ok(Line::Text(text))
            }
        }
    }

    fn remember(&mut self, message: &str) {
        if let Self::Editor { editor, history } = self
            && !message.trim().is_empty()
            && editor.add_history_entry(message).unwrap_or(false)
            && let Some(path) = history
        {
            // Losing history is not worth a word in the middle of work.
            let _ = editor.append_history(path);
        }
    }
}

/// A line without its end, `None` after the last. Its first megabyte, if it is
/// longer: the rest is part of it, and no message of its own.
fn plain_line(source: &mut dyn BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    source.take(MOST_LINE).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() as u64 == MOST_LINE && !bytes.ends_with(b"\n") {
        source.skip_until(b'\n')?;
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// Where the history lives in cairn's state folder, which is made.
pub fn history_file(state: PathBuf) -> Option<PathBuf> {
    create_private(&state).ok()?;
    Some(state.join("history"))
}

fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_and_stays_one_line() {
        let text = format!("{}\nnext\n", "x".repeat(3 << 20));
        let mut source = text.as_bytes();
        let mut line = || plain_line(&mut source).unwrap();
        assert_eq!(line().unwrap().len() as u64, MOST_LINE);
        assert_eq!(line().as_deref(), Some("next"));
        assert_eq!(line(), None);
    }
}
