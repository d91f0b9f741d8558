//! The tools as the agent sees them: their specifications, what a call would
//! do, and running it. Calls come from a model, so every mistake in one becomes
//! a result that the model can read and mend.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::history::Undo;
use super::jobs::{Background, Jobs};
use super::{
    Call, Detail, Effect, Manifest, Outcome, command_output, edit_file, git, list_dir, read_file,
    run_command, search, stop_command, write_file,
};
use crate::chat::ToolSpec;
use crate::sandbox::launch::Launcher;
use crate::sandbox::text::{Bounded, Limit, bound};
use crate::sandbox::{
    Action, Decision, FileError, Mode, Network, Permission, Policy, Rule, Strength, Workspace,
    sanitize,
};

/// Files beyond this many bytes are not read, edited or written.
pub(super) const MAX_FILE_BYTES: u64 = 16 << 20;

/// What is shown of a change before it is allowed.
pub(super) const PREVIEW: Limit = Limit {
    bytes: 32 * 1024,
    lines: 400,
};

/// How much a call may take and give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub output_bytes: usize,
    pub output_lines: usize,
    pub command_seconds: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            output_bytes: 16 * 1024,
            output_lines: 400,
            command_seconds: 120,
        }
    }
}

impl Limits {
    /// Tightened for a model with so many tokens of context, so that no single
    /// result fills it: in the worst case a byte is a token, in text about three.
    #[must_use]
    pub fn for_context(self, tokens: usize) -> Limits {
        Limits {
            output_bytes: self.output_bytes.min((tokens / 2).max(512)),
            output_lines: self.output_lines.min((tokens / 64).max(16)),
            ..self
        }
    }

    pub(super) fn output(&self) -> Limit {
        Limit {
            bytes: self.output_bytes,
            lines: self.output_lines,
        }
    }
}

/// What a tool's code works with.
pub(super) struct Context<'a> {
    pub workspace: &'a Arc<Workspace>,
    pub launcher: &'a Launcher,
    pub policy: &'a Policy,
    pub limits: Limits,
    pub jobs: &'a Jobs,
    pub arguments: &'a Map<String, Value>,
    pub cancelled: &'a dyn Fn() -> bool,
    /// Gets what a command prints, as it does.
    pub printed: &'a dyn Fn(&[u8]),
}

impl<'a> Context<'a> {
    /// A string argument; the manifest's check has been made.
    pub fn text(&self, name: &str) -> &'a str {
        self.arguments
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether a boolean argument is given and true.
    pub fn switch(&self, name: &str) -> bool {
        self.arguments.get(name).and_then(Value::as_bool) == Some(true)
    }

    /// The strings of an array argument.
    pub fn texts(&self, name: &str) -> Vec<&'a str> {
        let items = self.arguments.get(name).and_then(Value::as_array);
        let items = items.into_iter().flatten();
        items.filter_map(Value::as_str).collect()
    }

    /// An integer argument, if it was given; a negative one is 0.
    pub fn number(&self, name: &str) -> Option<usize> {
        let value = self.arguments.get(name)?;
        let number = value.as_u64().unwrap_or(0);
        Some(usize::try_from(number).unwrap_or(usize::MAX))
    }
}

/// What a tool's code gives: text, or why not.
pub(super) type Answer = Result<Outcome, Failure>;

/// Why a call did nothing: a reason without `error: `.
#[derive(Debug)]
pub(super) struct Failure {
    pub reason: String,
    /// By the workspace or the sandbox.
    pub refused: bool,
}

impl Failure {
    pub fn refused(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            refused: true,
        }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self {
            reason,
            refused: false,
        }
    }
}

pub(super) fn success(output: impl Into<String>) -> Answer {
    Ok(Outcome {
        ok: true,
        output: output.into(),
        ..Outcome::default()
    })
}

/// A file was changed, as a diff says.
pub(super) fn changed(output: impl Into<String>, change: String) -> Answer {
    Ok(Outcome {
        change,
        ..success(output)?
    })
}

