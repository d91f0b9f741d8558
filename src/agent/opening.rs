//! What an answer begins with that is known beforehand: the tokens that stay of the
//! answer that was forked, and those that were put after them.

use super::entry::{Answer, Kind, Opening};
use super::session::{Journal, Noted};
use crate::generate::Nudge;

/// Tokens that an answer begins with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Beginning {
    /// Those that are known with all that the model thought of them.
    pub kept: Vec<Noted>,
    /// Ids that come after these, whatever the model thinks of them.
    pub forced: Vec<u32>,
    /// What came after `kept` in the answer that was forked.
    pub after: Vec<u32>,
    /// What the user did to the reasoning of `kept`.
    pub nudges: Vec<Nudge>,
}

impl Beginning {
    /// Tokens that were not kept, only their ids, are computed again.
    pub fn of(opening: &Opening, journal: &Journal) -> Self {
        let answer = match journal.entry(opening.of).map(|entry| &entry.kind) {
            Some(Kind::Assistant(answer)) => answer,
            _ => &Answer::default(),
        };
        let (stay, _) = answer.ids.split_at(opening.kept.min(answer.ids.len()));
        let noted = answer.trace.map_or(Vec::new(), |span| journal.tokens(span));
        let kept = { noted.into_iter().zip(stay) }
            .take_while(|(noted, id)| noted.id == **id)
            .map(|(noted, _)| noted)
            .collect::<Vec<_>>();
        Self {
            forced: [&stay[kept.len()..], &opening.ids].concat(),
            after: answer.ids[kept.len()..].to_vec(),
            nudges: { answer.nudges.iter().copied() }
                .filter(|nudge| nudge.at < kept.len())
                .collect(),
            kept,
        }
    }

    /// The same of an answer that was made from it: all is computed again.
    pub fn again(opening: &Opening, answer: &Answer) -> Self {
        let (stay, _) = answer.ids.split_at(opening.kept.min(answer.ids.len()));
        Self {
            forced: [stay, &opening.ids].concat(),
            ..Self::default()
        }
    }

    /// Where so many of the answer's tokens are known: ids that are still to be forced,
    /// and what came after the known ones in the answer that was forked.
    pub fn rest(self, known: usize) -> (Vec<u32>, Vec<u32>) {
        let more = known.saturating_sub(self.kept.len());
        let forced = self.forced.get(more..).unwrap_or_default().to_vec();
        match more {
            0 => (forced, self.after),
            _ => (forced, Vec::new()),
        }
    }

    /// All of its ids.
    pub fn ids(&self) -> Vec<u32> {
        let kept = self.kept.iter().map(|noted| noted.id);
        kept.chain(self.forced.iter().copied()).collect()
    }
}
