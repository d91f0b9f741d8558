//! An agent with the demo model, a workspace and sessions of its own, and a front end
//! that does something when it hears something.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cairn::agent::session::path_to;
use cairn::agent::{
    Agent, Answer, Approval, Event, Front, Kind, Question, Replayed, Results, Sessions, Settings,
    Stop,
};
use cairn::bundle::Bundle;
use cairn::model::{BackendKind, LoadOptions, load};
use cairn::sandbox::launch::Launcher;
use cairn::sandbox::{Decision, Policy, Rules, Workspace};
use cairn::tools::{Limits, Toolbox};
use cairn::undo::{self, History};
use tempfile::TempDir;

static DEMO: LazyLock<Bundle> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    Bundle::open(&folder).unwrap()
});

/// Folders for one test.
pub struct Stage {
    folder: TempDir,
    /// Of all its agents.
    pub stop: Stop,
}

impl Stage {
    pub fn new() -> Self {
        let stage = Self {
            folder: tempfile::tempdir().unwrap(),
            stop: Stop::default(),
        };
        fs::create_dir_all(stage.workspace().join("src")).unwrap();
        for (path, text) in [
            ("src/main.rs", "fn main() {}\n"),
            ("notes.txt", "call the bank\n"),
            ("slow.sh", "echo begun\nsleep 1\necho over\n"),
        ] {
            fs::write(stage.workspace().join(path), text).unwrap();
        }
        stage
    }

    pub fn workspace(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub fn sessions(&self) -> PathBuf {
        self.folder.path().join("sessions")
    }

    /// What it may do without a question is what `rules` say.
    pub fn agent_with(&self, rules: Rules) -> Agent {
        let options = LoadOptions {
            backend: BackendKind::Cpu,
            ..LoadOptions::default()
        };
        let workspace = Workspace::open(&self.workspace()).unwrap();
        let state = self.folder.path().join("state");
        let history = History::open(&state, &workspace, undo::Limits::default()).unwrap();
        let launcher = Launcher::by(env!("CARGO_BIN_EXE_cairn"));
        let toolbox = Toolbox::new(workspace, Policy::new(rules), launcher, Limits::default());
        let settings = Settings {
            workspace: self.workspace(),
            seed: Some(1),
            ..Settings::default()
        };
        let mut agent = Agent::new(
            &DEMO,
            load(&DEMO, &options).unwrap(),
            toolbox.with_undo(Ok(history)),
            settings,
            self.stop.clone(),
        )
        .unwrap();
        agent.keep_sessions_in(Sessions::at(self.sessions()), None);
        agent
    }

    /// One that may run commands and write files unasked.
    pub fn agent(&self) -> Agent {
        self.agent_with(Rules {
            write: Decision::Allow,
            run: Decision::Allow,
            ..Rules::default()
        })
    }

    /// The session as a kill at this moment would leave it.
    pub fn snapshot(&self, name: &str) -> Sessions {
        let to = self.folder.path().join(name);
        let sessions = Sessions::at(self.sessions());
        for id in sessions.ids().unwrap() {
            fs::create_dir_all(to.join(&id)).unwrap();
            for file in ["log.jsonl", "tokens.bin"] {
                let place = Path::new(&id).join(file);
                fs::copy(self.sessions().join(&place), to.join(&place)).unwrap();
            }
        }
        Sessions::at(to)
    }

    /// An agent that goes on with the session of a folder that has one.
    pub fn resumed(&self, sessions: &Sessions) -> Agent {
        let id = sessions.ids().unwrap().remove(0);
        let mut agent = self.agent();
        let opened = sessions.open(&id).unwrap();
        let notices = agent.resume(opened, &Settings::default()).unwrap();
        assert_eq!(notices, Vec::<String>::new());
        agent
    }

    /// The one session here, run again.
    pub fn replayed(&self) -> Replayed {
        let sessions = Sessions::at(self.sessions());
        let id = sessions.ids().unwrap().remove(0);
        let log = sessions.read(&id).unwrap();
        let path = path_to(&log.entries, log.entries.last().map(|entry| entry.id));
        let tokens = |span| sessions.tokens(&id, span);
        let again = self
            .agent()
            .replay(&log.header, &path, &tokens, Results::Logged);
        again.unwrap().unwrap()
    }
}

/// The answers of a session.
pub fn answers(agent: &Agent) -> Vec<Answer> {
    let answers = course(agent).into_iter().filter_map(|kind| match kind {
        Kind::Assistant(answer) => Some(answer),
        _ => None,
    });
    answers.collect()
}

/// What a session consists of, without what it cost and where it is kept.
pub fn course(agent: &Agent) -> Vec<Kind> {
    let path = agent.session().journal().path().into_iter();
    let kinds = path.map(|entry| entry.kind.clone());
    let kinds = kinds.filter(|kind| !matches!(kind, Kind::Usage { .. } | Kind::CacheMark { .. }));
    let plain = |mut kind: Kind| {
        if let Kind::Assistant(answer) = &mut kind {
            answer.trace = None;
        }
        kind
    };
    kinds.map(plain).collect()
}

/// Hears everything, and does what it is for.
pub struct Watch<'a> {
    pub events: Vec<Event>,
    on: Box<dyn FnMut(&Event) + 'a>,
    asked: Box<dyn FnMut(&Question) -> Approval + 'a>,
}

impl<'a> Watch<'a> {
    pub fn new(on: impl FnMut(&Event) + 'a) -> Self {
        Self {
            events: Vec::new(),
            on: Box::new(on),
            asked: Box::new(|question| panic!("{question:?}")),
        }
    }

    pub fn asked(mut self, asked: impl FnMut(&Question) -> Approval + 'a) -> Self {
        self.asked = Box::new(asked);
        self
    }
}

impl Front for Watch<'_> {
    fn event(&mut self, event: &Event) {
        self.events.push(event.clone());
        (self.on)(event);
    }

    fn approve(&mut self, question: &Question) -> Approval {
        (self.asked)(question)
    }
}
