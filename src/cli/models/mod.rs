//! `cairn models`: the bundles on this machine, what each is called, and whether it
//! fits; and the bundle that a name means.

mod find;
mod fit;
mod text;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{ModelsArgs, RunArgs};
use super::chosen::{Chosen, Project};
use super::{demo, fail, folders, look};
use crate::agent::Exit;
use crate::backend::available_memory;
use crate::bundle::Glance;
use crate::config::settings::{Model, Resolved};
use crate::sandbox::sanitize;
use find::Found;
use fit::Fit;

/// What the demo is called here.
const DEMO: &str = "demo";

/// A row of the list.
struct Row {
    name: String,
    /// Nowhere: it is part of the program.
    path: Option<PathBuf>,
    /// Bytes of all files.
    size: u64,
    /// What it is, or why it can't be used.
    glance: Result<Glance, String>,
    fit: Fit,
}

pub fn run(args: &ModelsArgs, run: &RunArgs) -> Exit {
    let chosen = match Chosen::of(run, Project::None) {
        Ok(chosen) => chosen,
        Err(failure) => return fail(failure.exit(), &failure.message),
    };
    let available = available_memory();
    let row = |name: String, path: Option<PathBuf>| {
        let looked = match &path {
            Some(path) => Glance::folder(path),
            None => Glance::embedded(&demo::FILES),
        };
        let glance = looked.map_err(|error| error.to_string());
        let size = match &path {
            Some(path) => find::size(path),
            None => demo::FILES.iter().map(|(_, file)| file.len() as u64).sum(),
        };
        let fit = Fit::of(glance.as_ref().ok(), args.context, available);
        Row {
            name,
            path,
            size,
            glance,
            fit,
        }
    };
    let mut rows = vec![row(DEMO.to_owned(), None)];
    let found = places(&chosen.settings).found();
    rows.extend(found.into_iter().map(|one| row(one.name, Some(one.path))));
    look::print(&match args.json {
        true => json(&rows, args.context, available),
        false => text::table(&rows, args.context, available),
    })
}

fn json(rows: &[Row], context: usize, available: Option<u64>) -> String {
    let models: Vec<_> = rows
        .iter()
        .map(|row| {
            let glance = row.glance.as_ref();
            json!({
                "name": row.name,
                "path": row.path.as_ref().map(|path| path.to_string_lossy()),
                "bytes": row.size,
                "format": glance.ok().map(|glance| glance.format),
                "context": glance.ok().map(|glance| glance.context),
                "usable": glance.is_ok(),
                "problem": glance.err(),
                "weights_bytes": row.fit.weights,
                "kv_bytes": row.fit.kv,
                "fit": row.fit.verdict.word(),
            })
        })
        .collect();
    let object = json!({
        "v": 1,
        "context": context,
        "available_bytes": available,
        "models": models,
    });
    crate::batch::line(&object) + "\n"
}

fn places(settings: &Resolved) -> find::Places {
    let usual = || {
        let data = folders::data().map(|data| data.join("models"));
        let home = folders::home().map(|home| home.join("models"));
        data.into_iter().chain(home).collect()
    };
    let named = |folders: &[PathBuf]| folders.iter().map(|one| folders::expand(one)).collect();
    find::Places {
        folders: settings.model_folders().map_or_else(usual, named),
        hub: folders::hub(),
    }
}

/// The folder of the bundle that is called so; `None` is the demo.
///
/// # Errors
/// With one line, for a name that no bundle has, or several have.
pub fn folder(model: &Model, settings: &Resolved) -> Result<Option<PathBuf>, String> {
    let name = match model {
        // Whatever is there is meant, even where it is no bundle.
        Model::Typed(text) if Path::new(text).exists() => return Ok(Some(text.into())),
        Model::Typed(text) | Model::Written(text) => text,
    };
    let path = folders::expand(Path::new(name));
    if path.is_absolute() || path.starts_with(".") || path.starts_with("..") {
        return Ok(Some(path));
    }
    if name == DEMO {
        return Ok(None);
    }
    let mut called = named(name, places(settings).found());
    match called.len() {
        1 => Ok(called.pop().map(|found| found.path)),
        0 => Err(format!(
            "{name}: there is no such folder, and no bundle of this name (`cairn models` lists them)"
        )),
        _ => {
            let paths = called.iter().map(|found| found.path.to_string_lossy());
            let paths: Vec<_> = paths.collect();
            let line = format!(
                "{name} is the name of several: {}; give the folder",
                paths.join(", ")
            );
            Err(sanitize::for_line(&line).into_owned())
        }
    }
}

/// Those that are called so in full, else those whose names end so.
fn named(name: &str, found: Vec<Found>) -> Vec<Found> {
    let (full, rest): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|one| one.name == name);
    if !full.is_empty() {
        return full;
    }
    let ends = |one: &Found| one.name.rsplit('/').next() == Some(name);
    rest.into_iter().filter(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_beat_endings() {
        let found = || {
            ["a/x", "b/x", "x", "c/y"].map(|name| Found {
                name: name.into(),
                path: name.into(),
            })
        };
        let names = |name| {
            let named = named(name, found().into());
            named.into_iter().map(|one| one.name).collect::<Vec<_>>()
        };
        assert_eq!(names("x"), ["x"]);
        assert_eq!(names("a/x"), ["a/x"]);
        assert_eq!(names("y"), ["c/y"]);
        assert_eq!(names("z"), Vec::<String>::new());
    }
}
