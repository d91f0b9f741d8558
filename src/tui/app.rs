//! The state of the screen. What happens changes it (`update`), what it is gets drawn
//! (`view`); nothing in it reaches outside.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::activity::{self, BEAT};
use super::composer::{Busy, Composer};
use super::driver::{Job, Place as Surface};
use super::overlay::Overlay;
use super::panes::{Areas, Panes, Reasoning};
use super::progress::Progress;
use super::speed::Speed;
use super::text::highlight::Highlighter;
use super::theme::Theme;
use super::trace::Explorer;
use super::transcript::Transcript;
use crate::agent::session::{Sessions, path_to};
use crate::agent::slash::Way;
use crate::agent::{Branch, Entry, Glance, Meter, Steer, ThinkingKeys};
use crate::generate::PromptUsage;
use crate::sandbox::Workspace;

/// How long a line about the next key stays, and a second key counts as the second.
pub const TWICE: Duration = Duration::from_secs(2);
/// Rows of the message at most: a share of the screen.
const COMPOSER_SHARE: u16 = 3;

/// What goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// A stored session is looked at, without a model.
    Looking,
    /// A bundle is being opened.
    Loading(Progress),
    Idle,
    /// The prompt is being read.
    Reading(Progress),
    Working {
        what: String,
    },
}

/// What has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    #[default]
    Composer,
    Reasoning,
    Conversation,
}

/// What is known of the session.
pub struct Place {
    pub sessions: Option<Sessions>,
    /// This one's id.
    pub session: String,
    /// The folder that it is about, and a way in where tools work in it.
    pub root: PathBuf,
    pub workspace: Option<Arc<Workspace>>,
    pub thinking: ThinkingKeys,
    pub steer: Steer,
    /// All of the log, and its branches if there are several.
    pub entries: Vec<Entry>,
    pub branches: Vec<Branch>,
}

impl Place {
    /// The entry of this number.
    pub fn entry(&self, id: u64) -> Option<&Entry> {
        let at = usize::try_from(id).ok()?.checked_sub(1)?;
        self.entries.get(at)
    }

    /// The entries from the root to the head.
    pub fn path(&self) -> Vec<&Entry> {
        path_to(&self.entries, self.entries.last().map(|last| last.id))
    }
}

/// A question with yes and no that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Whether a folder's settings count.
    Trust,
    Overwrite(Way),
    /// Whether a model is loaded, to do what was asked.
    Load,
}

pub struct App {
    name: String,
    pub theme: Theme,
    surface: Surface,
    pub started: Instant,
    pub phase: Phase,
    pub glance: Option<Glance>,
    pub place: Option<Place>,
    pub meter: Option<Meter>,
    pub usage: Option<PromptUsage>,
    pub speed: Speed,
    /// Tokens of the turn that runs, and when it began.
    pub generated: usize,
    pub turn_since: Option<Instant>,
    /// Names of the user's own commands, which are messages.
    pub(super) own: Vec<String>,
    /// Messages that are sent when the turn is over.
    pub queue: VecDeque<String>,
    pub transcript: Transcript,
    pub composer: Composer,
    pub explorer: Explorer,
    pub overlay: Option<Overlay>,
    pub focus: Pane,
    pub panes: Panes,
    pub areas: Areas,
    pub(super) asked: Option<Asked>,
    /// What is done when a model is loaded.
    pub(super) waiting: Option<Job>,
    /// The answer whose tokens are waited for, to be shown.
    pub(super) reading: Option<u64>,
    /// Answers to be compared when their tokens are here.
    pub(super) comparing: Option<(u64, u64)>,
    pub(super) armed: Option<Instant>,
    flash: Option<(String, Instant)>,
    /// Whether the terminal has the user's attention.
    pub(super) attention: Attention,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    Here,
    Elsewhere,
}

