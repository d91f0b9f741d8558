//! Where in the pane everything is.

use ratatui::layout::Rect;

use super::{Below, Explorer, Open};

/// From this width on the list of branches is beside the text.
const BESIDE: u16 = 90;
const LIST: u16 = 40;
/// Columns of the strip.
const STRIP: u16 = 2;

/// Parts of a pane whose corner is (0, 0). Some have no rows where there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Which trace it is.
    pub head: Rect,
    /// One column more than rows are laid out for.
    pub text: Rect,
    pub strip: Rect,
    /// The levels of heat, a hint, or what is typed.
    pub legend: Rect,
    /// The token, routes, numbers, or the fork.
    pub below: Rect,
    /// A list, where one is open: beside the text or over it.
    pub list: Rect,
}

impl Explorer {
    pub(super) fn places(&self) -> Places {
        let (width, height) = self.size;
        let row = |y: u16, height: u16| Rect::new(0, y, width, height);
        let head = u16::from(height >= 8);
        let legend = u16::from(height >= 5);
        let rest = height - head - legend;
        let below = self.rows_below(rest).min(rest.saturating_sub(1));
        let text = rest - below;
        let is_listed = matches!(self.open, Open::Branches(..) | Open::Answers(_));
        let beside = match is_listed && width >= BESIDE {
            true => LIST,
            false => 0,
        };
        let strip = STRIP.min(width / 8);
        let list = match (is_listed, beside) {
            (false, _) => Rect::default(),
            (true, 0) => row(head, text),
            (true, beside) => Rect::new(0, head, beside - 1, text),
        };
        Places {
            head: row(0, head),
            text: Rect::new(beside, head, width - beside - strip, text),
            strip: Rect::new(width - strip, head, strip, text),
            legend: row(head + text, legend),
            below: row(head + text + legend, below),
            list,
        }
    }

    /// Rows below the text, of those that both have.
    fn rows_below(&self, rest: u16) -> u16 {
        let token = match rest {
            0..=1 => 0,
            2..=11 => 1,
            12..=17 => 3,
            18..=27 => 5,
            _ => 8,
        };
        match (&self.open, self.below) {
            (Open::Fork(_), _) | (_, Below::Routes | Below::Numbers) => {
                // What was asked for may take most of a small pane.
                let wanted = u16::try_from(self.wanted).unwrap_or(u16::MAX);
                wanted.min((rest * 3 / 5).max(rest.min(3)))
            }
            (_, Below::Token) => token,
        }
    }
}
