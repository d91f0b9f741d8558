//! Limits on all processes of a command together, where the system lets this user
//! set some: one group in each hierarchy that can count memory or processes,
//! version 1 or 2. A group is a folder, which goes when the command has ended; those
//! of a cairn that was killed go with the next start.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::processes::Process;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Of all processes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    pub processes: u64,
    pub memory: u64,
}

/// What a hierarchy counts, and how its files are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Memory1,
    Pids1,
    /// Both.
    Unified,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    kind: Kind,
    /// The folder in which groups can be made.
    folder: PathBuf,
}

/// The groups of one command.
#[derive(Debug)]
pub struct Group {
    folders: Vec<(Kind, PathBuf)>,
}

impl Group {
    /// `None` where memory and processes can't both be limited.
    pub fn new(limits: &GroupLimits) -> Option<Self> {
        let name = format!(
            "{}-{}",
            Owner::this()?.name(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let mut group = Self {
            folders: Vec::new(),
        };
        let (mut memory, mut pids) = (false, false);
        for Hierarchy { kind, folder } in hierarchies() {
            let folder = folder.join(&name);
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            // From here on the folder is taken away again.
            group.folders.push((kind, folder));
            let Some((_, folder)) = group.folders.last() else {
                continue;
            };
            let set = |file: &str, value: u64| fs::write(folder.join(file), value.to_string());
            let done = match kind {
                Kind::Memory1 => set("memory.limit_in_bytes", limits.memory),
                Kind::Pids1 => set("pids.max", limits.processes),
                Kind::Unified => set("memory.max", limits.memory)
                    .and_then(|()| set("pids.max", limits.processes)),
            };
            if done.is_err() {
                continue;
            }
            memory |= kind != Kind::Pids1;
            pids |= kind != Kind::Memory1;
            // Not everywhere, and not without: swap is memory, and one process that
            // is left over helps nobody.
            let _ = match kind {
                Kind::Memory1 => set("memory.memsw.limit_in_bytes", limits.memory),
                Kind::Pids1 => Ok(()),
                Kind::Unified => set("memory.swap.max", 0).and(set("memory.oom.group", 1)),
            };
        }
        (memory && pids).then_some(group)
    }

    /// Puts a process in, and with it all that it starts.
    pub fn add(&self, process: u32) -> io::Result<()> {
        self.folders
            .iter()
            .try_for_each(|(_, folder)| fs::write(folder.join("cgroup.procs"), process.to_string()))
    }

    /// Whether something was killed for its memory.
    pub fn ran_out_of_memory(&self) -> bool {
        self.folders.iter().any(|(kind, folder)| {
            let file = match kind {
                Kind::Memory1 => "memory.oom_control",
                Kind::Unified => "memory.events",
                Kind::Pids1 => return false,
            };
            let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
            let mut lines = text.lines();
            lines.any(|line| line.strip_prefix("oom_kill ").is_some_and(|n| n != "0"))
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.folders.iter().for_each(|(_, folder)| remove(folder));
    }
}

fn remove(folder: &Path) {
    // The last process may still be on its way out.
    for _ in 0..1000 {
        match fs::remove_dir(folder) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            _ => break,
        }
    }
}

/// How memory and processes of a command are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    Groups1,
    Groups2,
    /// By each process' own limits, and by looking.
    Counting,
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Groups1 => "cgroup v1",
            Self::Groups2 => "cgroup v2",
            Self::Counting => "rlimit",
        })
    }
}

/// What this user can have, found out by having it.
pub fn means(limits: &GroupLimits) -> Means {
    match Group::new(limits) {
        None => Means::Counting,
        Some(group) => match group.folders.iter().any(|(kind, _)| *kind == Kind::Unified) {
            true => Means::Groups2,
            false => Means::Groups1,
        },
    }
}

/// Takes away the groups of cairns that are no more.
pub fn sweep() {
    for Hierarchy { folder, .. } in hierarchies() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(Owner::of_group);
            if owner.is_some_and(|owner| !owner.is_alive()) {
                remove(&entry.path());
            }
        }
    }
}

/// The process that made a group: its number, and when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    process: u32,
    started: u64,
}

