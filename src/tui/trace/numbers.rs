//! What a trace was in numbers: tokens and time of its parts, entropy over time, places
//! where it repeats itself, thinking that is left.

use ratatui::text::Line;

use super::heat::Measure;
use super::parts::Part;
use super::store::Trace;
use crate::agent::present::thousands;
use crate::tui::text::styled;
use crate::tui::theme::{Role, Theme};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Repeats that are named.
const NAMED: usize = 3;

/// Counted over a whole trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// Tokens and milliseconds of each part, in the order of [`Part::ALL`].
    parts: [(usize, u64); 4],
    /// The mean of what is measured in each share of the trace, in nats.
    line: Vec<f32>,
    tokens: usize,
    measure: Measure,
}

impl Numbers {
    /// Of a trace, with so many shares.
    pub fn of(trace: &Trace, measure: Measure, shares: usize) -> Self {
        let mut parts = [(0, 0); 4];
        let mut before = 0;
        for token in 0..trace.len() {
            let (tokens, millis) = &mut parts[trace.part(token) as usize];
            let now = trace.millis(token);
            *tokens += 1;
            *millis += u64::from(now.saturating_sub(before));
            before = now.max(before);
        }
        let shares = shares.min(trace.len());
        let share = |at: usize| {
            let from = at * trace.len() / shares;
            let to = (at + 1) * trace.len() / shares;
            let sum: f32 = (from..to).map(|token| measure.of(trace, token)).sum();
            sum / (to - from).max(1) as f32
        };
        Self {
            parts,
            line: (0..shares).map(share).collect(),
            tokens: trace.len(),
            measure,
        }
    }

    /// Whether they are still those of a trace.
    pub fn are_of(&self, trace: &Trace, measure: Measure, shares: usize) -> bool {
        let is_as_wide = self.line.len() == shares.min(trace.len());
        self.tokens == trace.len() && self.measure == measure && is_as_wide
    }

    /// Tokens of a part.
    pub fn tokens(&self, part: Part) -> usize {
        self.parts[part as usize].0
    }

    /// The panel's lines. `budget` is that of thinking, where it is known.
    pub fn lines(
        &self,
        trace: &Trace,
        budget: Option<Option<usize>>,
        theme: Theme,
    ) -> Vec<Line<'static>> {
        let text = |text: String| styled(text, theme.style(Role::Text));
        let mut lines = Vec::new();
        let parts = Part::ALL.iter().zip(&self.parts);
        for (part, &(tokens, millis)) in parts.filter(|(_, (tokens, _))| *tokens > 0) {
            let seconds = millis as f64 / 1000.0;
            let speed = match millis {
                0 => String::new(),
                _ => format!("  {:.1} tokens/s", tokens as f64 / seconds),
            };
            let (name, tokens) = (part.name(), thousands(tokens));
            lines.push(text(format!(
                "{name:<8}{tokens:>7} tokens {seconds:>6.1} s{speed}"
            )));
        }
        if let Some(budget) = budget {
            let spent = self.tokens(Part::Thought);
            let left = match budget {
                None => "no limit".to_owned(),
                Some(budget) => format!("{} tokens left", thousands(budget.saturating_sub(spent))),
            };
            lines.push(text(format!("thinking: {left}")));
            let hint = "x close it now  + 512 more".to_owned();
            lines.push(styled(hint, theme.style(Role::Hint)));
        }
        let name = self.measure.name();
        let most = self.line.iter().copied().fold(0.0, f32::max);
        lines.push(text(format!("{name} from first to last, up to {most:.1}:")));
        lines.push(styled(self.sparkline(most), theme.style(Role::Number)));
        let repeats = trace.repeats();
        for one in repeats.iter().take(NAMED) {
            let (from, to) = (one.from + 1, one.to);
            let text = format!("repeats itself: tokens {from}-{to}, {} times", one.times());
            lines.push(styled(text, theme.style(Role::Warning)));
        }
        if let Some(more) = repeats.len().checked_sub(NAMED + 1) {
            lines.push(text(format!("and {} more", more + 1)));
        }
        lines
    }

    /// A block for each share; `most` nats fill one.
    fn sparkline(&self, most: f32) -> String {
        let bar = |nats: &f32| {
            let full = (nats / most.max(f32::MIN_POSITIVE) * BARS.len() as f32) as usize;
            BARS[full.min(BARS.len() - 1)]
        };
        self.line.iter().map(bar).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::trace::sample::trace;

    #[test]
    fn parts_budget_and_repeats_are_told() {
        let mut tokens = vec!["Hm", " so", "</think>"];
        tokens.extend(["ha"; 30]);
        let (trace, _) = trace(&tokens);
        let numbers = Numbers::of(&trace, Measure::Entropy, 11);
        let lines = |budget| -> Vec<String> {
            let lines = numbers.lines(&trace, budget, Theme::Plain);
            lines.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            lines(Some(Some(100))),
            [
                "thought       2 tokens    0.1 s  20.0 tokens/s",
                "answer       30 tokens    3.0 s  10.0 tokens/s",
                "markup        1 tokens    0.1 s  10.0 tokens/s",
                "thinking: 98 tokens left",
                "x close it now  + 512 more",
                "entropy from first to last, up to 1.8:",
                "▂▇▅▅█▂▇▅▅█▂",
                "repeats itself: tokens 4-33, 30 times",
            ]
        );
        assert_eq!(lines(Some(None))[3], "thinking: no limit");
        assert_eq!(lines(None)[3], "entropy from first to last, up to 1.8:");
        assert!(numbers.are_of(&trace, Measure::Entropy, 11));
        assert!(!numbers.are_of(&trace, Measure::Surprise, 11));
    }
}
