//! Moments of a conversation, as the agent's reports bring them about.

use serde_json::json;

use super::world::{World, meter};
use crate::agent::{Event, FileText, Kind, Opening, Question, Reason, ToolResult};
use crate::chat::ToolCall;
use crate::sandbox::Rule;
use crate::tools::Effect;
use crate::tui::driver::{Finished, Report};
use crate::tui::event::Event as Happening;
use crate::tui::theme::Theme;
use crate::tui::trace::sample;

type Size = (u16, u16);

const LOOKING: &str = "The parser fails on wide text. It may count bytes where it \
    should count characters. I look at the line first.</think>Let me change that line.";

const ANSWERING: &str = "The change is in. What is there to say?\n\nThe offset counted \
    bytes: `漢字` has six of them and 👩‍💻 has eleven. Maybe I should mention the other \
    place, too, which is right as it is.</think>The parser **counted bytes**. Now it \
    counts characters:\n\n- `src/parser.rs`: the width of a field\n- `src/table.rs` was \
    right before\n\n| text | bytes | columns |\n|---|---:|---:|\n| abc | 3 | 3 |\n| 漢字 | \
    6 | 4 |\n| 👩‍💻 | 11 | 2 |\n\n```rust\nlet width = s.chars().count();\n```\n\nSo tables \
    with 漢字 and 👩‍💻 line up again.";

const DIFF: &str = "--- a/src/parser.rs\n+++ b/src/parser.rs\n@@ -40,5 +40,5 @@\n fn \
    width(s: &str) -> usize {\n-    s.len()\n+    s.chars().count()\n }\n \n fn \
    field(s: &str) {\n";

fn edit() -> ToolCall {
    let arguments = json!({"path": "src/parser.rs", "old": "s.len()", "new": "s.chars().count()"});
    ToolCall {
        id: "call_1".into(),
        name: "edit_file".into(),
        arguments: arguments.as_object().cloned().unwrap(),
    }
}

pub fn empty(size: Size, theme: Theme) -> World {
    World::ready(size, theme)
}

pub fn loading(size: Size, theme: Theme) -> World {
    let mut world = World::loading(size, theme);
    world.happen(Happening::Loading(0, 40));
    world.pass(2000);
    world.happen(Happening::Loading(13, 40));
    world.press("while<Space>it<Space>loads");
    world
}

/// A message that attaches a file, and the turn that it begins.
fn asked(size: Size, theme: Theme) -> World {
    let mut world = World::ready(size, theme);
    world.press("Why<Enter>");
    world.agent(Event::TurnStarted);
    world.log(Kind::User {
        text: "Why does @src/parser.rs fail on wide text?\nPlease mend it.".into(),
        attached: vec![FileText {
            path: "src/parser.rs".into(),
            ..FileText::default()
        }],
    });
    world
}

/// The same, up to the call that changes a file.
fn called(size: Size, theme: Theme) -> World {
    let mut world = asked(size, theme);
    world.answer(LOOKING, vec![edit()]);
    let call = edit();
    world.agent(Event::ToolCall {
        id: call.id,
        name: call.name,
        arguments: call.arguments,
        sandbox: "workspace-write".into(),
    });
    world
}

/// A turn from the message to the end of the answer.
pub fn conversation(size: Size, theme: Theme) -> World {
    let mut world = called(size, theme);
    let call = edit();
    world.log(Kind::ToolStarted {
        call: call.clone(),
        change: Some(1),
    });
    world.pass(1200);
    world.agent(Event::Change {
        id: call.id.clone(),
        diff: DIFF.into(),
    });
    world.log(Kind::ToolResult(ToolResult {
        call_id: call.id,
        ok: true,
        output: "edited src/parser.rs".into(),
        truncated: false,
        refused: false,
        change: DIFF.into(),
    }));
    world.answer(ANSWERING, Vec::new());
    world.end_turn();
    world.pass(5000);
    world
}

