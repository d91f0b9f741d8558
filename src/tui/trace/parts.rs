//! Which part of an answer a token is: thought, answer, call or markup. Read off the
//! tokens' bytes as they come, and settled by the whole answer once there is one; the
//! same for a live trace and a stored one.

use crate::agent::Answer;
use crate::chat::{CALL, CALL_CLOSE, THINK, THINK_CLOSE};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    #[default]
    Thought,
    Answer,
    /// Within a tool call.
    Call,
    /// What stands between parts: markers, the end of the answer.
    Markup,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Thought, Self::Answer, Self::Call, Self::Markup];

    pub fn name(self) -> &'static str {
        match self {
            Self::Thought => "thought",
            Self::Answer => "answer",
            Self::Call => "call",
            Self::Markup => "markup",
        }
    }
}

const MARKERS: [&str; 4] = [THINK, THINK_CLOSE, CALL, CALL_CLOSE];
/// Bytes at the end in which a marker that is spelled out is looked for.
const RECENT: usize = 64;

/// Tokens get another part than they had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first that does, and the one after the last.
    pub from: usize,
    pub to: usize,
    pub part: Part,
}

/// Follows the tokens of one answer.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What it began in, as far as is known.
    opening: Part,
    now: Part,
    tokens: usize,
    /// A marker of reasoning came.
    reasoned: bool,
    /// Where the first call began.
    called: Option<usize>,
    /// Markers are tokens here, so that one that is spelled out is only text.
    whole: bool,
    /// The last bytes, and how many each token has of them.
    recent: Vec<u8>,
    lengths: Vec<usize>,
}

impl Parts {
    /// `opening` is what the answer is thought to begin in: answers of a session begin
    /// alike, as their prompts end alike.
    pub fn new(opening: Part) -> Self {
        Self {
            opening,
            now: opening,
            tokens: 0,
            reasoned: false,
            called: None,
            whole: false,
            recent: Vec::new(),
            lengths: Vec::new(),
        }
    }

    /// What the answer began in.
    pub fn opening(&self) -> Part {
        self.opening
    }

    /// The next token: its part, and what that says of the tokens before it.
    pub fn push(&mut self, bytes: &[u8]) -> (Part, Vec<Change>) {
        let at = self.tokens;
        self.tokens += 1;
        let Some((marker, from)) = self.marker(bytes, at) else {
            return (self.now, Vec::new());
        };
        self.now = match (self.now, marker) {
            (Part::Thought | Part::Answer, THINK) => Part::Thought,
            (Part::Thought | Part::Answer, THINK_CLOSE) => Part::Answer,
            (Part::Thought | Part::Answer, CALL) => Part::Call,
            (Part::Call, CALL_CLOSE) => Part::Answer,
            // Within a call other markers are part of a value.
            (now, _) => return (now, Vec::new()),
        };
        let mut changes = vec![Change {
            from,
            to: at,
            part: Part::Markup,
        }];
        match marker {
            // Reasoning that nothing opened began with the prompt.
            THINK_CLOSE if !self.reasoned && self.opening == Part::Answer => {
                self.opening = Part::Thought;
                changes.push(Change {
                    from: 0,
                    to: from,
                    part: Part::Thought,
                });
            }
            THINK | THINK_CLOSE => {}
            _ => self.called = self.called.or(Some(from)),
        }
        self.reasoned |= matches!(marker, THINK | THINK_CLOSE);
        (Part::Markup, changes)
    }

    /// The marker that ends with this token, and the token it begins with.
    fn marker(&mut self, bytes: &[u8], at: usize) -> Option<(&'static str, usize)> {
        if let Some(marker) = MARKERS.iter().find(|one| one.as_bytes() == bytes) {
            self.whole = true;
            self.forget();
            return Some((marker, at));
        }
        if self.whole {
            return None;
        }
        let added = bytes.len().min(RECENT);
        self.recent.extend(&bytes[..added]);
        self.lengths.push(added);
        let ends_here = |marker: &&&str| {
            let tail = self.recent.len().saturating_sub(marker.len() + added);
            let found = windows(&self.recent[tail..], marker.as_bytes());
            found.is_some_and(|start| tail + start + marker.len() > self.recent.len() - added)
        };
        if let Some(marker) = MARKERS.iter().find(ends_here) {
            let start = windows(&self.recent, marker.as_bytes()).unwrap_or_default();
            let mut end = 0;
            let before = self.lengths.iter().take_while(|len| {
                end += **len;
                end <= start
            });
            let from = at + 1 - (self.lengths.len() - before.count());
            self.forget();
            return Some((marker, from));
        }
        while self.recent.len() > RECENT && self.lengths.len() > 1 {
            let first = self.lengths.remove(0);
            self.recent.drain(..first);
        }
        None
    }

