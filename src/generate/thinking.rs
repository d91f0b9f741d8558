//! The thinking budget: counts reasoning tokens and forces the span closed.

use std::collections::VecDeque;

use super::ThinkingBudget;

/// Follows the reasoning spans of one run.
pub(super) struct Thinking {
    budget: ThinkingBudget,
    open: bool,
    spent: usize,
    forced: VecDeque<u32>,
}

impl Thinking {
    pub fn new(budget: ThinkingBudget) -> Self {
        Self {
            open: budget.starts_open,
            budget,
            spent: 0,
            forced: VecDeque::new(),
        }
    }

    /// The id that must come next, if the budget is spent.
    pub fn forced(&mut self) -> Option<u32> {
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
        Thinking::new(ThinkingBudget {
            open: 1,
            close: 2,
            tool_call: Some(3),
            starts_open,
            tokens,
            closing: vec![2, 9],
        })
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
        let mut thinking = super::Thinking::new(thinking.budget);
        [5, 5].into_iter().for_each(|id| thinking.push(id));
        thinking.give_way(7);
        thinking.push(7);
        assert_eq!(generated(thinking, &[6]), [2, 9, 6]);
    }

    #[test]
    fn the_budget_is_for_the_whole_answer() {
        assert_eq!(
            generated(thinking(2, true), &[5, 2, 6, 1, 5, 7, 7]),
            [5, 2, 6, 1, 5, 2, 9, 7, 7]
        );
    }
}
