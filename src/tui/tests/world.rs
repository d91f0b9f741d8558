//! A screen for tests. What the agent would report, and when, is said by the test; the
//! log grows as an agent's does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{KeyEvent, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tempfile::TempDir;

use crate::agent::session::{Noted, Sessions};
use crate::agent::{
    self, Answer, Done, Entry, Glance, Kind, Meter, Reason, Stats, Steer, Thinking, ThinkingKeys,
};
use crate::chat::{Owner, ToolCall};
use crate::generate::PromptUsage;
use crate::sandbox::Workspace;
use crate::tui::app::App;
use crate::tui::driver::{Chore, Opened, Place, Report, Rest};
use crate::tui::event::{Effect, Event};
use crate::tui::overlay::testing;
use crate::tui::text::highlight::Highlighter;
use crate::tui::theme::Theme;
use crate::tui::trace::sample;
use crate::tui::view;

/// What the screen measures where it does not matter.
pub const USUAL: (u16, u16) = (120, 40);

pub struct World {
    pub app: App,
    pub now: Instant,
    pub size: (u16, u16),
    pub entries: Vec<Entry>,
    folder: TempDir,
}

impl World {
    /// A bundle is being opened.
    pub fn loading(size: (u16, u16), theme: Theme) -> Self {
        let now = Instant::now();
        let app = App::new(
            (theme, Place::Alternate),
            "zaya-8b",
            vec!["what was sent before".into()],
            Highlighter::off(),
            now,
        );
        let mut world = Self {
            app,
            now,
            size,
            entries: Vec::new(),
            folder: TempDir::new().unwrap(),
        };
        world.arrange();
        world
    }

    /// A new session that waits for a message.
    pub fn ready(size: (u16, u16), theme: Theme) -> Self {
        let mut world = Self::loading(size, theme);
        let opened = world.opened();
        world.report(Report::Ready(Box::new(opened)));
        world.idle();
        world
    }

    /// The same, where size and theme do not matter.
    pub fn usual() -> Self {
        Self::ready(USUAL, Theme::Colour)
    }

    /// A turn runs.
    pub fn working() -> Self {
        let mut world = Self::usual();
        world.press("do<Space>it<Enter>");
        world.agent(agent::Event::TurnStarted);
        world
    }

    pub fn opened(&self) -> Opened {
        Opened {
            glance: self.glance(),
            banner: "zaya-8b: cpu, context 32,768, thinking on, workspace-write".into(),
            notices: vec!["seed 7".into()],
            entries: self.entries.clone(),
            sessions: Some(Sessions::at(self.folder.path())),
            workspace: Arc::new(Workspace::open(self.folder.path()).unwrap()),
            thinking: ThinkingKeys::default(),
            steer: Steer::default(),
            commands: vec![("review".into(), "look over what was changed".into())],
            unfinished: false,
        }
    }

    fn glance(&self) -> Glance {
        Glance {
            name: "zaya-8b".into(),
            backend: "cpu, 8 threads".into(),
            experts: 5,
            manner: "ask".into(),
            sandbox: "workspace-write, no network".into(),
            session: "k3f9".into(),
            workspace: self.folder.path().to_owned(),
            thinking: Thinking::On,
            thinking_budget: Some(2048),
            window: 32_768,
            jobs: 0,
            stats: Stats::default(),
        }
    }

    pub fn happen(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.app.update(event, self.now);
        self.arrange();
        effects
    }

    fn arrange(&mut self) {
        self.app.arrange(self.screen(), self.now);
    }

    pub fn screen(&self) -> Rect {
        Rect::new(0, 0, self.size.0, self.size.1)
    }