pub(super) fn bounded(text: Bounded) -> Answer {
    Ok(Outcome {
        truncated: text.truncated,
        ..success(text.text)?
    })
}

/// A file error in the words that models know.
pub(super) fn file_error(path: &str, error: &FileError) -> Failure {
    match error {
        FileError::NotFound | FileError::NotDirectory => format!("no such file: {path}").into(),
        other => path_error(path, other),
    }
}

/// A file error as it is.
pub(super) fn path_error(path: &str, error: &FileError) -> Failure {
    Failure {
        reason: format!("{path}: {error}"),
        refused: matches!(error, FileError::Outside | FileError::Forbidden(_)),
    }
}

type Run = fn(&Context<'_>) -> Answer;
type Preview = fn(&Context<'_>) -> Result<String, Failure>;

struct Tool {
    manifest: Manifest,
    run: Run,
    /// What to show of a call that asks. Reads show their arguments.
    preview: Option<Preview>,
    /// What one call does, where it is not always what the manifest says at most.
    effect: Option<fn(&Context<'_>) -> Effect>,
    /// What is run, as one line, if something is.
    command: fn(&Context<'_>) -> String,
}

impl Tool {
    fn effect(&self, context: &Context<'_>) -> Effect {
        match self.effect {
            Some(effect) => effect(context),
            None => self.manifest.effect(),
        }
    }
}

/// The tools in the order in which every model is told of them.
static TOOLS: LazyLock<[Tool; 9]> = LazyLock::new(|| {
    let tool = |text, run: Run, preview: Option<Preview>| Tool {
        manifest: Manifest::parse(text).expect("a test parses every embedded manifest"),
        run,
        preview,
        effect: None,
        command: |context| context.text("command").to_owned(),
    };
    [
        tool(
            include_str!("../../tools/list_dir.toml"),
            list_dir::run,
            None,
        ),
        tool(
            include_str!("../../tools/read_file.toml"),
            read_file::run,
            None,
        ),
        tool(include_str!("../../tools/search.toml"), search::run, None),
        tool(
            include_str!("../../tools/run_command.toml"),
            run_command::run,
            Some(run_command::preview),
        ),
        tool(
            include_str!("../../tools/write_file.toml"),
            write_file::run,
            Some(write_file::preview),
        ),
        tool(
            include_str!("../../tools/edit_file.toml"),
            edit_file::run,
            Some(edit_file::preview),
        ),
        Tool {
            effect: Some(git::effect),
            command: git::command_line,
            ..tool(
                include_str!("../../tools/git.toml"),
                git::run,
                Some(git::preview),
            )
        },
        tool(
            include_str!("../../tools/command_output.toml"),
            command_output::run,
            None,
        ),
        tool(
            include_str!("../../tools/stop_command.toml"),
            stop_command::run,
            None,
        ),
    ]
});

fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.manifest.name == name)
}

/// The built-in tools at work in one workspace.
#[derive(Debug)]
pub struct Toolbox {
    workspace: Arc<Workspace>,
    policy: Policy,
    launcher: Launcher,
    limits: Limits,
    pub(super) jobs: Jobs,
    pub(super) undo: Undo,
}

impl Toolbox {
    pub fn new(
        workspace: Workspace,
        policy: Policy,
        launcher: Launcher,
        limits: Limits,
    ) -> Toolbox {
        Toolbox {
            workspace: Arc::new(workspace),
            policy,
            launcher,
            limits,
            jobs: Jobs::default(),
            undo: Undo::None,
        }
    }

    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    pub fn shared_workspace(&self) -> Arc<Workspace> {
        Arc::clone(&self.workspace)
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes up what the user allowed for always.
    pub fn allow(&mut self, rule: Rule) {
        self.policy.allow(rule);
    }

    pub fn set_permission(&mut self, permission: Permission) {
        self.policy.set_permission(permission);
    }

    /// In a few words, how far tools and commands reach.
    pub fn confinement(&self) -> String {
        let mode = self.policy.mode();
        if mode == Mode::Danger {
            return "no sandbox (danger)".into();
        }
        let strength = match self.policy.strength() {
            Strength::Full => "",
            Strength::Degraded => ", DEGRADED (no namespaces)",
        };
        let network = match self.policy.network() {
            Network::Off => String::new(),
            Network::Loopback => ", own loopback".into(),
            hosts => format!(", network {hosts}"),
        };
        format!("sandbox {mode}{strength}{network}")
    }

    /// What a model is told, in the standard order.
    pub fn specs(&self, detail: Detail) -> Vec<ToolSpec> {
        let manifests = TOOLS.iter().map(|tool| &tool.manifest);
        manifests.map(|manifest| manifest.spec(detail)).collect()
    }

    /// Every tool by its name, with what its calls may do at most.
    pub fn effects(&self) -> impl Iterator<Item = (String, Effect)> {
        let manifests = TOOLS.iter().map(|tool| &tool.manifest);
        manifests.map(|manifest| (manifest.name.clone(), manifest.effect()))
    }

    /// What this call does, which may be less than its tool does at most. A call that
    /// can't run does nothing.
    pub fn effect(&self, call: &Call) -> Effect {
        match self.prepare(call, &|| false) {
            Ok((tool, context)) => tool.effect(&context),
            Err(_) => Effect::Read,
        }
    }

    /// What the policy says about a call. A call that cannot run (no such tool,
    /// bad arguments, a path outside) is let through to its error: there is
    /// nothing to ask about, and the model should read what is wrong.
    pub fn decide(&self, call: &Call) -> Decision {
        let decided = self.judge(call, |action| match self.policy.forbids(action) {
            // The workspace refuses it, and says why.
            Some(_) => Decision::Allow,
            None => self.policy.decide(action),
        });
        decided.unwrap_or(Decision::Allow)
    }

    /// Why a call is denied, if it is: one line.
    pub fn denial(&self, call: &Call) -> Option<String> {
        self.judge(call, |action| self.policy.denial(action))?
    }

    /// Rules by which the policy would allow this call, the narrowest first.
    pub fn always(&self, call: &Call) -> Vec<Rule> {
        let rules = self.judge(call, |action| match action {
            Action::Run(command) => {
                let rules = [Rule::exactly(command), Rule::beginning_of(command)];
                rules.into_iter().flatten().collect()
            }
            Action::Write(path) => Rule::for_path("write", path).into_iter().collect(),
            Action::Read(path) => Rule::for_path("read", path).into_iter().collect(),
        });
        rules.unwrap_or_default()
    }

    /// What is said of what a call would do, if it can be run at all. A file
    /// counts where it is, whatever links lead there.
    fn judge<T>(&self, call: &Call, say: impl FnOnce(Action<'_>) -> T) -> Option<T> {
        let (tool, context) = self.prepare(call, &|| false).ok()?;
        match tool.effect(&context) {
            Effect::Run => {
                let command = (tool.command)(&context);
                Some(say(Action::Run(&command)))
            }
            Effect::Write => {
                let path = self.workspace.written(context.text("path")).ok()?;
                Some(say(Action::Write(&path)))
            }
            Effect::Read => {
                let path = self.workspace.relative(context.text("path")).ok()?;
                Some(say(Action::Read(&path)))
            }
        }
    }

    /// What the user is asked to allow: the exact command, or the path and a
    /// unified diff, and what of it undo will not cover. Safe for a terminal. For a
    /// call that cannot run it is the error that it would give.
    pub fn preview(&self, call: &Call) -> String {
        let text = self.prepare(call, &|| false).and_then(|(tool, context)| {
            let shown = match tool.preview {
                Some(preview) => preview(&context)?,
                None => plain(call),
            };
            let uncovered = self.uncovered(tool.effect(&context), &context);
            Ok([vec![shown], uncovered].concat().join("\n"))
        });
        match text {
            Ok(text) => {
                let mut shown = sanitize::for_terminal(&text).into_owned();
                for note in self.notes(call) {
                    shown.push_str(&format!("\n({note})"));
                }
                shown
            }
            Err(Failure { reason, .. }) => {
                let error = bound(&format!("error: {reason}"), PREVIEW).text;
                sanitize::for_terminal(&error).into_owned()
            }
        }
    }

    /// What can't be seen of a call by looking at it. Safe for a terminal.
    fn notes(&self, call: &Call) -> Vec<String> {
        let named = call.arguments.get("path").and_then(Value::as_str);
        let note = self.judge(call, |action| match action {
            Action::Run(command) => sanitize::look_alikes(command)
                .map(|letters| format!("not plain letters: {letters}")),
            Action::Write(real) => {
                let named = self.workspace.relative(named?).ok()?;
                let real = real.to_string_lossy();
                (named.to_string_lossy() != real)
                    .then(|| format!("it leads to {}", sanitize::for_line(&real)))
            }
            Action::Read(_) => None,
        });
        note.flatten().into_iter().collect()
    }

    /// Runs a call to its end; `cancelled` is asked every few milliseconds.
    pub fn run(&self, call: &Call, cancelled: &dyn Fn() -> bool) -> Outcome {
        self.run_as(None, call, cancelled, &|_| {})
    }

    /// The same with a name for what the call changes, by which it can be taken back
    /// apart from the rest of its turn; `printed` gets what a command prints, as it does.
    pub fn run_as(
        &self,
        name: Option<u64>,
        call: &Call,
        cancelled: &dyn Fn() -> bool,
        printed: &dyn Fn(&[u8]),
    ) -> Outcome {
        let answer = self.prepare(call, cancelled).and_then(|(tool, context)| {
            let context = Context { printed, ..context };
            // Here, and nowhere else, a call begins.
            self.keep_for(name, tool.effect(&context), &context)?;
            let answer = (tool.run)(&context);
            // While something runs in the background, a look would end its part of the turn.
            if !self.jobs.any_runs() {
                self.note_changes();
            }
            answer
        });
        answer.unwrap_or_else(|Failure { reason, refused }| {
            let error = bound(&format!("error: {reason}"), self.limits.output());
            Outcome {
                ok: false,
                output: error.text,
                truncated: error.truncated,
                refused,
                change: String::new(),
            }
        })
    }

    /// The commands in the background, those that ended lately among them.
    pub fn background(&self) -> Vec<Background> {
        self.jobs.list()
    }

    /// Those that have ended since this was last asked, and that no call told of.
    pub fn ended(&self) -> Vec<Background> {
        self.jobs.ended()
    }

    /// Ends a background command; false if there is none of this number that runs.
    pub fn end(&self, id: u64) -> bool {
        self.jobs.end(id)
    }

    /// Ends them all; returns those that ran.
    pub fn end_all(&self) -> Vec<Background> {
        self.jobs.end_all()
    }

    fn prepare<'a>(
        &'a self,
        call: &'a Call,
        cancelled: &'a dyn Fn() -> bool,
    ) -> Result<(&'static Tool, Context<'a>), Failure> {
        let tool = find(&call.name).ok_or_else(|| {
            let known: Vec<&str> = TOOLS.iter().map(|t| t.manifest.name.as_str()).collect();
            format!(
                "unknown tool {}; available: {}",
                call.name,
                known.join(", ")
            )
        })?;
        tool.manifest.check(&call.arguments)?;
        let context = Context {
            workspace: &self.workspace,
            launcher: &self.launcher,
            policy: &self.policy,
            limits: self.limits,
            jobs: &self.jobs,
            arguments: &call.arguments,
            cancelled,
            printed: &|_| {},
        };
        Ok((tool, context))
    }
}

fn plain(call: &Call) -> String {
    let values: Vec<&str> = call.arguments.values().filter_map(Value::as_str).collect();
    bound(&format!("{} {}", call.name, values.join(" ")), PREVIEW).text
}

#[cfg(test)]
#[path = "toolbox_tests.rs"]
mod tests;
