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

/// The line for a message, its end included.
pub fn encode(message: &str) -> String {
    let escaped = message.replace('\\', "\\\\").replace('\n', "\\n");
    format!("{escaped}\n")
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
