//! The checks as lines for people: a word for the status, the name, the finding,
//! wrapped where the terminal ends. Colours, where there are any, only repeat it.

use std::io;

use super::{Check, Status};
use crate::agent::present::Style;

/// Columns before the finding.
const STATUS: usize = 5;
const NAME: usize = 15;
/// A finding is not squeezed into less.
const LEAST: usize = 20;

pub fn report(checks: &[Check], width: usize) -> String {
    let style = Style::of(&io::stdout());
    let mut text = String::new();
    let mut group = "";
    for check in checks {
        if check.group != group {
            if !group.is_empty() {
                text.push('\n');
            }
            group = check.group;
            text += &format!("{}\n", style.bold(group));
        }
        text += &lines(check, width, style);
    }
    text
}

fn lines(check: &Check, width: usize, style: Style) -> String {
    let status = match check.status {
        Status::Ok => "ok",
        Status::Warn => "warn",
        Status::Fail => "FAIL",
        Status::None => "-",
    };
    let status = format!("{status:<STATUS$}");
    let status = match check.status {
        Status::Fail => style.bold(&status),
        Status::None => style.dim(&status),
        _ => status,
    };
    let room = width.saturating_sub(STATUS + NAME).max(LEAST);
    let mut parts = wrapped(&check.detail, room).into_iter();
    let first = parts.next().unwrap_or_default();
    let line = format!("{status}{:<NAME$}{first}", check.name);
    let mut text = line.trim_end().to_owned() + "\n";
    for part in parts {
        text += &format!("{:1$}{part}\n", "", STATUS + NAME);
    }
    text
}

/// Broken between words; a word that is too long, anywhere.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let long = word.chars().count();
        if used > 0 && used + 1 + long > room {
            lines.push(String::new());
            used = 0;
        }
        for (at, letter) in word.chars().enumerate() {
            if at == 0 && used > 0 {
                push(&mut lines, ' ');
                used += 1;
            }
            if used == room {
                lines.push(String::new());
                used = 0;
            }
            push(&mut lines, letter);
            used += 1;
        }
    }
    lines
}

fn push(lines: &mut [String], letter: char) {
    if let Some(line) = lines.last_mut() {
        line.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let detail = format!("a few words and /a/{}/path, then more", "long".repeat(40));
        let checks = [
            Check::new("sandbox", "landlock", Status::Ok, "ABI 7, enforced"),
            Check::new("sandbox", "capabilities", Status::Fail, detail.clone()),
            Check::new("folders", "state", Status::None, ""),
        ];
        for width in [40, 80, 132] {
            let text = report(&checks, width);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{text}");
            let whole: String = text.split_whitespace().collect();
            assert!(whole.contains(&detail.replace(' ', "")), "{text}");
        }
        let text = report(&checks, 80);
        assert!(
            text.starts_with("sandbox\nok   landlock       ABI 7, enforced\nFAIL capabilities")
        );
        assert!(text.ends_with("\n\nfolders\n-    state\n"), "{text}");
    }
}
