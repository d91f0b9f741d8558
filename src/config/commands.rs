//! The user's own slash commands: `commands/NAME.md` in the config folder is a
//! message with places for arguments. They are read at the start, bounded, and one
//! that can't be used costs a line and nothing else.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of one file, and how many files are read.
const MOST_BYTES: u64 = 64 * 1024;
const MOST_COMMANDS: usize = 256;
/// Characters of a name.
const MOST_NAME: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCommand {
    pub name: String,
    /// For a list of commands; may be empty.
    pub description: String,
    text: String,
}

/// All that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserCommands {
    commands: Vec<UserCommand>,
}

impl UserCommands {
    /// Reads a config folder's `commands`. `taken` are names of other commands. The
    /// lines say what can't be used and why.
    pub fn load(config: &Path, taken: &[&str]) -> (Self, Vec<String>) {
        let folder = config.join("commands");
        let (mut commands, mut lines) = (Vec::new(), Vec::new());
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "md"))
            .collect();
        paths.sort();
        if paths.len() > MOST_COMMANDS {
            let folder = folder.display();
            lines.push(format!(
                "{folder}: only the first {MOST_COMMANDS} commands are read"
            ));
        }
        for path in paths.into_iter().take(MOST_COMMANDS) {
            match read(&path, taken) {
                Ok(command) => commands.push(command),
                Err(why) => lines.push(format!("{}: {why}", path.display())),
            }
        }
        (Self { commands }, lines)
    }

    pub fn iter(&self) -> impl Iterator<Item = &UserCommand> {
        self.commands.iter()
    }

    /// The message that a line stands for, if it is `/NAME` or `/NAME ARGUMENTS` of a
    /// command here.
    pub fn expand(&self, line: &str) -> Option<String> {
        let line = line.trim().strip_prefix('/')?;
        let (name, arguments) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let command = self.commands.iter().find(|command| command.name == name)?;
        Some(fill(&command.text, arguments.trim()))
    }
}

fn read(path: &Path, taken: &[&str]) -> Result<UserCommand, String> {
    let name = path.file_stem().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MOST_NAME || !name.chars().all(plain) {
        return Err("a command's name is made of letters, digits, - and _".into());
    }
    if taken.contains(&name) {
        return Err(format!(
            "/{name} is a command of cairn's; give the file another name"
        ));
    }
    // A pipe would be waited for.
    let kind = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !kind.is_file() {
        return Err("not a file".into());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("longer than {MOST_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not text (UTF-8)".to_owned())?;
    let (description, text) = split(&text.replace("\r\n", "\n"));
    match text.trim() {
        "" => Err("there is no text".into()),
        text => Ok(UserCommand {
            name: name.to_owned(),
            description,
            text: text.to_owned(),
        }),
    }
}

/// The description of the front matter, if there is any, and the text after it.
fn split(text: &str) -> (String, String) {
    let front = text.strip_prefix("---\n");
    let Some((front, text)) = front.and_then(|front| {
        let end = front.find("\n---\n")?;
        Some((&front[..end], &front[end + 5..]))
    }) else {
        return (String::new(), text.to_owned());
    };
    let mut lines = front.lines();
    let description = lines.find_map(|line| line.strip_prefix("description:"));
    let description = description.unwrap_or_default().trim();
    (
        description.trim_matches(['"', '\'']).to_owned(),
        text.to_owned(),
    )
}

/// Puts the arguments in: `$ARGUMENTS` is all of them, `$1` to `$9` are words. What
/// they say is not looked at again.
fn fill(text: &str, arguments: &str) -> String {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let mut filled = String::with_capacity(text.len() + arguments.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digit = rest.chars().next().and_then(|c| c.to_digit(10));
        if let Some(after) = rest.strip_prefix("ARGUMENTS") {
            filled.push_str(arguments);
            rest = after;
        } else if let Some(number @ 1..) = digit {
            filled.push_str(words.get(number as usize - 1).unwrap_or(&""));
            rest = &rest[1..];
        } else {
            filled.push('$');
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_put_in_once() {
        let text = "Fix $1 in $2.\nAll: $ARGUMENTS; $3, $0, $HOME, 5$";
        assert_eq!(
            fill(text, "$2  b"),
            "Fix $2 in b.\nAll: $2  b; , $0, $HOME, 5$"
        );
        assert_eq!(fill("plain", "x"), "plain");
    }

    #[test]
    fn what_can_not_be_used_costs_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("commands");
        assert_eq!(
            UserCommands::load(dir.path(), &[]),
            (UserCommands::default(), vec![])
        );
        std::fs::create_dir_all(folder.join("dir.md")).unwrap();
        let write = |name: &str, text: &[u8]| std::fs::write(folder.join(name), text).unwrap();
        write(
            "review.md",
            b"---\r\ndescription: \"Look at a file\"\r\n---\r\nReview $1.\r\n",
        );
        write("help.md", b"mine");
        write("a b.md", b"x");
        write("empty.md", b"---\ndescription: x\n---\n\n");
        write("binary.md", b"\xff");
        write("long.md", &vec![b'x'; MOST_BYTES as usize + 1]);
        write("note.txt", b"no command");
        let (commands, lines) = UserCommands::load(dir.path(), &["help"]);
        let names: Vec<_> = commands
            .iter()
            .map(|c| (c.name.as_str(), c.description.as_str()))
            .collect();
        assert_eq!(names, [("review", "Look at a file")]);
        assert_eq!(lines.len(), 6, "{lines:?}");
        assert!(
            lines
                .iter()
                .any(|line| line.ends_with("give the file another name"))
        );
        assert_eq!(
            commands.expand(" /review src/a.rs now").as_deref(),
            Some("Review src/a.rs.")
        );
        assert_eq!(commands.expand("/review").as_deref(), Some("Review ."));
        for other in ["/reviews x", "review x", "/usr/bin/review", "/"] {
            assert_eq!(commands.expand(other), None, "{other}");
        }
    }
}
