//! `git`: seven sub-commands, given their arguments as they are, without a shell. What
//! only reads runs where nothing can be written, so it needs no question; what adds,
//! commits or restores may write the repository, but for what makes git run something.

mod arguments;
mod neutral;

use std::time::Duration;

use super::Effect;
use super::command::{self, MAX_PRINTED_BYTES};
use super::toolbox::{Answer, Context, Failure, PREVIEW, path_error};
use crate::sandbox::launch::{self, CommandLimits, End, Finished, Job, Launcher};
use crate::sandbox::text::{Limit, bound};
use crate::sandbox::{FileError, Forbidden, Mode, Network, Policy, Repository, Rules};
use arguments::{Arguments, Sub};
use neutral::{Configuration, Required};

/// What `git config` may print; a repository with more is not one.
const MAX_CONFIG_BYTES: u64 = 4 << 20;
/// Lines of what a change would do, in a question.
const EFFECT_LINES: usize = 40;

/// How the files are that follow.
const STATES: &[&str] = &[
    "status",
    "--short",
    "--ignore-submodules=dirty",
    "--untracked-files=all",
    "--",
];

/// Prints the configuration and no warnings, which could stand in the middle of it.
const LIST: &str = "exec 2>/dev/null \"$0\" config --list -z --show-scope";

/// What a call does, by its sub-command. One that can't run is let through to its
/// error: there is nothing to ask about.
pub(super) fn effect(context: &Context<'_>) -> Effect {
    let words = context.texts("args");
    let changes = |arguments: Arguments<'_>| match arguments.sub.reads() {
        true => Ok(Effect::Read),
        false => {
            Git::for_change(context, words[0])?;
            Ok(Effect::Run)
        }
    };
    let effect: Result<Effect, Failure> = checked(context, &words).and_then(changes);
    effect.unwrap_or(Effect::Read)
}

pub(super) fn run(context: &Context<'_>) -> Answer {
    let words = context.texts("args");
    let arguments = checked(context, &words)?;
    let finished = match arguments.sub.reads() {
        true => Git::find(context)?.read(&arguments)?,
        false => Git::for_change(context, words[0])?.write(&arguments)?,
    };
    command::outcome(finished)
}

/// The exact call, and what it would change, as git tells it.
pub(super) fn preview(context: &Context<'_>) -> Result<String, Failure> {
    let words = context.texts("args");
    let arguments = checked(context, &words)?;
    let mut lines = vec![line(&words)];
    if arguments.sub == Sub::Restore && arguments.touches_files() {
        lines.push("(files get other contents)".into());
    }
    if effect(context) != Effect::Read {
        lines.push("(undo does not cover what git keeps in .git)".into());
    }
    let tells: Option<Vec<&str>> = match arguments.sub {
        // Not a trial run: that wants to write, too.
        Sub::Add => Some([STATES, &arguments.places].concat()),
        Sub::Commit if arguments.has('a', "all") => Some(vec!["diff", "--stat", "HEAD"]),
        Sub::Commit => Some(vec!["diff", "--stat", "--cached"]),
        _ => None,
    };
    // Without it the question still says what is asked.
    if let Some(tells) = tells
        && let Ok(git) = Git::find(context)
        && let Ok(Finished { output, end, .. }) = git.tell(&tells)
        && end == End::Exit(0)
    {
        lines.push(output.text);
    }
    Ok(bound(lines.join("\n").trim_end(), PREVIEW).text)
}

/// What is asked about, on one line.
pub(super) fn command_line(context: &Context<'_>) -> String {
    line(&context.texts("args"))
}

/// The call as it would be typed: every argument can be told from the next.
fn line(words: &[&str]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,^~".contains(c);
    let quoted = words
        .iter()
        .map(|word| match word.chars().all(plain) && !word.is_empty() {
            true => (*word).to_owned(),
            false => format!("'{}'", word.replace('\'', "'\\''")),
        });
    let words: Vec<String> = quoted.collect();
    format!("git {}", words.join(" "))
}

/// The arguments, if none leads out of the workspace: git would compare any two files
/// that it is given.
fn checked<'a>(context: &Context<'_>, words: &'a [&'a str]) -> Result<Arguments<'a>, Failure> {
    if words.iter().any(|word| word.contains('\0')) {
        return Err("git needs args (without NUL bytes)".to_owned().into());
    }
    let arguments = arguments::read(words)?;
    for place in &arguments.places {
        if let Err(error @ FileError::Outside) = context.workspace.relative(place) {
            return Err(path_error(place, &error));
        }
    }
    Ok(arguments)
}

