//! The pane as it is drawn. Only what is in view is looked at.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::{Below, Explorer, Focus, Open};
use crate::agent::present::thousands;
use crate::tui::text::{line_width, styled, wrap};
use crate::tui::theme::{Role, Theme};
use crate::tui::trace::branches;
use crate::tui::trace::compare::clear;
use crate::tui::trace::detail::{Detail, cut, speed};
use crate::tui::trace::draw::{Lit, Paint, Place};
use crate::tui::trace::fork::tail;
use crate::tui::trace::heat::LEVELS;
use crate::tui::trace::lanes::Lanes;
use crate::tui::trace::shelf::TraceId;
use crate::tui::trace::walk::Follow;

/// What is said where there is nothing yet.
const EMPTY: &str = "no reasoning yet";
const EMPTY_HELP: &str = "The model's tokens appear here as they come, tinted by how unsure \
                          it was of each. Walk with the arrows, n goes to the next uncertain \
                          one, f goes on differently from there.";

/// What is said while new tokens come below what is in view.
const BEHIND: &str = "live below, G follows";

impl Explorer {
    /// Draws the pane as it was laid out.
    pub fn render(&self, area: Rect, buf: &mut Buffer, theme: Theme, focus: Focus) {
        let area = area.intersection(buf.area);
        let (width, height) = self.size;
        let area = Rect {
            width: area.width.min(width),
            height: area.height.min(height),
            ..area
        };
        if area.is_empty() {
            return;
        }
        if let Open::Compare(compare) = &self.open {
            compare.render(&self.shelf, self.measure, area, buf, theme);
            return;
        }
        let places = self.places();
        let place = |part: Rect| {
            let moved = Rect {
                x: area.x + part.x,
                y: area.y + part.y,
                ..part
            };
            moved.intersection(area)
        };
        self.head(place(places.head), buf, theme);
        match self.trace().is_empty() {
            true => empty(place(places.text), buf, theme),
            false => self.text(place(places.text), buf, theme, focus),
        }
        let marked = self
            .bookmarks
            .range((self.marks_of(), 0)..=(self.marks_of(), usize::MAX));
        let marked = marked.map(|(_, token)| *token).collect();
        let view = self.walk.in_view(self.trace());
        if places.strip.width == 2 && !self.trace().is_empty() {
            self.strip
                .render(place(places.strip), buf, theme, view, &marked);
        }
        self.legend(place(places.legend), buf, theme);
        self.below(place(places.below), buf, theme);
        let list = place(places.list);
        match &self.open {
            Open::Branches(chosen, order) => {
                let rows = branches::rows(&self.branches, order);
                let title = "Branches: Enter look, k keep, c compare";
                chosen.render(title, &rows, list, buf, theme);
            }
            Open::Answers(chosen) => {
                let row = |one: &crate::tui::trace::AnswerRef| (one.line(), Role::Text);
                let rows: Vec<(String, Role)> = self.answers.iter().map(row).collect();
                chosen.render("Answers: Enter look", &rows, list, buf, theme);
            }
            Open::Nothing | Open::Search(_) | Open::Fork(_) | Open::Export | Open::Compare(_) => {}
        }
    }

    /// Which trace it is, and whether its end is followed.
    fn head(&self, area: Rect, buf: &mut Buffer, theme: Theme) {
        if area.is_empty() {
            return;
        }
        let trace = self.trace();
        let is_running = trace.entry().is_none() && !trace.is_empty();
        let (name, role) = match (trace.entry(), self.walk.follow()) {
            (None, _) if trace.is_empty() => ("reasoning".to_owned(), Role::Heading),
            (None, Follow::End) => ("live".to_owned(), Role::Heading),
            (None, Follow::Stay) => (BEHIND.to_owned(), Role::Warning),
            (Some(entry), _) => (self.title(entry), Role::Heading),
        };
        let mut line = vec![Span::styled(name, theme.style(role))];
        if trace.entry().is_some() && self.shelf.is_running() {
            let text = "  F: the live answer";
            line.push(Span::styled(text, theme.style(Role::Warning)));
        }
        if !trace.is_empty() {
            let text = format!("  {} tokens", thousands(trace.len()));
            line.push(Span::styled(text, theme.style(Role::Text)));
        }
        if let Some(speed) = speed(trace, trace.len().saturating_sub(1)).filter(|_| is_running) {
            line.push(Span::styled(
                format!("  {speed:.1}/s"),
                theme.style(Role::Dim),
            ));
        }
        let line = cut(Line::from(line), usize::from(area.width));
        buf.set_line(area.x, area.y, &line, area.width);
    }

    /// Whether new tokens come that are not followed.
    fn is_left_behind(&self) -> bool {
        let trace = self.trace();
        let is_running = trace.entry().is_none() && !trace.is_empty();
        is_running && self.walk.follow() == Follow::Stay
    }

    fn title(&self, entry: u64) -> String {
        match self.answers.iter().find(|one| one.entry == entry) {
            Some(one) => format!("turn {}, answer {}", one.turn, one.number),
            None => format!("answer {entry}"),
        }
    }