impl Owner {
    fn this() -> Option<Self> {
        let Process { id, started, .. } = Process::this()?;
        Some(Self {
            process: id,
            started,
        })
    }

    fn name(self) -> String {
        format!("cairn-{}-{}", self.process, self.started)
    }

    fn of_group(name: &str) -> Option<Self> {
        let mut numbers = name.strip_prefix("cairn-")?.split('-');
        Some(Self {
            process: numbers.next()?.parse().ok()?,
            started: numbers.next()?.parse().ok()?,
        })
    }

    fn is_alive(self) -> bool {
        Process::of(self.process).is_some_and(|process| process.started == self.started)
    }
}

/// Where this process can make groups that count something.
fn hierarchies() -> Vec<Hierarchy> {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    hierarchies_of(
        &read("/proc/self/mountinfo"),
        &read("/proc/self/cgroup"),
        |folder| fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default(),
    )
}

fn hierarchies_of(
    mounts: &str,
    memberships: &str,
    controllers: impl Fn(&Path) -> String,
) -> Vec<Hierarchy> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let ([_, _, _, root, mount, ..], [kind, _, options, ..]) = (&left[..], &right[..]) else {
            continue;
        };
        let own = |wanted: &str| {
            memberships.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                let (names, path) = (parts.next()?, parts.next()?);
                let fits = names == wanted || names.split(',').any(|name| name == wanted);
                // What is mounted may be a part of the tree.
                let path = path
                    .strip_prefix(root.trim_end_matches('/'))
                    .unwrap_or(path);
                fits.then(|| Path::new(mount).join(path.trim_start_matches('/')))
            })
        };
        let counts = |name: &str| options.split(',').any(|option| option == name);
        match *kind {
            "cgroup" if counts("memory") => found.extend(own("memory").map(|folder| Hierarchy {
                kind: Kind::Memory1,
                folder,
            })),
            "cgroup" if counts("pids") => found.extend(own("pids").map(|folder| Hierarchy {
                kind: Kind::Pids1,
                folder,
            })),
            "cgroup2" => {
                // Where there are processes there is no counting: above, there is.
                let own = own("");
                let mut above = own.iter().flat_map(|own| own.ancestors());
                let folder = above.find(|folder| {
                    let there = controllers(folder);
                    let has = |name| there.split_whitespace().any(|known| known == name);
                    has("memory") && has("pids")
                });
                let folder = folder.filter(|folder| folder.starts_with(mount));
                found.extend(folder.map(|folder| Hierarchy {
                    kind: Kind::Unified,
                    folder: folder.to_owned(),
                }));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(kind: Kind, folder: &str) -> Hierarchy {
        Hierarchy {
            kind,
            folder: folder.into(),
        }
    }

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            31 25 0:27 / /sys/fs/cgroup/cpu,pids rw shared:1 - cgroup cgroup rw,cpu,pids\n\
            32 25 0:28 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";
        let own = "9:memory:/a/b\n8:cpu,pids:/\n0::/unused\n";
        let expected = [
            at(Kind::Memory1, "/sys/fs/cgroup/memory/a/b"),
            at(Kind::Pids1, "/sys/fs/cgroup/cpu,pids/"),
        ];
        assert_eq!(hierarchies_of(mounts, own, |_| String::new()), expected);

        let mounts = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let own = "0::/user.slice/app.slice/term.scope\n";
        let controllers = |folder: &Path| match folder.ends_with("app.slice") {
            true => "cpu memory pids\n".to_owned(),
            false => String::new(),
        };
        let expected = at(Kind::Unified, "/sys/fs/cgroup/user.slice/app.slice");
        assert_eq!(hierarchies_of(mounts, own, controllers), [expected]);
        assert_eq!(hierarchies_of(mounts, own, |_| "cpu\n".into()), []);
    }

    #[test]
    fn groups_are_known_by_their_owner() {
        let own = Owner::this().unwrap();
        assert_eq!(Owner::of_group(&format!("{}-7", own.name())), Some(own));
        assert!(own.is_alive());
        let before = Owner {
            started: own.started - 1,
            ..own
        };
        assert!(!before.is_alive(), "the number is another process' now");
        assert_eq!(Owner::of_group("cairn-1-x-0"), None);
        assert_eq!(Owner::of_group("user.slice"), None);
    }
}
