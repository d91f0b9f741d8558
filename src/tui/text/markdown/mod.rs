//! Markdown that arrives in pieces. Blocks that have come to their end are parsed and
//! laid out once; only the one that is still open is done again with each piece, and an
//! open block of code line by line. What is shown does not depend on the pieces.

mod blocks;
mod code;
mod containers;
mod render;
#[cfg(test)]
mod tests;

use std::ops::Range;

use blocks::{BlockKind, Blocks, Fenced, State};
use code::Colours;
use render::Target;

use super::highlight::{Code, Highlighter, Last, plain};
use super::{Row, lines};
use crate::tui::theme::Theme;

/// What rows were laid out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    columns: usize,
    theme: Theme,
}

/// Whether rows can still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Settled,
    Draft,
}

/// A block of code as it is on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeBlock {
    pub rows: Range<usize>,
    /// The part of the source that it is in, and which block of code of that part.
    part: Range<usize>,
    nth: usize,
}

/// A text in Markdown, and its rows for one width.
pub struct Markdown {
    source: String,
    /// The text so far ended with `\r`, which stands for a line end.
    after_return: bool,
    /// Whether more of it may come.
    last: Last,
    blocks: Blocks,
    key: Option<Key>,
    rows: Vec<Row>,
    codes: Vec<CodeBlock>,
    laid: Laid,
    /// Colours of the code in the block that is still open.
    memos: Vec<Code>,
}

/// What of the rows will not change any more.
#[derive(Clone, Copy, Debug, Default)]
struct Laid {
    rows: usize,
    codes: usize,
    blocks: usize,
    /// Lines of the next block, if that is code.
    lines: usize,
    /// Where in the text those lines end.
    bytes: usize,
    /// Where that block's rows begin.
    from: usize,
}

impl Default for Markdown {
    fn default() -> Self {
        Self {
            source: String::new(),
            after_return: false,
            last: Last::Open,
            blocks: Blocks::default(),
            key: None,
            rows: Vec::new(),
            codes: Vec::new(),
            laid: Laid::default(),
            memos: Vec::new(),
        }
    }
}

impl Markdown {
    /// A text that is whole.
    pub fn new(text: &str) -> Self {
        let mut markdown = Self::default();
        markdown.push(text);
        markdown.finish();
        markdown
    }

