//! The loop: waits, lets the state change, does what follows, draws.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossterm::event::{Event as Typed, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Incoming;
use super::agent::{Load, Make, Worker};
use super::chores::Chores;
use super::clipboard::{self, Desktop};
use super::history::History;
use super::inbox::{self, Inbox, Outbox, Waited};
use super::input::{self, Hold};
use super::signals::{self, Signal};
use super::surface::{Place, Surface};
use super::terminal;
use crate::agent::session::{Log, Sessions};
use crate::agent::{Exit, Stop};
use crate::model::Loading;
use crate::tui::app::App;
use crate::tui::event::{Effect, Event};
use crate::tui::text::highlight::Highlighter;
use crate::tui::theme::Theme;
use crate::tui::view::{self, view};

/// The least time between two frames.
const FRAME: Duration = Duration::from_millis(16);
/// Time that a turn has to end when the program does.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Lets the user change a text in an editor; the error is one line.
pub type Edit = Box<dyn FnMut(&str) -> Result<String, String>>;

/// What the program begins with.
pub struct Start {
    pub theme: Theme,
    pub place: Place,
    /// Of the bundle that is opened.
    pub name: String,
    /// Where messages that were sent are kept.
    pub history: Option<PathBuf>,
    pub make: Make,
    pub load: Load,
    pub stop: Stop,
    /// Counts what of the bundle is in place.
    pub loading: Loading,
    pub edit: Edit,
    /// A stored session to look at, before anything is opened.
    pub look: Option<Look>,
}

/// A stored session, and the answer in it that is looked at first.
pub struct Look {
    pub log: Log,
    pub sessions: Sessions,
    pub entry: u64,
}

/// Runs until the user leaves.
///
/// # Errors
/// With the line to print when the terminal is the user's again.
pub fn run(start: Start) -> Result<Exit, (Exit, String)> {
    let internal = |error: io::Error| (Exit::Internal, error.to_string());
    let (outbox, inbox) = inbox::channel();
    signals::start(outbox.clone()).map_err(internal)?;
    let surface = Surface::take(start.place);
    let surface = surface.map_err(|e| (Exit::Internal, format!("the terminal: {e}")))?;
    let hold = Hold::default();
    input::start(outbox.clone(), hold.clone()).map_err(internal)?;
    let history = History::at(start.history);
    let sent = history.load();
    let mut beginning = Some((outbox.clone(), start.make, start.load));
    let worker = match start.look {
        Some(_) => None,
        None => worker(&mut beginning).map_err(internal)?,
    };
    let improved = outbox.clone();
    let chores = Chores::start(outbox, history).map_err(internal)?;
    let mut program = Program {
        app: App::new(
            (start.theme, start.place),
            &start.name,
            sent,
            Highlighter::new(move || {
                // Nobody reads when the program is about to end.
                let _ = improved.send(Incoming::Improved);
            }),
            Instant::now(),
        ),
        surface,
        hold,
        worker,
        beginning,
        chores,
        desktop: Desktop::default(),
        stop: start.stop,
        loading: start.loading,
        edit: start.edit,
        failure: None,
    };
    if let Some(look) = start.look {
        let effects = program.app.look(look);
        program.perform(effects).map_err(internal)?;
    }
    program.run(&inbox)
}

type Beginning = (Outbox, Make, Load);

fn worker(beginning: &mut Option<Beginning>) -> io::Result<Option<Worker>> {
    let begun = beginning.take();
    let begun = begun.map(|(outbox, make, load)| Worker::start(outbox, make, load));
    begun.transpose()
}

struct Program {
    app: App,
    surface: Surface,
    hold: Hold,
    /// The agent's thread; and before there is one, how it begins.
    worker: Option<Worker>,
    beginning: Option<Beginning>,
    chores: Chores,
    desktop: Desktop,
    stop: Stop,
    loading: Loading,
    edit: Edit,
    /// Why there is no conversation.
    failure: Option<String>,
}

/// Whether the screen shows the state.
#[derive(PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

impl Program {
    fn run(mut self, inbox: &Inbox) -> Result<Exit, (Exit, String)> {
        let exit = self.follow(inbox);
        self.stop.stop_turn();
        let Self {
            surface, worker, ..
        } = self;
        // What the agent still has to close it closes while the terminal is back.
        drop(surface);
        if let Some(worker) = worker {
            worker.end(LAST_WORDS);
        }
        match (exit, self.failure) {
            (Ok(exit), Some(why)) => Err((exit, why)),
            (Ok(exit), None) => Ok(exit),
            // A terminal that went away is no failure: the session is on disk.
            (Err(_), _) => Ok(Exit::Interrupted),
        }
    }

