//! What is known of one token, in as many lines as there are.

use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::heat::{LEVELS, Measure};
use super::store::{ALTERNATIVES, Choice, Trace};
use super::vocabulary::Vocabulary;
use crate::sandbox::sanitize;
use crate::tui::text::{fit, line_width, width};
use crate::tui::theme::{Role, Theme};

/// Tokens on either side that the speed is measured over.
const AROUND: usize = 8;
/// Columns of a token that is named, and of a bar.
const NAME: usize = 24;
const BAR: usize = 10;

/// What a token says, in quotes: white space visible, bytes that are no character as
/// numbers.
pub fn quoted(bytes: &[u8], columns: usize) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace(' ', "␣"));
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}"));
        text.extend(invalid);
    }
    let safe = sanitize::for_line(&text);
    format!("\"{}\"", fit(&safe, columns.saturating_sub(2).max(1)))
}

/// A probability in percent, from its logarithm.
pub fn percent(logprob: f32) -> String {
    let percent = 100.0 * f64::from(logprob).exp();
    match percent {
        p if p >= 99.95 => "100%".into(),
        p if p >= 0.1 => format!("{p:.1}%"),
        _ => "<0.1%".into(),
    }
}

/// Tokens a second around a token, where that can be said.
pub fn speed(trace: &Trace, token: usize) -> Option<f64> {
    let from = token.saturating_sub(AROUND);
    let to = (token + AROUND).min(trace.len().checked_sub(1)?);
    let millis = trace.millis(to).checked_sub(trace.millis(from))?;
    (millis > 0).then(|| (to - from) as f64 * 1000.0 / f64::from(millis))
}

/// What is shown of a token.
pub struct Detail<'a> {
    pub trace: &'a Trace,
    pub words: &'a Vocabulary,
    pub token: usize,
    pub measure: Measure,
    pub theme: Theme,
}

impl Detail<'_> {
    /// In at most `rows` lines of at most `columns` columns.
    pub fn lines(&self, rows: usize, columns: usize) -> Vec<Line<'static>> {
        if self.trace.is_empty() || rows == 0 {
            return Vec::new();
        }
        let mut lines = match rows {
            1 => vec![self.short()],
            2..=4 => flow(self.facts(), rows - 1, columns),
            5..=7 => flow(self.facts(), rows - 2, columns),
            _ => flow(self.facts(), rows - ALTERNATIVES, columns),
        };
        let left = rows.saturating_sub(lines.len());
        match left {
            0 => {}
            1..ALTERNATIVES => lines.extend(flow(self.joined(), left, columns)),
            _ => lines.extend(self.listed()),
        }
        lines.truncate(rows);
        lines.into_iter().map(|line| cut(line, columns)).collect()
    }

    fn bytes(&self) -> &[u8] {
        self.words.bytes(self.trace.id(self.token))
    }

    fn heat(&self) -> Role {
        LEVELS[self.measure.level_of(self.trace, self.token)].role
    }

    fn span(&self, text: impl Into<String>, role: Role) -> Span<'static> {
        Span::styled(text.into(), self.theme.style(role))
    }

    fn name(&self) -> Span<'static> {
        let name = quoted(self.bytes(), NAME);
        let style = self.theme.style(self.heat()).remove_modifier(Modifier::DIM);
        Span::styled(name, style.add_modifier(Modifier::BOLD))
    }

    /// All that fits into one line.
    fn short(&self) -> Line<'static> {
        let mut spans = vec![
            self.name(),
            self.span(
                format!(" {}", percent(self.trace.logprob(self.token))),
                Role::Text,
            ),
            self.span(
                format!(" H {:.2}", self.trace.entropy(self.token)),
                self.heat(),
            ),
        ];
        for doubt in self.doubts() {
            spans.extend([Span::raw(" "), doubt]);
        }
        for (_, choice) in self.others() {
            spans.push(self.span(format!(" | {choice}"), Role::Dim));
        }
        Line::from(spans)
    }

    /// What is known of it, what matters most first.
    fn facts(&self) -> Vec<Span<'static>> {
        let (trace, token) = (self.trace, self.token);
        let logprob = trace.logprob(token);
        let chance = format!("{} ({:.2} nats)", percent(logprob), -logprob);
        let mut facts = vec![
            self.name(),
            self.span(chance, Role::Text),
            self.span(format!("entropy {:.2}", trace.entropy(token)), self.heat()),
        ];
        facts.extend(self.doubts());
        let seconds = f64::from(trace.millis(token)) / 1000.0;
        facts.push(self.span(trace.part(token).name(), Role::Text));
        let place = format!("{} of {}", token + 1, trace.len());
        facts.push(self.span(place, Role::Text));
        facts.push(self.span(format!("after {seconds:.1} s"), Role::Dim));
        if let Some(speed) = speed(trace, token) {
            let text = format!("{speed:.1} tokens/s around");
            facts.push(self.span(text, Role::Dim));
        }
        let position = format!("position {}", trace.position(token));
        facts.push(self.span(position, Role::Dim));
        facts.push(self.span(format!("id {}", trace.id(token)), Role::Dim));
        facts
    }

    fn doubts(&self) -> Vec<Span<'static>> {
        let mut spans = Vec::new();
        if !self.trace.is_exact(self.token) {
            spans.push(self.span("estimated", Role::Warning));
        }
        if self.trace.is_forced(self.token) {
            spans.push(self.span("forced", Role::Warning));
        }
        spans
    }

    /// The alternatives that were not chosen: number and text.
    fn others(&self) -> Vec<(usize, String)> {
        let chosen = self.trace.id(self.token);
        let choices = self.trace.choices(self.token).into_iter().zip(1..);
        let others = choices.filter(|(one, _)| one.id != chosen);
        let told = others.map(|(one, number)| {
            let name = quoted(self.words.bytes(one.id), NAME);
            (number, format!("{name} {}", percent(one.logprob)))
        });
        told.collect()
    }

    /// The alternatives that were not chosen, by number.
    fn joined(&self) -> Vec<Span<'static>> {
        let others = self.others().into_iter();
        let told = others.map(|(number, choice)| format!("{number} {choice}"));
        told.map(|text| self.span(text, Role::Dim)).collect()
    }

    /// The alternatives with bars, one a line.
    fn listed(&self) -> Vec<Line<'static>> {
        let chosen = self.trace.id(self.token);
        let choices = self.trace.choices(self.token).into_iter().zip(1..);
        let line = |(one, number): (Choice, usize)| {
            let is_chosen = one.id == chosen;
            let mark = if is_chosen { '›' } else { ' ' };
            let role = if is_chosen { Role::Text } else { Role::Dim };
            let name = quoted(self.words.bytes(one.id), NAME);
            Line::from(vec![
                self.span(format!("{mark}{number} {:>6} ", percent(one.logprob)), role),
                self.span(bar(f64::from(one.logprob).exp(), BAR), Role::Hint),
                self.span(format!(" {name}"), role),
            ])
        };
        choices.map(line).collect()
    }
}

