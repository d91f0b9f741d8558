//! What the terminal is, as far as the environment and the system say.

use std::io::{self, IsTerminal};

use super::{Check, Status};
use crate::agent::present::Style;

const GROUP: &str = "terminal";

/// Where no terminal says how wide it is.
const USUAL_WIDTH: usize = 80;

/// Columns of standard output; a narrower one than this is not reckoned with.
pub fn width() -> usize {
    match size() {
        Some((columns, _)) if columns >= 40 => columns.into(),
        _ => USUAL_WIDTH,
    }
}

fn size() -> Option<(u16, u16)> {
    let found = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (found.ws_col > 0).then_some((found.ws_col, found.ws_row))
}

pub fn checks() -> Vec<Check> {
    vec![
        Check::new(GROUP, "terminal", Status::Ok, kind()),
        colours(),
        locale(|name| std::env::var(name).ok()),
    ]
}

fn kind() -> String {
    let name = std::env::var("TERM").unwrap_or_else(|_| "TERM is not set".to_owned());
    match (io::stdout().is_terminal(), size()) {
        (true, Some((columns, rows))) => format!("{name}, {columns} x {rows}"),
        (true, None) => format!("{name}, of unknown size"),
        (false, _) => format!("{name}; output goes elsewhere"),
    }
}

fn colours() -> Check {
    let depth = std::env::var("COLORTERM").unwrap_or_default();
    let depth = match depth.as_str() {
        "truecolor" | "24bit" => "24 bits",
        _ => "16 or 256",
    };
    let detail = match Style::of(&io::stdout()) {
        Style::Ansi => format!("used, {depth}"),
        Style::Plain if io::stdout().is_terminal() => "not used: NO_COLOR or TERM".to_owned(),
        Style::Plain => "not used: output is no terminal".to_owned(),
    };
    Check::new(GROUP, "colours", Status::Ok, detail)
}

/// The first of the three that is set counts.
fn locale(variable: impl Fn(&str) -> Option<String>) -> Check {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let set = set.filter_map(|name| Some((name, variable(name)?)));
    let found = set.into_iter().find(|(_, value)| !value.is_empty());
    let (status, detail) = match found {
        Some((name, value)) => {
            let plain = value.to_ascii_uppercase().replace('-', "");
            match plain.contains("UTF8") {
                true => (Status::Ok, format!("{name}={value}")),
                false => (
                    Status::Warn,
                    format!("{name}={value}: letters beyond ASCII may look wrong"),
                ),
            }
        }
        None => (
            Status::Warn,
            "no LANG: letters beyond ASCII may look wrong".to_owned(),
        ),
    };
    Check::new(GROUP, "unicode", status, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_is_the_first_that_is_set() {
        let with = |all: &[(&str, &str)]| {
            let value = |name: &str| {
                let found = all.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            locale(value).status
        };
        assert_eq!(with(&[("LANG", "de_DE.utf8")]), Status::Ok);
        assert_eq!(
            with(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]),
            Status::Warn
        );
        assert_eq!(with(&[("LC_ALL", ""), ("LANG", "C.UTF-8")]), Status::Ok);
        assert_eq!(with(&[]), Status::Warn);
    }
}
