//! What commands print is heard while they run, and changes of files with their
//! results.

use std::time::Instant;

use cairn::agent::{Event, Kind, Reason};

use crate::stage::{Stage, Watch, course};

#[test]
fn what_a_command_prints_is_heard_before_it_is_over() {
    let stage = Stage::new();
    let mut agent = stage.agent();
    let mut heard: Vec<(String, Instant)> = Vec::new();
    let mut front = Watch::new(|event| {
        if let Event::ToolOutput { id, text } = event {
            assert_eq!(id, "call_1");
            heard.push((text.clone(), Instant::now()));
        }
    });
    let done = agent.turn("run the command sh slow.sh", &mut front);
    assert_eq!(done.reason, Reason::Done);
    let result = front.events.iter().find_map(|event| match event {
        Event::ToolResult { output, .. } => Some(output.clone()),
        _ => None,
    });
    drop(front);
    assert_eq!(result.as_deref(), Some("begun\nover\n[exit 0]"));
    let texts: Vec<&str> = heard.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["begun\n", "over\n"]);
    assert!(heard[1].1 - heard[0].1 > std::time::Duration::from_millis(500));
}

#[test]
fn a_change_is_heard_and_kept_and_the_model_does_not_read_it() {
    let stage = Stage::new();
    let mut agent = stage.agent();
    let mut front = Watch::new(|_| {});
    agent.turn("create hello.txt with \"hello world\"", &mut front);
    let at = |is: fn(&Event) -> bool| front.events.iter().position(is).unwrap();
    let change = at(|event| matches!(event, Event::Change { .. }));
    assert!(change < at(|event| matches!(event, Event::ToolResult { .. })));
    let Event::Change { id, diff } = &front.events[change] else {
        unreachable!("just found");
    };
    assert_eq!(id, "call_1");
    let expected = "--- /dev/null\n+++ hello.txt\n@@ -0,0 +1 @@\n+hello world";
    assert_eq!(diff, expected);
    let kept = course(&agent).into_iter().find_map(|kind| match kind {
        Kind::ToolResult(result) => Some(result.change),
        _ => None,
    });
    assert_eq!(kept.as_deref(), Some(expected));
    let messages = agent.session().machine().messages();
    assert!(messages.iter().all(|one| !one.content.contains("@@")));
    drop(agent);
    assert_eq!(stage.replayed().difference, None);
}