/// Pieces one after the other, in a few lines.
fn flow(pieces: Vec<Span<'static>>, rows: usize, columns: usize) -> Vec<Line<'static>> {
    const GAP: &str = "  ";
    let mut lines: Vec<Line<'static>> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(last) if line_width(last) + GAP.len() + width(&piece.content) <= columns => {
                last.push_span(Span::raw(GAP));
                last.push_span(piece);
            }
            _ => lines.push(Line::from(piece)),
        }
    }
    lines.truncate(rows);
    lines
}

/// A share of one as a bar of eighths.
pub fn bar(share: f64, columns: usize) -> String {
    const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    let mut text = "█".repeat(eighths / 8);
    if text.chars().count() < columns {
        text.push(PARTS[eighths % 8]);
    }
    let blank = columns.saturating_sub(text.chars().count());
    text.extend(std::iter::repeat_n(' ', blank));
    text
}

/// The beginning of a line that fits.
pub fn cut(line: Line<'static>, columns: usize) -> Line<'static> {
    if line_width(&line) <= columns {
        return line;
    }
    let mut left = columns;
    let mut spans = Vec::new();
    for span in line.spans {
        let text = fit(&span.content, left);
        let is_cut = text != span.content;
        left -= width(&text).min(left);
        spans.push(Span::styled(text, span.style));
        if is_cut || left == 0 {
            break;
        }
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::trace::sample::trace;

    fn lines(token: usize, rows: usize, columns: usize) -> Vec<String> {
        let (trace, words) = trace(&["So", " it", "\n", "is", ".", " a", "b", "c", "d", "e", "f"]);
        let detail = Detail {
            trace: &trace,
            words: &words,
            token,
            measure: Measure::Entropy,
            theme: Theme::Colour,
        };
        detail
            .lines(rows, columns)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_token_is_told_in_as_many_lines_as_there_are() {
        assert_eq!(
            lines(1, 1, 40),
            ["\"␣it\" 74.1% H 0.30 | \"␣alt1\" 13.5% | \"␣…"]
        );
        assert_eq!(
            lines(3, 8, 60),
            [
                "\"is\"  22.3% (1.50 nats)  entropy 1.50  estimated  thought",
                "4 of 11  after 0.3 s  10.0 tokens/s around  position 103",
                "id 11097",
                "›1  22.3% ██▎        \"is\"",
                " 2  13.5% █▍         \"␣alt1\"",
                " 3   5.0% ▌          \"␣alt2\"",
                " 4   1.8% ▏          \"␣alt3\"",
                " 5   0.7% ▏          \"␣alt4\"",
            ]
        );
        assert_eq!(
            lines(10, 5, 30),
            [
                "\"f\"  95.1% (0.05 nats)",
                "entropy 0.05  estimated",
                "forced  thought  11 of 11",
                "2 \"␣alt1\" 13.5%",
                "3 \"␣alt2\" 5.0%  4 \"␣alt3\" 1.8%",
            ]
        );
        assert_eq!(lines(2, 0, 30), Vec::<String>::new());
    }

    #[test]
    fn tokens_are_quoted_harmlessly() {
        let quote = |bytes: &[u8]| quoted(bytes, 12);
        assert_eq!(quote(b" a\n"), "\"␣a␊\"");
        assert_eq!(quote(b"\xf0\x9f"), "\"\\xF0\\x9F\"");
        assert_eq!(quote("\u{1b}[2J漢字漢字".as_bytes()), "\"␛[2J漢字…\"");
        assert_eq!(percent(-0.000_01), "100%");
        assert_eq!(percent(-20.0), "<0.1%");
    }
}
