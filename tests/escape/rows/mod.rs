//! The escapes that were tried on sandboxes like this one, by the numbers under which
//! they are known here. `{W}` is the workspace, `{B}` a folder around it that everybody
//! may write to, `{H}` the home, `{HOST}` a process outside, `{TCP}` and `{UDP}` ports
//! on which the host listens.

mod elsewhere;
mod files;
mod limits;
mod system;

pub use elsewhere::{ELSEWHERE, Elsewhere, MISSING};

/// What has to come of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It works.
    Allowed,
    /// It fails where it is tried.
    Denied,
    /// Whatever it says inside, outside nothing has changed and nothing was seen.
    Nothing,
    /// What it made does not stay under its name.
    Quarantined,
    /// The command is not even started.
    Refused,
    /// It ends at a limit.
    Killed,
}

pub struct Row {
    pub number: u32,
    pub name: &'static str,
    pub expected: Expected,
    pub flags: &'static [&'static str],
    pub attempts: &'static [&'static str],
}

const fn row(
    number: u32,
    name: &'static str,
    expected: Expected,
    attempts: &'static [&'static str],
) -> Row {
    Row {
        number,
        name,
        expected,
        flags: &[],
        attempts,
    }
}

/// By their numbers.
pub fn all() -> Vec<&'static Row> {
    let mut all: Vec<&Row> = [files::ROWS, system::ROWS, limits::ROWS]
        .into_iter()
        .flatten()
        .collect();
    all.sort_by_key(|row| row.number);
    all
}
