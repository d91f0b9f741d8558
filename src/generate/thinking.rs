//! The thinking budget: counts reasoning tokens and forces the span closed, when it is
//! spent or the user wants it to be.

use std::collections::VecDeque;

use super::{Nudge, ThinkingBudget, ThinkingKey};

/// Follows the reasoning spans of one run.
pub(super) struct Thinking {
    budget: ThinkingBudget,
    open: bool,
    spent: usize,
    forced: VecDeque<u32>,
    /// Ids so far.
    at: usize,
    /// What the user is known to do from here on.
    nudges: VecDeque<Nudge>,
}

impl Thinking {
    pub fn new(budget: ThinkingBudget, nudges: Vec<Nudge>) -> Self {
        Self {
            open: budget.starts_open,
            budget,
            spent: 0,
            forced: VecDeque::new(),
            at: 0,
            nudges: nudges.into(),
        }
    }

    /// The user does something; `None` if that changes nothing.
    pub fn press(&mut self, what: ThinkingKey) -> Option<Nudge> {
        self.catch_up();
        self.nudge(what).then_some(Nudge { at: self.at, what })
    }

    fn catch_up(&mut self) {
        while let Some(nudge) = self.nudges.front().copied()
            && nudge.at <= self.at
        {
            self.nudges.pop_front();
            self.nudge(nudge.what);
        }
    }

    /// Whether it changed something.
    fn nudge(&mut self, what: ThinkingKey) -> bool {
        match what {
            ThinkingKey::Close if self.open && self.forced.is_empty() => {
                self.forced.extend(&self.budget.closing);
                true
            }
            ThinkingKey::Close => false,
            ThinkingKey::More(tokens) => {
                self.budget.tokens = self.budget.tokens.saturating_add(tokens);
                tokens > 0
            }
        }
    }

    /// The id that must come next, if the span is being closed.
    pub fn forced(&mut self) -> Option<u32> {
        self.catch_up();
        if self.open && self.spent >= self.budget.tokens && self.forced.is_empty() {
            self.forced.extend(&self.budget.closing);
        }
        self.forced.pop_front()
    }

    /// An id comes next that was chosen elsewhere: it takes the place of what would be
    /// forced there. If that is another id, closing the span begins anew after it.
    pub fn give_way(&mut self, id: u32) {
        if self.forced().is_some_and(|forced| forced != id) {
            self.forced.clear();
        }
    }

