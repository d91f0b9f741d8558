//! `cairn doctor`: whether the sandbox holds here, each layer tried, and what else
//! has to be there: processor, memory, bundle, folders, terminal. A line each, or
//! one JSON object.

mod folders;
mod machine;
mod terminal;
mod text;

use serde::Serialize;

pub(super) use machine::size;

use super::args::DoctorArgs;
use super::look;
use crate::agent::Exit;
use crate::sandbox::{sanitize, selftest};

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub group: &'static str,
    pub name: &'static str,
    pub status: Status,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// It works, and could be better.
    Warn,
    Fail,
    /// Nothing to say, or nothing could be tried.
    None,
}

impl Check {
    fn new(
        group: &'static str,
        name: &'static str,
        status: Status,
        detail: impl Into<String>,
    ) -> Self {
        // Names of files and variables may hold anything.
        let detail = sanitize::for_line(&detail.into()).into_owned();
        Self {
            group,
            name,
            status,
            detail,
        }
    }
}

/// Looks at everything and prints it.
pub fn run(args: &DoctorArgs) -> Exit {
    let mut checks = sandbox();
    checks.extend(machine::checks(
        super::setup::model(args.model.as_ref()).as_deref(),
    ));
    checks.extend(folders::checks());
    checks.extend(terminal::checks());
    let exit = verdict(&checks);
    let printed = look::print(&match args.json {
        true => json(&checks),
        false => text::report(&checks, terminal::width()),
    });
    match printed {
        Exit::Done => exit,
        failed => failed,
    }
}

const SANDBOX: &str = "sandbox";

fn sandbox() -> Vec<Check> {
    let status = |status| match status {
        selftest::Status::Holds => Status::Ok,
        selftest::Status::Weak => Status::Warn,
        selftest::Status::Fails => Status::Fail,
        selftest::Status::Untried => Status::None,
    };
    let layers = selftest::run().into_iter();
    layers
        .map(|layer| Check::new(SANDBOX, layer.name, status(layer.status), layer.detail))
        .collect()
}

/// A sandbox that does not hold is another thing than a folder that is not there.
fn verdict(checks: &[Check]) -> Exit {
    let fails = |check: &&Check| check.status == Status::Fail;
    match checks.iter().filter(fails).map(|check| check.group).next() {
        None => Exit::Done,
        // They come first.
        Some(SANDBOX) => Exit::Refused,
        Some(_) => Exit::Internal,
    }
}

#[derive(Serialize)]
struct Report<'a> {
    v: u32,
    ok: bool,
    checks: &'a [Check],
}

fn json(checks: &[Check]) -> String {
    let report = Report {
        v: 1,
        ok: verdict(checks) == Exit::Done,
        checks,
    };
    // Strings and numbers always serialise; the fallback is unreachable.
    serde_json::to_string(&report).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_fails() {
        let check = |group, status| Check::new(group, "x", status, "");
        let good = [check(SANDBOX, Status::Ok), check("machine", Status::Warn)];
        assert_eq!(verdict(&good), Exit::Done);
        let machine = [check(SANDBOX, Status::None), check("machine", Status::Fail)];
        assert_eq!(verdict(&machine), Exit::Internal);
        let both = [check(SANDBOX, Status::Fail), check("machine", Status::Fail)];
        assert_eq!(verdict(&both), Exit::Refused);
        let text = json(&both);
        assert!(text.starts_with("{\"v\":1,\"ok\":false,\"checks\":[{\"group\":\"sandbox\","));
        assert!(text.contains("\"status\":\"fail\"") && text.ends_with("}]}\n"));
    }
}