/// Where the workspace's repository is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A folder in the workspace.
    Own,
    /// Elsewhere: a file says where.
    Elsewhere,
    /// A link, which may lead anywhere.
    Link,
    /// Around the workspace, if there is one.
    Around,
}

/// The program, at work in a workspace.
struct Git<'a> {
    context: &'a Context<'a>,
    program: String,
    place: Place,
}

impl<'a> Git<'a> {
    fn find(context: &'a Context<'a>) -> Result<Self, Failure> {
        let program = launch::program("git", context.workspace)
            .ok_or_else(|| "git is not installed".to_owned())?;
        let place = match context.workspace.kind(".git") {
            Ok(kind) if kind.is_dir() => Place::Own,
            Ok(kind) if kind.is_symlink() => Place::Link,
            Ok(_) => Place::Elsewhere,
            Err(FileError::NotFound) => Place::Around,
            Err(error) => return Err(path_error(".git", &error)),
        };
        if place == Place::Link {
            let why = ".git is a symbolic link; git is not run here";
            return Err(Failure::refused(why));
        }
        Ok(Self {
            context,
            program,
            place,
        })
    }

    /// What changes a repository works on the workspace's own.
    fn for_change(context: &'a Context<'a>, name: &str) -> Result<Self, Failure> {
        if context.policy.mode() == Mode::ReadOnly {
            return Err(Failure::refused(format!(
                "git {name}: {}",
                Forbidden::ReadOnly
            )));
        }
        let git = Self::find(context)?;
        match git.place {
            Place::Own => Ok(git),
            Place::Elsewhere => Err(Failure::refused(format!(
                "git {name} is not supported here: .git says that the repository lies elsewhere \
                 (a worktree or a submodule), outside the workspace"
            ))),
            Place::Around | Place::Link => Err(Failure::refused(format!(
                "git {name} is not supported here: there is no .git in the workspace, \
                 and a repository around it can only be read"
            ))),
        }
    }

    fn read(&self, arguments: &Arguments<'_>) -> Result<Finished, Failure> {
        let (name, more): (&str, &[&str]) = match arguments.sub {
            Sub::Status => ("status", &["--ignore-submodules=dirty"]),
            Sub::Diff => (
                "diff",
                &[
                    "--no-ext-diff",
                    "--no-textconv",
                    "--ignore-submodules=dirty",
                ],
            ),
            Sub::Log => ("log", &["--no-ext-diff", "--no-textconv"]),
            _ => ("show", &["--no-ext-diff", "--no-textconv"]),
        };
        let configuration = self.configuration()?;
        if !configuration.has_repository() {
            // Without one, `git diff` compares any two files.
            return Err(format!("git {name}: this is not a git repository").into());
        }
        let settings = configuration.without_filters(Required::Never)?;
        let argv = [&[name], more, arguments.rest].concat();
        self.launch(
            &argv,
            &settings,
            Kind::Reading,
            self.context.limits.output(),
        )
    }

    /// What git says about a change that is asked about.
    fn tell(&self, argv: &[&str]) -> Result<Finished, Failure> {
        let settings = self.configuration()?.without_filters(Required::Never)?;
        let lines = Limit {
            lines: EFFECT_LINES,
            ..PREVIEW
        };
        self.launch(argv, &settings, Kind::Reading, lines)
    }

    fn write(&self, arguments: &Arguments<'_>) -> Result<Finished, Failure> {
        let configuration = self.configuration()?;
        let mut settings = configuration.without_filters(Required::AsSet)?;
        let name = match arguments.sub {
            Sub::Add => "add",
            Sub::Restore => "restore",
            _ => "commit",
        };
        if arguments.sub == Sub::Commit {
            for key in ["user.name", "user.email"] {
                if configuration.value(key).is_none()
                    && let Some(value) = self.of_user(key)
                {
                    settings.push((key.to_owned(), value));
                }
            }
        }
        let argv = [&[name], arguments.rest].concat();
        let (workspace, output) = (self.context.workspace, self.context.limits.output());
        let locked = workspace.is_index_locked();
        let finished = self.launch(&argv, &settings, Kind::Writing, output)?;
        if !locked && !matches!(finished.end, End::Exit(_)) {
            // It was killed. Where it can't be removed, the next git says so.
            let _ = workspace.unlock_index();
        }
        Ok(finished)
    }

