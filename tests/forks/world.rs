//! Agents at work in one workspace, with folders of their own and the demo model.

use std::fs;
use std::path::{Path, PathBuf};

use cairn::agent::session::{Log, Noted};
use cairn::agent::{
    Agent, Answer, Approval, Entry, Event, Front, Kind, Question, Results, Sessions, Settings, Stop,
};
use cairn::backend::cpu::CpuOptions;
use cairn::bundle::Bundle;
use cairn::cache::disk::{Identity, Limit, Store};
use cairn::generate::{PromptUsage, Token};
use cairn::model::{BackendKind, LoadOptions, load};
use cairn::sandbox::launch::Launcher;
use cairn::sandbox::{Policy, Rules, Workspace};
use cairn::tools::{self, Toolbox};
use cairn::undo::{self, History};
use tempfile::TempDir;

/// Of the demo model.
pub const LAYERS: usize = 4;

/// Whether caches are kept on disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Caches {
    Kept,
    InMemory,
}

pub struct World {
    dir: TempDir,
    bundle: Bundle,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("all/ws/src")).unwrap();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
        let world = Self {
            dir,
            bundle: Bundle::open(&demo).unwrap(),
        };
        fs::write(world.at("src/main.rs"), "fn main() {}\n").unwrap();
        fs::write(world.at("notes.txt"), "call the bank\n").unwrap();
        world
    }

    fn all(&self) -> PathBuf {
        self.dir.path().join("all")
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.all().join("ws").join(path)
    }

    pub fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at(path)).ok()
    }

    pub fn sessions(&self) -> Sessions {
        Sessions::at(self.all().join("sessions"))
    }

    /// Puts aside what a kill would leave now.
    pub fn put_aside(&self, name: &str) {
        copy(&self.all(), &self.dir.path().join(name));
    }

    /// Has everything be as it was put aside.
    pub fn take_back(&self, name: &str) {
        fs::remove_dir_all(self.all()).unwrap();
        fs::rename(self.dir.path().join(name), self.all()).unwrap();
    }

    /// A cairn with a session of its own.
    pub fn agent(&self, caches: Caches) -> Agent {
        let options = LoadOptions {
            backend: BackendKind::Cpu,
            cpu: CpuOptions {
                threads: 2,
                ..CpuOptions::default()
            },
            ..LoadOptions::default()
        };
        let engine = load(&self.bundle, &options).unwrap();
        let persist = engine.persist().unwrap();
        let identity = Identity {
            bundle: self.bundle.name.clone(),
            fingerprint: self.bundle.fingerprint.clone(),
            numerics: engine.info().numerics.clone(),
            row_len: persist.row_len(),
            state_len: persist.state_len(),
        };
        let workspace = Workspace::open(&self.at("")).unwrap();
        let settings = Settings {
            workspace: workspace.root().to_owned(),
            seed: Some(7),
            temperature: Some(0.3),
            ..Settings::default()
        };
        let history = History::open(
            &self.all().join("state"),
            &workspace,
            undo::Limits::default(),
        );
        let toolbox = Toolbox::new(
            workspace,
            Policy::new(Rules::default()),
            Launcher::by(env!("CARGO_BIN_EXE_cairn")),
            tools::Limits::default(),
        )
        .with_undo(history.map_err(|error| error.to_string()));
        let mut agent =
            Agent::new(&self.bundle, engine, toolbox, settings, Stop::default()).unwrap();
        if caches == Caches::Kept {
            let folder = self.all().join("caches");
            agent.keep_caches_in(Store::open(&folder, &identity, Limit::Share).unwrap());
        }
        agent.keep_sessions_in(self.sessions(), None);
        agent
    }

    /// Another cairn that goes on with a session.
    pub fn resumed(&self, id: &str, caches: Caches) -> Agent {
        let mut agent = self.agent(caches);
        let opened = self.sessions().open(id).unwrap();
        let notices = agent.resume(opened, &Settings::default()).unwrap();
        assert_eq!(notices, Vec::<String>::new());
        agent
    }

    pub fn log(&self, id: &str) -> Log {
        self.sessions().read(id).unwrap()
    }

    /// The tokens that were kept of an answer.
    pub fn noted(&self, id: &str, answer: &Answer) -> Vec<Noted> {
        self.sessions().tokens(id, answer.trace.unwrap())
    }

    /// Replays a path of a session; all has to be the same.
    pub fn replays(&self, id: &str, path: &[&Entry]) {
        let log = self.log(id);
        let tokens = |span| self.sessions().tokens(id, span);
        let replayed =
            self.agent(Caches::InMemory)
                .replay(&log.header, path, &tokens, Results::Logged);
        let replayed = replayed.unwrap().unwrap();
        assert_eq!(replayed.difference, None);
        assert!(replayed.answers > 0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            // What is written to the caches is renamed meanwhile.
            false => drop(fs::copy(entry.path(), to)),
        }
    }
}

/// An answer as a front end hears of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub entry: u64,
    pub answer: Answer,
    pub tokens: Vec<Token>,
    pub usage: Option<PromptUsage>,
}

/// A front end that says the same to every question.
pub struct Ears<'a> {
    pub events: Vec<Event>,
    pub says: Approval,
    /// What to do when one of these comes.
    pub when: &'a mut dyn FnMut(&Event),
}

impl Front for Ears<'_> {
    fn event(&mut self, event: &Event) {
        self.events.push(event.clone());
        (self.when)(event);
    }

    fn approve(&mut self, _: &Question) -> Approval {
        self.says.clone()
    }
}

/// What a front end hears of something that an agent does.
pub fn hear(says: Approval, act: impl FnOnce(&mut dyn Front)) -> Vec<Event> {
    let mut ears = Ears {
        events: Vec::new(),
        says,
        when: &mut |_| {},
    };
    act(&mut ears);
    ears.events
}

pub fn answers(events: &[Event]) -> Vec<Heard> {
    let (mut tokens, mut usage, mut heard) = (Vec::new(), None, Vec::new());
    for event in events {
        match event {
            Event::Token(token) => tokens.push(token.clone()),
            Event::Usage { prompt, .. } => usage = Some(*prompt),
            Event::Logged(Entry {
                id,
                kind: Kind::Assistant(answer),
                ..
            }) => heard.push(Heard {
                entry: *id,
                answer: answer.clone(),
                tokens: std::mem::take(&mut tokens),
                usage: usage.take(),
            }),
            _ => {}
        }
    }
    heard
}

pub fn notices(events: &[Event]) -> Vec<&str> {
    let texts = events.iter().filter_map(|event| match event {
        Event::Notice { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// A turn of an agent in which everything is allowed.
pub fn turn(agent: &mut Agent, text: &str) -> Vec<Heard> {
    answers(&hear(Approval::Yes, |front| {
        agent.turn(text, front);
    }))
}
