//! Where things are on the screen, by its size and by what is open.

use ratatui::layout::Rect;

/// From so many columns on, panes are side by side.
const WIDE: u16 = 100;
/// Rows below which the reasoning needs the whole screen.
const LOW: u16 = 16;
/// Rows that the conversation keeps at least, and columns.
const LEAST_ROWS: u16 = 5;
const LEAST_COLUMNS: u16 = 30;
/// Hundredths by which a pane grows or shrinks, and what it has at most.
const STEP: u16 = 5;
const SHARES: std::ops::RangeInclusive<u16> = 20..=75;

/// How much of the reasoning is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reasoning {
    Hidden,
    /// As the size allows: beside the conversation, below it, or not at all.
    #[default]
    Split,
    Full,
}

/// What the user made of the panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panes {
    pub reasoning: Reasoning,
    /// Hundredths of the width, and of the height, that the reasoning has.
    beside: u16,
    below: u16,
}

impl Default for Panes {
    fn default() -> Self {
        Self {
            reasoning: Reasoning::Split,
            beside: 45,
            below: 45,
        }
    }
}

/// The screen, divided. What is not shown has no size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    pub conversation: Rect,
    pub reasoning: Rect,
    /// The line between the two, where there is one.
    pub divider: Rect,
    pub activity: Rect,
    pub composer: Rect,
    pub status: Rect,
}

impl Areas {
    /// So many rows of each below each other, without the reasoning.
    pub fn stacked(columns: u16, conversation: u16, composer: u16, activity: u16) -> Self {
        let row = |y, height| Rect::new(0, y, columns, height);
        Self {
            conversation: row(0, conversation),
            activity: row(conversation, activity),
            composer: row(conversation + activity, composer),
            status: row(conversation + activity + composer, 1),
            ..Self::default()
        }
    }
}

/// A pane that grows, or shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Grow,
    Shrink,
}

impl Panes {
    /// Without the reasoning.
    pub fn hidden() -> Self {
        Self {
            reasoning: Reasoning::Hidden,
            ..Self::default()
        }
    }

    pub fn toggle(&mut self) {
        self.reasoning = match self.reasoning {
            Reasoning::Hidden => Reasoning::Split,
            Reasoning::Split | Reasoning::Full => Reasoning::Hidden,
        };
    }

    pub fn toggle_full(&mut self) {
        self.reasoning = match self.reasoning {
            Reasoning::Full => Reasoning::Split,
            Reasoning::Split | Reasoning::Hidden => Reasoning::Full,
        };
    }

    /// Changes the share of the reasoning, on a screen of this width.
    pub fn resize(&mut self, change: Change, columns: u16) {
        let share = match columns >= WIDE {
            true => &mut self.beside,
            false => &mut self.below,
        };
        let changed = match change {
            Change::Grow => share.saturating_add(STEP),
            Change::Shrink => share.saturating_sub(STEP),
        };
        *share = changed.clamp(*SHARES.start(), *SHARES.end());
    }

    /// Divides a screen on which the composer wants `composer` rows and the activity
    /// line `activity` of them.
    pub fn divide(&self, screen: Rect, composer: u16, activity: u16) -> Areas {
        let status = screen.height.min(1);
        let composer = composer.min(screen.height.saturating_sub(status + 1));
        let activity = activity.min(screen.height.saturating_sub(status + composer + 1));
        let body_rows = screen.height - status - composer - activity;
        let row = |y: u16, height: u16| Rect {
            y: screen.y + y,
            height,
            ..screen
        };
        let body = row(0, body_rows);
        let mut areas = Areas {
            activity: row(body_rows, activity),
            composer: row(body_rows + activity, composer),
            status: row(screen.height - status, status),
            ..Areas::default()
        };
        self.divide_body(body, &mut areas);
        areas
    }

