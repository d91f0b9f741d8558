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

#[derive(Clone, Copy)]
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

/// What comes of rows without namespaces, where it is something else.
/// `None` is what does not hold: Landlock has no say about modes and times of what is
/// the user's own, and processes of others can be seen (a handle of one is good for
/// nothing: signals to it are denied).
pub const DEGRADED: &[(&str, Option<Expected>)] = &[
    // Folders that hold something protected get nothing new.
    ("a file in the workspace", Some(Expected::Denied)),
    ("a repository where there was none", Some(Expected::Denied)),
    ("attributes with filters", Some(Expected::Denied)),
    ("settings that others run", Some(Expected::Denied)),
    ("a file of a terabyte", Some(Expected::Denied)),
    (
        "another repository in the place of one that was moved",
        Some(Expected::Denied),
    ),
    // There is no /tmp of its own.
    ("tools and a /tmp of its own", Some(Expected::Nothing)),
    // Nothing is mounted, so no link can lead a mount astray.
    (
        "a protected name that is a link at the start",
        Some(Expected::Denied),
    ),
    (
        "a protected name that is a link to /oldroot",
        Some(Expected::Denied),
    ),
    ("metadata outside", None),
    ("processes by descriptors", None),
];

/// By their numbers.
pub fn all() -> Vec<Row> {
    let mut all = [files::ROWS, system::ROWS, limits::ROWS].concat();
    all.sort_by_key(|row| row.number);
    all
}
