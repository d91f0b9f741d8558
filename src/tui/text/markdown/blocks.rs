//! Where one top-level block ends and the next begins. A block that another one follows
//! never changes again, so it is parsed once, however the text arrives. Blocks of code
//! are told apart by their fences, line by line, as they may be long.

use std::ops::Range;

use pulldown_cmark::{Event, Parser};

use super::{code, render};
use crate::tui::text::highlight::{Code, Last};

/// Bytes after which a block that does not end is taken for two.
const LONGEST: usize = 64 * 1024;

/// What is known of a text's blocks.
#[derive(Default)]
pub(super) struct Blocks {
    /// The last one may be a block of code that is still open.
    pub list: Vec<Block>,
    /// Up to here the text is in those.
    pub done: usize,
}

pub(super) struct Block {
    pub range: Range<usize>,
    pub kind: BlockKind,
}

pub(super) enum BlockKind {
    /// With the colours of the blocks of code in it.
    Prose(Vec<Code>),
    Fenced(Fenced),
}

/// A block of code between fences; its range ends where its lines have been read.
pub(super) struct Fenced {
    fence: Fence,
    pub language: String,
    /// What is between the fences so far, in whole lines.
    pub body: Range<usize>,
    pub memo: Code,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fence {
    mark: char,
    count: usize,
    indent: usize,
}

impl Blocks {
    /// Takes in what was added to the text since.
    pub fn advance(&mut self, source: &str, last: Last) {
        let whole = match last {
            Last::Open => source.rfind('\n').map_or(0, |at| at + 1),
            Last::Closed => source.len(),
        };
        loop {
            let before = self.done;
            if !self.read_code(source, whole) {
                self.skip_blank_lines(source, whole);
                if !self.open_code(source, whole) {
                    self.read_prose(source, whole);
                }
            }
            if self.done == before {
                break;
            }
        }
        if last == Last::Closed {
            self.close(source);
        }
    }

    /// The text has come to its end, and so has its last block.
    fn close(&mut self, source: &str) {
        if let Some((range, fenced)) = self.open() {
            fenced.body.end = fenced.body.end.max(range.end);
            fenced.state = State::Closed;
        }
        let rest = &source[self.done..];
        if !rest.trim().is_empty() {
            parts(rest).into_iter().for_each(|part| self.add(part));
        }
        self.done = source.len();
    }

    /// Whether a block of code is open in the end.
    fn read_code(&mut self, source: &str, whole: usize) -> bool {
        let Some((range, fenced)) = self.open() else {
            return false;
        };
        while let Some(line) = line_at(source, range.end, whole) {
            range.end += line.len();
            if fenced.fence.closed_by(line) {
                fenced.state = State::Closed;
                break;
            }
            fenced.body.end = range.end;
        }
        let (end, state) = (range.end, fenced.state);
        self.done = end;
        state == State::Open
    }

    fn open(&mut self) -> Option<(&mut Range<usize>, &mut Fenced)> {
        let block = self.list.last_mut()?;
        match &mut block.kind {
            BlockKind::Fenced(fenced) if fenced.state == State::Open => {
                Some((&mut block.range, fenced))
            }
            BlockKind::Fenced(_) | BlockKind::Prose(_) => None,
        }
    }

    fn skip_blank_lines(&mut self, source: &str, whole: usize) {
        while let Some(line) = line_at(source, self.done, whole) {
            if !line.trim_matches([' ', '\t', '\n']).is_empty() {
                return;
            }
            self.done += line.len();
        }
    }

    fn open_code(&mut self, source: &str, whole: usize) -> bool {
        let line = line_at(source, self.done, whole);
        let Some((line, (fence, info))) = line.and_then(|line| Some((line, Fence::opens(line)?)))
        else {
            return false;
        };
        let language = code::language(info);
        let from = self.done + line.len();
        self.list.push(Block {
            range: self.done..from,
            kind: BlockKind::Fenced(Fenced {
                fence,
                memo: Code::new(&language),
                language,
                body: from..from,
                state: State::Open,
            }),
        });
        self.done = from;
        true
    }