impl App {
    /// A screen while the bundle `name` is being opened. `history` is what was sent
    /// before, oldest first; `highlighter` colours code.
    pub fn new(
        (theme, surface): (Theme, Surface),
        name: &str,
        history: Vec<String>,
        highlighter: Highlighter,
        now: Instant,
    ) -> Self {
        let loading = format!("loading {name}");
        Self {
            name: name.to_owned(),
            theme,
            surface,
            started: now,
            phase: Phase::Loading(Progress::new(loading, "layers", now)),
            glance: None,
            place: None,
            meter: None,
            usage: None,
            speed: Speed::default(),
            generated: 0,
            turn_since: None,
            own: Vec::new(),
            queue: VecDeque::new(),
            transcript: Transcript::new(highlighter),
            composer: Composer::new(history),
            explorer: Explorer::new(),
            overlay: None,
            focus: Pane::Composer,
            panes: match surface {
                Surface::Alternate => Panes::default(),
                Surface::Inline => Panes::hidden(),
            },
            areas: Areas::default(),
            asked: None,
            waiting: None,
            reading: None,
            comparing: None,
            armed: None,
            flash: None,
            attention: Attention::Here,
        }
    }

    /// Shows that the bundle is being opened.
    pub(super) fn load(&mut self, now: Instant) {
        let loading = format!("loading {}", self.name);
        self.set_phase(Phase::Loading(Progress::new(loading, "layers", now)));
        self.turn_since = Some(now);
    }

    /// Says something for a moment.
    pub(super) fn say_briefly(&mut self, text: impl Into<String>, now: Instant) {
        self.flash = Some((text.into(), now + TWICE));
    }

    /// What is said for a moment, while it is.
    pub fn flash(&self, now: Instant) -> Option<&str> {
        let (text, until) = self.flash.as_ref()?;
        (now < *until).then_some(text.as_str())
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.composer.set_busy(match phase {
            Phase::Idle | Phase::Loading(_) | Phase::Looking => Busy::Idle,
            Phase::Reading(_) | Phase::Working { .. } => Busy::Working,
        });
        self.phase = phase;
    }

    /// When the screen changes by itself next, if nothing happens before.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let flash = self.flash.as_ref().map(|(_, until)| *until);
        let flash = flash.filter(|until| *until > now);
        let beat = match self.phase {
            Phase::Idle | Phase::Looking => None,
            Phase::Loading(_) | Phase::Reading(_) | Phase::Working { .. } => Some(now + BEAT),
        };
        flash.into_iter().chain(beat).min()
    }

    /// Divides the screen and lays out what changed.
    pub fn arrange(&mut self, screen: Rect, now: Instant) {
        let (composer, activity) = self.rows(screen.width, screen.height, now);
        self.areas = self.panes.divide(screen, composer, activity);
        let Areas {
            conversation,
            reasoning,
            ..
        } = self.areas;
        // Behind the reasoning it keeps its rows for when it is seen again.
        if !conversation.is_empty() {
            self.transcript
                .layout(conversation.width, conversation.height, self.theme, now);
        }
        if let Some(overlay) = &mut self.overlay {
            overlay.layout(screen);
        }
        self.explorer.layout(reasoning.width, reasoning.height);
    }

    /// Rows that the message and the activity line want.
    fn rows(&mut self, columns: u16, rows: u16, now: Instant) -> (u16, u16) {
        self.composer.set_queued(self.queue.len());
        let most = (rows / COMPOSER_SHARE).max(3);
        let composer = self.composer.height(columns, most);
        (composer, activity::height(self, now))
    }

    /// Whether the whole screen is drawn, or only what is not finished yet.
    pub fn fills_screen(&self) -> bool {
        self.surface == Surface::Alternate
            || self.overlay.is_some()
            || self.panes.reasoning == Reasoning::Full
            || self.focus != Pane::Composer
    }

    /// Lays out what is not finished yet as a block of rows; and what was finished since,
    /// to be printed before it.
    pub fn arrange_block(
        &mut self,
        columns: u16,
        rows: u16,
        now: Instant,
    ) -> (Vec<Line<'static>>, Rect) {
        let finished = self.transcript.finished_rows(columns, self.theme);
        let (composer, activity) = self.rows(columns, rows, now);
        let most = rows.saturating_sub(composer + activity + 2).min(rows / 2);
        let running = self.transcript.running_rows(columns, self.theme, now);
        let conversation = running.min(most);
        self.areas = Areas::stacked(columns, conversation, composer, activity);
        let area = Rect::new(0, 0, columns, self.areas.status.bottom());
        self.transcript
            .layout(columns, conversation, self.theme, now);
        (finished, area)
    }
}