    fn follow(&mut self, inbox: &Inbox) -> io::Result<Exit> {
        let mut shown = Shown::No;
        let mut last: Option<Instant> = None;
        loop {
            let now = Instant::now();
            let free = last.map(|last| last + FRAME);
            if shown == Shown::No && free.is_none_or(|free| free <= now) {
                self.draw(now)?;
                (shown, last) = (Shown::Yes, Some(now));
            }
            let until = match shown {
                Shown::No => free,
                Shown::Yes => self.app.due(now),
            };
            match inbox.wait(until) {
                Waited::Got(incoming) => {
                    let mut next = Some(incoming);
                    while let Some(incoming) = next {
                        if let Some(event) = self.event(incoming)? {
                            shown = Shown::No;
                            if let Some(exit) = self.happen(event)? {
                                return Ok(exit);
                            }
                        }
                        // Whatever floods the queue, the screen is drawn.
                        let late = now.elapsed() > FRAME;
                        next = if late { None } else { inbox.next() };
                    }
                }
                Waited::Due => {
                    let (done, total) = self.loading.layers();
                    self.happen(Event::Loading(done, total))?;
                    shown = Shown::No;
                }
                Waited::Closed => return Ok(Exit::Internal),
            }
        }
    }

    fn draw(&mut self, now: Instant) -> io::Result<()> {
        let (columns, rows) = self.surface.size()?;
        let Self { app, surface, .. } = self;
        if app.fills_screen() {
            app.arrange(Rect::new(0, 0, columns, rows), now);
            return surface.draw(|frame| view(app, frame, now));
        }
        let (finished, area) = app.arrange_block(columns, rows, now);
        let mut buf = Buffer::empty(area);
        view::draw(app, area, &mut buf, now);
        let cursor = view::cursor(app, area);
        surface.block()?.draw(&finished, &buf, cursor)
    }

    /// What something that came means to the state; `None` if nothing.
    fn event(&mut self, incoming: Incoming) -> io::Result<Option<Event>> {
        Ok(Some(match incoming {
            Incoming::Terminal(typed) => match typed {
                Typed::Key(key) => Event::Key(key),
                Typed::Paste(text) => Event::Paste(text),
                Typed::Mouse(mouse) if mouse.kind == MouseEventKind::Moved => return Ok(None),
                Typed::Mouse(mouse) => Event::Mouse(mouse),
                Typed::Resize(..) => Event::Tick,
                Typed::FocusGained => Event::Focused,
                Typed::FocusLost => Event::Unfocused,
            },
            Incoming::TerminalGone(why) => {
                let why = why.unwrap_or_else(|| "the terminal is gone".into());
                return Err(io::Error::other(why));
            }
            Incoming::Agent(report) => {
                if let Some((_, why)) = App::failed(&report) {
                    self.failure = Some(why.to_owned());
                }
                Event::Agent(report)
            }
            Incoming::Chore(finished) => Event::Chore(finished),
            Incoming::Signal(Signal::Terminate) => Event::Terminate,
            Incoming::Signal(Signal::Resized) => Event::Tick,
            Incoming::Signal(Signal::Suspend) => {
                self.suspend()?;
                Event::Tick
            }
            Incoming::Signal(Signal::Continued) => {
                self.surface.lend(|| ())?;
                Event::Tick
            }
            Incoming::Improved => Event::Improved,
        }))
    }

    /// Lets something happen, and does what follows from it; the status if that is the
    /// end.
    fn happen(&mut self, event: Event) -> io::Result<Option<Exit>> {
        let effects = self.app.update(event, Instant::now());
        self.perform(effects)
    }

    fn perform(&mut self, effects: Vec<Effect>) -> io::Result<Option<Exit>> {
        for effect in effects {
            match effect {
                Effect::Job(job) => {
                    if let Some(worker) = &self.worker {
                        worker.give(job);
                    }
                }
                Effect::Load => {
                    if let Some(worker) = worker(&mut self.beginning)? {
                        self.worker = Some(worker);
                    }
                }
                Effect::Chore(chore) => self.chores.give(chore),
                Effect::Answer(approval) => {
                    if let Some(worker) = &self.worker {
                        worker.answer(approval);
                    }
                }
                Effect::Stop => {
                    self.stop.stop_turn();
                }
                Effect::Steer(steer, text) => steer.say(text),
                Effect::CloseThinking(keys) => keys.close_thinking(),
                Effect::MoreThinking(keys, tokens) => keys.more_thinking(tokens),
                Effect::Copy(text) => self.copy(&text)?,
                Effect::Edit(text) => {
                    let edited = self.lend(|edit| edit(&text))?;
                    self.app.update(Event::Edited(edited), Instant::now());
                }
                Effect::Notify(text) => {
                    let term = std::env::var("TERM").unwrap_or_default();
                    terminal::write(&clipboard::notification(&text, &term))?;
                }
                Effect::SwitchMouse => self.surface.switch_mouse()?,
                Effect::Suspend => self.suspend()?,
                Effect::Redraw => self.surface.forget()?,
                Effect::Leave(exit) => return Ok(Some(exit)),
            }
        }
        Ok(None)
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        if !self.desktop.copy(text)
            && let Some(sequence) = clipboard::sequence(text)
        {
            terminal::write(&sequence)?;
        }
        Ok(())
    }

    fn lend(
        &mut self,
        work: impl FnOnce(&mut dyn FnMut(&str) -> Result<String, String>) -> Result<String, String>,
    ) -> io::Result<Result<String, String>> {
        self.hold.hold();
        let Self { surface, edit, .. } = self;
        let result = surface.lend(|| work(edit));
        self.hold.release();
        result
    }

    fn suspend(&mut self) -> io::Result<()> {
        if !self.surface.lend(signals::suspend)? {
            let event = Event::Alone;
            self.app.update(event, Instant::now());
        }
        Ok(())
    }
}
