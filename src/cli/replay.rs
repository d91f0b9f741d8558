//! `cairn replay`: a session again, and the first token that differs.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::args::{ReplayArgs, RunArgs};
use super::chosen::{Chosen, Project};
use super::setup::Failure;
use super::signals::{self, Manner};
use super::{look, session, setup};
use crate::agent::session::{Damage, Log, path_to};
use crate::agent::{Difference, Exit, Reason, Replayed, Results, Side, Stop};
use crate::batch;
use crate::sandbox::sanitize;

pub fn run(args: &ReplayArgs) -> Exit {
    match replay(args) {
        Ok((text, exit)) => match look::print(&text) {
            Exit::Done => exit,
            failed => failed,
        },
        Err(failure) => super::fail(failure.exit(), &failure.message),
    }
}

fn replay(args: &ReplayArgs) -> Result<(String, Exit), Failure> {
    let usage = |why: String| Failure::new(Reason::Usage, why);
    let sessions = session::sessions().map_err(usage)?;
    let id = sessions.find(&args.id);
    let id = id.map_err(|error| usage(error.to_string()))?;
    let log = sessions.read(&id);
    let log = log.map_err(|error| usage(error.to_string()))?;
    let mut notices = whole(&id, &log)?;

    let run = RunArgs {
        threads: args.threads,
        backend: args.backend,
        cache: args.cache,
        ..RunArgs::default()
    };
    let chosen = Chosen::of(&run, Project::None)?;
    let model = match &args.model {
        Some(model) => chosen.named(model)?,
        None => log.header.bundle.path.clone(),
    };
    let stop = Stop::default();
    let folder = folder(&log.header.workspace, args.live_tools)?;
    let mut agent = setup::for_replay(&chosen, model.as_deref(), &folder, args.chunk, &stop)?;
    notices.extend(agent.differs_from(&log.header));
    for notice in &notices {
        look::note(notice);
    }
    signals::install(stop.clone(), Manner::Run)
        .map_err(|message| Failure::new(Reason::Failed, message))?;
    let head = log.entries.last().map(|entry| entry.id);
    let results = match args.live_tools {
        true => Results::Live,
        false => Results::Logged,
    };
    let replayed = agent.replay(
        &log.header,
        &path_to(&log.entries, head),
        &|span| sessions.tokens(&id, span),
        results,
    );
    let replayed = replayed
        .map_err(|why| Failure::new(Reason::Failed, format!("session {id}: {why}")))?
        .ok_or_else(|| Failure::new(Reason::Interrupted, "interrupted"))?;
    let exit = match replayed.difference {
        None => Exit::Done,
        Some(_) => Exit::Internal,
    };
    let text = match args.json {
        true => batch::line(&object(&id, &notices, &replayed)) + "\n",
        false => lines(&id, &replayed),
    };
    Ok((text, exit))
}

/// A log that was cut off is replayed as far as it goes.
fn whole(id: &str, log: &Log) -> Result<Vec<String>, Failure> {
    match &log.damage {
        None => Ok(Vec::new()),
        Some(Damage::Torn) => Ok(vec!["the last entry is cut off and left out".to_owned()]),
        Some(Damage::Line { number, why }) => {
            let why = format!("session {id}: line {number} of its log is damaged: {why}");
            Err(Failure::new(Reason::Usage, why))
        }
    }
}

/// The session's workspace. Only tools need it.
fn folder(workspace: &Path, live_tools: bool) -> Result<PathBuf, Failure> {
    match workspace.is_dir() {
        true => Ok(workspace.to_owned()),
        false if live_tools => {
            let why = format!("--live-tools: {} is not there", workspace.display());
            Err(Failure::new(Reason::Usage, why))
        }
        false => Ok(PathBuf::from(".")),
    }
}

fn lines(id: &str, replayed: &Replayed) -> String {
    let mut lines = replayed.notices.clone();
    let Replayed {
        answers, tokens, ..
    } = replayed;
    lines.push(match &replayed.difference {
        None => format!("session {id}: {answers} answers, {tokens} tokens, all the same"),
        Some(difference) => {
            let position = difference
                .position
                .map_or(String::new(), |at| format!(", position {at}"));
            format!(
                "session {id}: entry {}, token {}{position}: {} was logged, now it is {}",
                difference.entry,
                difference.index,
                named(&difference.logged),
                named(&difference.now)
            )
        }
    });
    if let Some(Difference { logged, now, .. }) = &replayed.difference {
        lines.push(format!("  logged: {}", alternatives(logged)));
        lines.push(format!("  now:    {}", alternatives(now)));
    }
    let safe = lines
        .iter()
        .map(|line| sanitize::for_line(line).into_owned() + "\n");
    safe.collect()
}

fn named(side: &Side) -> String {
    match side.id {
        Some(id) => format!("{:?} ({id})", side.text),
        None => "the end".to_owned(),
    }
}

fn alternatives(side: &Side) -> String {
    let one = |(id, text, logprob): &(u32, String, f32)| {
        format!("{text:?} ({id}) {:.1} %", logprob.exp() * 100.0)
    };
    match side.top.is_empty() {
        true => "no alternatives are known".to_owned(),
        false => side.top.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

fn object(id: &str, notices: &[String], replayed: &Replayed) -> Value {
    let side = |side: &Side| {
        let top = side
            .top
            .iter()
            .map(|(id, text, logprob)| json!({ "id": id, "text": text, "logprob": logprob }));
        json!({ "id": side.id, "text": side.text, "top": top.collect::<Vec<Value>>() })
    };
    let difference = replayed.difference.as_ref().map(|difference| {
        json!({
            "entry": difference.entry,
            "token": difference.index,
            "position": difference.position,
            "logged": side(&difference.logged),
            "now": side(&difference.now),
        })
    });
    json!({
        "v": 1,
        "session": id,
        "same": replayed.difference.is_none(),
        "answers": replayed.answers,
        "tokens": replayed.tokens,
        "notices": notices.iter().chain(&replayed.notices).collect::<Vec<_>>(),
        "difference": difference,
    })
}
