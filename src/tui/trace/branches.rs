//! The branches of a session as a tree of lines.

use crossterm::event::KeyCode;

use crate::agent::present::thousands;
use crate::sandbox::sanitize;
use crate::tui::keys::{Binding, Key};
use crate::tui::theme::Role;

/// One branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The entry that it ends with.
    pub entry: u64,
    /// The branch that it left, by its place in the list.
    pub parent: Option<usize>,
    /// What names it, as the user or the model said it.
    pub label: String,
    /// Where it left: the entry of the answer, and the token.
    pub parted: Option<(u64, usize)>,
    pub tokens: usize,
    /// Whether the session goes on here.
    pub head: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Up,
    Down,
    Look,
    Keep,
    Compare,
    Close,
}

pub const KEYS: &[Binding<Act>] = &[
    Binding {
        keys: &[Key::new(KeyCode::Up)],
        action: Act::Up,
        help: "the branch above",
    },
    Binding {
        keys: &[Key::new(KeyCode::Down), Key::char('j')],
        action: Act::Down,
        help: "the branch below",
    },
    Binding {
        keys: &[Key::new(KeyCode::Enter)],
        action: Act::Look,
        help: "look at its trace",
    },
    Binding {
        keys: &[Key::char('k')],
        action: Act::Keep,
        help: "keep it: the session goes on there",
    },
    Binding {
        keys: &[Key::char('c')],
        action: Act::Compare,
        help: "compare it with the trace that is shown",
    },
    Binding {
        keys: &[Key::new(KeyCode::Esc), Key::char('B'), Key::char('q')],
        action: Act::Close,
        help: "close the list",
    },
];

/// The order in which branches are listed, and how deep each is: what left a branch
/// comes below it. Every branch once, whatever their parents say.
pub fn tree(branches: &[Branch]) -> Vec<(usize, usize)> {
    let mut order = Vec::with_capacity(branches.len());
    let mut listed = vec![false; branches.len()];
    let is_root = |at: &usize| branches[*at].parent.is_none_or(|one| one >= branches.len());
    let mut waiting: Vec<(usize, usize)> = (0..branches.len())
        .rev()
        .filter(is_root)
        .map(|at| (at, 0))
        .collect();
    loop {
        while let Some((at, depth)) = waiting.pop() {
            if std::mem::replace(&mut listed[at], true) {
                continue;
            }
            order.push((at, depth));
            let children = (0..branches.len()).rev();
            let children = children.filter(|child| branches[*child].parent == Some(at));
            waiting.extend(children.map(|child| (child, depth + 1)));
        }
        // Those that only have each other.
        match listed.iter().position(|is| !is) {
            Some(at) => waiting.push((at, 0)),
            None => return order,
        }
    }
}

/// The lines of the list, in the order of [`tree`].
pub fn rows(branches: &[Branch], order: &[(usize, usize)]) -> Vec<(String, Role)> {
    /// Deeper ones are not indented further, so that labels stay in view.
    const DEEPEST: usize = 6;
    let row = |&(at, depth): &(usize, usize)| {
        let branch = &branches[at];
        let indent = "  ".repeat(depth.min(DEEPEST).saturating_sub(1));
        let joint = if depth > 0 { "└ " } else { "" };
        let label = sanitize::for_line(&branch.label);
        let head = if branch.head { " (here)" } else { "" };
        let parted = branch
            .parted
            .map(|(_, token)| format!(" from token {}", token + 1));
        let tokens = thousands(branch.tokens);
        let text = format!(
            "{indent}{joint}{label}{head}: {tokens} tokens{}",
            parted.unwrap_or_default()
        );
        (text, if branch.head { Role::Agent } else { Role::Text })
    };
    order.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_below_the_one_they_left() {
        let branch = |label: &str, parent, head| Branch {
            entry: 1,
            parent,
            label: label.into(),
            parted: parent.map(|_| (1, 4)),
            tokens: 1200,
            head,
        };
        let branches = [
            branch("main", None, false),
            branch("b\u{1b}", Some(0), false),
            branch("other", None, false),
            branch("c", Some(1), true),
            branch("d", Some(0), false),
            // Nonsense is listed, too.
            branch("e", Some(6), false),
            branch("f", Some(5), false),
            branch("g", Some(99), false),
        ];
        let order = tree(&branches);
        let lines: Vec<String> = rows(&branches, &order)
            .into_iter()
            .map(|row| row.0)
            .collect();
        assert_eq!(
            lines,
            [
                "main: 1,200 tokens",
                "└ b␛: 1,200 tokens from token 5",
                "  └ c (here): 1,200 tokens from token 5",
                "└ d: 1,200 tokens from token 5",
                "other: 1,200 tokens",
                "g: 1,200 tokens from token 5",
                "e: 1,200 tokens from token 5",
                "└ f: 1,200 tokens from token 5",
            ]
        );
    }
}
