//! The panel of routes: the expert of each layer for one token, and how a span of
//! tokens spread over the experts.

use ratatui::text::{Line, Span};

use super::detail::bar;
use super::routes::Load;
use super::store::Trace;
use crate::tui::text::styled;
use crate::tui::theme::{Role, Theme};

/// Experts of ZAYA, where nothing says how many there are.
const USUAL: usize = 16;
/// More than these are not drawn.
const MOST: usize = 256;
/// Columns of an expert's load: number, bar, percent.
const LOAD: usize = 15;
const BAR: usize = 6;

/// How many experts there are, as far as the routes of a span show it.
pub fn experts(trace: &Trace, (from, to): (usize, usize)) -> usize {
    let seen = (from..to).flat_map(|token| trace.routes().of(token)).max();
    match usize::from(seen.unwrap_or(0)) {
        0..=USUAL => USUAL,
        // The number of experts itself means "skipped".
        more => more.min(MOST),
    }
}

/// What the panel is about.
pub struct Lanes<'a> {
    pub trace: &'a Trace,
    pub token: usize,
    /// Tokens: the first, and the one after the last.
    pub span: (usize, usize),
    pub experts: usize,
    pub theme: Theme,
}

impl Lanes<'_> {
    /// The panel's lines, for so many columns.
    pub fn lines(&self, columns: usize) -> Vec<Line<'static>> {
        let layers = self.trace.routes().layers();
        if layers == 0 {
            let text = "this model's tokens take no routes";
            return vec![styled(text, self.theme.style(Role::Dim))];
        }
        let mut lines = vec![self.heading(format!("expert of each of {layers} layers:"))];
        lines.extend(self.route(columns));
        let (from, to) = self.span;
        let load = Load::of(self.trace.routes(), self.span, self.experts);
        let title = format!("tokens {}-{to}: load of each expert", from + 1);
        lines.push(self.heading(title));
        lines.extend(self.load(&load, columns));
        let mean = load.mean_switches();
        let title = format!("layers that switch from token to token: {mean:.1} on average");
        lines.push(self.heading(title));
        lines.push(self.switches(&load, layers, columns));
        lines
    }

    fn heading(&self, text: String) -> Line<'static> {
        styled(text, self.theme.style(Role::Dim))
    }

    /// A number for each layer, `-` where it was skipped; those that differ from the
    /// token before stand out.
    fn route(&self, columns: usize) -> Vec<Line<'static>> {
        let routes = self.trace.routes();
        let route: Vec<u16> = routes.of(self.token).collect();
        if route.is_empty() {
            return vec![self.heading("none for this token".into())];
        }
        let before = self.token.checked_sub(1);
        let before: Vec<u16> = before.map_or(Vec::new(), |token| routes.of(token).collect());
        let wide = if self.experts > 100 { 4 } else { 3 };
        // Tens are read more easily.
        let fits = (columns / wide).max(1);
        let each = if fits >= 10 { fits / 10 * 10 } else { fits };
        let cell = |(layer, expert): (usize, &u16)| {
            let name = match usize::from(*expert) < self.experts {
                true => expert.to_string(),
                false => "-".to_owned(),
            };
            let is_new = before.get(layer).is_some_and(|one| one != expert);
            let role = if is_new { Role::Strong } else { Role::Text };
            Span::styled(
                format!("{name:>0$}", wide - 1) + " ",
                self.theme.style(role),
            )
        };
        let cells: Vec<Span<'static>> = route.iter().enumerate().map(cell).collect();
        cells
            .chunks(each)
            .map(|row| Line::from(row.to_vec()))
            .collect()
    }

    /// Bars of the experts, next to each other, and what was skipped.
    fn load(&self, load: &Load, columns: usize) -> Vec<Line<'static>> {
        let most = load.chosen.iter().copied().max().unwrap_or(0).max(1);
        let cell = |(expert, &count): (usize, &usize)| {
            let name = match expert < self.experts {
                true => expert.to_string(),
                false => "-".to_owned(),
            };
            let share = count as f64 / load.total.max(1) as f64;
            // Bars are against the busiest, so that differences can be seen.
            let bar = bar(count as f64 / most as f64, BAR);
            format!("{name:>3} {bar}{:>3.0}% ", share * 100.0)
        };
        let cells: Vec<String> = load.chosen.iter().enumerate().map(cell).collect();
        let each = (columns / LOAD).max(1);
        let style = self.theme.style(Role::Number);
        let row = |row: &[String]| styled(row.concat(), style);
        cells.chunks(each).map(row).collect()
    }

    /// One block for each token: how many layers switched.
    fn switches(&self, load: &Load, layers: usize, columns: usize) -> Line<'static> {
        const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let block = |count: &usize| BARS[(count * 8 / layers.max(1)).min(8)];
        let text: String = load.switches.iter().take(columns).map(block).collect();
        styled(text, self.theme.style(Role::Number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::trace::sample::trace;

    #[test]
    fn routes_and_load_are_told() {
        let (trace, _) = trace(&["a", "b", "c"]);
        assert_eq!(experts(&trace, (0, 3)), 16);
        let lanes = Lanes {
            trace: &trace,
            token: 2,
            span: (0, 3),
            experts: 4,
            theme: Theme::Plain,
        };
        let lines: Vec<String> = lanes.lines(32).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "expert of each of 4 layers:",
                " 2  3  -  0 ",
                "tokens 1-3: load of each expert",
                "  0 ████   17%   1 ████   17% ",
                "  2 ██████ 25%   3 ██████ 25% ",
                "  - ████   17% ",
                "layers that switch from token to token: 4.0 on average",
                "██",
            ]
        );
    }
}
