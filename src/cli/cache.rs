//! `cairn cache`: what is kept of prompts on disk.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};

use super::args::{CacheArgs, CacheCommand, RunArgs};
use super::chosen::{Chosen, Project};
use super::doctor::size;
use super::{folders, look};
use crate::agent::Exit;
use crate::cache::disk::{self, Limit, Shelf};
use crate::sandbox::sanitize;

pub fn run(args: &CacheArgs, run: &RunArgs) -> Exit {
    let Some(folder) = folders::caches() else {
        let message = "there is no cache folder: neither XDG_CACHE_HOME nor HOME is set";
        return super::fail(Exit::Usage, message);
    };
    let done = match args.what {
        None | Some(CacheCommand::List) => list(&folder),
        Some(CacheCommand::Verify) => verify(&folder),
        Some(CacheCommand::Gc) => match Chosen::of(run, Project::None) {
            Ok(chosen) => gc(&folder, limit(&chosen)),
            Err(failure) => return super::fail(failure.exit(), &failure.message),
        },
    };
    let place = folder.to_string_lossy();
    match done {
        Ok(Report { text, object, exit }) => {
            let text = match args.json {
                false => text,
                true => {
                    let mut whole = json!({ "v": 1, "folder": place });
                    if let (Some(whole), Value::Object(mut object)) =
                        (whole.as_object_mut(), object)
                    {
                        whole.append(&mut object);
                    }
                    crate::batch::line(&whole) + "\n"
                }
            };
            match look::print(&text) {
                Exit::Done => exit,
                failed => failed,
            }
        }
        Err(error) => super::fail(Exit::Internal, &format!("{place}: {error}")),
    }
}

/// As the settings have it.
pub fn limit(chosen: &Chosen) -> Limit {
    let bytes = chosen.settings.cache_limit();
    bytes.map_or(Limit::Share, Limit::Bytes)
}

struct Report {
    text: String,
    object: Value,
    exit: Exit,
}

fn object(of: impl Serialize) -> io::Result<Value> {
    Ok(serde_json::to_value(of)?)
}

fn list(folder: &Path) -> io::Result<Report> {
    let shelves = disk::list(folder)?;
    let rows: Vec<String> = shelves.iter().map(row).collect();
    let text = match rows.is_empty() {
        true => format!(
            "nothing is kept in {}\n",
            sanitize::for_line(&folder.to_string_lossy())
        ),
        false => rows.concat(),
    };
    Ok(Report {
        text,
        object: json!({ "caches": object(&shelves)? }),
        exit: Exit::Done,
    })
}

/// "9c1f2ab04d55  demo  cpu-int15-3/skip-scaled/kv-f16  12 blocks, 3 MB, used 5 min ago"
fn row(shelf: &Shelf) -> String {
    let name = shelf.bundle.as_deref().unwrap_or("of an unknown bundle");
    let numerics = shelf.numerics.as_deref().unwrap_or("?");
    let used = shelf.used.map_or("never used".into(), |used| {
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(used);
        format!("used {}", look::age(then))
    });
    format!(
        "{}  {}  {}  {}, {}, {used}\n",
        &shelf.fingerprint[..12],
        sanitize::for_line(name),
        sanitize::for_line(numerics),
        count(shelf.blocks),
        size(shelf.bytes),
    )
}

fn count(blocks: usize) -> String {
    match blocks {
        1 => "1 block".into(),
        n => format!("{n} blocks"),
    }
}

fn verify(folder: &Path) -> io::Result<Report> {
    let checked = disk::verify(folder)?;
    let (whole, bytes) = (count(checked.blocks), size(checked.bytes));
    let broken = checked.broken.iter();
    let lines: String = broken
        .map(|(name, why)| format!("removed {}: {}\n", name, sanitize::for_line(why)))
        .collect();
    Ok(Report {
        text: format!("{lines}{whole} whole, {bytes}\n"),
        exit: match checked.broken.is_empty() {
            true => Exit::Done,
            false => Exit::Internal,
        },
        object: object(checked)?,
    })
}

fn gc(folder: &Path, limit: Limit) -> io::Result<Report> {
    let done = disk::gc(folder, limit)?;
    let text = format!(
        "removed {} ({}) and {} unfinished files; {} of at most {} are left\n",
        count(done.blocks),
        size(done.bytes),
        done.temporary,
        size(done.left),
        size(done.limit),
    );
    Ok(Report {
        text,
        object: object(done)?,
        exit: Exit::Done,
    })
}
