//! The tools as the agent sees them: their specifications, what a call would
//! do, and running it. Calls come from a model, so every mistake in one becomes
//! a result that the model can read and mend.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::history::Undo;
use super::{
    Call, Effect, Manifest, Outcome, edit_file, list_dir, read_file, run_command, search,
    write_file,
};
use crate::chat::ToolSpec;
use crate::sandbox::launch::Launcher;
use crate::sandbox::text::{Bounded, Limit, bound};
use crate::sandbox::{Action, Decision, FileError, Mode, Network, Policy, Workspace, sanitize};

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
    pub workspace: &'a Workspace,
    pub launcher: &'a Launcher,
    pub policy: &'a Policy,
    pub limits: Limits,
    pub arguments: &'a Map<String, Value>,
    pub cancelled: &'a dyn Fn() -> bool,
}

impl<'a> Context<'a> {
    /// A string argument; the manifest's check has been made.
    pub fn text(&self, name: &str) -> &'a str {
        self.arguments
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// What a tool's code gives: text, or why not.
pub(super) type Answer = Result<Outcome, Failure>;

/// Why a call did nothing: a reason without `error: `.
#[derive(Debug)]
pub(super) struct Failure {
    reason: String,
    /// By the workspace or the sandbox.
    refused: bool,
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
        truncated: false,
        refused: false,
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
}

/// The tools in the order in which every model is told of them.
static TOOLS: LazyLock<[Tool; 6]> = LazyLock::new(|| {
    let tool = |text, run: Run, preview: Option<Preview>| Tool {
        manifest: Manifest::parse(text).expect("a test parses every embedded manifest"),
        run,
        preview,
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
    ]
});

fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.manifest.name == name)
}

/// The built-in tools at work in one workspace.
#[derive(Debug)]
pub struct Toolbox {
    workspace: Workspace,
    policy: Policy,
    launcher: Launcher,
    limits: Limits,
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
            workspace,
            policy,
            launcher,
            limits,
            undo: Undo::None,
        }
    }

    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// In a few words, how far tools and commands reach.
    pub fn confinement(&self) -> String {
        match (self.policy.mode(), self.policy.network()) {
            (Mode::Danger, _) => "no sandbox (danger)".into(),
            (mode, Network::Off) => format!("sandbox {mode}"),
            (mode, Network::Loopback) => format!("sandbox {mode}, own loopback"),
        }
    }

    /// What a model is told, in the standard order.
    pub fn specs(&self) -> Vec<ToolSpec> {
        TOOLS.iter().map(|tool| tool.manifest.spec()).collect()
    }

    /// None for a tool that does not exist.
    pub fn effect(&self, name: &str) -> Option<Effect> {
        Some(find(name)?.manifest.effect())
    }

    /// What the policy says about a call. A call that cannot run (no such tool,
    /// bad arguments, a path outside) is let through to its error: there is
    /// nothing to ask about, and the model should read what is wrong.
    pub fn decide(&self, call: &Call) -> Decision {
        let Ok((tool, context)) = self.prepare(call, &|| false) else {
            return Decision::Allow;
        };
        let effect = tool.manifest.effect();
        if effect == Effect::Run {
            return self.policy.decide(Action::Run(context.text("command")));
        }
        let Ok(path) = self.workspace.relative(context.text("path")) else {
            return Decision::Allow;
        };
        let action = match effect {
            Effect::Write => Action::Write(&path),
            _ => Action::Read(&path),
        };
        match self.policy.forbids(action) {
            // The workspace refuses it, and says why.
            Some(_) => Decision::Allow,
            None => self.policy.decide(action),
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
            let uncovered = self.uncovered(tool.manifest.effect(), &context);
            Ok([vec![shown], uncovered].concat().join("\n"))
        });
        match text {
            Ok(text) => sanitize::for_terminal(&text).into_owned(),
            Err(Failure { reason, .. }) => {
                let error = bound(&format!("error: {reason}"), PREVIEW).text;
                sanitize::for_terminal(&error).into_owned()
            }
        }
    }

    /// Runs a call to its end; `cancelled` is asked every few milliseconds.
    pub fn run(&self, call: &Call, cancelled: &dyn Fn() -> bool) -> Outcome {
        let answer = self.prepare(call, cancelled).and_then(|(tool, context)| {
            self.keep_for(tool.manifest.effect(), &context)?;
            let answer = (tool.run)(&context);
            self.note_changes();
            answer
        });
        answer.unwrap_or_else(|Failure { reason, refused }| {
            let error = bound(&format!("error: {reason}"), self.limits.output());
            Outcome {
                ok: false,
                output: error.text,
                truncated: error.truncated,
                refused,
            }
        })
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
            arguments: &call.arguments,
            cancelled,
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
