//! A trace for reading elsewhere: JSON with everything, Markdown for people.

use serde_json::{Value, json};

use super::detail::{percent, quoted};
use super::heat::{Measure, UNCERTAIN};
use super::parts::Part;
use super::store::Trace;
use super::vocabulary::Vocabulary;
use crate::agent::session::token_json;

/// Tokens in the table of the most uncertain.
const TABLE: usize = 20;
const NAME: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Markdown,
}

/// Entry, and every token as a session's export has it, with its part.
pub fn json(trace: &Trace, words: &Vocabulary) -> Value {
    let tokens = (0..trace.len()).map(|token| {
        let mut value = token_json(&trace.noted(token, words));
        if let Some(object) = value.as_object_mut() {
            object.insert("part".into(), trace.part(token).name().into());
        }
        value
    });
    let repeats = trace
        .repeats()
        .iter()
        .map(|one| json!({ "from": one.from, "to": one.to, "phrase": one.phrase }));
    json!({
        "v": 1,
        "entry": trace.entry(),
        "tokens": tokens.collect::<Vec<Value>>(),
        "repeats": repeats.collect::<Vec<Value>>(),
    })
}

/// The text with uncertain tokens in bold, and a table of the most uncertain.
pub fn markdown(trace: &Trace, words: &Vocabulary) -> String {
    let mut text = match trace.entry() {
        Some(entry) => format!("# Trace of entry {entry}\n"),
        None => "# Trace of an unfinished answer\n".to_owned(),
    };
    let mut part = None;
    for token in 0..trace.len() {
        let now = trace.part(token);
        if part != Some(now) {
            let title = match now {
                Part::Thought => "Thought",
                Part::Answer => "Answer",
                Part::Call => "Call",
                Part::Markup => continue,
            };
            text.truncate(text.trim_end().len());
            text.push_str(&format!("\n\n## {title}\n\n"));
            part = Some(now);
        }
        let is_bold = Measure::Entropy.level_of(trace, token) >= UNCERTAIN;
        text.push_str(&marked(trace.token_text(token), is_bold));
    }
    let mut hottest: Vec<usize> = (0..trace.len()).collect();
    hottest.sort_by(|a, b| trace.entropy(*b).total_cmp(&trace.entropy(*a)));
    hottest.truncate(TABLE);
    text.push_str("\n\n## Most uncertain\n\n");
    text.push_str("| token | text | probability | entropy | instead |\n|--:|---|--:|--:|---|\n");
    for token in hottest {
        let chosen = trace.id(token);
        let choices = trace.choices(token).into_iter();
        let others = choices.filter(|one| one.id != chosen).map(|one| {
            let name = quoted(words.bytes(one.id), NAME);
            format!("{} {}", code(&name), percent(one.logprob))
        });
        text.push_str(&format!(
            "| {} | {} | {} | {:.2} | {} |\n",
            token + 1,
            code(&quoted(words.bytes(chosen), NAME)),
            percent(trace.logprob(token)),
            trace.entropy(token),
            others.collect::<Vec<_>>().join(", "),
        ));
    }
    text
}

/// A token's text as Markdown that shows it as it is.
fn marked(text: &str, is_bold: bool) -> String {
    let ink = text.trim();
    if ink.is_empty() {
        return text.to_owned();
    }
    let start = text.len() - text.trim_start().len();
    let (before, after) = (&text[..start], &text[start + ink.len()..]);
    let mut escaped = String::with_capacity(ink.len());
    for c in ink.chars() {
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~'
        ) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    match is_bold {
        true => format!("{before}**{escaped}**{after}"),
        false => format!("{before}{escaped}{after}"),
    }
}

/// A code span within a table.
fn code(text: &str) -> String {
    let safe = text.replace('|', "\\|");
    match safe.contains('`') {
        true => format!("`` {safe} ``"),
        false => format!("`{safe}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::trace::sample::{noted, trace};

    #[test]
    fn json_has_every_token_with_its_part() {
        let (trace, words) = trace(&["a", "</think>", " b"]);
        let value = json(&trace, &words);
        let parts: Vec<&str> = (0..3)
            .map(|n| value["tokens"][n]["part"].as_str().unwrap())
            .collect();
        assert_eq!(parts, ["thought", "markup", "answer"]);
        let mut expected = token_json(&noted(2, b" b"));
        let mut token = value["tokens"][2].clone();
        // Alternatives are kept to three digits.
        for one in [&mut expected, &mut token] {
            let top = one["top"].as_array_mut().unwrap();
            for choice in top {
                choice["logprob"] = (choice["logprob"].as_f64().unwrap() * 100.0).round().into();
            }
            one.as_object_mut().unwrap().remove("part");
        }
        assert_eq!(token, expected);
        assert_eq!((&value["entry"], &value["v"]), (&Value::Null, &1.into()));
    }

    #[test]
    fn markdown_shows_what_was_uncertain() {
        let (trace, words) = trace(&["So", " it", " is", " a_b", "*", "</think>", "Yes|"]);
        let text = markdown(&trace, &words);
        let (head, table) = text.split_once("\n\n## Most uncertain\n\n").unwrap();
        let expected = "# Trace of an unfinished answer\n\n## Thought\n\n\
                        So it is **a\\_b****\\***\n\n## Answer\n\nYes\\|";
        assert_eq!(head, expected);
        let first = table.lines().nth(2).unwrap();
        assert!(
            first.starts_with("| 5 | `\"*\"` | 5.0% | 3.00 | `\"␣alt1\"` 13.5%"),
            "{first}"
        );
        assert_eq!(table.lines().count(), 2 + 7);
    }
}