    fn text(&self, area: Rect, buf: &mut Buffer, theme: Theme, focus: Focus) {
        let trace = self.trace();
        let rows = self.walk.rows();
        let is_shown = focus == Focus::Focused || self.walk.follow() == Follow::Stay;
        let lit = is_shown.then(|| Lit::of(trace, rows, self.walk.cursor()));
        let span = self.span();
        let entry = self.marks_of();
        let over = |place: Place| {
            let Place { token, byte } = place;
            let in_span = span.is_some_and(|(from, to)| (from..to).contains(&token));
            if in_span {
                Some(Role::Selected)
            } else if self.search.covers(byte) {
                Some(Role::Found)
            } else if self.bookmarks.contains(&(entry, token)) {
                Some(Role::Link)
            } else {
                None
            }
        };
        let paint = Paint {
            trace,
            rows,
            measure: self.measure,
            theme,
            lit,
            over: &over,
        };
        for y in 0..area.height {
            let line = Rect {
                y: area.y + y,
                height: 1,
                ..area
            };
            paint.row(self.walk.top() + usize::from(y), line, buf);
        }
    }

    /// A hint, what is typed, or what the tints mean.
    fn legend(&self, area: Rect, buf: &mut Buffer, theme: Theme) {
        if area.is_empty() {
            return;
        }
        let line = match (&self.hint, &self.open) {
            (Some(hint), _) => styled(hint.clone(), theme.style(Role::Warning)),
            (None, Open::Search(_)) => {
                let typed = tail(self.search.query());
                let count = match self.search.query() {
                    "" => String::new(),
                    _ => format!("  {} found", self.search.count()),
                };
                styled(format!("/{typed}▏{count}"), theme.style(Role::Hint))
            }
            (None, Open::Export) => {
                let text = "write the trace as j JSON, m Markdown, Esc not at all";
                styled(text, theme.style(Role::Hint))
            }
            (None, _) if self.is_left_behind() && self.places().head.is_empty() => {
                styled(BEHIND, theme.style(Role::Warning))
            }
            (None, _) => self.levels(usize::from(area.width), theme),
        };
        let line = cut(line, usize::from(area.width));
        buf.set_line(area.x, area.y, &line, area.width);
    }

    /// `entropy ·0.1 -0.5 =1.2 #2.2 nats`, each in its own look.
    fn levels(&self, columns: usize, theme: Theme) -> Line<'static> {
        let mut spans = vec![Span::styled(self.measure.name(), theme.style(Role::Dim))];
        for (level, one) in LEVELS.iter().enumerate().skip(1) {
            let from = self.measure.from(level);
            spans.push(Span::raw(" "));
            spans.push(Span::styled(
                format!("{}{from}", one.mark),
                theme.style(one.role),
            ));
        }
        let mut line = Line::from(spans);
        const UNIT: &str = " nats";
        if line_width(&line) + UNIT.len() <= columns {
            line.push_span(Span::styled(UNIT, theme.style(Role::Dim)));
        }
        line
    }

    fn below(&self, area: Rect, buf: &mut Buffer, theme: Theme) {
        if area.is_empty() {
            return;
        }
        clear(area, buf);
        let (rows, columns) = (usize::from(area.height), usize::from(area.width));
        let lines = self.lines_below(rows, columns, theme);
        for (line, y) in lines.into_iter().zip(area.y..area.bottom()) {
            buf.set_line(area.x, y, &cut(line, columns), area.width);
        }
    }

    /// What is below the text, for so many rows; there may be more lines.
    pub(super) fn lines_below(
        &self,
        rows: usize,
        columns: usize,
        theme: Theme,
    ) -> Vec<Line<'static>> {
        let trace = self.trace();
        let (words, token) = (self.shelf.words(), self.walk.cursor());
        match (&self.open, self.below) {
            (Open::Fork(fork), _) => {
                short(fork.lines(trace, words, theme), fork.chosen_line(), rows)
            }
            (_, Below::Token) => {
                let detail = Detail {
                    trace,
                    words,
                    token,
                    measure: self.measure,
                    theme,
                };
                detail.lines(rows, columns)
            }
            (_, Below::Routes) => {
                let lanes = Lanes {
                    trace,
                    token,
                    span: self.stretch(),
                    experts: self.experts(),
                    theme,
                };
                lanes.lines(columns)
            }
            (_, Below::Numbers) => {
                let is_live = self.shown == TraceId::Live;
                let budget = self.budget.filter(|_| is_live);
                let numbers = self.numbers.as_ref();
                numbers.map_or(Vec::new(), |numbers| numbers.lines(trace, budget, theme))
            }
        }
    }
}

/// Where there is no room for all: the first line if there is any, what is around the
/// one at `at`, and the last one, where things are typed.
fn short(mut lines: Vec<Line<'static>>, at: usize, rows: usize) -> Vec<Line<'static>> {
    if lines.len() <= rows {
        return lines;
    }
    let last = lines.pop();
    let head = usize::from(rows > 2);
    let room = rows.saturating_sub(1 + head);
    let from = (at + 1).saturating_sub(room).max(1);
    let around = lines.iter().skip(from).take(room);
    let shown = lines.iter().take(head).chain(around).cloned();
    shown.chain(last).collect()
}

fn empty(area: Rect, buf: &mut Buffer, theme: Theme) {
    let columns = usize::from(area.width);
    let heading = styled(EMPTY, theme.style(Role::Dim).add_modifier(Modifier::BOLD));
    let help = wrap(&styled(EMPTY_HELP, theme.style(Role::Dim)), columns, 0);
    let rows = std::iter::once(heading).chain(help);
    for (line, y) in rows.zip(area.y..area.bottom()) {
        buf.set_line(area.x, y, &cut(line, columns), area.width);
    }
}
