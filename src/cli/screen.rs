//! Starts the full-screen program: what it shows at once, and what it opens meanwhile.

use std::ffi::OsString;
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
    let theme = theme(
        std::env::var_os("NO_COLOR"),
        std::env::var_os("COLORFGBG"),
        &chosen.settings.theme(),
    );
    let load: tui::Load = {
        let stop = stop.clone();
        Box::new(move |folder: PathBuf, workspace: &Path| {
            let model = chosen.named(&folder).map_err(|failure| failure.message)?;
            let agent = setup::agent_with(&chosen, model.as_deref(), workspace, &stop, &waiting);
            agent.map_err(|failure| failure.message)
        })
    };
    let ended = tui::run(Start {
        theme,
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

/// `NO_COLOR` is heard; else the user's setting; else what the terminal says of itself.
fn theme(no_colour: Option<OsString>, background: Option<OsString>, setting: &str) -> Theme {
    if no_colour.is_some_and(|value| !value.is_empty()) {
        return Theme::Plain;
    }
    match setting {
        "light" => Theme::Light,
        "dark" => Theme::Colour,
        _ => match background.is_some_and(|colours| is_light(&colours.to_string_lossy())) {
            true => Theme::Light,
            false => Theme::Colour,
        },
    }
}

/// Whether the background of `COLORFGBG` is: text, perhaps more, background, as numbers
/// of the sixteen colours.
fn is_light(colours: &str) -> bool {
    let background = colours.rsplit(';').next();
    matches!(background, Some("7" | "15"))
}

/// What is loaded, in a word or two.
fn name(chosen: &Chosen) -> String {
    let model = chosen.model().ok().flatten();
    let name = model.map_or(demo::NAME.to_owned(), |path| path.display().to_string());
    sanitize::for_line(&name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_theme_is_the_users_choice_or_the_terminals() {
        let theme = |no_colour: Option<&str>, background: Option<&str>, setting| {
            theme(
                no_colour.map(OsString::from),
                background.map(OsString::from),
                setting,
            )
        };
        for setting in ["auto", "dark", "light"] {
            assert_eq!(theme(Some("1"), Some("0;15"), setting), Theme::Plain);
        }
        assert_eq!(theme(Some(""), None, "light"), Theme::Light);
        assert_eq!(theme(None, Some("0;15"), "dark"), Theme::Colour);
        assert_eq!(theme(None, Some("15;0"), "light"), Theme::Light);
        for light in ["0;15", "0;default;15", "0;7", "15"] {
            assert_eq!(theme(None, Some(light), "auto"), Theme::Light, "{light}");
        }
        for dark in ["15;0", "7;8", "15;default;6", "15;default", "", ";", "0;77"] {
            assert_eq!(theme(None, Some(dark), "auto"), Theme::Colour, "{dark}");
        }
        assert_eq!(theme(None, None, "auto"), Theme::Colour);
    }
}
