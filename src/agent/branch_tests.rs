//! Forks within a turn whose calls are made by hand, as the demo model does not make
//! two of them that change something.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::branch::{ForkAt, With};
use super::driver::Agent;
use super::entry::{Answer, Finish, Kind};
use super::event::{Approval, Event, Front, Question};
use super::exit::{Exit, Reason};
use super::settings::Settings;
use super::stop::Stop;
use crate::backend::cpu::CpuOptions;
use crate::bundle::Bundle;
use crate::chat::ToolCall;
use crate::generate::Cancel;
use crate::model::{BackendKind, LoadOptions, load};
use crate::sandbox::launch::Launcher;
use crate::sandbox::{Policy, Rules, Workspace};
use crate::tools::{self, Toolbox};
use crate::undo::{self, Force, History};

/// Says no to everything.
struct Refuses(Vec<Event>);

impl Front for Refuses {
    fn event(&mut self, event: &Event) {
        self.0.push(event.clone());
    }

    fn approve(&mut self, _: &Question) -> Approval {
        Approval::No
    }
}

fn agent(folder: &Path) -> Agent {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    let bundle = Bundle::open(&demo).unwrap();
    let options = LoadOptions {
        backend: BackendKind::Cpu,
        cpu: CpuOptions {
            threads: 1,
            ..CpuOptions::default()
        },
        ..LoadOptions::default()
    };
    let engine = load(&bundle, &options).unwrap();
    fs::create_dir_all(folder.join("ws")).unwrap();
    let workspace = Workspace::open(&folder.join("ws")).unwrap();
    let settings = Settings {
        workspace: workspace.root().to_owned(),
        max_tokens: Some(60),
        ..Settings::default()
    };
    let history = History::open(&folder.join("state"), &workspace, undo::Limits::default());
    let toolbox = Toolbox::new(
        workspace,
        Policy::new(Rules::default()),
        Launcher::by("cairn"),
        tools::Limits::default(),
    );
    let toolbox = toolbox.with_undo(history.map_err(|error| error.to_string()));
    Agent::new(&bundle, engine, toolbox, settings, Stop::default()).unwrap()
}

#[test]
fn a_fork_between_two_calls_of_a_turn_keeps_what_the_first_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = agent(folder.path());
    let mut front = Refuses(Vec::new());
    let has = || ["a", "b"].map(|path| folder.path().join("ws").join(path).exists());
    let ids = |agent: &Agent, text: &str| {
        let mut ids = agent.model.tokenizer.encode(text);
        ids.push(agent.model.stop_ids[0]);
        ids
    };

    agent.toolbox.begin_turn("write both");
    let user = Kind::User {
        text: "write both".into(),
        attached: Vec::new(),
    };
    agent.record(user, &mut front);
    let mut answers = Vec::new();
    for (id, path) in [("call_1", "a"), ("call_2", "b")] {
        let arguments = json!({"path": path, "content": "new"});
        let call = ToolCall {
            id: id.into(),
            name: "write_file".into(),
            arguments: arguments.as_object().unwrap().clone(),
        };
        let answer = Answer {
            calls: vec![call.clone()],
            ids: ids(&agent, "I write it."),
            finish: Finish::Stop,
            ..Answer::default()
        };
        agent.record(Kind::Assistant(answer), &mut front);
        answers.push(agent.session.journal().head().unwrap());
        agent.run_tool(call, &Cancel::default(), &mut front);
    }
    let answer = Answer {
        text: "Done.".into(),
        ids: ids(&agent, "Done."),
        ..Answer::default()
    };
    agent.record(Kind::Assistant(answer), &mut front);
    let ended = Kind::TurnEnded {
        exit: Exit::Done,
        reason: Reason::Done,
    };
    agent.record(ended, &mut front);
    assert_eq!(agent.toolbox.end_turn(), None);
    assert_eq!(has(), [true, true]);
    let whole = agent.session.journal().head().unwrap();

    let mut fork = |agent: &mut Agent, entry| {
        let at = ForkAt {
            entry,
            token: 1,
            with: With::Text(" I do nothing.".into()),
        };
        agent.fork_at(at, &mut front).unwrap();
    };
    fork(&mut agent, answers[1]);
    assert_eq!(has(), [true, false]);
    fork(&mut agent, answers[0]);
    assert_eq!(has(), [false, false]);
    let mut front = Refuses(Vec::new());
    agent.keep_branch(whole, &mut front).unwrap();
    assert_eq!(has(), [true, true]);
    // It is one turn, as it was.
    agent.undo(Force::No, &mut front).unwrap();
    assert_eq!(has(), [false, false]);
}
