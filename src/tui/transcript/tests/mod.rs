//! What the tests share: a pane drawn to strings, and a log that grows.

mod feed;
mod keys;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::json;

use super::*;
use crate::agent::{
    Answer, Done, Entry, Event, FileText, Finish, Kind, Reason, ToolResult, Verdict,
};
use crate::chat::ToolCall;

fn empty() -> Transcript {
    Transcript::new(Highlighter::off())
}

/// What a pane of this size shows, without spaces at the ends of rows.
fn screen(transcript: &mut Transcript, width: u16, height: u16) -> Vec<String> {
    screen_at(transcript, width, height, Instant::now())
}

fn screen_at(transcript: &mut Transcript, width: u16, height: u16, at: Instant) -> Vec<String> {
    transcript.layout(width, height, Theme::Plain, at);
    let buffer = drawn(transcript, width, height);
    let row = |y| -> String {
        let mut skip = 0;
        let cells = (0..width).filter_map(|x| buffer.cell((x, y)));
        let text: String = cells
            .filter_map(|cell| {
                let hidden = skip > 0;
                skip = match hidden {
                    true => skip - 1,
                    false => crate::tui::text::width(cell.symbol()).saturating_sub(1),
                };
                (!hidden).then(|| cell.symbol())
            })
            .collect();
        text.trim_end().to_owned()
    };
    (0..height).map(row).collect()
}

fn drawn(transcript: &Transcript, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    transcript.render(area, &mut buffer, Theme::Plain);
    buffer
}

/// A log that grows.
#[derive(Default)]
struct Log(Vec<Entry>);

impl Log {
    fn add(&mut self, kind: Kind) -> Entry {
        let id = self.0.len() as u64 + 1;
        let entry = Entry {
            id,
            parent: id.checked_sub(1).filter(|id| *id > 0),
            kind,
        };
        self.0.push(entry.clone());
        entry
    }

    fn user(&mut self, text: &str) -> Entry {
        self.add(Kind::User {
            text: text.into(),
            attached: Vec::new(),
        })
    }

    fn answer(&mut self, text: &str) -> Entry {
        self.add(Kind::Assistant(Answer {
            text: text.into(),
            ..Answer::default()
        }))
    }

    fn load(&self, transcript: &mut Transcript) {
        transcript.load(&self.0.iter().collect::<Vec<_>>());
    }
}

fn call(id: &str, name: &str, arguments: serde_json::Value) -> ToolCall {
    ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.as_object().cloned().unwrap(),
    }
}

fn result(id: &str, ok: bool, output: &str) -> Kind {
    Kind::ToolResult(ToolResult {
        call_id: id.into(),
        ok,
        output: output.into(),
        truncated: false,
        refused: false,
        change: String::new(),
    })
}

fn ended(reason: Reason) -> Kind {
    Kind::TurnEnded {
        exit: reason.exit(),
        reason,
    }
}

/// A turn as the agent tells of it, in the order in which it does. The entries are in
/// the log afterwards.
fn turn(log: &mut Log) -> Vec<Event> {
    let text = |text: &str| Event::Text { text: text.into() };
    let calls = vec![
        call(
            "call_1",
            "read_file",
            json!({"path": "src/a.rs", "start": 3}),
        ),
        call(
            "call_2",
            "edit_file",
            json!({"path": "src/a.rs", "old": "a\nb\nc", "new": "a\nB\nc"}),
        ),
        call("call_3", "run_command", json!({"command": "cargo test"})),
        call("call_4", "search", json!({"pattern": "x", "path": "."})),
    ];
    let announced = |call: &ToolCall| Event::ToolCall {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments.clone(),
        sandbox: String::new(),
    };
    let output: String = (1..=9).map(|n| format!("line {n}\n")).collect();
    let mut events = vec![Event::TurnStarted];
    let mut logged = |kind| Event::Logged(log.add(kind));
    events.push(logged(Kind::User {
        text: "Do it,\nplease".into(),
        attached: vec![FileText {
            path: "notes.md".into(),
            ..FileText::default()
        }],
    }));
    events.extend(["I wo", "nder ", "why"].map(|text| Event::Reasoning { text: text.into() }));
    events.extend([text("Let me *lo"), text("ok*:\n\n```\nco"), text("de\n```")]);
    events.push(logged(Kind::Assistant(Answer {
        text: "Let me *look*:\n\n```\ncode\n```\n\n".into(),
        reasoning: "I wonder why".into(),
        calls: calls.clone(),
        malformed: vec!["no name".into()],
        finish: Finish::Stop,
        ..Answer::default()
    })));
    events.push(announced(&calls[0]));
    events.push(logged(Kind::ToolStarted {
        call: calls[0].clone(),
        change: None,
    }));
    events.push(logged(result("call_1", true, &output)));
    events.push(announced(&calls[1]));
    events.push(logged(Kind::Permission {
        call_id: "call_2".into(),
        verdict: Verdict::Allowed,
        word: String::new(),
    }));
    events.push(logged(Kind::ToolStarted {
        call: calls[1].clone(),
        change: None,
    }));
    events.push(logged(result("call_2", true, "edited")));
    events.push(announced(&calls[2]));
    events.push(logged(Kind::ToolStarted {
        call: calls[2].clone(),
        change: None,
    }));
    events.push(logged(result(
        "call_3",
        false,
        &format!("{output}[exit 1]"),
    )));
    let broken = "error: the tool call could not be read";
    events.push(Event::Error {
        message: broken.into(),
    });
    events.push(logged(result("malformed_1_0", false, broken)));
    events.push(text("Almo"));
    events.push(text("st."));
    events.push(logged(Kind::Assistant(Answer {
        text: "Almost.".into(),
        ..Answer::default()
    })));
    events.push(logged(ended(Reason::Interrupted)));
    events.push(Event::Done(Done {
        reason: Reason::Interrupted,
        text: "Almost.".into(),
        session: String::new(),
    }));
    events
}

const TURN: &str = "
  ❯ Do it,
    please
    + notes.md

  ▸ thought, 3 words

  Let me look:

  │ code

  ✓ read_file src/a.rs, from line 3
  │ line 1
  │ line 2
  │ line 3
  │ line 4
  │ line 5
  │ line 6
  │ … 3 more lines

  ✓ edit_file src/a.rs
  │  a
  │ -b
  │ +B
  │  c

  ✗ run_command cargo test · failed
  │ … 4 more lines
  │ line 5
  │ line 6
  │ line 7
  │ line 8
  │ line 9
  │ [exit 1]

  – search x in . · not run

  ✗ error: the tool call could not be read

  Almost.

  ── stopped";

/// Messages and answers of some lines each.
fn long(turns: usize) -> Log {
    let mut log = Log::default();
    for turn in 0..turns {
        log.user(&format!("question {turn}"));
        let words: String = (0..40).map(|word| format!("word{word} ")).collect();
        log.answer(&format!("answer {turn}\n\n{words}"));
    }
    log
}