/// The call needs a yes.
pub fn question(size: Size, theme: Theme) -> World {
    let mut world = called(size, theme);
    let call = edit();
    world.report(Report::Asks(Question {
        id: call.id,
        name: call.name,
        effect: Effect::Write,
        preview: DIFF.into(),
        always: vec!["write:src/parser.rs".parse::<Rule>().unwrap()],
    }));
    world.pass(4000);
    world
}

/// A long prompt is being read, and messages wait.
pub fn reading(size: Size, theme: Theme) -> World {
    let mut world = asked(size, theme);
    world.agent(Event::Context(meter()));
    let total = 2462;
    world.agent(Event::Prefill { done: 0, total });
    world.pass(3000);
    world.agent(Event::Prefill { done: 1024, total });
    world.press("then<Space>the<Space>tests<Tab>and<Space>the<Space>notes<Tab>");
    world
}

/// The answer streams.
pub fn thinking(size: Size, theme: Theme) -> World {
    let mut world = asked(size, theme);
    world.agent(Event::Context(meter()));
    world.agent(Event::Prefill { done: 9, total: 9 });
    let tokens = sample::answer(LOOKING);
    world.stream(&tokens[..17]);
    world.press("shorter");
    world
}

pub fn help(size: Size, theme: Theme) -> World {
    let mut world = World::ready(size, theme);
    world.press("<F1>");
    world
}

/// What could have come instead of a token.
pub fn fork(size: Size, theme: Theme) -> World {
    let mut world = conversation(size, theme);
    world.press("<F6>gwwwf");
    world
}

/// A session that was forked in the answer's reasoning.
fn forked(size: Size, theme: Theme) -> World {
    let mut world = conversation(size, theme);
    let answers = |world: &World| -> Vec<u64> {
        let entries = world.entries.iter();
        let answers = entries.filter(|entry| matches!(entry.kind, Kind::Assistant(_)));
        answers.map(|entry| entry.id).collect()
    };
    let of = answers(&world)[1];
    let head = world.entries.last().map_or(0, |last| last.id);
    let opening = Opening {
        of,
        kept: 4,
        ids: vec![501],
    };
    let from = head;
    let opening = Some(opening);
    world.log_after(Some(of - 1), Kind::Fork { from, opening });
    let other = "The change is in. I only say so.</think>It counts characters now.";
    world.answer(other, Vec::new());
    world.end_turn();
    world
}

pub fn branches(size: Size, theme: Theme) -> World {
    let mut world = forked(size, theme);
    world.press("<F6>B");
    world
}

pub fn comparison(size: Size, theme: Theme) -> World {
    let mut world = forked(size, theme);
    let wanted = world.press("<F6>B<Up>c");
    // What is not in memory is read, as the thread for it would.
    let reads = wanted.iter().filter_map(|effect| {
        let entry = effect.strip_prefix("Tokens(")?.strip_suffix(')')?;
        entry.parse::<u64>().ok()
    });
    for entry in reads.collect::<Vec<_>>() {
        let tokens = sample::answer(ANSWERING);
        world.happen(Happening::Chore(Finished::Tokens(entry, tokens)));
    }
    world
}

/// The reasoning on the whole screen, with the experts that its tokens took.
pub fn routes(size: Size, theme: Theme) -> World {
    let mut world = conversation(size, theme);
    world.press("<F3>gnr");
    world
}

/// What the program says when something is wrong.
pub fn trouble(size: Size, theme: Theme) -> World {
    let mut world = asked(size, theme);
    world.agent(Event::Notice {
        text: "the cache on disk is full: older parts of it make room".into(),
    });
    let message = "the disk is full: \u{1b}[31msessions/k3f9/log.jsonl can't be written";
    world.agent(Event::Error {
        message: message.into(),
    });
    world.log(Kind::Failed {
        message: message.into(),
    });
    world.end_turn_by(Reason::Failed);
    world
}