    fn forget(&mut self) {
        self.recent.clear();
        self.lengths.clear();
    }

    /// The whole answer is known, and what its last token says.
    pub fn settle(&mut self, answer: &Answer, last: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        let text = last.trim();
        if !self.reasoned {
            let part = match answer.reasoning.is_empty() {
                true => Part::Answer,
                false => Part::Thought,
            };
            if part != self.opening {
                self.opening = part;
                changes.push(Change {
                    from: 0,
                    to: self.called.unwrap_or(self.tokens),
                    part,
                });
            }
        }
        // A stop token is no part of what was said.
        let said = [&answer.text, &answer.reasoning];
        let is_said = said.iter().any(|said| said.trim_end().ends_with(text));
        if self.now != Part::Call && !text.is_empty() && !is_said {
            changes.push(Change {
                from: self.tokens.saturating_sub(1),
                to: self.tokens,
                part: Part::Markup,
            });
        }
        changes
    }
}

/// Where `needle` begins in `bytes`.
fn windows(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|one| one == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A letter for the part of each token.
    fn parts(opening: Part, tokens: &[&str], answer: Option<&Answer>) -> String {
        let mut parts = Parts::new(opening);
        let mut all = Vec::new();
        let apply = |all: &mut Vec<Part>, change: Change| {
            all[change.from..change.to].fill(change.part);
        };
        for token in tokens {
            let (part, changes) = parts.push(token.as_bytes());
            for change in changes {
                apply(&mut all, change);
            }
            all.push(part);
        }
        if let Some(answer) = answer {
            let last = tokens.last().unwrap();
            for change in parts.settle(answer, last) {
                apply(&mut all, change);
            }
        }
        all.iter().map(|part| &part.name()[..1]).collect()
    }

    fn answer(reasoning: &str, text: &str) -> Answer {
        Answer {
            reasoning: reasoning.into(),
            text: text.into(),
            ..Answer::default()
        }
    }

    #[test]
    fn markers_part_an_answer() {
        let whole = [
            "Hm",
            "</think>",
            "\n\n",
            "Yes",
            "<zyphra_tool_call>",
            "x",
            "</think>",
        ];
        assert_eq!(parts(Part::Thought, &whole, None), "tmaamcc");
        assert_eq!(parts(Part::Answer, &whole, None), "tmaamcc");
        let opened = ["<think>", "a", "</think>", "b", "<|im_end|>"];
        let done = answer("a", "b");
        assert_eq!(parts(Part::Answer, &opened, Some(&done)), "mtmam");
        let spelled = ["a", " </", "thi", "nk>", "b <th", "ink>c"];
        assert_eq!(parts(Part::Thought, &spelled, None), "tmmmmm");
        assert_eq!(parts(Part::Answer, &spelled[..4], None), "tmmm");
        // Where markers are tokens, spelled ones are text.
        let quoted = ["a", "</think>", "<thi", "nk>", "b"];
        assert_eq!(parts(Part::Thought, &quoted, None), "tmaaa");
    }

    #[test]
    fn the_answer_settles_what_nothing_marked() {
        let plain = ["a", " b", "."];
        assert_eq!(
            parts(Part::Thought, &plain, Some(&answer("", "a b."))),
            "aaa"
        );
        assert_eq!(
            parts(Part::Answer, &plain, Some(&answer("a b.", ""))),
            "ttt"
        );
        let stopped = ["a", " b", "<|im_end|>"];
        assert_eq!(
            parts(Part::Thought, &stopped, Some(&answer("", "a b"))),
            "aam"
        );
        let called = ["a", "<zyphra_tool_call>", "x", "</zyphra_tool_call>"];
        assert_eq!(
            parts(Part::Thought, &called, Some(&answer("", "a"))),
            "amcm"
        );
    }
}