    fn configuration(&self) -> Result<Configuration, Failure> {
        let mut printed = Vec::new();
        let argv = ["/bin/sh", "-c", LIST, &self.program].map(str::to_owned);
        let nothing = Limit { bytes: 0, lines: 0 };
        let limits = self.limits(nothing, MAX_CONFIG_BYTES);
        let environment = self.environment(&[], Kind::Reading);
        let policy = self.policy(Kind::Reading);
        let job = Job {
            environment: &environment,
            ..Job::new(
                self.context.launcher,
                &policy,
                self.context.workspace,
                &argv,
            )
        };
        let mut take = |bytes: &[u8]| printed.extend_from_slice(bytes);
        let finished = command::launch(job, &limits, self.context.cancelled, &mut take)?;
        match finished.end {
            End::Exit(0) => Ok(Configuration::parse(&printed)?),
            End::Exit(_) => Err("git: the repository's configuration can't be read"
                .to_owned()
                .into()),
            end => Err(format!("git: reading the repository's configuration: {end}").into()),
        }
    }

    /// A setting of the user's own file, which a confined command may not see. It is
    /// read outside: no file of the workspace has a say in it.
    fn of_user(&self, key: &str) -> Option<String> {
        let argv = ["config", "--global", "--includes", "--get", key];
        let argv: Vec<String> = std::iter::once(self.program.as_str())
            .chain(argv)
            .map(str::to_owned)
            .collect();
        let policy = Policy::new(Rules {
            mode: Mode::Danger,
            ..Rules::default()
        });
        let mut environment = neutral::variables(&[]);
        environment.push(("GIT_DIR".into(), "/dev/null".into()));
        let job = Job {
            environment: &environment,
            ..Job::new(
                &Launcher::Unconfined,
                &policy,
                self.context.workspace,
                &argv,
            )
        };
        let limit = Limit {
            bytes: 1024,
            lines: 1,
        };
        let limits = self.limits(limit, MAX_CONFIG_BYTES);
        let finished = command::launch(job, &limits, self.context.cancelled, &mut |_| {}).ok()?;
        let value = finished.output.text;
        (finished.end == End::Exit(0) && !value.is_empty()).then_some(value)
    }

    fn launch(
        &self,
        argv: &[&str],
        settings: &[(String, String)],
        kind: Kind,
        output: Limit,
    ) -> Result<Finished, Failure> {
        let argv: Vec<String> = std::iter::once(self.program.as_str())
            .chain(argv.iter().copied())
            .map(str::to_owned)
            .collect();
        let environment = self.environment(settings, kind);
        let policy = self.policy(kind);
        let job = Job {
            environment: &environment,
            repository: match kind {
                Kind::Reading => Repository::Protected,
                Kind::Writing => Repository::Open,
            },
            ..Job::new(
                self.context.launcher,
                &policy,
                self.context.workspace,
                &argv,
            )
        };
        let limits = self.limits(output, MAX_PRINTED_BYTES);
        command::launch(job, &limits, self.context.cancelled, &mut |_| {})
    }

    fn environment(&self, settings: &[(String, String)], kind: Kind) -> Vec<(String, String)> {
        let mut variables = neutral::variables(settings);
        let mut set = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
        if self.place == Place::Own {
            // This one, with its files here, whatever it says itself.
            set("GIT_DIR", ".git");
            set("GIT_WORK_TREE", ".");
        }
        if kind == Kind::Reading {
            set("GIT_OPTIONAL_LOCKS", "0");
        }
        variables
    }

    /// No network in any case; and nothing to write to, for what only reads.
    fn policy(&self, kind: Kind) -> Policy {
        let mode = match (self.context.policy.mode(), kind) {
            (Mode::Danger, _) => Mode::Danger,
            (_, Kind::Reading) => Mode::ReadOnly,
            (mode, Kind::Writing) => mode,
        };
        self.context.policy.tighten(&Rules {
            mode,
            network: Network::Off,
            ..Rules::default()
        })
    }

    fn limits(&self, output: Limit, flood: u64) -> CommandLimits {
        CommandLimits {
            time: Duration::from_secs(self.context.limits.command_seconds),
            output,
            flood,
            memory: None,
        }
    }
}

/// What a run of git is to be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reading,
    Writing,
}
