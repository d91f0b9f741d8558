//! From what the probe found, and what was found of it, to a verdict for each layer.

use super::{Layer, Status};
use crate::sandbox::launch::End;
use crate::sandbox::linux::Means;
use crate::sandbox::linux::plan;
use crate::sandbox::linux::probe::{Found, Tried};

/// Everything that is known after the probe has run.
pub struct Evidence {
    pub found: Found,
    /// What the host saw of the probe, and should not have.
    pub traces: Vec<String>,
    /// Places that had to look empty.
    pub hidden: usize,
    /// Of the host.
    pub namespaces: Vec<(String, String)>,
    pub keeps_protected: bool,
    pub keeps_owner: bool,
    /// How the probe ended that took memory.
    pub memory: End,
    pub limits: Means,
    /// Landlock's version; 0 for none.
    pub landlock: u32,
}

/// Why there is no evidence.
pub enum Trouble {
    /// The sandbox refused to start; begins with the layer.
    Refused(String),
    NotStarted(String),
    /// Nothing could be tried here.
    Scene(String),
}

/// Every line, the part of the launcher that makes it so, and what is tried.
const ROWS: [(&str, plan::Layer, Option<Tried>); 17] = [
    ("launcher", plan::Layer::Start, None),
    (
        "namespaces",
        plan::Layer::Namespaces,
        Some(Tried::Namespaces),
    ),
    ("read-only", plan::Layer::View, Some(Tried::ReadOnly)),
    ("private-tmp", plan::Layer::View, Some(Tried::Temporary)),
    ("devices", plan::Layer::View, Some(Tried::Devices)),
    ("secrets", plan::Layer::View, Some(Tried::Secrets)),
    ("protected", plan::Layer::View, Some(Tried::Protected)),
    ("identity", plan::Layer::Identity, Some(Tried::Identity)),
    ("network", plan::Layer::Network, Some(Tried::Network)),
    ("limits", plan::Layer::Limits, Some(Tried::Limits)),
    (
        "capabilities",
        plan::Layer::Capabilities,
        Some(Tried::Capabilities),
    ),
    (
        "no-new-privs",
        plan::Layer::Capabilities,
        Some(Tried::NoNewPrivileges),
    ),
    ("landlock", plan::Layer::Landlock, Some(Tried::Landlock)),
    ("seccomp", plan::Layer::Seccomp, Some(Tried::Seccomp)),
    ("terminal", plan::Layer::Start, Some(Tried::Terminal)),
    ("environment", plan::Layer::Start, Some(Tried::Environment)),
    ("descriptors", plan::Layer::Start, Some(Tried::Descriptors)),
];

/// Namespaces that a command has to itself.
const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

pub fn layers(evidence: &Evidence) -> Vec<Layer> {
    let rows = ROWS.iter().map(|(name, _, tried)| {
        let (status, detail) = match tried {
            None => launcher(evidence),
            Some(tried) => verdict(evidence, *tried),
        };
        Layer {
            name,
            status,
            detail,
        }
    });
    rows.collect()
}

/// Nothing ran: what refused fails, the rest was not tried.
pub fn none(trouble: &Trouble) -> Vec<Layer> {
    let (at_fault, why) = match trouble {
        Trouble::Refused(why) => refused(why),
        Trouble::NotStarted(why) => (Some(plan::Layer::Start), why.as_str()),
        Trouble::Scene(why) => (None, why.as_str()),
    };
    let rows = ROWS.iter().map(|(name, layer, tried)| {
        let fails = match at_fault {
            Some(at_fault) => *layer == at_fault,
            // What is no layer's fault is the launcher's.
            None => tried.is_none(),
        };
        let (status, detail) = match fails {
            true => (Status::Fails, why),
            false => (Status::Untried, "not tried: no command runs"),
        };
        Layer {
            name,
            status,
            detail: detail.to_owned(),
        }
    });
    rows.collect()
}

/// The layer that a refusal begins with, and the rest.
fn refused(why: &str) -> (Option<plan::Layer>, &str) {
    ROWS.iter()
        .find_map(|(_, layer, _)| Some((Some(*layer), why.strip_prefix(&format!("{layer}: "))?)))
        .unwrap_or((None, why))
}

fn launcher(evidence: &Evidence) -> (Status, String) {
    match evidence.traces.first() {
        Some(trace) => (Status::Fails, trace.clone()),
        None => {
            let detail = "cairn starts itself; the host saw nothing of what was tried";
            (Status::Holds, detail.to_owned())
        }
    }
}

fn verdict(evidence: &Evidence, tried: Tried) -> (Status, String) {
    let found = &evidence.found;
    let own = found.escapes.iter().filter(|(by, _)| *by == tried);
    let mut worked: Vec<String> = own.map(|(_, what)| what.clone()).collect();
    worked.extend(seen_from_here(evidence, tried));
    match worked.is_empty() {
        true => holds(evidence, tried),
        false if tried == Tried::Landlock && evidence.landlock == 0 => {
            let detail = "this kernel has none: mounts alone keep files as they are";
            (Status::Weak, detail.to_owned())
        }
        false => (Status::Fails, worked.join("; ")),
    }
}

