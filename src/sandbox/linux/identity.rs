//! Who the command is. An ordinary user stays that user, in a user namespace that
//! knows nobody else. Root gives the command an identity that no account has; files
//! of a workspace's owner are shown to it as its own, by an id-mapped mount.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::process::{Gid, Pid, Signal, Uid, WaitOptions};
use rustix::thread::UnshareFlags;

use super::plan::{Guest, Plan};
use super::process::{Forked, fork};

/// User namespaces whose only use is to say how ids are mapped, by owner.
pub struct IdMaps {
    guest: Option<Guest>,
    made: Vec<(Owner, OwnedFd)>,
}

/// User and group of a file.
type Owner = (u32, u32);

impl IdMaps {
    /// The maps for the owners of what the command will see as its own. They are
    /// made before there is a process namespace: `/proc` still shows the outer one.
    pub fn new(plan: &Plan) -> io::Result<Self> {
        let mut made: Vec<(Owner, OwnedFd)> = Vec::new();
        if let Some(guest) = plan.guest {
            for path in plan.kept.iter().chain([&plan.workspace.path]) {
                let Ok(found) = fs::metadata(path) else {
                    continue;
                };
                let owner = (found.uid(), found.gid());
                if made.iter().all(|(known, _)| *known != owner) {
                    let (users, groups) = (line(owner.0, guest.id), line(owner.1, guest.id));
                    made.push((owner, namespace(&users, &groups)?));
                }
            }
        }
        Ok(Self {
            guest: plan.guest,
            made,
        })
    }

    /// What shows the files of an owner as the guest's; `None` if the command runs
    /// as who started it.
    pub fn of_owner(&self, owner: Owner) -> io::Result<Option<BorrowedFd<'_>>> {
        if self.guest.is_none() {
            return Ok(None);
        }
        let known = self.made.iter().find(|(known, _)| *known == owner);
        let (_, map) = known.ok_or_else(|| io::Error::other("it has another owner now"))?;
        Ok(Some(map.as_fd()))
    }
}

/// One line of `uid_map`: an id inside, and what it is outside.
fn line(inside: u32, outside: u32) -> String {
    format!("{inside} {outside} 1\n")
}

/// A user namespace that nobody is in.
fn namespace(users: &str, groups: &str) -> io::Result<OwnedFd> {
    let (mut made, tell) = io::pipe()?;
    match fork()? {
        Forked::Child => {
            // SAFETY: this process has one thread.
            let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) };
            if unshared.is_ok() && (&tell).write_all(b"+").is_ok() {
                loop {
                    std::thread::park();
                }
            }
            std::process::exit(1)
        }
        Forked::Parent(child) => {
            drop(tell);
            let namespace = wait_for(&mut made)
                .and_then(|()| map(child, users, groups))
                .and_then(|()| fs::File::open(format!("/proc/{}/ns/user", child.as_raw_pid())));
            let _ = rustix::process::kill_process(child, Signal::KILL);
            let _ = rustix::process::waitpid(Some(child), WaitOptions::empty());
            Ok(namespace?.into())
        }
    }
}

/// Waits for a byte.
pub fn wait_for(pipe: &mut impl Read) -> io::Result<()> {
    pipe.read_exact(&mut [0])
}

/// Sets the maps of the user namespace that a process is in.
fn map(process: Pid, users: &str, groups: &str) -> io::Result<()> {
    let folder = format!("/proc/{}", process.as_raw_pid());
    fs::write(format!("{folder}/setgroups"), "deny")?;
    fs::write(format!("{folder}/uid_map"), users)?;
    fs::write(format!("{folder}/gid_map"), groups)
}

/// In a new user namespace of our own: nobody but this user is known in it.
pub fn keep_self(user: Uid, group: Gid) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    let (user, group) = (user.as_raw(), group.as_raw());
    fs::write("/proc/self/uid_map", line(user, user))?;
    fs::write("/proc/self/gid_map", line(group, group))
}

/// Nobody but the guest is known in the namespace of this process.
pub fn keep_guest(process: Pid, guest: Guest) -> io::Result<()> {
    let same = line(guest.id, guest.id);
    map(process, &same, &same)
}

/// Becomes the guest, for good.
pub fn become_guest(guest: Guest) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(guest.id), Gid::from_raw(guest.id));
    rustix::thread::set_thread_res_gid(group, group, group)?;
    Ok(rustix::thread::set_thread_res_uid(user, user, user)?)
}
