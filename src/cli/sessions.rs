//! `cairn sessions`: what is kept, as a table, whole, or for reading elsewhere.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::args::{ExportFormat, SessionsArgs, SessionsCommand};
use super::{look, session};
use crate::agent::present::{call_line, one_line};
use crate::agent::session::{self as kept, Damage, Log, SessionError, Sessions, Summary};
use crate::agent::{Exit, Kind};
use crate::batch;
use crate::sandbox::sanitize;

/// Characters of a message in a list.
const TITLE: usize = 48;
const DAY: Duration = Duration::from_secs(24 * 3600);

pub fn run(args: &SessionsArgs) -> Exit {
    let sessions = match session::sessions() {
        Ok(sessions) => sessions,
        Err(why) => return super::fail(Exit::Usage, &why),
    };
    let done = match args.what.as_ref().unwrap_or(&SessionsCommand::List) {
        SessionsCommand::List => list(&sessions, args.json),
        SessionsCommand::Show { id } => show(&sessions, id, args.json),
        SessionsCommand::Export { id, format } => export(&sessions, id, *format),
        SessionsCommand::Rm { ids } => remove(&sessions, ids),
        SessionsCommand::Gc { days } => collect(&sessions, *days),
    };
    match done {
        Ok(text) => look::print(&text),
        Err(Failed(exit, why)) => super::fail(exit, &why),
    }
}

struct Failed(Exit, String);

impl From<SessionError> for Failed {
    fn from(error: SessionError) -> Self {
        Self(Exit::Usage, error.to_string())
    }
}

impl From<serde_json::Error> for Failed {
    fn from(error: serde_json::Error) -> Self {
        Self(Exit::Internal, error.to_string())
    }
}

fn list(sessions: &Sessions, json: bool) -> Result<String, Failed> {
    let mut found = Vec::new();
    let mut unreadable = Vec::new();
    for id in sessions.ids()? {
        match sessions.summary(&id) {
            Ok(summary) => found.push(summary),
            Err(error) => unreadable.push((id, error.to_string())),
        }
    }
    found.sort_by_key(|summary| std::cmp::Reverse(summary.used));
    if json {
        let rows: Vec<Value> = found.iter().map(row).collect();
        let bad = unreadable
            .iter()
            .map(|(id, why)| json!({ "id": id, "error": why }));
        let object = json!({
            "v": 1,
            "folder": sessions.folder().to_string_lossy(),
            "sessions": rows,
            "unreadable": bad.collect::<Vec<Value>>(),
        });
        return Ok(batch::line(&object) + "\n");
    }
    if found.is_empty() && unreadable.is_empty() {
        let place = sessions.folder().to_string_lossy();
        return Ok(format!("no sessions in {}\n", sanitize::for_line(&place)));
    }
    let mut text = format!(
        "{:12}  {:>9}  {:>5}  {:20}  {}\n",
        "id", "used", "turns", "model", "first message (workspace)"
    );
    for one in &found {
        let header = &one.header;
        let mark = if one.unfinished { " (cut off)" } else { "" };
        let line = format!(
            "{:12}  {:>9}  {:>5}  {:20}  {}{mark} ({})",
            header.id,
            look::age(one.used),
            one.turns,
            one_line(&header.bundle.name, 19),
            one_line(&one.title, TITLE),
            header.workspace.display(),
        );
        text.push_str(&sanitize::for_line(&line));
        text.push('\n');
    }
    for (_, why) in &unreadable {
        text.push_str(&sanitize::for_line(why));
        text.push('\n');
    }
    Ok(text)
}

fn row(one: &Summary) -> Value {
    let header = &one.header;
    let used = one.used.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "id": header.id,
        "used": u64::try_from(used.as_millis()).unwrap_or(u64::MAX),
        "turns": one.turns,
        "entries": one.entries,
        "unfinished": one.unfinished,
        "model": header.bundle.name,
        "fingerprint": header.bundle.fingerprint,
        "numerics": header.numerics,
        "workspace": header.workspace.to_string_lossy(),
        "seed": header.settings.sampling.seed,
        "title": one.title,
        "bytes": one.bytes,
        "forked_from": header.forked_from,
    })
}

