//! Files that a user's message names with `@path`, `@path:10-40` or `@"a path"`. What
//! is read goes into the log with the message, so the file is never read again.

use super::driver::Agent;
use super::entry::FileText;
use super::event::{Event, Front};
use super::present::thousands;
use crate::sandbox::sanitize;
use crate::tools::NotGiven;

/// The share of the window that all files of one message may take.
const SHARE: usize = 4;
/// Tokens below which a file is not worth cutting to.
const LEAST: usize = 48;
/// Most files of one message.
const MOST_FILES: usize = 16;

/// A word that may name a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mention {
    word: String,
    /// In quotation marks: nothing else is meant.
    quoted: bool,
    /// What follows a closing quotation mark, for `:10-40`.
    after: String,
}

/// Lines from 1, the last one included.
type Lines = (usize, usize);

impl Agent {
    /// The files that a message names.
    pub(super) fn attach(&self, text: &str, front: &mut dyn Front) -> Vec<FileText> {
        let mut attached: Vec<FileText> = Vec::new();
        let mut room = self.model.context / SHARE;
        let mut tell = |text: String| {
            let text = sanitize::for_line(&text).into_owned();
            front.event(&Event::Notice { text });
        };
        for mention in mentions(text).into_iter().take(MOST_FILES) {
            match self.file(&mention) {
                Ok(file) if attached.contains(&file) => {}
                Ok(mut file) => {
                    let tokens = self.model.count_tokens(&file.text);
                    if tokens > room && room < LEAST {
                        tell(format!("@{} is not attached: there is no room", file.path));
                        continue;
                    }
                    if tokens > room {
                        file.text = self.cut_to(&file.text, tokens, room).text;
                        file.truncated = true;
                    }
                    let kept = self.model.count_tokens(&file.text);
                    room = room.saturating_sub(kept);
                    tell(line(&file, kept, tokens));
                    attached.push(file);
                }
                Err(Some(why)) => tell(why),
                Err(None) => {}
            }
        }
        attached
    }

    /// What a mention stands for; else a line on why it stands for nothing, where that
    /// is worth one.
    fn file(&self, mention: &Mention) -> Result<FileText, Option<String>> {
        for (path, lines) in readings(mention) {
            let text = match self.toolbox.give(path) {
                Ok(text) => text,
                Err(NotGiven::Missing) => continue,
                Err(NotGiven::Folder) => {
                    return Err(Some(format!("@{path} is a folder, so it is not attached")));
                }
                Err(NotGiven::Because(why)) => {
                    return Err(Some(format!("@{path} is not attached: {why}")));
                }
            };
            let (text, lines) = match lines {
                None => (text.trim_end_matches('\n').to_owned(), String::new()),
                Some(lines) => excerpt(&text, lines)
                    .map_err(|why| Some(format!("@{path} is not attached: {why}")))?,
            };
            return Ok(FileText {
                path: sanitize::for_line(path).into_owned(),
                lines,
                text,
                truncated: false,
            });
        }
        let word = &mention.word;
        let looks_like_one = mention.quoted || word.contains(['/', '.']);
        Err(looks_like_one.then(|| format!("@{word} names no file here and stays as it is")))
    }
}

fn line(file: &FileText, kept: usize, tokens: usize) -> String {
    let lines = match file.lines.as_str() {
        "" => String::new(),
        lines => format!(", {lines}"),
    };
    let how_much = match file.truncated {
        true => format!(
            "{} of {} tokens, head and tail",
            thousands(kept),
            thousands(tokens)
        ),
        false => format!("{} tokens", thousands(kept)),
    };
    format!("attached: {}{lines} ({how_much})", file.path)
}

/// Every `@word` at the beginning or after white space.
fn mentions(text: &str) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let mention = (c == '@' && before.is_whitespace()).then(|| mention(&rest[1..]));
        let length = match mention.flatten() {
            Some((mention, length)) => {
                if !found.contains(&mention) {
                    found.push(mention);
                }
                1 + length
            }
            None => c.len_utf8(),
        };
        before = rest[..length].chars().next_back().unwrap_or(' ');
        rest = &rest[length..];
    }
    found
}

