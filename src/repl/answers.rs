//! What may be answered to a question for permission, and what was.

use crate::agent::{Approval, Question};
use crate::sandbox::Rule;
use crate::tools::Effect;

/// The answers beyond yes and no, for this question.
pub fn help(question: &Question) -> String {
    let mut lines = Vec::new();
    if question.effect == Effect::Write {
        lines.push("  e       yes, and to all changes of files from now on".to_owned());
    }
    for rule in &question.always {
        lines.push(match rule {
            Rule::RunPrefix(_) => format!("  p       always, what begins like it: {rule}"),
            Rule::RunExact(_) => "  a       always, exactly this".to_owned(),
            rule => format!("  a       always: {rule}"),
        });
    }
    lines.push("  n WHY   no, and tell the model why".to_owned());
    lines.join("\n")
}

/// An answer; `None` for one that is none.
pub fn read(answer: &str, question: &Question) -> Option<Approval> {
    let answer = answer.trim();
    let (first, rest) = match answer.split_once(char::is_whitespace) {
        Some((first, rest)) => (first, rest.trim()),
        None => (answer, ""),
    };
    let first = first.to_ascii_lowercase();
    let is_beginning = |rule: &&Rule| matches!(rule, Rule::RunPrefix(_));
    let exact = question.always.iter().find(|rule| !is_beginning(rule));
    let beginning = question.always.iter().find(is_beginning);
    let always = |rule: Option<&Rule>| rule.cloned().map(Approval::Always);
    match (first.as_str(), rest) {
        ("y" | "yes", "") => Some(Approval::Yes),
        ("a" | "always", "") => always(exact),
        ("p" | "pattern", "") => always(beginning),
        ("e" | "edits", "") if question.effect == Effect::Write => Some(Approval::AcceptEdits),
        ("" | "n" | "no", "") => Some(Approval::No),
        ("n" | "no" | "n:" | "no," | "no:", why) => Some(Approval::NoBecause(why.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(effect: Effect, command: &str) -> Question {
        Question {
            id: "1".into(),
            name: "run_command".into(),
            effect,
            preview: String::new(),
            always: [Rule::exactly(command), Rule::beginning_of(command)]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    #[test]
    fn answers_are_read() {
        let asked = question(Effect::Run, "cargo test --lib");
        let rule = |text: &str| Approval::Always(text.parse().unwrap());
        for (answer, expected) in [
            ("y", Some(Approval::Yes)),
            (" YES ", Some(Approval::Yes)),
            ("", Some(Approval::No)),
            ("no", Some(Approval::No)),
            (
                "n use make",
                Some(Approval::NoBecause("use make".to_owned())),
            ),
            (
                "No, not now",
                Some(Approval::NoBecause("not now".to_owned())),
            ),
            ("a", Some(rule("run=cargo test --lib"))),
            ("p", Some(rule("run:cargo test"))),
            ("yy", None),
            ("y please", None),
            ("e", None),
        ] {
            assert_eq!(read(answer, &asked), expected, "{answer}");
        }
        let unclear = question(Effect::Run, "a | b");
        assert_eq!(read("p", &unclear), None);
        assert!(!help(&unclear).contains("  p "));
        let write = Question {
            always: Vec::new(),
            ..question(Effect::Write, "x")
        };
        assert_eq!(read("e", &write), Some(Approval::AcceptEdits));
        assert_eq!(read("a", &write), None);
        assert!(help(&asked).contains("run:cargo test"));
    }
}
