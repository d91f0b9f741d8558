//! Commands that run in the background: each on a thread of its own, in the sandbox
//! that any command gets, with bounded output, a longest life, and an end no later
//! than that of the tools. The model starts, reads and stops them; the user sees them
//! and can end them, too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::command;
use super::toolbox::{Answer, Context, Failure};
use super::{Outcome, toolbox::success};
use crate::sandbox::launch::{self, CommandLimits, End, Job};
use crate::sandbox::sanitize;
use crate::sandbox::text::{Clip, Limit};

/// At one time.
const MOST_RUNNING: usize = 4;
/// Those that have ended are remembered until there are so many.
const MOST_KNOWN: usize = 16;
const LONGEST: Duration = Duration::from_secs(3600);
/// A command that prints more is stopped.
const MAX_PRINTED_BYTES: u64 = 1 << 30;
/// How long a start waits for what fails at once.
const SETTLED: Duration = Duration::from_millis(300);
/// How often a wait looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);
/// Characters of a command in a line about it.
const SHOWN: usize = 60;

/// A background command as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Background {
    pub id: u64,
    /// Its beginning, safe for a terminal, on one line.
    pub command: String,
    /// How it ended, if it has.
    pub end: Option<String>,
    /// Since its start.
    pub age: Duration,
}

/// All of a toolbox.
#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    all: Vec<Entry>,
    started: u64,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    command: String,
    since: Instant,
    shared: Arc<Shared>,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<()>>,
    /// The user knows that it has ended.
    told: bool,
}

/// Between a command's thread and all others.
#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug)]
struct State {
    /// What was printed since somebody read it.
    fresh: Clip,
    end: Option<Ended>,
}

/// How a command ended: lines for the model.
#[derive(Clone, Debug)]
struct Ended {
    text: String,
    ok: bool,
    refused: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves nothing half done in here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Jobs {
    /// Starts a script; waits for a moment, so that what fails at once is told at once.
    pub fn start(&self, context: &Context<'_>, script: &str) -> Answer {
        let mut list = lock(&self.0);
        let running = list.all.iter().filter(|entry| entry.shared.runs()).count();
        if running >= MOST_RUNNING {
            return Err(format!(
                "{MOST_RUNNING} commands run in the background, and no more can; stop one with stop_command"
            )
            .into());
        }
        list.started += 1;
        let id = list.started;
        let limit = context.limits.output();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            state: Mutex::new(State {
                fresh: Clip::new(limit),
                end: None,
            }),
            ended: Condvar::new(),
        });
        let thread = spawn(context, script, Arc::clone(&shared))
            .map_err(|error| format!("the command could not be started: {error}"))?;
        list.all.push(Entry {
            id,
            command: beginning(script),
            since: Instant::now(),
            shared: Arc::clone(&shared),
            thread: Some(thread),
            told: false,
        });
        list.forget();
        drop(list);
        shared.wait(SETTLED, context.cancelled);
        if shared.runs() {
            return success(format!(
                "command {id} runs in the background; command_output reads what it prints, stop_command ends it"
            ));
        }
        // Too short to be one: its result is this call's.
        let mut list = lock(&self.0);
        list.all.retain(|entry| entry.id != id);
        shared.read(limit)
    }

    /// What a command has printed since this was last asked, and whether it runs; waits
    /// for its end, but no longer than so.
    pub fn output(&self, context: &Context<'_>, id: u64, patience: Duration) -> Answer {
        let shared = self.find(id)?;
        shared.wait(patience, context.cancelled);
        self.tell(id, &shared);
        shared.read(context.limits.output())
    }

    /// Ends a command; what it printed last is the answer.
    pub fn stop(&self, context: &Context<'_>, id: u64) -> Answer {
        let shared = self.find(id)?;
        self.end(id);
        self.tell(id, &shared);
        shared.read(context.limits.output())
    }

    /// Ends a command and waits until it has; false if there is none that runs.
    pub fn end(&self, id: u64) -> bool {
        let (thread, ran) = {
            let mut list = lock(&self.0);
            let Some(entry) = list.all.iter_mut().find(|entry| entry.id == id) else {
                return false;
            };
            entry.shared.stop.store(true, Ordering::Relaxed);
            (entry.thread.take(), entry.shared.runs())
        };
        join(thread);
        ran
    }

    /// Ends all; those that ran, by what they were.
    pub fn end_all(&self) -> Vec<Background> {
        let entries = std::mem::take(&mut lock(&self.0).all);
        let running: Vec<Background> = entries
            .iter()
            .filter(|entry| entry.shared.runs())
            .map(Entry::seen)
            .collect();
        // All are told before one is waited for.
        for entry in &entries {
            entry.shared.stop.store(true, Ordering::Relaxed);
        }
        entries.into_iter().for_each(|entry| join(entry.thread));
        running
    }

    /// Whether a command is under way.
    pub fn any_runs(&self) -> bool {
        lock(&self.0).all.iter().any(|entry| entry.shared.runs())
    }

    pub fn list(&self) -> Vec<Background> {
        lock(&self.0).all.iter().map(Entry::seen).collect()
    }

    /// Those that have ended since this was last asked.
    pub fn ended(&self) -> Vec<Background> {
        let mut list = lock(&self.0);
        let ended = list
            .all
            .iter_mut()
            .filter(|entry| !entry.told && !entry.shared.runs());
        ended
            .map(|entry| {
                entry.told = true;
                entry.seen()
            })
            .collect()
    }

    fn find(&self, id: u64) -> Result<Arc<Shared>, Failure> {
        let list = lock(&self.0);
        let found = list.all.iter().find(|entry| entry.id == id);
        found.map(|entry| Arc::clone(&entry.shared)).ok_or_else(|| {
            let known: Vec<String> = list.all.iter().map(|entry| entry.id.to_string()).collect();
            match known.is_empty() {
                true => format!("there is no command {id} in the background, nor any other"),
                false => format!(
                    "there is no command {id} in the background; there are {}",
                    known.join(", ")
                ),
            }
            .into()
        })
    }

    /// What the model was told of, the user sees in the same answer.
    fn tell(&self, id: u64, shared: &Shared) {
        if !shared.runs() {
            let mut list = lock(&self.0);
            let mut all = list.all.iter_mut();
            if let Some(entry) = all.find(|entry| entry.id == id) {
                entry.told = true;
            }
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.end_all();
    }
}

