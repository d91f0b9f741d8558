//! The format of the history's file, which the line editor of the REPL reads and writes
//! as well: a first line that says so, then a message per line, with line ends and
//! backslashes escaped.

/// What a file begins with. One that does not is older, and has to be written anew
/// before anything is appended.
pub const HEADER: &str = "#V2\n";

/// The messages of a file, oldest first.
pub fn decode(file: &str) -> Vec<String> {
    let (escaped, lines) = match file.strip_prefix(HEADER) {
        Some(rest) => (true, rest),
        None => (false, file),
    };
    let lines = lines.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| match escaped {
            // What nobody escaped is what it says.
            true => unescape(line).unwrap_or_else(|| line.to_owned()),
            false => line.to_owned(),
        })
        .collect()
}

/// The line for a message, without its end.
pub fn encode(message: &str) -> String {
    message.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescape(line: &str) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next()? {
                'n' => text.push('\n'),
                '\\' => text.push('\\'),
                _ => return None,
            },
            c => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustyline::history::{FileHistory, History, SearchDirection};

    /// What the other editor reads from a file, or nothing.
    fn read_by_other(file: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        std::fs::write(&path, file).unwrap();
        let mut history = FileHistory::new();
        history.load(&path).unwrap();
        let entry = |at| history.get(at, SearchDirection::Forward).unwrap().unwrap();
        { 0..history.len() }
            .map(|at| entry(at).entry.into_owned())
            .collect()
    }

    #[test]
    fn what_the_other_editor_writes_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let mut history = FileHistory::new();
        let messages = ["plain", "two\nlines \\n", "C:\\new\\"];
        for message in messages {
            history.add(message).unwrap();
        }
        history.save(&path).unwrap();
        let file = std::fs::read_to_string(&path).unwrap();
        assert_eq!(decode(&file), messages);
        let written = messages.map(encode).join("\n");
        assert_eq!(format!("{HEADER}{written}\n"), file);
    }

    #[test]
    fn older_and_damaged_files_are_read_as_they_are() {
        assert_eq!(decode("old\\n one\n\ntwo\n"), ["old\\n one", "two"]);
        assert_eq!(decode("#V2\nbad \\x\ngood\\n\n"), ["bad \\x", "good\n"]);
        assert_eq!(decode(""), Vec::<String>::new());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_messages_come_back_in_both(message in "[a \\\\n\n字\"]{1,20}") {
            let file = format!("{HEADER}{}\n", encode(&message));
            prop_assert_eq!(decode(&file), vec![message.clone()]);
            // The other one keeps no message that begins with a space.
            if !message.starts_with(char::is_whitespace) {
                prop_assert_eq!(read_by_other(&file), vec![message]);
            }
        }
    }
}