/// What follows an `@`, and its bytes.
fn mention(text: &str) -> Option<(Mention, usize)> {
    let word = |text: &str| {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        text[..end].to_owned()
    };
    if let Some(quoted) = text.strip_prefix('"') {
        let (inside, rest) = quoted.split_once('"')?;
        let after = word(rest);
        let length = inside.len() + 2 + after.len();
        let mention = Mention {
            word: inside.to_owned(),
            quoted: true,
            after,
        };
        return (!inside.is_empty() && !inside.contains('\n')).then_some((mention, length));
    }
    let word = word(text);
    let length = word.len();
    let mention = Mention {
        word,
        quoted: false,
        after: String::new(),
    };
    (length > 0).then_some((mention, length))
}

/// The ways to read a mention, the most literal first: with what follows a path in a
/// sentence, and without; as lines of a file.
fn readings(mention: &Mention) -> Vec<(&str, Option<Lines>)> {
    let word = mention.word.as_str();
    if mention.quoted {
        let after = mention.after.strip_prefix(':');
        let lines = after.and_then(|after| lines(sentence(after)));
        return vec![(word, lines)];
    }
    let mut readings = Vec::new();
    for word in [word, sentence(word)] {
        readings.push((word, None));
        if let Some((path, after)) = word.rsplit_once(':')
            && let Some(lines) = lines(after)
        {
            readings.push((path, Some(lines)));
        }
    }
    readings.retain(|(path, _)| !path.is_empty());
    readings.dedup();
    readings
}

/// Without the marks that end a sentence or a bracket.
fn sentence(word: &str) -> &str {
    word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'', '"'])
}

/// `10-40`, or `10`.
fn lines(text: &str) -> Option<Lines> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let lines = (first.parse().ok()?, last.parse().ok()?);
    (lines.0 > 0 && lines.0 <= lines.1).then_some(lines)
}

/// Those lines, and which they are.
fn excerpt(text: &str, (first, last): Lines) -> Result<(String, String), String> {
    let all = text.lines().count();
    if first > all {
        return Err(format!("it has {all} lines"));
    }
    let last = last.min(all);
    let chosen: Vec<&str> = text
        .lines()
        .skip(first - 1)
        .take(last - first + 1)
        .collect();
    Ok((chosen.join("\n"), format!("lines {first}-{last} of {all}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_begin_words() {
        let words =
            |text: &str| -> Vec<String> { mentions(text).into_iter().map(|m| m.word).collect() };
        let text = "@a see @src/b.rs:1-2, and\n@\"c d\":3 not me@home.org @ @@x @a @\"open";
        assert_eq!(words(text), ["a", "src/b.rs:1-2,", "c d", "@x"]);
        assert!(words("").is_empty());
    }

    #[test]
    fn a_mention_is_read_literally_first() {
        let read = |text: &str| -> Vec<(String, Option<Lines>)> {
            let mention = mentions(text).remove(0);
            let all = readings(&mention).into_iter();
            all.map(|(path, lines)| (path.to_owned(), lines)).collect()
        };
        assert_eq!(read("@a.rs"), [("a.rs".into(), None)]);
        assert_eq!(
            read("@a:10-40)."),
            [
                ("a:10-40).".into(), None),
                ("a:10-40".into(), None),
                ("a".into(), Some((10, 40)))
            ]
        );
        assert_eq!(read("@a:7")[1], ("a".into(), Some((7, 7))));
        assert_eq!(read("@a:4-3").len(), 1, "no lines");
        assert_eq!(read("@\"a b\":4-5,"), [("a b".into(), Some((4, 5)))]);
        assert_eq!(read("@\"a b\","), [("a b".into(), None)]);
    }

    #[test]
    fn excerpts_say_what_they_are() {
        let text = "one\ntwo\nthree\n";
        assert_eq!(
            excerpt(text, (2, 9)),
            Ok(("two\nthree".into(), "lines 2-3 of 3".into()))
        );
        assert_eq!(excerpt(text, (4, 4)), Err("it has 3 lines".into()));
    }
}
