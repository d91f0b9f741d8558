//! Markdown that arrives in pieces. Blocks that have come to their end are parsed and
//! laid out once; only the one that is still open is done again with each piece, and an
//! open block of code line by line. What is shown does not depend on the pieces.

mod blocks;
mod code;
mod render;
#[cfg(test)]
mod tests;

use std::ops::Range;

use blocks::{BlockKind, Blocks, State};
use render::Target;

use super::highlight::{Code, Highlighter};
use super::{Row, lines};
use crate::tui::theme::Theme;

/// What rows were laid out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    columns: usize,
    theme: Theme,
    generation: usize,
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
#[derive(Default)]
pub struct Markdown {
    source: String,
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
    /// Bytes of the text that those lines end at.
    bytes: usize,
    /// Where that block's rows begin.
    from: usize,
}

impl Markdown {
    pub fn new(text: &str) -> Self {
        let mut markdown = Self::default();
        markdown.push(text);
        markdown
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// More of the text.
    pub fn push(&mut self, text: &str) {
        self.source.push_str(text);
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
        let colours = highlighter.colours();
        let key = Key {
            columns,
            theme,
            generation: colours.generation(),
        };
        if self.key != Some(key) {
            self.key = Some(key);
            self.laid = Laid::default();
        }
        self.rows.truncate(self.laid.rows);
        self.codes.truncate(self.laid.codes);
        self.blocks.advance(&self.source);
        let target = Target {
            columns: columns.max(1),
            theme,
            colours,
        };
        while self.laid.blocks < self.blocks.list.len() && self.settle(target) {}
        self.open_end(target);
    }

    /// Lays out what there is of the next block for good; whether it has come to its end.
    fn settle(&mut self, target: Target<'_>) -> bool {
        let Some(block) = self.blocks.list.get_mut(self.laid.blocks) else {
            return false;
        };
        match &mut block.kind {
            BlockKind::Prose(memos) => {
                let range = block.range.clone();
                let mut memos = std::mem::take(memos);
                self.part(range, target, &mut memos);
                if let Some(block) = self.blocks.list.get_mut(self.laid.blocks) {
                    block.kind = BlockKind::Prose(memos);
                }
                self.memos.clear();
            }
            BlockKind::Fenced(fenced) => {
                if self.laid.lines == 0 && self.laid.bytes < fenced.body.start {
                    if !self.rows.is_empty() {
                        self.rows.push(Row::default());
                    }
                    self.laid.from = self.rows.len();
                    self.rows.extend(code::label(&fenced.language, target));
                    self.laid.bytes = fenced.body.start;
                }
                let body = &self.source[self.laid.bytes..fenced.body.end];
                for line in body.split_inclusive('\n') {
                    let text = shown(fenced.stripped(line));
                    let number = self.laid.lines;
                    let pieces = fenced.memo.line(target.colours, number, &text);
                    self.rows.extend(code::row(&text, &pieces, target));
                    self.laid.lines += 1;
                    self.laid.bytes += line.len();
                }
                if fenced.state == State::Open {
                    self.laid.rows = self.rows.len();
                    return false;
                }
                if fenced.body.is_empty() {
                    self.rows.extend(code::row("", &[], target));
                }
                self.codes.push(CodeBlock {
                    rows: self.laid.from..self.rows.len(),
                    part: block.range.clone(),
                    nth: 0,
                });
            }
        }
        self.laid = Laid {
            rows: self.rows.len(),
            codes: self.codes.len(),
            blocks: self.laid.blocks + 1,
            ..Laid::default()
        };
        true
    }

    /// Lays out what may still change.
    fn open_end(&mut self, target: Target<'_>) {
        let end = self.blocks.list.get_mut(self.laid.blocks);
        if let Some((block, BlockKind::Fenced(fenced))) =
            end.map(|block| (block.range.clone(), &mut block.kind))
        {
            let rest = &self.source[block.end..];
            if !rest.is_empty() || fenced.body.is_empty() {
                let text = shown(fenced.stripped(rest));
                let pieces = fenced.memo.peek(target.colours, &text);
                self.rows.extend(code::row(&text, &pieces, target));
            }
            self.codes.push(CodeBlock {
                rows: self.laid.from..self.rows.len(),
                part: block.start..self.source.len(),
                nth: 0,
            });
            return;
        }
        let from = self.blocks.done;
        let rest = &self.source[from..];
        let mut starts = blocks::starts(rest);
        match starts.first_mut() {
            Some(first) => *first = 0,
            None if rest.trim().is_empty() => return,
            None => starts.push(0),
        }
        starts.push(rest.len());
        let last = starts.len().saturating_sub(2);
        for (at, pair) in starts.windows(2).enumerate() {
            let part = from + pair[0]..from + pair[1];
            if at < last {
                self.part(part, target, &mut Vec::new());
            } else {
                let mut memos = std::mem::take(&mut self.memos);
                self.part(part, target, &mut memos);
                self.memos = memos;
            }
        }
    }

    /// Lays out a part of the source.
    fn part(&mut self, part: Range<usize>, target: Target<'_>, memos: &mut Vec<Code>) {
        let rendered = render::render(&self.source[part.clone()], target, memos);
        if rendered.rows.is_empty() {
            return;
        }
        if !self.rows.is_empty() {
            self.rows.push(Row::default());
        }
        let before = self.rows.len();
        let codes = rendered.codes.into_iter().enumerate();
        self.codes.extend(codes.map(|(nth, rows)| CodeBlock {
            rows: before + rows.start..before + rows.end,
            part: part.clone(),
            nth,
        }));
        self.rows.extend(rendered.rows);
    }
}

/// A line of code as it is shown.
fn shown(line: &str) -> String {
    lines(line).into_iter().next().unwrap_or_default()
}