impl List {
    /// Lets go of those that ended first, if there are too many.
    fn forget(&mut self) {
        while self.all.len() > MOST_KNOWN
            && let Some(at) = self.all.iter().position(|entry| !entry.shared.runs())
        {
            join(self.all.remove(at).thread);
        }
    }
}

impl Entry {
    fn seen(&self) -> Background {
        let end = lock(&self.shared.state).end.clone();
        Background {
            id: self.id,
            command: self.command.clone(),
            end: end.map(|end| sanitize::for_line(end.text.trim_end()).into_owned()),
            age: self.since.elapsed(),
        }
    }
}

impl Shared {
    fn runs(&self) -> bool {
        lock(&self.state).end.is_none()
    }

    /// Until it has ended, or for so long, or until it is given up.
    fn wait(&self, most: Duration, cancelled: &dyn Fn() -> bool) {
        let until = Instant::now() + most;
        let mut state = lock(&self.state);
        while state.end.is_none() && !cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let woken = self.ended.wait_timeout(state, left.min(TICK));
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn read(&self, limit: Limit) -> Answer {
        let mut state = lock(&self.state);
        let printed = std::mem::replace(&mut state.fresh, Clip::new(limit)).finish();
        let end = state.end.clone().unwrap_or(Ended {
            text: "[running]".into(),
            ok: true,
            refused: false,
        });
        let mut output = printed.text;
        if !output.is_empty() {
            output.push('\n');
        }
        output.push_str(&end.text);
        Ok(Outcome {
            ok: end.ok,
            output,
            truncated: printed.truncated,
            refused: end.refused,
            change: String::new(),
        })
    }
}

fn spawn(
    context: &Context<'_>,
    script: &str,
    shared: Arc<Shared>,
) -> std::io::Result<JoinHandle<()>> {
    let (launcher, policy) = (context.launcher.clone(), context.policy.clone());
    let workspace = Arc::clone(context.workspace);
    let argv = ["sh", "-c", script].map(str::to_owned);
    let limits = CommandLimits {
        time: LONGEST,
        output: Limit { bytes: 0, lines: 0 },
        flood: MAX_PRINTED_BYTES,
        memory: None,
    };
    let thread = std::thread::Builder::new().name("cairn-background".into());
    thread.spawn(move || {
        let job = Job::new(&launcher, &policy, &workspace, &argv);
        let stopped = || shared.stop.load(Ordering::Relaxed);
        let mut keep = |bytes: &[u8]| lock(&shared.state).fresh.push(bytes);
        let end = match launch::run(job, &limits, &stopped, &mut keep) {
            Ok(finished) => Ended {
                ok: finished.end == End::Exit(0) || finished.end == End::Cancelled,
                refused: !finished.quarantined.is_empty(),
                text: command::ending(&finished).replace("[interrupted]", "[stopped]"),
            },
            Err(error) => {
                let Failure { reason, refused } = command::failure(&error);
                Ended {
                    text: format!("error: {reason}"),
                    ok: false,
                    refused,
                }
            }
        };
        lock(&shared.state).end = Some(end);
        shared.ended.notify_all();
    })
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // Its panic was reported where it happened.
        let _ = thread.join();
    }
}

fn beginning(script: &str) -> String {
    let mut short: String = script.chars().take(SHOWN).collect();
    if short.len() < script.len() {
        short.push('…');
    }
    sanitize::for_line(&short).into_owned()
}