fn show(sessions: &Sessions, prefix: &str, json: bool) -> Result<String, Failed> {
    let id = sessions.find(prefix)?;
    let log = sessions.read(&id)?;
    if json {
        let mut object = kept::json(&log, &|_| Vec::new())?;
        if let Some(object) = object.as_object_mut() {
            object.insert("v".into(), 1.into());
            object.insert("damage".into(), damage(&log).into());
        }
        return Ok(batch::line(&object) + "\n");
    }
    let header = &log.header;
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&sanitize::for_line(&line));
        text.push('\n');
    };
    line(format!(
        "session {}: {}, {}",
        header.id, header.bundle.name, header.numerics
    ));
    line(format!("workspace {}", header.workspace.display()));
    if let Some(from) = &header.forked_from {
        line(format!("fork of {}@{}", from.session, from.entry));
    }
    let head = log.entries.last().map(|entry| entry.id);
    let path: Vec<u64> = kept::path_to(&log.entries, head)
        .iter()
        .map(|entry| entry.id)
        .collect();
    for entry in &log.entries {
        // A branch that was left stands farther in.
        let place = match path.contains(&entry.id) {
            true => "",
            false => "| ",
        };
        line(format!("{:5}  {place}{}", entry.id, about(&entry.kind)));
    }
    if let Some(damage) = damage(&log) {
        line(damage);
    }
    Ok(text)
}

fn damage(log: &Log) -> Option<String> {
    log.damage.as_ref().map(|damage| match damage {
        Damage::Torn => "the last entry is cut off".to_owned(),
        Damage::Line { number, why } => format!("line {number} is damaged: {why}"),
    })
}

/// An entry in a line.
fn about(kind: &Kind) -> String {
    const TEXT: usize = 90;
    match kind {
        Kind::User { text, .. } => format!("user: {}", one_line(text, TEXT)),
        Kind::Steer { text, .. } => format!("steer: {}", one_line(text, TEXT)),
        Kind::Assistant(answer) => {
            let mut text = format!("assistant: {}", one_line(&answer.text, TEXT));
            for call in &answer.calls {
                let call = call_line(&call.name, &call.arguments);
                let _ = write!(text, " > {call}");
            }
            let _ = write!(text, " [{} tokens]", answer.ids.len());
            text
        }
        Kind::Shell(shell) => {
            let outcome = if shell.ok { "ok" } else { "failed" };
            format!("shell ({outcome}): {}", one_line(&shell.command, TEXT))
        }
        Kind::ToolResult(result) => {
            let outcome = if result.ok { "ok" } else { "failed" };
            format!("result ({outcome}): {}", one_line(&result.output, TEXT))
        }
        other => {
            // What is left has few words: its JSON, without the entry's own fields.
            let json = serde_json::to_value(other).unwrap_or_default();
            let kind = json["type"].as_str().unwrap_or_default().to_owned();
            let fields = json.as_object().into_iter().flatten();
            let words = fields
                .filter(|(name, _)| *name != "type")
                .map(|(name, value)| format!("{name}={value}"));
            let words = words.collect::<Vec<_>>().join(" ");
            format!("{kind}: {}", one_line(&words, TEXT))
        }
    }
}

fn export(sessions: &Sessions, prefix: &str, format: ExportFormat) -> Result<String, Failed> {
    let id = sessions.find(prefix)?;
    let log = sessions.read(&id)?;
    let text = match format {
        ExportFormat::Markdown => kept::markdown(&log),
        ExportFormat::Json => {
            let object = kept::json(&log, &|span| sessions.tokens(&id, span))?;
            batch::line(&object) + "\n"
        }
    };
    // A terminal would act on what is in it.
    Ok(match format {
        ExportFormat::Markdown => sanitize::for_terminal(&text).into_owned(),
        ExportFormat::Json => text,
    })
}

fn remove(sessions: &Sessions, prefixes: &[String]) -> Result<String, Failed> {
    // All are found before one is removed.
    let ids: Vec<String> = prefixes
        .iter()
        .map(|prefix| sessions.find(prefix))
        .collect::<Result<_, _>>()?;
    let mut text = String::new();
    for id in ids {
        sessions.remove(&id)?;
        let _ = writeln!(text, "removed: {id}");
    }
    Ok(text)
}

fn collect(sessions: &Sessions, days: Option<usize>) -> Result<String, Failed> {
    let mut text = String::new();
    let limit = days
        .and_then(|days| u32::try_from(days).ok())
        .map(|days| DAY * days);
    for id in sessions.ids()? {
        let Ok(summary) = sessions.summary(&id) else {
            continue;
        };
        let age = summary.used.elapsed().unwrap_or_default();
        let why = match limit {
            _ if summary.turns == 0 => "nothing was said in it",
            Some(limit) if age > limit => "it was not used for long",
            _ => continue,
        };
        match sessions.remove(&id) {
            Ok(()) => {
                let _ = writeln!(text, "removed: {id} ({why})");
            }
            // It is in use after all.
            Err(SessionError::Busy(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match sessions.sweep()? {
        0 => {}
        left => {
            let _ = writeln!(text, "removed: {left} that were never finished");
        }
    }
    if text.is_empty() {
        text.push_str("nothing to remove\n");
    }
    Ok(text)
}
