//! The words of a shell command that is one plain call of one program. Rules
//! about a beginning of words hold for nothing else: what a shell would expand,
//! join or redirect could become anything.

/// Characters that mean something to a shell outside quotes, or could to one.
const SPECIAL: &[char] = &[
    ';', '&', '|', '<', '>', '(', ')', '$', '`', '\\', '\n', '\r', '*', '?', '[', ']', '{', '}',
    '~', '#', '!', '^', '\0',
];

/// Words that a shell itself acts on, or that change what later words mean.
const RESERVED: &[&str] = &[
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac",
    "select", "function", "time", "coproc", "[[", "]]", "in", "alias", "unalias", "set", "export",
    "trap", "cd",
];

/// The words, if `command` is one plain call: words between blanks, with whole
/// or partial quotes in which nothing is expanded.
pub fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        end if end == c => break,
                        '\0' => return None,
                        '$' | '`' | '\\' | '!' if c == '"' => return None,
                        inner => word.push(inner),
                    }
                }
            }
            c if SPECIAL.contains(&c) => return None,
            // Blanks of other scripts and hidden characters separate words for a reader only.
            c if c.is_whitespace() || super::sanitize::is_hidden(c) => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let first = words.first()?;
    let plain = !first.is_empty()
        && !first.contains('=')
        && !first.contains(char::is_whitespace)
        && !RESERVED.contains(&first.as_str());
    plain.then_some(words)
}

/// Words as a command of which [`words`] gives them back; `None` where a word
/// can't be written so.
pub fn quoted(words: &[String]) -> Option<String> {
    let quote = |word: &String| {
        let special = |c: char| SPECIAL.contains(&c) || c.is_whitespace() || c == '"';
        match word {
            word if word.contains('\'') && !word.contains(['"', '$', '`', '\\', '!', '\0']) => {
                Some(format!("\"{word}\""))
            }
            word if word.contains(['\'', '\0']) => None,
            word if word.is_empty() || word.contains(special) => Some(format!("'{word}'")),
            word => Some(word.clone()),
        }
    };
    let quoted: Option<Vec<String>> = words.iter().map(quote).collect();
    Some(quoted?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_calls_have_words() {
        let of = |command| words(command).map(|words| words.join("|"));
        for (command, expected) in [
            ("cargo test", "cargo|test"),
            ("  ls\t-la  src ", "ls|-la|src"),
            ("git commit -m 'a b; c' x", "git|commit|-m|a b; c|x"),
            ("echo \"it's\" a'b'\"c\"", "echo|it's|abc"),
            ("echo ''", "echo|"),
            ("./build.sh a=b", "./build.sh|a=b"),
        ] {
            assert_eq!(of(command).as_deref(), Some(expected), "{command}");
        }
    }

    #[test]
    fn what_a_shell_would_change_has_none() {
        for command in [
            "",
            "  ",
            "a; b",
            "a && b",
            "a | b",
            "a\nb",
            "a > f",
            "a < f",
            "echo $(b)",
            "echo `b`",
            "echo \"$x\"",
            "echo \"`b`\"",
            "X=1 a",
            "a *",
            "a {b,c}",
            "a ~",
            "a \\; b",
            "'a b' c",
            "a 'open",
            "a # b",
            "!a",
            "a \u{a0}b",
            "a\u{200b}b",
            "time a",
            "if a",
            "(a)",
            "'' a",
            "cd x",
        ] {
            assert_eq!(words(command), None, "{command:?}");
        }
    }

    proptest! {
        #[test]
        fn quoting_comes_back(list in proptest::collection::vec("[ -~]{0,8}", 1..5)) {
            if let Some(text) = quoted(&list)
                && let Some(back) = words(&text)
            {
                prop_assert_eq!(back, list);
            }
        }
    }
}
