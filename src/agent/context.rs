//! The meter: how many tokens of the prompt are whose. It counts the very ids
//! that the model is given, so the numbers add up to the prompt's length.

use super::present::thousands;
use crate::chat::Owner;

/// Columns of the bar.
const BAR: usize = 24;

/// Tokens of one prompt by owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Positions the model may use.
    pub window: usize,
    counts: [usize; Owner::ALL.len()],
}

impl Meter {
    pub fn new(window: usize, owners: &[Owner]) -> Self {
        let mut counts = [0; Owner::ALL.len()];
        owners.iter().for_each(|owner| counts[*owner as usize] += 1);
        Self { window, counts }
    }

    /// Tokens of one owner.
    pub fn of(&self, owner: Owner) -> usize {
        self.counts[owner as usize]
    }

    /// Tokens of the prompt.
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Hundredths of the window, rounded down.
    pub fn percent(&self) -> usize {
        100 * self.total() / self.window.max(1)
    }

    /// The owners and their numbers, in one line.
    pub fn line(&self) -> String {
        let each = Owner::ALL.map(|owner| format!("{} {}", name(owner), thousands(self.of(owner))));
        each.join(", ")
    }

    /// A table with a bar to each number.
    pub fn table(&self) -> String {
        let row = |name: &str, count: usize| {
            let filled = (BAR * count).div_ceil(self.window.max(1)).min(BAR);
            let bar = format!("{}{}", "#".repeat(filled), ".".repeat(BAR - filled));
            let share = 100.0 * count as f64 / self.window.max(1) as f64;
            format!("{name:<15} {:>9} {share:>5.1} % {bar}", thousands(count))
        };
        let rows = Owner::ALL.map(|owner| row(name(owner), self.of(owner)));
        format!(
            "{}\n{}\n{:<15} {:>9}",
            rows.join("\n"),
            row("total", self.total()),
            "window",
            thousands(self.window)
        )
    }
}

/// As people read it.
fn name(owner: Owner) -> &'static str {
    match owner {
        Owner::System => "system",
        Owner::Tools => "tools",
        Owner::Memory => "project memory",
        Owner::Files => "files",
        Owner::History => "messages",
        Owner::Reasoning => "reasoning",
        Owner::ToolOutput => "tool output",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_add_up_and_are_shown() {
        let owners = [[Owner::System; 3], [Owner::Files; 3], [Owner::History; 3]].concat();
        let meter = Meter::new(36, &owners);
        assert_eq!((meter.total(), meter.percent()), (9, 25));
        assert_eq!(meter.of(Owner::Files), 3);
        assert_eq!(
            meter.line(),
            "system 3, tools 0, project memory 0, files 3, messages 3, reasoning 0, tool output 0"
        );
        let table = meter.table();
        let row = "files                   3   8.3 % ##......................";
        assert!(table.lines().any(|line| line == row), "{table}");
        assert!(table.ends_with("total                   9  25.0 % ######..................\nwindow                 36"), "{table}");
    }
}
