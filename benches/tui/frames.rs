//! Frames of a long session: from what happened to the bytes for the terminal.

use std::cell::Cell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cairn::agent::session::Noted;
use cairn::agent::{Answer, Event as Said, Glance, Meter, Stats, Thinking};
use cairn::sandbox::Workspace;
use cairn::tui::Place;
use cairn::tui::app::{App, Pane};
use cairn::tui::driver::{Opened, Report};
use cairn::tui::event::Event;
use cairn::tui::text::highlight::Highlighter;
use cairn::tui::theme::Theme;
use cairn::tui::trace::TraceId;
use cairn::tui::view::view;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::Effort;
use crate::figures::{Figures, Sample, sample};
use crate::session::{self, Tokens};

const SIZE: Rect = Rect::new(0, 0, 200, 60);
const OTHER_SIZE: Rect = Rect::new(0, 0, 160, 50);
/// Milliseconds of a frame.
const LIMIT: f64 = 8.0;
/// Time for what is not waited for: colours.
const CALM: Duration = Duration::from_millis(500);

/// A pipe to nowhere that counts.
struct Sink(Rc<Cell<usize>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The program without its threads, on no terminal.
struct Screen {
    app: App,
    terminal: Terminal<CrosstermBackend<Sink>>,
    written: Rc<Cell<usize>>,
    size: Rect,
}

impl Screen {
    fn new(turns: usize) -> Result<Self, String> {
        let now = Instant::now();
        let written = Rc::new(Cell::new(0));
        let options = TerminalOptions {
            viewport: Viewport::Fixed(SIZE),
        };
        let backend = CrosstermBackend::new(Sink(Rc::clone(&written)));
        let terminal = Terminal::with_options(backend, options).map_err(|e| e.to_string())?;
        let highlighter = Highlighter::new(|| {});
        let surface = (Theme::Colour, Place::Alternate);
        let mut app = App::new(surface, "a bundle", Vec::new(), highlighter, now);
        let opened = opened(turns)?;
        app.update(Event::Agent(Report::Ready(Box::new(opened))), now);
        Ok(Self {
            app,
            terminal,
            written,
            size: SIZE,
        })
    }

    fn happen(&mut self, event: Event) {
        self.app.update(event, Instant::now());
    }

    fn draw(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let Self {
            app,
            terminal,
            size,
            ..
        } = self;
        app.arrange(*size, now);
        queue!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
        terminal.draw(|frame| view(app, frame, now))?;
        execute!(terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// Lets something happen, and draws it; how long both took.
    fn frame(&mut self, events: impl IntoIterator<Item = Event>) -> Result<Sample, String> {
        let events: Vec<Event> = events.into_iter().collect();
        sample(|| {
            events.into_iter().for_each(|event| self.happen(event));
            self.draw().map_err(|e| e.to_string())
        })
    }

    /// A frame for each of so many keys, which are taken in turn.
    fn keys(&mut self, count: usize, keys: &[KeyEvent]) -> Result<Vec<Sample>, String> {
        let keys = keys.iter().cycle().take(count);
        keys.map(|key| self.frame([Event::Key(*key)])).collect()
    }

    /// A frame for each letter; a break is Enter.
    fn letters(&mut self, letters: &str) -> Result<Vec<Sample>, String> {
        let code = |letter| match letter {
            '\n' => KeyCode::Enter,
            letter => KeyCode::Char(letter),
        };
        let keys: Vec<KeyEvent> = letters.chars().map(|one| key(code(one))).collect();
        self.keys(keys.len(), &keys)
    }

    /// Goes to a pane.
    fn focus(&mut self, pane: Pane) -> Result<(), String> {
        for _ in 0..3 {
            if self.app.focus == pane {
                return Ok(());
            }
            self.keys(1, &[key(KeyCode::F(6))])?;
        }
        Err(format!("no key leads to {pane:?}"))
    }

    fn resize(&mut self, size: Rect) -> Result<Sample, String> {
        sample(|| {
            self.size = size;
            self.terminal.resize(size).map_err(|e| e.to_string())?;
            self.draw().map_err(|e| e.to_string())
        })
    }

    /// Waits for colours, and shows them.
    fn settle(&mut self) -> Result<(), String> {
        std::thread::sleep(CALM);
        self.frame([Event::Improved]).map(drop)
    }
}

pub fn measure(
    stream: &Tokens,
    tokens: usize,
    effort: Effort,
    figures: &mut Figures,
) -> Result<(), String> {
    let (turns, count) = match effort {
        Effort::Smoke => (20, 20),
        Effort::Full => (200, 400),
    };
    let mut screen = Screen::new(turns)?;
    screen.happen(Event::Agent(Report::Event(Said::TurnStarted)));
    screen.happen(Event::Agent(Report::Event(Said::Context(Meter::default()))));
    for at in 0..tokens {
        token(stream, at).for_each(|event| screen.happen(event));
    }
    let first = screen.frame([])?;
    figures.add_frames("the first frame, all of it", vec![first], None);
    screen.settle()?;

    let before = screen.written.get();
    let live = (tokens..tokens + count).map(|at| screen.frame(token(stream, at)));
    let live = live.collect::<Result<_, _>>()?;
    let bytes = (screen.written.get() - before) as f64 / count as f64;
    figures.add_frames("frame: one more token", live, Some(LIMIT));
    figures.add("bytes of that frame", bytes, "bytes", None);

    let text: Vec<char> = session::markdown(1).chars().collect();
    let piece = |piece: &[char]| {
        let text = piece.iter().collect();
        Event::Agent(Report::Event(Said::Text { text }))
    };
    let pieces = text.chunks(4).cycle().take(count);
    let answer = pieces.map(|one| screen.frame([piece(one)]));
    let answer = answer.collect::<Result<_, _>>()?;
    figures.add_frames("frame: a piece of the answer", answer, Some(LIMIT));

    let up = screen.keys(count / 2, &[key(KeyCode::PageUp)])?;
    figures.add_frames("frame: a page up, laid out first", up, Some(LIMIT));
    screen.settle()?;
    let pages = [key(KeyCode::PageDown), key(KeyCode::PageUp)];
    let pages = screen.keys(count, &pages)?;
    figures.add_frames("frame: a page up or down", pages, Some(LIMIT));

    screen.focus(Pane::Conversation)?;
    let ends = screen.keys(count / 4, &[letter('g'), letter('G')])?;
    figures.add_frames(
        "frame: start and end of the conversation",
        ends,
        Some(LIMIT),
    );
    screen.focus(Pane::Reasoning)?;
    trace(&mut screen, count, figures)?;
    panels(&mut screen, stream, tokens + count, count, figures)?;

    let toggled = screen.keys(count / 4, &[key(KeyCode::F(2))])?;
    figures.add_frames("frame: reasoning shown or hidden", toggled, Some(LIMIT));
    let full = screen.keys(count / 4, &[key(KeyCode::F(3))])?;
    figures.add_frames("frame: reasoning on the whole screen", full, Some(LIMIT));
    let help = screen.keys(count / 4, &[key(KeyCode::F(1)), key(KeyCode::Esc)])?;
    figures.add_frames("frame: help opened or closed", help, Some(LIMIT));

    let sizes = [OTHER_SIZE, SIZE].into_iter().cycle().take(count / 10);
    let resized = sizes.map(|size| screen.resize(size));
    let resized = resized.collect::<Result<_, _>>()?;
    figures.add_frames("frame: another width", resized, None);
    stored(&mut screen, stream, tokens, figures)
}

/// Answers that were read from disk: two that part in the middle.
fn stored(
    screen: &mut Screen,
    stream: &Tokens,
    tokens: usize,
    figures: &mut Figures,
) -> Result<(), String> {
    let left: Vec<Noted> = (0..tokens).map(|at| stream.noted(at)).collect();
    let right = (0..tokens / 2).chain(tokens..tokens + tokens / 2);
    let right: Vec<Noted> = right.map(|at| stream.noted(at)).collect();
    let answer = Answer::default();
    let opened = sample(|| {
        screen.app.explorer.open(2, &answer, &left);
        screen.draw().map_err(|e| e.to_string())
    })?;
    figures.add_frames("frame: a stored trace opened", vec![opened], None);
    screen.app.explorer.add(5, &answer, &right);
    let [left, right] = [2, 5].map(TraceId::Entry);
    let compared = sample(|| {
        screen.app.explorer.compare(left, right);
        screen.draw().map_err(|e| e.to_string())
    })?;
    figures.add_frames("frame: two traces compared", vec![compared], None);
    Ok(())
}

fn trace(screen: &mut Screen, count: usize, figures: &mut Figures) -> Result<(), String> {
    let ends = screen.keys(count / 4, &[letter('g'), letter('G')])?;
    figures.add_frames("frame: start and end of the trace", ends, Some(LIMIT));
    screen.keys(1, &[letter('g')])?;
    let steps = [
        ("frame: the next token", key(KeyCode::Right)),
        ("frame: the next uncertain token", letter('n')),
        ("frame: a page of the trace", key(KeyCode::PageDown)),
    ];
    for (name, key) in steps {
        let times = screen.keys(count, &[key])?;
        figures.add_frames(name, times, Some(LIMIT));
    }
    Ok(())
}

/// What is open beside the text, while the answer goes on.
fn panels(
    screen: &mut Screen,
    stream: &Tokens,
    mut at: usize,
    count: usize,
    figures: &mut Figures,
) -> Result<(), String> {
    let open: [(&str, &str, &str); 6] = [
        ("frame: one more token, numbers shown", "i", "i"),
        ("frame: one more token, routes shown", "r", "r"),
        ("frame: one more token, all of it a span", "gvG", "v"),
        ("frame: one more token, a search in it", "/e\n", ""),
        ("frame: one more token, all folded", "Z", "ZG"),
        ("frame: one more token, followed at the end", "G", ""),
    ];
    for (name, keys, undo) in open {
        let mut opened = screen.letters(keys)?;
        let live = (at..at + count / 4).map(|at| screen.frame(token(stream, at)));
        let live: Vec<Sample> = live.collect::<Result<_, _>>()?;
        at += count / 4;
        figures.add_frames(name, live, Some(LIMIT));
        opened.extend(screen.letters(undo)?);
        let name = name.replace("frame: one more token, ", "frame: keys that come to ");
        figures.add_frames(&name, opened, Some(LIMIT));
    }
    Ok(())
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

fn letter(letter: char) -> KeyEvent {
    key(KeyCode::Char(letter))
}

/// What the agent's thread says of a token.
fn token(stream: &Tokens, at: usize) -> impl Iterator<Item = Event> {
    let noted = stream.noted(at);
    let text = String::from_utf8_lossy(&noted.bytes).into_owned();
    let said = Report::Event(Said::Reasoning { text });
    [Report::Token(Box::new(noted)), said]
        .into_iter()
        .map(Event::Agent)
}

fn opened(turns: usize) -> Result<Opened, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = Workspace::open(root).map_err(|e| e.to_string())?;
    Ok(Opened {
        glance: Glance {
            name: "a bundle".into(),
            backend: "cpu".into(),
            experts: 16,
            manner: "ask".into(),
            sandbox: "workspace".into(),
            session: "a session".into(),
            workspace: root.to_owned(),
            thinking: Thinking::On,
            thinking_budget: None,
            window: 131_072,
            jobs: 0,
            stats: Stats::default(),
        },
        banner: String::new(),
        notices: Vec::new(),
        entries: session::entries(turns),
        sessions: None,
        workspace: Arc::new(workspace),
        thinking: Default::default(),
        steer: Default::default(),
        commands: Vec::new(),
        unfinished: false,
    })
}