    /// Takes note of a generated id.
    pub fn push(&mut self, id: u32) {
        self.at += 1;
        if id == self.budget.open {
            self.open = true;
        } else if id == self.budget.close || Some(id) == self.budget.tool_call {
            self.open = false;
        } else if self.open {
            self.spent += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinking(tokens: usize, starts_open: bool) -> Thinking {
        nudged(tokens, starts_open, &[])
    }

    fn nudged(tokens: usize, starts_open: bool, nudges: &[(usize, ThinkingKey)]) -> Thinking {
        let budget = ThinkingBudget {
            open: 1,
            close: 2,
            tool_call: Some(3),
            starts_open,
            tokens,
            closing: vec![2, 9],
        };
        let nudge = |(at, what): &(usize, ThinkingKey)| Nudge {
            at: *at,
            what: *what,
        };
        Thinking::new(budget, nudges.iter().map(nudge).collect())
    }

    fn generated(mut thinking: Thinking, sampled: &[u32]) -> Vec<u32> {
        let mut sampled = sampled.iter().copied();
        let mut out = Vec::new();
        loop {
            let Some(id) = thinking.forced().or_else(|| sampled.next()) else {
                return out;
            };
            thinking.push(id);
            out.push(id);
        }
    }

    #[test]
    fn a_spent_budget_closes_the_span_once() {
        assert_eq!(
            generated(thinking(2, true), &[5, 5, 6, 6, 6]),
            [5, 5, 2, 9, 6, 6, 6]
        );
    }

    #[test]
    fn a_span_that_closes_itself_is_left_alone() {
        assert_eq!(
            generated(thinking(3, true), &[5, 2, 6, 6, 6, 6]),
            [5, 2, 6, 6, 6, 6]
        );
        assert_eq!(
            generated(thinking(3, true), &[5, 3, 6, 6, 6, 6]),
            [5, 3, 6, 6, 6, 6]
        );
        assert_eq!(generated(thinking(1, false), &[6, 6, 6]), [6, 6, 6]);
    }

    #[test]
    fn what_is_chosen_elsewhere_comes_before_the_closing() {
        let mut thinking = thinking(2, true);
        let mut out = Vec::new();
        for chosen in [None, None, Some(2), Some(8), None, None] {
            let id = match chosen {
                Some(id) => {
                    thinking.give_way(id);
                    id
                }
                None => thinking.forced().unwrap_or(6),
            };
            thinking.push(id);
            out.push(id);
        }
        // The same id as would have been forced, then another one in an open span.
        assert_eq!(out, [6, 6, 2, 8, 6, 6]);
        let mut thinking = super::Thinking::new(thinking.budget, Vec::new());
        [5, 5].into_iter().for_each(|id| thinking.push(id));
        thinking.give_way(7);
        thinking.push(7);
        assert_eq!(generated(thinking, &[6]), [2, 9, 6]);
    }

    #[test]
    fn a_span_is_closed_when_the_user_wants_it() {
        let close = |at| (at, ThinkingKey::Close);
        let ids = |nudges: &[_], sampled: &[u32]| generated(nudged(9, true, nudges), sampled);
        assert_eq!(ids(&[close(0)], &[5, 6]), [2, 9, 5, 6]);
        assert_eq!(ids(&[close(2)], &[5, 5, 6]), [5, 5, 2, 9, 6]);
        // Once, and not where there is none.
        let all: Vec<_> = (2..6).map(close).collect();
        assert_eq!(ids(&all, &[5, 5, 6, 6]), [5, 5, 2, 9, 6, 6]);
        assert_eq!(ids(&[close(3)], &[5, 2, 6, 6, 6]), [5, 2, 6, 6, 6]);
        // A second span is another one.
        let sampled = [5, 2, 6, 1, 5, 6];
        assert_eq!(ids(&[close(5)], &sampled), [5, 2, 6, 1, 5, 2, 9, 6]);
    }

    #[test]
    fn a_budget_grows_until_it_is_spent() {
        let more = |at, tokens| (at, ThinkingKey::More(tokens));
        let ids = |nudges: &[_]| generated(nudged(2, true, nudges), &[5, 5, 6, 6, 7]);
        assert_eq!(ids(&[more(1, 2)]), [5, 5, 6, 6, 2, 9, 7]);
        assert_eq!(ids(&[more(0, 1), more(2, 1)]), [5, 5, 6, 6, 2, 9, 7]);
        assert_eq!(ids(&[more(2, usize::MAX)]), [5, 5, 6, 6, 7]);
        assert_eq!(ids(&[more(3, 5)]), [5, 5, 2, 9, 6, 6, 7], "it was too late");
    }

    #[test]
    fn what_was_pressed_is_told_as_it_is_to_be_repeated() {
        let mut live = thinking(3, true);
        assert_eq!(live.press(ThinkingKey::More(0)), None);
        let sampled = [5, 5, 6, 6];
        let mut nudges = Vec::new();
        let mut out = Vec::new();
        for id in sampled {
            if out.len() == 1 {
                nudges.extend(live.press(ThinkingKey::More(1)));
                nudges.extend(live.press(ThinkingKey::Close));
                nudges.extend(live.press(ThinkingKey::Close));
            }
            while let Some(id) = live.forced() {
                live.push(id);
                out.push(id);
            }
            live.push(id);
            out.push(id);
        }
        assert_eq!(
            live.press(ThinkingKey::Close),
            None,
            "there is nothing open"
        );
        let told = [ThinkingKey::More(1), ThinkingKey::Close];
        assert_eq!(nudges, told.map(|what| Nudge { at: 1, what }));
        assert_eq!(out, [5, 2, 9, 5, 6, 6]);
        let known: Vec<_> = nudges.iter().map(|nudge| (nudge.at, nudge.what)).collect();
        assert_eq!(generated(nudged(3, true, &known), &sampled), out);
    }

    #[test]
    fn the_budget_is_for_the_whole_answer() {
        assert_eq!(
            generated(thinking(2, true), &[5, 2, 6, 1, 5, 7, 7]),
            [5, 2, 6, 1, 5, 2, 9, 7, 7]
        );
    }
}