    fn divide_body(&self, body: Rect, areas: &mut Areas) {
        let wide = body.width >= WIDE;
        match self.reasoning {
            Reasoning::Hidden => areas.conversation = body,
            Reasoning::Full => areas.reasoning = body,
            Reasoning::Split if wide => {
                let most = body.width.saturating_sub(LEAST_COLUMNS + 1);
                let columns = (body.width * self.beside / 100).min(most);
                areas.conversation = Rect {
                    width: body.width - columns - 1,
                    ..body
                };
                areas.divider = Rect {
                    x: body.x + areas.conversation.width,
                    width: 1,
                    ..body
                };
                areas.reasoning = Rect {
                    x: areas.divider.x + 1,
                    width: columns,
                    ..body
                };
            }
            Reasoning::Split if body.height + 3 < LOW => areas.conversation = body,
            Reasoning::Split => {
                let most = body.height.saturating_sub(LEAST_ROWS + 1);
                let rows = (body.height * self.below / 100).min(most);
                areas.conversation = Rect {
                    height: body.height - rows - 1,
                    ..body
                };
                areas.divider = Rect {
                    y: body.y + areas.conversation.height,
                    height: 1,
                    ..body
                };
                areas.reasoning = Rect {
                    y: areas.divider.y + 1,
                    height: rows,
                    ..body
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_reply_stays_visible_at_80_by_24() {
        let areas = Panes::default().divide(Rect::new(0, 0, 80, 24), 3, 1);
        assert_eq!(areas.conversation, Rect::new(0, 0, 80, 10));
        assert_eq!(areas.divider, Rect::new(0, 10, 80, 1));
        assert_eq!(areas.reasoning, Rect::new(0, 11, 80, 8));
        assert_eq!(areas.activity, Rect::new(0, 19, 80, 1));
        assert_eq!(areas.composer, Rect::new(0, 20, 80, 3));
        assert_eq!(areas.status, Rect::new(0, 23, 80, 1));
    }

    #[test]
    fn panes_are_beside_each_other_where_there_is_room() {
        let mut panes = Panes::default();
        let screen = Rect::new(0, 0, 200, 60);
        let areas = panes.divide(screen, 3, 0);
        assert_eq!(areas.conversation, Rect::new(0, 0, 109, 56));
        assert_eq!(areas.reasoning, Rect::new(110, 0, 90, 56));
        panes.resize(Change::Grow, 200);
        assert_eq!(panes.divide(screen, 3, 0).reasoning.width, 100);
        panes.toggle_full();
        assert_eq!(panes.divide(screen, 3, 0).conversation, Rect::default());
        panes.toggle();
        assert_eq!(panes.divide(screen, 3, 0).reasoning, Rect::default());
    }

    #[test]
    fn a_small_screen_has_the_conversation() {
        let areas = Panes::default().divide(Rect::new(0, 0, 40, 12), 3, 0);
        assert_eq!(areas.conversation, Rect::new(0, 0, 40, 8));
        assert_eq!(areas.reasoning, Rect::default());
    }

    proptest! {
        #[test]
        fn areas_lie_on_the_screen_and_apart(
            (width, height, composer, activity) in (0u16..300, 0u16..100, 0u16..30, 0u16..3),
            reasoning in prop::sample::select(vec![
                Reasoning::Hidden, Reasoning::Split, Reasoning::Full,
            ]),
        ) {
            let screen = Rect::new(0, 0, width, height);
            let panes = Panes { reasoning, ..Panes::default() };
            let Areas { conversation, reasoning, divider, activity, composer, status } =
                panes.divide(screen, composer, activity);
            let all = [conversation, reasoning, divider, activity, composer, status];
            let mut cells = 0;
            for (at, one) in all.iter().enumerate() {
                prop_assert_eq!(one.intersection(screen).area(), one.area());
                cells += one.area();
                for other in &all[at + 1..] {
                    prop_assert_eq!(one.intersection(*other).area(), 0);
                }
            }
            prop_assert_eq!(cells, screen.area());
        }
    }
}
