//! Writes events: the answer or JSON on stdout, everything else on stderr. A
//! reader that goes away ends the run, and that is no failure.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use super::jsonl;
use crate::agent::present::{Progress, Style, call_line, result_lines};
use crate::agent::{Approval, Event, Exit, Front, Question, Reason, Stop};
use crate::sandbox::sanitize;
use crate::tools::Effect;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Jsonl,
}

/// Where the last thing on stderr stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Start,
    Middle,
}

pub struct Printer {
    format: Format,
    stop: Stop,
    out: Box<dyn Write>,
    /// Model text is sanitised for a terminal, and left alone for a program.
    terminal: Option<Column>,
    err_style: Style,
    err_column: Column,
    wrote_text: Column,
    progress: Progress,
    /// The first failure to write the output.
    broken: Option<io::Error>,
}

impl Printer {
    /// Writes to the process's own streams. `stop` ends the turn when nobody
    /// reads any more.
    pub fn new(format: Format, stop: Stop) -> Self {
        let stdout = io::stdout();
        Self {
            format,
            stop,
            terminal: stdout.is_terminal().then_some(Column::Start),
            out: Box::new(stdout),
            err_style: Style::of(&io::stderr()),
            err_column: Column::Start,
            wrote_text: Column::Start,
            progress: Progress::default(),
            broken: None,
        }
    }

    /// Whether the output can't be written any more.
    pub fn is_closed(&self) -> bool {
        self.broken.is_some()
    }

    /// The status of the process after a run that ended with `exit`: a closed
    /// pipe is success, another failure to write is not.
    pub fn exit(&self, exit: Exit) -> Exit {
        match &self.broken {
            None => exit,
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Some(_) => Exit::Internal,
        }
    }

    /// A line on stderr.
    pub fn note(&mut self, line: &str) {
        self.err_line();
        let line = sanitize::for_terminal(line);
        self.err(&format!("cairn: {line}\n"));
    }

    fn text_event(&mut self, event: &Event) {
        match event {
            Event::Text { text } => {
                self.err_line();
                let shown = match self.terminal {
                    Some(_) => sanitize::for_terminal(text).into_owned(),
                    None => text.clone(),
                };
                self.out(&shown);
                if let Some(last) = shown.chars().next_back() {
                    self.wrote_text = column(last);
                }
            }
            Event::Reasoning { text } => {
                self.out_line();
                let text = sanitize::for_terminal(text);
                let dimmed = self.err_style.dim(&text);
                self.err(&dimmed);
                if let Some(last) = text.chars().next_back() {
                    self.err_column = column(last);
                }
            }
            Event::ToolCall {
                name, arguments, ..
            } => {
                self.out_line();
                self.err_line();
                let line = self
                    .err_style
                    .dim(&format!("> {}", call_line(name, arguments)));
                self.err(&format!("{line}\n"));
            }
            Event::ToolResult { output, .. } => {
                for line in result_lines(output) {
                    let line = self.err_style.dim(&format!("  {line}"));
                    self.err(&format!("{line}\n"));
                }
            }
            Event::Done(done) => {
                self.err_line();
                self.out_line();
                if done.reason == Reason::Interrupted {
                    self.note("interrupted");
                }
            }
            Event::TurnStarted
            | Event::Token(_)
            | Event::ToolOutput { .. }
            | Event::Change { .. }
            | Event::Logged(_)
            | Event::Context(_)
            | Event::Usage { .. }
            | Event::Prefill { .. }
            | Event::Notice { .. }
            | Event::Error { .. } => {}
        }
    }

    /// Ends an unfinished line of the answer.
    fn out_line(&mut self) {
        if std::mem::replace(&mut self.wrote_text, Column::Start) == Column::Middle {
            self.out("\n");
        }
    }

    /// Ends an unfinished line on stderr.
    fn err_line(&mut self) {
        if std::mem::replace(&mut self.err_column, Column::Start) == Column::Middle {
            self.err("\n");
        }
    }

    fn out(&mut self, text: &str) {
        if self.broken.is_some() {
            return;
        }
        let written = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
        if let Err(error) = written {
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.err(&format!("cairn: stdout: {error}\n"));
            }
            self.broken = Some(error);
            self.stop.stop_run();
        }
    }

    /// Losing stderr loses nothing that was asked for.
    fn err(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush());
    }
}

impl Front for Printer {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Prefill { done, total } => {
                let now = Instant::now();
                if let Some(line) = self.progress.update((*done, *total), self.err_style, now) {
                    self.err(&line);
                }
                return;
            }
            _ => {
                if let Some(gone) = self.progress.finish(self.err_style) {
                    self.err(&gone);
                }
            }
        }
        match event {
            Event::Notice { text } => self.note(text),
            Event::Error { message } => self.note(&format!("error: {message}")),
            _ => {}
        }
        match self.format {
            Format::Text => self.text_event(event),
            Format::Jsonl => {
                if let Some(object) = jsonl::object(event) {
                    self.out(&(jsonl::line(&object) + "\n"));
                }
            }
        }
    }

    fn approve(&mut self, question: &Question) -> Approval {
        let narrow = question.always.last();
        let narrow = narrow.map(|rule| format!("`--allow '{rule}'`"));
        let (what, broad) = match question.effect {
            Effect::Run => ("run", Some("`--allow run`".to_owned())),
            Effect::Write => ("write", Some("`--allow write`".to_owned())),
            Effect::Read => ("reading what may hold keys", None),
        };
        let ways: Vec<String> = broad.into_iter().chain(narrow).collect();
        self.note(&format!(
            "refused: {} ({what} is not allowed; {} allows it)",
            question.name,
            ways.join(" or ")
        ));
        Approval::No
    }
}

fn column(last: char) -> Column {
    match last {
        '\n' => Column::Start,
        _ => Column::Middle,
    }
}