/// What the probe itself can't know.
fn seen_from_here(evidence: &Evidence, tried: Tried) -> Option<String> {
    match tried {
        Tried::Namespaces => {
            let shared: Vec<&str> = NAMESPACES
                .into_iter()
                .filter(|kind| {
                    let ours = evidence.namespaces.iter().find(|(name, _)| name == kind);
                    let theirs = evidence.found.namespaces.get(*kind);
                    theirs.is_none() || ours.is_none_or(|(_, ours)| Some(ours) == theirs)
                })
                .collect();
            (!shared.is_empty()).then(|| format!("shared with the host: {}", shared.join(", ")))
        }
        Tried::Protected if !evidence.keeps_protected => Some("a new .envrc stayed".to_owned()),
        Tried::Identity if evidence.found.user == 0 => Some("it runs as root".to_owned()),
        Tried::Identity if !evidence.keeps_owner => {
            Some("what it makes is another user's".to_owned())
        }
        Tried::Limits if !matches!(evidence.memory, End::OutOfMemory(_) | End::Signal(_)) => {
            Some(format!("memory: {}", evidence.memory))
        }
        _ => None,
    }
}

fn holds(evidence: &Evidence, tried: Tried) -> (Status, String) {
    let found = &evidence.found;
    let detail = match tried {
        Tried::Namespaces => "user, mount, pid, net, ipc, uts, cgroup: all its own".to_owned(),
        Tried::ReadOnly => "writes to /, /etc, /usr, /var denied".to_owned(),
        Tried::Temporary => "/tmp is its own".to_owned(),
        Tried::Devices => "none but null, zero, full, random, tty and the like".to_owned(),
        Tried::Secrets if evidence.hidden == 0 => {
            let detail = "nothing to hide: none of the known places is there";
            return (Status::Untried, detail.to_owned());
        }
        Tried::Secrets => format!(
            "places of keys and histories look empty: {}",
            evidence.hidden
        ),
        Tried::Protected => ".git can't be changed or moved, a new .envrc is renamed".to_owned(),
        Tried::Identity => format!("uid {}, and no other is known", found.user),
        Tried::Network => "off: no address, no socket of the host reached".to_owned(),
        Tried::Limits => return limits(evidence),
        Tried::Capabilities => "none left, none to be had".to_owned(),
        Tried::NoNewPrivileges => "set: no program gives more".to_owned(),
        Tried::Landlock => format!("ABI {}, enforced: write outside denied", evidence.landlock),
        Tried::Seccomp => match found.filters {
            Some(filters) => format!("{filters} filters: {} calls tried, all denied", found.calls),
            None => format!("{} calls tried, all denied", found.calls),
        },
        Tried::Terminal => "none: nothing to type into".to_owned(),
        Tried::Environment => format!("{} variables, all harmless", found.variables),
        Tried::Descriptors => "none but input, output and error".to_owned(),
    };
    (Status::Holds, detail)
}

fn limits(evidence: &Evidence) -> (Status, String) {
    let processes = evidence.found.processes;
    let detail = format!(
        "{}: {processes} processes, then none; memory and files end",
        evidence.limits
    );
    match evidence.limits {
        Means::Groups1 | Means::Groups2 => (Status::Holds, detail),
        // Between two looks memory can grow.
        Means::Counting => (
            Status::Weak,
            format!("{detail}; memory is counted by cairn"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Evidence {
        let namespaces =
            |inside: &str| NAMESPACES.map(|kind| (kind.to_owned(), format!("{kind}:[{inside}]")));
        Evidence {
            found: Found {
                namespaces: namespaces("2").into_iter().collect(),
                user: 1000,
                ..Found::default()
            },
            traces: Vec::new(),
            hidden: 1,
            namespaces: namespaces("1").to_vec(),
            keeps_protected: true,
            keeps_owner: true,
            memory: End::OutOfMemory(1),
            limits: Means::Groups2,
            landlock: 7,
        }
    }

    fn failing(evidence: &Evidence) -> Vec<&'static str> {
        let layers = layers(evidence).into_iter();
        let failing = layers.filter(|layer| layer.status == Status::Fails);
        failing.map(|layer| layer.name).collect()
    }

    #[test]
    fn each_escape_is_its_layers() {
        assert_eq!(failing(&good()), [""; 0]);
        for (name, _, tried) in ROWS {
            let mut evidence = good();
            match tried {
                Some(tried) => evidence.found.escapes.push((tried, "it worked".into())),
                None => evidence.traces.push("it was seen".into()),
            }
            assert_eq!(failing(&evidence), [name]);
        }
    }

    #[test]
    fn what_only_the_host_sees_counts() {
        type Change = fn(&mut Evidence);
        let changes: [(&str, Change); 6] = [
            ("namespaces", |e| e.namespaces[3].1 = "net:[2]".into()),
            ("namespaces", |e| drop(e.found.namespaces.remove("uts"))),
            ("protected", |e| e.keeps_protected = false),
            ("identity", |e| e.keeps_owner = false),
            ("identity", |e| e.found.user = 0),
            ("limits", |e| e.memory = End::Exit(0)),
        ];
        for (name, change) in changes {
            let mut evidence = good();
            change(&mut evidence);
            assert_eq!(failing(&evidence), [name]);
        }
    }

    #[test]
    fn less_is_said_to_be_less() {
        let mut evidence = good();
        evidence.limits = Means::Counting;
        evidence.landlock = 0;
        evidence
            .found
            .escapes
            .push((Tried::Landlock, "it worked".into()));
        let weak = layers(&evidence)
            .into_iter()
            .filter(|l| l.status == Status::Weak);
        let names: Vec<&str> = weak.map(|layer| layer.name).collect();
        assert_eq!(names, ["limits", "landlock"]);
    }
}
