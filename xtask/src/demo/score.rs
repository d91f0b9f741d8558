//! Which cases were answered exactly, by task.

use std::fmt;

/// Right answers of all, for each task in the order of appearance.
#[derive(Default)]
pub struct Score {
    tasks: Vec<(String, Count)>,
    calls: Count,
    answers: Count,
}

#[derive(Clone, Copy, Default)]
struct Count {
    right: usize,
    all: usize,
}

impl Count {
    fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }
}

/// What a case asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Call,
    Answer,
}

impl Score {
    pub fn add(&mut self, task: &str, kind: Kind, right: bool) {
        let index = self.tasks.iter().position(|(name, _)| name == task);
        let index = index.unwrap_or_else(|| {
            self.tasks.push((task.to_owned(), Count::default()));
            self.tasks.len() - 1
        });
        self.tasks[index].1.add(right);
        match kind {
            Kind::Call => self.calls.add(right),
            Kind::Answer => self.answers.add(right),
        }
    }

    /// Right answers and all cases.
    pub fn total(&self) -> (usize, usize) {
        let Count { right, all } = self.calls;
        (right + self.answers.right, all + self.answers.all)
    }

    /// Share of right answers in percent.
    pub fn percent(&self) -> f64 {
        let (right, all) = self.total();
        100.0 * right as f64 / all.max(1) as f64
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = [("tool calls", self.calls), ("answers", self.answers)];
        let tasks = self
            .tasks
            .iter()
            .map(|(name, count)| (name.as_str(), *count));
        for (name, count) in tasks.chain(groups) {
            writeln!(f, "{name:<12} {:>4} of {:>4}", count.right, count.all)?;
        }
        let (right, all) = self.total();
        write!(
            f,
            "{:<12} {right:>4} of {all:>4}  {:.1} %",
            "all",
            self.percent()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_task_and_kind() {
        let mut score = Score::default();
        score.add("list", Kind::Call, true);
        score.add("talk", Kind::Answer, false);
        score.add("list", Kind::Call, false);
        assert_eq!(score.total(), (1, 3));
        let lines = score.to_string();
        assert_eq!(
            lines.lines().collect::<Vec<_>>(),
            [
                "list            1 of    2",
                "talk            0 of    1",
                "tool calls      1 of    2",
                "answers         0 of    1",
                "all             1 of    3  33.3 %",
            ]
        );
    }
}
