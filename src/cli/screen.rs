//! Starts the full-screen program: what it shows at once, and what it opens meanwhile.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use super::chosen::{Chosen, Project};
use super::load::Waiting;
use super::session::Begin;
use super::setup::Failure;
use super::{demo, editor, fail, folders, setup, trust};
use crate::agent::{Exit, Reason, Stop};
use crate::model::Loading;
use crate::repl;
use crate::sandbox::sanitize;
use crate::tui::{self, Look, Place, Start, theme::Theme};

/// Whether this terminal can show it.
pub fn is_possible() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb
}

/// A conversation that begins so.
pub fn run(chosen: Chosen, begin: Begin, place: Place) -> Exit {
    start(chosen, || Ok(begin), place, None)
}

/// A stored session, which is gone on with only if the user wants that.
pub fn look(chosen: Chosen, look: Look) -> Exit {
    let run = chosen.run.clone();
    start(
        chosen,
        move || Begin::of(&run),
        Place::Alternate,
        Some(look),
    )
}

fn start(
    chosen: Chosen,
    begin: impl FnOnce() -> Result<Begin, Failure> + Send + 'static,
    place: Place,
    look: Option<Look>,
) -> Exit {
    let stop = Stop::default();
    let loading = Loading::default();
    let waiting = Waiting::Counts(loading.clone());
    let make: tui::Make = {
        let (chosen, stop, waiting) = (chosen.clone(), stop.clone(), waiting.clone());
        Box::new(move |ask| {
            let agent = trusted(chosen, ask)
                .and_then(|chosen| setup::agent(&chosen, begin()?, &stop, &waiting));
            agent.map_err(|failure| (failure.exit(), failure.message))
        })
    };
    let name = name(&chosen);
    let load: tui::Load = {
        let stop = stop.clone();
        Box::new(move |folder: PathBuf, workspace: &Path| {
            let model = chosen.named(&folder).map_err(|failure| failure.message)?;
            let agent = setup::agent_with(&chosen, model.as_deref(), workspace, &stop, &waiting);
            agent.map_err(|failure| failure.message)
        })
    };
    let ended = tui::run(Start {
        theme: theme(),
        place,
        name,
        history: folders::state().and_then(repl::history_file),
        make,
        load,
        stop,
        loading,
        edit: Box::new(editor::edit),
        look,
    });
    ended.unwrap_or_else(|(exit, why)| fail(exit, &why))
}

/// Asks whether the project's own settings count, if the user has not said so yet.
fn trusted(chosen: Chosen, ask: &mut dyn FnMut(String) -> bool) -> Result<Chosen, Failure> {
    let folder = chosen.run.workspace.clone();
    let undecided = trust::undecided(&folder.unwrap_or_else(|| PathBuf::from(".")));
    match undecided {
        Some(undecided) if ask(undecided.text().to_owned()) => {
            let accepted = undecided.accept();
            accepted.map_err(|why| Failure::new(Reason::Failed, why))?;
            Chosen::of(&chosen.run, Project::Counts)
        }
        _ => Ok(chosen),
    }
}

/// `NO_COLOR` is heard.
fn theme() -> Theme {
    match std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        true => Theme::Plain,
        false => Theme::Colour,
    }
}

/// What is loaded, in a word or two.
fn name(chosen: &Chosen) -> String {
    let model = chosen.model().ok().flatten();
    let name = model.map_or(demo::NAME.to_owned(), |path| path.display().to_string());
    sanitize::for_line(&name).into_owned()
}