    pub fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        self.happen(Event::Tick);
    }

    pub fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.happen(Event::Tick);
    }

    pub fn report(&mut self, report: Report) -> Vec<String> {
        told(self.happen(Event::Agent(report)))
    }

    pub fn agent(&mut self, event: agent::Event) -> Vec<String> {
        self.report(Report::Event(event))
    }

    /// A job is done.
    pub fn idle(&mut self) -> Vec<String> {
        self.idle_with(Vec::new())
    }

    pub fn idle_with(&mut self, unheard: Vec<String>) -> Vec<String> {
        let forks = |entry: &Entry| matches!(entry.kind, Kind::Fork { .. });
        let branches = match self.entries.iter().any(forks) {
            true => agent::branches(&self.entries, &|ids| format!("token {ids:?}")),
            false => Vec::new(),
        };
        let glance = self.glance();
        self.report(Report::Idle(Box::new(Rest {
            glance,
            branches,
            unheard,
        })))
    }

    /// Keys as [`testing::keys`] reads them; what came of all of them.
    pub fn press(&mut self, keys: &str) -> Vec<String> {
        let mut all = Vec::new();
        for key in testing::keys(keys) {
            let event = KeyEvent::new(key.code, key.modifiers);
            all.extend(told(self.happen(Event::Key(event))));
        }
        all
    }

    pub fn mouse(&mut self, kind: MouseEventKind, (column, row): (u16, u16)) -> Vec<String> {
        let modifiers = crossterm::event::KeyModifiers::NONE;
        told(self.happen(Event::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers,
        })))
    }

    /// Adds to the log, after its last entry; the number of the new one.
    pub fn log(&mut self, kind: Kind) -> u64 {
        self.log_after(self.entries.last().map(|last| last.id), kind)
    }

    pub fn log_after(&mut self, parent: Option<u64>, kind: Kind) -> u64 {
        let id = self.entries.len() as u64 + 1;
        let entry = Entry { id, parent, kind };
        self.entries.push(entry.clone());
        self.agent(agent::Event::Logged(entry));
        id
    }

    pub fn user(&mut self, text: &str) -> u64 {
        self.log(Kind::User {
            text: text.into(),
            attached: Vec::new(),
        })
    }

    /// An answer as it streams, ten tokens a second, and is logged.
    pub fn answer(&mut self, text: &str, calls: Vec<ToolCall>) -> u64 {
        self.agent(agent::Event::Context(meter()));
        self.agent(agent::Event::Prefill { done: 9, total: 9 });
        let tokens = sample::answer(text);
        self.stream(&tokens);
        let id = self.log(Kind::Assistant(whole(text, &tokens, calls)));
        let prompt = PromptUsage {
            prompt: 2462,
            reused: 2304,
            loaded: 0,
            prefilled: 158,
            replayed: 0,
        };
        let generated = tokens.len();
        self.agent(agent::Event::Usage { prompt, generated });
        id
    }

    /// Tokens as they come, with the words that they are.
    pub fn stream(&mut self, tokens: &[Noted]) {
        let mut thinks = true;
        for token in tokens {
            self.pass(100);
            self.report(Report::Token(Box::new(token.clone())));
            let text = String::from_utf8_lossy(&token.bytes).into_owned();
            match (text.as_str(), thinks) {
                ("</think>", _) => thinks = false,
                (_, true) => drop(self.agent(agent::Event::Reasoning { text })),
                (_, false) => drop(self.agent(agent::Event::Text { text })),
            }
        }
    }

    pub fn end_turn(&mut self) {
        let reason = Reason::Done;
        let exit = reason.exit();
        self.log(Kind::TurnEnded { exit, reason });
        self.agent(done());
        self.idle();
    }

    /// What the screen shows.
    pub fn buffer(&self) -> Buffer {
        let screen = self.screen();
        let mut buf = Buffer::empty(screen);
        view::draw(&self.app, screen, &mut buf, self.now);
        buf
    }

    /// The rows of a part of the screen.
    pub fn rows(&self, area: Rect) -> Vec<String> {
        let all = self.buffer();
        let mut part = Buffer::empty(area);
        for at in area.positions() {
            part[at] = all[at].clone();
        }
        testing::rows(&part)
    }
}

/// An answer and its tokens, of the text with its markers in it.
pub fn whole(text: &str, tokens: &[Noted], calls: Vec<ToolCall>) -> Answer {
    let (reasoning, said) = text.split_once("</think>").unwrap_or(("", text));
    Answer {
        text: said.trim().into(),
        reasoning: reasoning.into(),
        calls,
        ids: tokens.iter().map(|token| token.id).collect(),
        trace: Some(agent::session::Span {
            offset: 0,
            bytes: 64,
        }),
        ..Answer::default()
    }
}

pub fn done() -> agent::Event {
    agent::Event::Done(Done {
        reason: Reason::Done,
        text: String::new(),
        session: "k3f9".into(),
    })
}

pub fn meter() -> Meter {
    let owners = [
        vec![Owner::System; 612],
        vec![Owner::Tools; 1480],
        vec![Owner::History; 370],
    ];
    Meter::new(32_768, &owners.concat())
}

/// Effects in words, without what differs from run to run.
pub fn told(effects: Vec<Effect>) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Steer(_, text) => format!("Steer({text:?})"),
        Effect::Chore(Chore::Tokens { entry, .. }) => format!("Tokens({entry})"),
        Effect::Chore(Chore::Sessions(..)) => "Sessions".into(),
        Effect::Chore(Chore::Files(_)) => "Files".into(),
        Effect::Chore(Chore::Remember(text)) => format!("Remember({text:?})"),
        other => format!("{other:?}"),
    };
    effects.iter().map(word).collect()
}
