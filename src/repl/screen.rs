//! Writes the event stream line by line: the answer as it comes, reasoning
//! dimmed or folded, tools as short lines. Append-only; no cursor movement but
//! the progress line's.

use std::io::{self, Write};
use std::time::Instant;

use crate::agent::present::{Progress, Style, call_line, result_lines, thousands};
use crate::agent::{Event, Exit};
use crate::sandbox::sanitize;

/// Whether reasoning is printed as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    Shown,
    Folded,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    None,
    Reasoning,
    Answer,
}

pub struct Screen {
    out: Style,
    err: Style,
    pub fold: Fold,
    /// Reasoning of the last turn, for unfolding.
    reasoning: String,
    /// Pieces of the reasoning that is being printed; a token each.
    pieces: usize,
    part: Part,
    at_line_start: bool,
    progress: Progress,
}

impl Screen {
    pub fn new() -> Self {
        Self {
            out: Style::of(&io::stdout()),
            err: Style::of(&io::stderr()),
            fold: Fold::Shown,
            reasoning: String::new(),
            pieces: 0,
            part: Part::None,
            at_line_start: true,
            progress: Progress::default(),
        }
    }

    /// A line of the program's own.
    pub fn say(&mut self, text: &str) {
        self.end_line();
        self.write(&sanitize::for_terminal(text));
        self.end_line();
    }

    pub fn dim(&mut self, text: &str) {
        self.end_line();
        let text = self.out.dim(&sanitize::for_terminal(text));
        self.write(&text);
        self.at_line_start = false;
        self.end_line();
    }

    /// The last turn's reasoning in full.
    pub fn unfold(&mut self) {
        match self.reasoning.trim().to_owned() {
            text if text.is_empty() => self.say("there was no reasoning"),
            text => self.dim(&text),
        }
    }

    pub fn event(&mut self, event: &Event) {
        if let Event::Prefill { done, total } = event {
            let line = self
                .progress
                .update((*done, *total), self.err, Instant::now());
            self.status(line);
            return;
        }
        let gone = self.progress.finish(self.err);
        self.status(gone);
        match event {
            Event::TurnStarted => self.reasoning.clear(),
            Event::Reasoning { text } => self.thought(text),
            Event::Text { text } => {
                self.enter(Part::Answer);
                self.write(&sanitize::for_terminal(text));
            }
            Event::ToolCall {
                name, arguments, ..
            } => {
                self.enter(Part::None);
                let line = self.out.bold(&format!("> {}", call_line(name, arguments)));
                self.write(&format!("{line}\n"));
            }
            Event::ToolResult { output, ok, .. } => {
                self.enter(Part::None);
                for line in result_lines(output) {
                    let mark = if *ok { " " } else { "!" };
                    let line = self.out.dim(&format!("{mark} {line}"));
                    self.write(&format!("{line}\n"));
                }
            }
            Event::Notice { text } => self.dim(text),
            Event::Error { message } => self.say(&format!("error: {message}")),
            Event::Done(done) => {
                self.enter(Part::None);
                match done.reason.exit() {
                    Exit::Done => {}
                    Exit::Interrupted => self.dim("(stopped)"),
                    Exit::Refused => self.dim("(a permission was refused on the way)"),
                    _ => self.dim(&format!("(the turn ended: {})", done.reason.word())),
                }
            }
            Event::Token(_)
            | Event::Context(_)
            | Event::Usage { .. }
            | Event::Logged(_)
            | Event::ToolOutput { .. }
            | Event::Change { .. }
            | Event::Prefill { .. } => {}
        }
    }

    fn thought(&mut self, text: &str) {
        self.enter(Part::Reasoning);
        self.reasoning.push_str(text);
        self.pieces += 1;
        if self.fold == Fold::Shown {
            let shown = self.out.dim(&sanitize::for_terminal(text));
            self.write(&shown);
            self.at_line_start = text.ends_with('\n');
        }
    }

    /// Begins another part of the turn on a line of its own.
    fn enter(&mut self, part: Part) {
        if self.part == part {
            return;
        }
        if self.part == Part::Reasoning && self.fold == Fold::Folded {
            let pieces = thousands(self.pieces);
            self.dim(&format!("(thought for {pieces} tokens; /think prints it)"));
        }
        self.pieces = 0;
        self.part = part;
        self.end_line();
    }

    fn end_line(&mut self) {
        if !self.at_line_start {
            self.write("\n");
        }
    }

    /// A terminal that is gone ends the REPL at its next read.
    fn write(&mut self, text: &str) {
        if let Some(last) = text.chars().next_back() {
            self.at_line_start = last == '\n';
        }
        let mut stdout = io::stdout().lock();
        let _ = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
    }

    fn status(&self, line: Option<String>) {
        if let Some(line) = line {
            let mut stderr = io::stderr().lock();
            let _ = stderr
                .write_all(line.as_bytes())
                .and_then(|()| stderr.flush());
        }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}
