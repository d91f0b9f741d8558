//! Real answers of the demo model in the reasoning pane: read from disk without a model,
//! and parted into thought, answer and calls as the agent parted them.

use std::fs;
use std::process::{Command, Stdio};

use cairn::agent::session::{Noted, Sessions};
use cairn::agent::{Answer, Kind};
use cairn::tui::theme::Theme;
use cairn::tui::trace::{Explorer, Focus, Part, Stored, Trace};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The parts of a trace, as text.
fn said(trace: &Trace, part: Part) -> String {
    let tokens = (0..trace.len()).filter(|token| trace.part(*token) == part);
    tokens.map(|token| trace.token_text(token)).collect()
}

/// What a session of the demo model was asked, and its answers with their tokens.
fn answers() -> (Stored, Vec<(u64, Answer, Vec<Noted>)>) {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    fs::create_dir_all(work.join("src")).unwrap();
    fs::write(work.join("src/main.rs"), "fn main() {}\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .env("XDG_STATE_HOME", dir.path().join("state"))
        .env("XDG_CONFIG_HOME", dir.path().join("config"))
        .env("XDG_CACHE_HOME", dir.path().join("cache"))
        .env_remove("CAIRN_MODEL")
        .current_dir(&work)
        .args(["--seed", "7", "--temperature", "0.3", "--allow=run"])
        .args(["--prompt", "list the files in src"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let sessions = Sessions::at(dir.path().join("state/cairn/sessions"));
    let id = sessions.ids().unwrap().remove(0);
    let log = sessions.read(&id).unwrap();
    let answers = log.entries.iter().filter_map(|entry| match &entry.kind {
        Kind::Assistant(answer) => {
            let tokens = sessions.tokens(&id, answer.trace.unwrap());
            Some((entry.id, answer.clone(), tokens))
        }
        _ => None,
    });
    (Stored::new(&log), answers.collect())
}

#[test]
fn stored_answers_are_walked_as_they_were_said() {
    let (stored, answers) = answers();
    let listed: Vec<(u64, usize)> = { stored.answers().iter() }
        .map(|one| (one.entry, one.tokens))
        .collect();
    let expected: Vec<(u64, usize)> = { answers.iter() }
        .map(|(entry, _, tokens)| (*entry, tokens.len()))
        .collect();
    assert_eq!(listed, expected);
    assert!(
        answers
            .iter()
            .any(|(_, answer, _)| !answer.calls.is_empty())
    );
    assert!(
        answers
            .iter()
            .any(|(_, answer, _)| !answer.reasoning.is_empty())
    );

    let mut live = Explorer::new();
    for (entry, answer, tokens) in &answers {
        let mut explorer = Explorer::new();
        explorer.open(*entry, answer, tokens);
        let (trace, words) = explorer.shown();
        let ids: Vec<u32> = (0..trace.len()).map(|token| trace.id(token)).collect();
        // The stop id is not kept with the tokens.
        assert_eq!(ids, answer.ids[..answer.ids.len() - 1]);
        assert_eq!(said(trace, Part::Thought).trim(), answer.reasoning.trim());
        assert_eq!(said(trace, Part::Answer).trim(), answer.text.trim());
        let calls = said(trace, Part::Call);
        assert_eq!(calls.is_empty(), answer.calls.is_empty());
        for call in &answer.calls {
            assert!(calls.contains(&call.name), "{calls}");
        }
        assert!((0..trace.len()).all(|token| trace.choices(token).len() == 5));
        assert_eq!(words.bytes(tokens[0].id), tokens[0].bytes);

        // A live answer is the same once it is logged.
        live.begin();
        tokens.iter().for_each(|token| live.push(token));
        live.finish(*entry, answer);
        let (seen, _) = live.shown();
        let parts = |trace: &Trace| -> Vec<Part> {
            (0..trace.len()).map(|token| trace.part(token)).collect()
        };
        assert_eq!(parts(seen), parts(trace));

        let area = Rect::new(0, 0, 80, 24);
        let mut buf = Buffer::empty(area);
        explorer.layout(area.width, area.height);
        explorer.render(area, &mut buf, Theme::Plain, Focus::Focused);
        let title: String = (0..40).map(|x| buf[(x, 0)].symbol()).collect();
        let tokens = tokens.len();
        assert_eq!(title.trim(), format!("answer {entry}  {tokens} tokens"));
    }
}