    /// With `\n` for all line ends.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// More of the text.
    pub fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.last == Last::Closed {
            // What was taken for its end is not.
            let source = std::mem::take(&mut self.source);
            *self = Self {
                source,
                after_return: self.after_return,
                ..Self::default()
            };
        }
        // The second half of a line end that came in two pieces.
        let half = self.after_return && text.starts_with('\n');
        let text = if half { &text[1..] } else { text };
        self.after_return = text.ends_with('\r');
        match text.contains('\r') {
            true => {
                let text = text.replace("\r\n", "\n").replace('\r', "\n");
                self.source.push_str(&text);
            }
            false => self.source.push_str(text),
        }
    }

    /// The text is whole.
    pub fn finish(&mut self) {
        self.last = Last::Closed;
        self.source.shrink_to_fit();
    }

    /// Whether all rows are what they will be, as of the last layout.
    pub fn is_settled(&self) -> bool {
        self.laid.blocks == self.blocks.list.len() && self.blocks.done == self.source.len()
    }

    /// As of the last layout.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// As of the last layout.
    pub fn codes(&self) -> &[CodeBlock] {
        &self.codes
    }

    /// What is in a block of code, as it was written.
    pub fn code(&self, block: &CodeBlock) -> String {
        let part = self.source.get(block.part.clone()).unwrap_or_default();
        let codes = render::codes(part);
        codes.into_iter().nth(block.nth).unwrap_or_default()
    }

    /// Brings the rows up to date.
    pub fn lay_out(&mut self, columns: usize, theme: Theme, highlighter: &Highlighter) {
        let key = Key { columns, theme };
        if self.key != Some(key) {
            self.key = Some(key);
            self.laid = Laid::default();
        }
        self.rows.truncate(self.laid.rows);
        self.codes.truncate(self.laid.codes);
        self.blocks.advance(&self.source, self.last);
        let target = Target {
            columns: columns.max(1),
            theme,
            highlighter,
            last: Last::Closed,
        };
        let mut progress = Progress::Settled;
        for at in self.laid.blocks..self.blocks.list.len() {
            progress = self.block(at, target, progress);
            if progress == Progress::Settled {
                self.laid = Laid {
                    rows: self.rows.len(),
                    codes: self.codes.len(),
                    blocks: at + 1,
                    ..Laid::default()
                };
            }
        }
        self.open_end(target);
    }

    /// Lays out a block. It is settled if everything before it is, and nothing about it
    /// can change.
    fn block(&mut self, at: usize, target: Target<'_>, before: Progress) -> Progress {
        let Some(block) = self.blocks.list.get_mut(at) else {
            return before;
        };
        let range = block.range.clone();
        // Taken out for as long as it is worked on.
        let mut kind = std::mem::replace(&mut block.kind, BlockKind::Prose(Vec::new()));
        let progress = match &mut kind {
            BlockKind::Prose(memos) => match self.part(range, target, memos) {
                Colours::Known => before,
                Colours::Awaited => Progress::Draft,
            },
            BlockKind::Fenced(fenced) => self.fenced(range, fenced, target, before),
        };
        if let Some(block) = self.blocks.list.get_mut(at) {
            block.kind = kind;
        }
        progress
    }

    /// Lays out a block of code, from the first line on that is not settled.
    fn fenced(
        &mut self,
        range: Range<usize>,
        fenced: &mut Fenced,
        target: Target<'_>,
        mut progress: Progress,
    ) -> Progress {
        let Laid {
            mut lines,
            mut bytes,
            mut from,
            ..
        } = match progress {
            Progress::Settled => self.laid,
            Progress::Draft => Laid::default(),
        };
        if lines == 0 {
            self.gap();
            bytes = fenced.body.start;
            from = self.rows.len();
            self.rows.extend(code::label(&fenced.language, target));
        }
        for line in self.source[bytes..fenced.body.end].split_inclusive('\n') {
            let text = shown(fenced.stripped(line));
            let known = fenced.memo.line(target.highlighter, lines, &text);
            if known.is_none() {
                progress = Progress::Draft;
            }
            let pieces = known.unwrap_or_else(|| plain(&text));
            self.rows.extend(code::row(&text, &pieces, target));
            lines += 1;
            bytes += line.len();
            if progress == Progress::Settled {
                self.laid.rows = self.rows.len();
                (self.laid.lines, self.laid.bytes, self.laid.from) = (lines, bytes, from);
            }
        }
        let rest = match fenced.state {
            State::Open => self.source[range.end..].to_owned(),
            State::Closed => String::new(),
        };
        if fenced.body.is_empty() || !(rest.is_empty() || fenced.may_close(&rest)) {
            let text = shown(fenced.stripped(&rest));
            self.rows.extend(code::row(&text, &plain(&text), target));
        }
        self.codes.push(CodeBlock {
            rows: from..self.rows.len(),
            part: range.start..range.end + rest.len(),
            nth: 0,
        });
        match fenced.state {
            State::Open => Progress::Draft,
            State::Closed => progress,
        }
    }

    /// Lays out what is in no block yet.
    fn open_end(&mut self, target: Target<'_>) {
        if self.blocks.in_code() {
            return;
        }
        let from = self.blocks.done;
        let rest = &self.source[from..];
        if rest.trim().is_empty() {
            return;
        }
        let parts = blocks::parts(rest);
        let last = parts.len().saturating_sub(1);
        for (at, part) in parts.into_iter().enumerate() {
            let part = from + part.start..from + part.end;
            if at < last {
                self.part(part, target, &mut Vec::new());
            } else {
                let target = Target {
                    last: Last::Open,
                    ..target
                };
                let mut memos = std::mem::take(&mut self.memos);
                self.part(part, target, &mut memos);
                self.memos = memos;
            }
        }
    }

    /// Lays out a part of the source.
    fn part(&mut self, part: Range<usize>, target: Target<'_>, memos: &mut Vec<Code>) -> Colours {
        let rendered = render::render(&self.source[part.clone()], target, memos);
        if rendered.rows.is_empty() {
            return rendered.colours;
        }
        self.gap();
        let before = self.rows.len();
        let codes = rendered.codes.into_iter().enumerate();
        self.codes.extend(codes.map(|(nth, rows)| CodeBlock {
            rows: before + rows.start..before + rows.end,
            part: part.clone(),
            nth,
        }));
        self.rows.extend(rendered.rows);
        rendered.colours
    }

    /// Keeps a block apart from the one above.
    fn gap(&mut self) {
        if !self.rows.is_empty() {
            self.rows.push(Row::default());
        }
    }
}

/// A line of code as it is shown.
fn shown(line: &str) -> String {
    lines(line).into_iter().next().unwrap_or_default()
}
