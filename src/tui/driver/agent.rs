//! The agent on a thread of its own: it takes one job after the other and reports what
//! happens. Loading a bundle is its first job, so the screen is there before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Incoming;
use super::inbox::Outbox;
use crate::agent::session::{Noted, Sessions};
use crate::agent::slash::{Action, Obeyed, Way};
use crate::agent::{
    Agent, Approval, Branch, Entry, Event, Exit, ForkAt, Front, Glance, Kind, Question, Steer,
    ThinkingKeys,
};
use crate::bundle::Tokenizer;
use crate::sandbox::Workspace;
use crate::undo::Force;

/// Asks the user whether a project's own settings, of which this is the text, count.
pub type Ask<'a> = dyn FnMut(String) -> bool + 'a;
/// Makes the agent that a conversation begins with; or says in one line why there is
/// none, and with which status that ends the program.
pub type Make = Box<dyn FnOnce(&mut Ask<'_>) -> Result<Agent, (Exit, String)> + Send>;
/// Opens another bundle, for the same workspace; the error is one line.
pub type Load = Box<dyn FnMut(PathBuf, &Path) -> Result<Agent, String> + Send>;

/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// What the agent is to do.
#[derive(Debug)]
pub enum Job {
    Turn(String),
    /// A slash command, with what is typed after it.
    Obey(Action, String),
    /// Undo or redo, whatever it overwrites.
    Overwrite(Way),
    /// Go back to the n-th message, counted from 1, and say this instead.
    Edit(usize, String),
    /// Open another bundle.
    Model(PathBuf),
    /// Run a command of the user's own.
    Shell(String),
    /// Go on differently from a token.
    Fork(ForkAt),
    /// The session goes on with the branch that ends with this entry.
    Keep(u64),
}

/// What the agent reports.
pub enum Report {
    /// It is ready.
    Ready(Box<Opened>),
    /// There is no agent.
    Failed(Exit, String),
    Event(Event),
    Token(Box<Noted>),
    Asks(Question),
    /// Whether a project's own settings count, of which this is the text.
    AsksForTrust(String),
    /// What a command had to say.
    Said(String),
    /// What was changed in the workspace, as a unified diff.
    Changes(String),
    /// What undo or redo would overwrite.
    Conflicts(Way, String),
    /// A job is done.
    Idle(Box<Rest>),
}

/// How things stand between two jobs.
pub struct Rest {
    pub glance: Glance,
    /// The session's, if there are several.
    pub branches: Vec<Branch>,
    /// What was said to a turn and came too late for it.
    pub unheard: Vec<String>,
}

/// A conversation as it begins, or goes on.
pub struct Opened {
    pub glance: Glance,
    pub banner: String,
    pub notices: Vec<String>,
    pub entries: Vec<Entry>,
    /// Where sessions are kept.
    pub sessions: Option<Sessions>,
    /// The folder that tools work in.
    pub workspace: Arc<Workspace>,
    /// What ends the model's thinking, or lets it go on.
    pub thinking: ThinkingKeys,
    /// Takes what is said to the turn that runs.
    pub steer: Steer,
    /// The user's own commands, with what they are for.
    pub commands: Vec<(String, String)>,
    /// A turn was cut off and is being finished.
    pub unfinished: bool,
}

/// The way to the agent's thread.
pub struct Worker {
    jobs: Sender<Job>,
    answers: Sender<Approval>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(outbox: Outbox, make: Make, load: Load) -> std::io::Result<Self> {
        let (jobs, todo) = mpsc::channel();
        let (answers, answered) = mpsc::channel();
        let thread = std::thread::Builder::new().name("cairn-agent".into());
        let wire = Wire {
            outbox,
            answers: answered,
            tokenizer: None,
            since: Instant::now(),
        };
        let thread = thread.spawn(move || work(&todo, wire, make, load))?;
        Ok(Self {
            jobs,
            answers,
            thread,
        })
    }

    /// Does this when what came before is done. A thread that is gone has reported it.
    pub fn give(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    /// Waits until the agent has closed what it has open, but not for longer than this.
    pub fn end(self, most: Duration) {
        let Self {
            jobs,
            answers,
            thread,
        } = self;
        // It ends when nobody can give it anything any more.
        drop((jobs, answers));
        let until = Instant::now() + most;
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }

    /// Answers the question that was asked.
    pub fn answer(&self, approval: Approval) {
        let _ = self.answers.send(approval);
    }
}

fn work(todo: &Receiver<Job>, mut wire: Wire, make: Make, mut load: Load) {
    let mut agent = match make(&mut |text| wire.trusts(text)) {
        Ok(agent) => agent,
        Err((exit, why)) => {
            wire.report(Report::Failed(exit, why));
            return;
        }
    };
    wire.begin(&agent);
    wire.finish_turn(&mut agent);
    while let Ok(job) = todo.recv() {
        match job {
            Job::Model(folder) => match load(folder, agent.workspace().root()) {
                Ok(other) => {
                    wire.end_commands(&agent);
                    agent = other;
                    wire.begin(&agent);
                }
                Err(why) => wire.report(Report::Said(format!("error: {why}"))),
            },
            job => wire.perform(&mut agent, job),
        }
        wire.idle(&agent);
    }
    wire.end_commands(&agent);
}

/// The agent's side of the queue.
struct Wire {
    outbox: Outbox,
    answers: Receiver<Approval>,
    tokenizer: Option<Arc<Tokenizer>>,
    /// When the answer that streams was begun.
    since: Instant,
}

impl Wire {
    fn report(&self, report: Report) {
        // Nobody listens when the program is about to end.
        let _ = self.outbox.send(Incoming::Agent(report));
    }

    /// Tells of a conversation, the first or another one.
    fn begin(&mut self, agent: &Agent) {
        self.tokenizer = Some(agent.tokenizer());
        let commands = agent.commands().iter();
        self.report(Report::Ready(Box::new(Opened {
            glance: agent.glance(),
            banner: agent.describe(),
            notices: agent.notices(),
            entries: agent.session().journal().entries().to_vec(),
            thinking: agent.thinking_keys(),
            steer: agent.steer(),
            sessions: agent.sessions().cloned(),
            workspace: agent.workspace(),
            commands: commands
                .map(|own| (own.name.clone(), own.description.clone()))
                .collect(),
            unfinished: agent.unfinished().is_some(),
        })));
    }

    /// Finishes a turn that was cut off.
    fn finish_turn(&mut self, agent: &mut Agent) {
        agent.go_on(self);
        self.idle(agent);
    }

    fn trusts(&self, text: String) -> bool {
        self.report(Report::AsksForTrust(text));
        self.answers.recv() == Ok(Approval::Yes)
    }

    fn idle(&self, agent: &Agent) {
        let forks = |entry: &Entry| matches!(entry.kind, Kind::Fork { .. });
        let branches = match agent.session().journal().entries().iter().any(forks) {
            true => agent.branches(),
            false => Vec::new(),
        };
        self.report(Report::Idle(Box::new(Rest {
            glance: agent.glance(),
            branches,
            unheard: agent.steer().take(),
        })));
    }

    fn perform(&mut self, agent: &mut Agent, job: Job) {
        match job {
            Job::Turn(text) => {
                agent.turn(&text, self);
            }
            Job::Obey(action, rest) => {
                let obeyed = agent.obey(action, &rest, self);
                self.obeyed(agent, obeyed);
            }
            Job::Overwrite(way) => {
                let obeyed = agent.take_back(way, Force::Yes, self);
                self.obeyed(agent, obeyed);
            }
            Job::Edit(message, text) => match agent.go_back(message, self) {
                Ok(()) => {
                    self.report(Report::Said(
                        "a new branch; files stay as they are (/undo takes changes back)".into(),
                    ));
                    agent.turn(&text, self);
                }
                Err(why) => self.report(Report::Said(why)),
            },
            Job::Shell(command) => {
                if let Err(why) = agent.run_shell(&command, self) {
                    self.report(Report::Said(why));
                }
            }
            Job::Fork(at) => {
                if let Err(why) = agent.fork_at(at, self) {
                    self.report(Report::Said(why));
                }
            }
            Job::Keep(entry) => {
                if let Err(why) = agent.keep_branch(entry, self) {
                    self.report(Report::Said(why));
                }
            }
            // The loop's.
            Job::Model(_) => {}
        }
    }

    fn obeyed(&mut self, agent: &mut Agent, obeyed: Obeyed) {
        match obeyed {
            Obeyed::Said(text) if text.is_empty() => {}
            Obeyed::Said(text) => self.report(Report::Said(text)),
            Obeyed::Changes(diff) => self.report(Report::Changes(diff)),
            Obeyed::Asks(way, text) => self.report(Report::Conflicts(way, text)),
            Obeyed::Begun(notices) => {
                self.begin(agent);
                for text in notices {
                    self.report(Report::Event(Event::Notice { text }));
                }
                self.finish_turn(agent);
            }
            Obeyed::Front => {}
        }
    }

    fn end_commands(&self, agent: &Agent) {
        for text in agent.end_commands() {
            self.report(Report::Event(Event::Notice { text }));
        }
    }
}

impl Front for Wire {
    fn event(&mut self, event: &Event) {
        match (event, &self.tokenizer) {
            (Event::Token(token), Some(tokenizer)) => {
                let passed = u32::try_from(self.since.elapsed().as_millis());
                let noted = Noted::of(token, passed.unwrap_or(u32::MAX), tokenizer);
                self.report(Report::Token(Box::new(noted)));
            }
            (Event::Context(_), _) => {
                self.since = Instant::now();
                self.report(Report::Event(event.clone()));
            }
            _ => self.report(Report::Event(event.clone())),
        }
    }

    fn approve(&mut self, question: &Question) -> Approval {
        // What was answered after its turn was stopped is no answer to this one.
        while self.answers.try_recv().is_ok() {}
        self.report(Report::Asks(question.clone()));
        // Without anybody to answer nothing is allowed.
        self.answers.recv().unwrap_or(Approval::Stop)
    }
}