    /// Takes in all blocks that another one follows, up to the next block of code.
    fn read_prose(&mut self, source: &str, whole: usize) {
        let end = boundary(source, self.done + LONGEST);
        let long = end < source.len();
        let window = match end < whole {
            true => whole_lines(&source[self.done..end]),
            false => source.get(self.done..whole).unwrap_or_default(),
        };
        let starts = starts(window);
        let mut from = 0;
        for &next in starts.iter().filter(|start| **start > 0) {
            self.add(from..next);
            from = next;
            if Fence::opens(&window[next..]).is_some() {
                break;
            }
        }
        if from == 0 && long {
            let window = &source[self.done..end];
            let lines = whole_lines(window);
            from = if lines.is_empty() { window } else { lines }.len();
            self.add(0..from);
        }
        self.done += from;
    }

    /// Whether a block of code is open in the end.
    pub fn in_code(&self) -> bool {
        let last = self.list.last().map(|block| &block.kind);
        matches!(last, Some(BlockKind::Fenced(fenced)) if fenced.state == State::Open)
    }

    fn add(&mut self, part: Range<usize>) {
        self.list.push(Block {
            range: self.done + part.start..self.done + part.end,
            kind: BlockKind::Prose(Vec::new()),
        });
    }
}

/// A text's top-level blocks; together they are all of it.
pub(super) fn parts(text: &str) -> Vec<Range<usize>> {
    let mut starts = starts(text);
    match starts.first_mut() {
        Some(first) => *first = 0,
        None => starts.push(0),
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let parts = starts.iter().copied().zip(ends);
    parts.map(|(start, end)| start..end).collect()
}

/// The beginnings of lines at which a top-level block begins.
fn starts(text: &str) -> Vec<usize> {
    let mut depth = 0usize;
    let mut starts: Vec<usize> = Vec::new();
    for (event, range) in Parser::new_ext(text, render::OPTIONS).into_offset_iter() {
        if depth == 0 {
            let before = text[..range.start].rfind('\n');
            let start = before.map_or(0, |at| at + 1);
            if starts.last().is_none_or(|last| *last < start) {
                starts.push(start);
            }
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    starts
}

/// The line that begins there, with its end, if it has come to its end.
fn line_at(source: &str, at: usize, whole: usize) -> Option<&str> {
    let rest = source.get(at..whole)?;
    rest.split_inclusive('\n').next()
}

/// A text up to its last line end.
fn whole_lines(text: &str) -> &str {
    &text[..text.rfind('\n').map_or(0, |at| at + 1)]
}

/// The next place at or before `at` where text can be cut.
fn boundary(text: &str, at: usize) -> usize {
    let mut places = (0..=at.min(text.len())).rev();
    places.find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl Fence {
    /// The fence that a line opens, and what follows it on the line.
    fn opens(text: &str) -> Option<(Self, &str)> {
        let line = text.lines().next()?;
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        let mark = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = rest.trim_start_matches(mark);
        let count = rest.len() - info.len();
        let is_code = indent < 4 && count >= 3 && !(mark == '`' && info.contains('`'));
        let fence = Self {
            mark,
            count,
            indent,
        };
        is_code.then_some((fence, info.trim()))
    }

    fn closed_by(&self, line: &str) -> bool {
        let rest = line.trim_start_matches(' ');
        let after = rest.trim_start_matches(self.mark);
        line.len() - rest.len() < 4
            && rest.len() - after.len() >= self.count
            && after.trim_matches([' ', '\t', '\n']).is_empty()
    }
}

impl Fenced {
    /// Whether a line that is still being written may become the closing fence.
    pub fn may_close(&self, line: &str) -> bool {
        let line = line.trim();
        !line.is_empty() && line.chars().all(|c| c == self.fence.mark)
    }

    /// A line without the indent that the fence has.
    pub fn stripped<'a>(&self, line: &'a str) -> &'a str {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        line.get(spaces.min(self.fence.indent)..).unwrap_or(line)
    }
}
