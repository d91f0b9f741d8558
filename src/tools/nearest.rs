//! Where in a file a text stands that is almost the one a model asked for.
//! Models misremember indentation, case and single words; showing them the
//! place lets them mend the call without reading the file again.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use similar::{Algorithm, capture_diff_slices_deadline, diff_ratio};

/// Beyond this the search gives what it has.
const TIME: Duration = Duration::from_millis(150);
/// Less alike than this is no help.
const CUTOFF: f32 = 0.6;
const MAX_LINES: usize = 40;
const MAX_LINE_CHARS: usize = 200;

/// Consecutive lines of the file; numbers count from 1.
#[derive(Debug, PartialEq)]
pub(super) struct Nearest {
    first: usize,
    lines: Vec<String>,
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lines[..] {
            [line] => write!(f, "nearest match at line {}: {line}", self.first),
            lines => {
                let last = self.first + lines.len() - 1;
                write!(
                    f,
                    "nearest match at lines {}-{last}:\n{}",
                    self.first,
                    lines.join("\n")
                )
            }
        }
    }
}

/// Compares as many lines as `wanted` has with every place in `text`.
pub(super) fn find(text: &str, wanted: &str) -> Option<Nearest> {
    let deadline = Instant::now() + TIME;
    let wanted: Vec<&str> = wanted.trim_matches(['\n', '\r']).lines().collect();
    let wanted = &wanted[..wanted.len().min(MAX_LINES)];
    let lines: Vec<&str> = text.lines().collect();
    if wanted.is_empty() || lines.len() < wanted.len() {
        return None;
    }
    let target = normal(wanted);
    let folded = fold(wanted[0]);
    let counts = count(&target);
    let mut best = (CUTOFF, None);
    for (at, window) in lines.windows(wanted.len()).enumerate() {
        if Instant::now() > deadline {
            break;
        }
        let score = if wanted.len() == 1 && !folded.is_empty() && fold(window[0]).contains(&folded)
        {
            // Only case or spaces differ, somewhere in the line.
            0.99
        } else {
            let candidate = normal(window);
            if upper_bound(&counts, target.len(), &candidate) <= best.0 {
                continue;
            }
            let ops =
                capture_diff_slices_deadline(Algorithm::Myers, &target, &candidate, Some(deadline));
            diff_ratio(&ops, target.len(), candidate.len())
        };
        if score > best.0 {
            best = (score, Some(at));
        }
    }
    let at = best.1?;
    let lines = &lines[at..at + wanted.len()];
    let shown = |line: &&str| {
        let line = if lines.len() == 1 { line.trim() } else { line };
        line.chars().take(MAX_LINE_CHARS).collect()
    };
    Some(Nearest {
        first: at + 1,
        lines: lines.iter().map(shown).collect(),
    })
}

/// Lines without indentation, of bounded length, as characters to compare.
fn normal(lines: &[&str]) -> Vec<char> {
    let mut chars = Vec::new();
    for line in lines {
        chars.extend(line.trim().chars().take(MAX_LINE_CHARS));
        chars.push('\n');
    }
    chars
}

fn fold(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

fn count(chars: &[char]) -> HashMap<char, usize> {
    let mut counts = HashMap::new();
    for c in chars {
        *counts.entry(*c).or_default() += 1;
    }
    counts
}

/// The ratio if every character that both have stood in the same order.
fn upper_bound(counts: &HashMap<char, usize>, length: usize, candidate: &[char]) -> f32 {
    let shared: usize = count(candidate)
        .iter()
        .map(|(c, n)| *n.min(counts.get(c).unwrap_or(&0)))
        .sum();
    2.0 * shared as f32 / (length + candidate.len()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn main() {\n    let total = add(2, 3);\n    println!(\"{}\", total);\n}\n";

    fn at(wanted: &str) -> Option<String> {
        find(TEXT, wanted).map(|nearest| nearest.to_string())
    }

    #[test]
    fn a_line_with_a_slip_is_found() {
        let expected = Some("nearest match at line 2: let total = add(2, 3);".to_string());
        assert_eq!(at("let total = add(2,3);"), expected);
        assert_eq!(at("LET  TOTAL"), expected);
        assert_eq!(at("let totals = sub(2, 3);"), expected);
    }

    #[test]
    fn several_lines_are_found_together() {
        assert_eq!(
            at("\tlet total = add(2, 3);\n\tprintln!(\"{}\", sum);").unwrap(),
            "nearest match at lines 2-3:\n    let total = add(2, 3);\n    println!(\"{}\", total);"
        );
    }

    #[test]
    fn nothing_alike_is_nothing() {
        assert_eq!(at("impl Iterator for Zebra"), None);
        assert_eq!(at(""), None);
        assert_eq!(find("", "x"), None);
    }

    #[test]
    fn a_large_file_does_not_take_long() {
        let text = "abcdefghij klmnop qrstuv wxyz\n".repeat(200_000);
        let started = Instant::now();
        let _ = find(&text, &"zyxw vuts rqpo\n".repeat(30));
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}
