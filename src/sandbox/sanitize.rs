//! Hostile text made safe for a terminal. Whatever a model, a tool, a file name
//! or a project file says passes through here before it is shown: nothing in it
//! can move the cursor, change colours, set titles or the clipboard, reverse the
//! reading order or hide. What is taken out is replaced by something visible,
//! so that a question for permission shows all of what would be done.

use std::borrow::Cow;

/// Text of several lines: newline and tab stay, `\r\n` becomes `\n`.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n' || c == '\t')
}

/// Text that must stay on one line, such as a path.
pub fn for_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Letters that a reader takes for plain ones, or may, as far as a command goes:
/// those beyond ASCII, each with its number. Hidden ones are shown anyway. `None`
/// where there are none.
pub fn look_alikes(text: &str) -> Option<String> {
    let mut letters: Vec<char> = text
        .chars()
        .filter(|c| !c.is_ascii() && !is_hidden(*c))
        .collect();
    letters.sort_unstable();
    letters.dedup();
    const NAMED: usize = 8;
    let mut named: Vec<String> = letters
        .iter()
        .take(NAMED)
        .map(|c| {
            format!(
                "{} U+{:04X}",
                for_line(c.encode_utf8(&mut [0; 4])),
                *c as u32
            )
        })
        .collect();
    if letters.len() > NAMED {
        named.push("...".into());
    }
    (!named.is_empty()).then(|| named.join(", "))
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let Some(first) = text
        .char_indices()
        .find(|(_, c)| is_hidden(*c) && !keep(*c))
        .map(|(at, _)| at)
    else {
        return Cow::Borrowed(text);
    };
    let mut safe = String::with_capacity(text.len() + 16);
    safe.push_str(&text[..first]);
    let mut before = text[..first].chars().next_back();
    let mut rest = text[first..].chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        match c {
            _ if keep(c) || !is_hidden(c) => safe.push(c),
            '\r' if next == Some('\n') && keep('\n') => {}
            // The joiner is what makes 👩‍💻 one sign; elsewhere it only hides.
            '\u{200D}' if before.is_some_and(pictograph) && next.is_some_and(pictograph) => {
                safe.push(c);
            }
            '\u{0}'..='\u{1F}' => safe.push(picture(c as u32)),
            '\u{7F}' => safe.push('\u{2421}'),
            _ => safe.push_str(&format!("<U+{:04X}>", c as u32)),
        }
        before = Some(c);
    }
    Cow::Owned(safe)
}

/// The Unicode control picture of a C0 control: `␛` for ESC.
fn picture(control: u32) -> char {
    char::from_u32(0x2400 + control).unwrap_or('\u{FFFD}')
}

fn pictograph(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27BF}' | '\u{FE0F}' | '\u{1F000}'..='\u{1FAFF}')
}

/// Controls, and what is drawn as nothing or changes how its neighbours are
/// drawn (Unicode `Cc`, `Cf`, `Zl`, `Zp` and the default-ignorable characters;
/// the emoji variation selectors are harmless and stay).
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}'
            | '\u{890}' | '\u{891}' | '\u{8E2}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0D}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{110BD}' | '\u{110CD}'
            | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_text_is_borrowed() {
        let text = "fn main() {\n\tprintln!(\"héllo 日本 👍🏽 ❤️\");\n}\n";
        assert!(matches!(for_terminal(text), Cow::Borrowed(t) if t == text));
    }

    #[test]
    fn sequences_become_visible_text() {
        for (raw, safe) in [
            ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
            ("\x1b]0;title\x07", "␛]0;title␇"),
            ("\x1b]52;c;AAAA\x1b\\", "␛]52;c;AAAA␛\\"),
            ("\u{9b}2J", "<U+009B>2J"),
            ("rm \u{202e}fr-", "rm <U+202E>fr-"),
            ("a\u{200b}b\u{feff}", "a<U+200B>b<U+FEFF>"),
            ("safe\rrm -rf", "safe␍rm -rf"),
            ("dos\r\nline\r\n", "dos\nline\n"),
            ("del\x7f\x08", "del␡␈"),
            ("tag\u{e0041}", "tag<U+E0041>"),
            ("👩\u{200d}💻 a\u{200d}b", "👩\u{200d}💻 a<U+200D>b"),
        ] {
            assert_eq!(for_terminal(raw), safe, "{raw:?}");
        }
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(for_line("a\nb\tc\r\n"), "a␊b␉c␍␊");
    }

    proptest! {
        #[test]
        fn nothing_that_drives_a_terminal_gets_through(text in any::<String>(), controls in "[\\x00-\\x1f\\x7f-\\x9f\u{200b}-\u{202e}a]{0,40}") {
            for raw in [format!("{text}{controls}"), format!("{controls}{text}")] {
                let safe = for_terminal(&raw);
                prop_assert!(!safe.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
                prop_assert!(!for_line(&raw).chars().any(char::is_control));
                prop_assert_eq!(for_terminal(&safe), safe.clone());
            }
        }
    }
}
