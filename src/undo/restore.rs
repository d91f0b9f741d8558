//! Bringing a turn's other side back. It is planned whole before anything is
//! touched: what is not as the turn left it is a conflict, and with one nothing is
//! done without a yes. Then in an order that works for every change of type: what
//! makes way, folders, what was moved, folders that are to go, files, modes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;

use super::changes::Changes;
use super::cover::said;
use super::history::History;
use super::index::{Keeping, look};
use super::node::{Node, Owner, Stamp};
use super::record::{State, Turn};
use super::report::{Act, Answer, Conflict, Report};
use super::store::Store;
use super::{Error, Force, place, plain};
use crate::sandbox::Workspace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Back,
    Forth,
}

/// Whether all of some changes are known to be the turn's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Whole,
    /// The end was not seen.
    InPart,
}

impl Known {
    pub fn of(cut_off: bool) -> Self {
        match cut_off {
            true => Self::InPart,
            false => Self::Whole,
        }
    }
}

/// So many files are synced one by one; more of them together.
const SYNCED: usize = 32;

/// What is to become of a path.
#[derive(Debug)]
struct Step {
    path: PathBuf,
    now: Node,
    to: Node,
}

static COUNTER: AtomicU64 = AtomicU64::new(0);

impl History {
    /// Takes the last turn back that is not taken back yet.
    ///
    /// # Errors
    /// When the history can't be read, or there is no room to go on.
    pub fn undo(&mut self, workspace: &Workspace, force: Force) -> Result<Answer, Error> {
        self.go(workspace, Way::Back, force)
    }

    /// Brings the turn back that was undone last.
    ///
    /// # Errors
    /// As [`History::undo`].
    pub fn redo(&mut self, workspace: &Workspace, force: Force) -> Result<Answer, Error> {
        self.go(workspace, Way::Forth, force)
    }

    fn go(&mut self, workspace: &Workspace, way: Way, force: Force) -> Result<Answer, Error> {
        self.end(workspace);
        self.lock(workspace)?;
        let answer = self.restore(workspace, way, force);
        self.unlock();
        answer
    }

    fn restore(&mut self, workspace: &Workspace, way: Way, force: Force) -> Result<Answer, Error> {
        let state = match way {
            Way::Back => State::Done,
            Way::Forth => State::Undone,
        };
        let mut ids = self.records.ids(state).map_err(Error::Store)?.into_iter();
        let id = match way {
            Way::Back => ids.next_back(),
            Way::Forth => ids.next(),
        };
        let Some(id) = id else {
            return Ok(Answer::Nothing);
        };
        let turn = self.records.turn(state, id).map_err(Error::Store)?;
        let mut turn = turn.ok_or_else(|| Error::Store(io::ErrorKind::InvalidData.into()))?;
        let mut report = Report {
            turn: turn.id,
            label: turn.label.clone(),
            calls: turn.calls().collect(),
            ..Report::default()
        };
        if force == Force::Yes {
            open_folders(workspace, &turn, way);
        }
        let known = Known::of(turn.cut_off);
        let mut steps = self.plan(workspace, (&turn.changes, known), way, &mut report)?;
        if !report.conflicts.is_empty() {
            if force == Force::No {
                return Ok(Answer::Conflicts(report));
            }
            self.keep_others(workspace, &mut turn, way, (&mut steps, &report))?;
        }
        let report = self.carry_out(workspace, &steps, (&turn.changes, way), report)?;
        if std::mem::take(&mut turn.cut_off) {
            self.records.save(&turn).map_err(Error::Store)?;
        }
        let state = match way {
            Way::Back => State::Undone,
            Way::Forth => State::Done,
        };
        self.records
            .change(&mut turn, state)
            .map_err(Error::Store)?;
        Ok(Answer::Done(report))
    }

    fn carry_out(
        &mut self,
        workspace: &Workspace,
        steps: &[Step],
        (changes, way): (&Changes, Way),
        report: Report,
    ) -> Result<Report, Error> {
        let mut restorer = Restorer {
            root: workspace.handle(),
            store: &mut self.store,
            report,
            sync: match steps.len() {
                0..=SYNCED => Sync::Each,
                _ => Sync::AtOnce,
            },
        };
        restorer.run(steps, &moves(changes, way))?;
        Ok(restorer.report)
    }

    /// Brings the other side of some changes back where nobody else has changed
    /// anything since; adds to the report what was done and what was not.
    pub(super) fn restore_own(
        &mut self,
        workspace: &Workspace,
        (changes, known): (&Changes, Known),
        way: Way,
        report: &mut Report,
    ) -> Result<(), Error> {
        let mut found = Report::default();
        let mut steps = self.plan(workspace, (changes, known), way, &mut found)?;
        steps.retain(|step| { found.conflicts.iter() }.all(|(path, _)| *path != step.path));
        let found = self.carry_out(workspace, &steps, (changes, way), found)?;
        report.done.extend(found.done);
        report.left.extend(found.left);
        report.conflicts.extend(found.conflicts);
        Ok(())
    }

    fn plan(
        &self,
        workspace: &Workspace,
        (changes, known): (&Changes, Known),
        way: Way,
        report: &mut Report,
    ) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        for (path, change) in &changes.nodes {
            let (expected, wanted) = match way {
                Way::Back => (&change.after, &change.before),
                Way::Forth => (&change.before, &change.after),
            };
            let path = &path.0;
            let now = look(workspace.handle(), path, &self.limits, None)?;
            if now.agrees(wanted) {
                continue;
            }
            if let Node::Unkept { why, stamp } = wanted {
                report
                    .left
                    .push((path.clone(), said(path, *why, stamp.size)));
                continue;
            }
            let conflict = match &now {
                _ if !now.agrees(expected) => Some(Conflict::Changed),
                Node::Unkept { why, stamp } if !(wanted.is_folder() && is_folder(stamp)) => {
                    Some(Conflict::Lost(said(path, *why, stamp.size)))
                }
                _ if known == Known::InPart => Some(Conflict::Unknown),
                _ => None,
            };
            report
                .conflicts
                .extend(conflict.map(|why| (path.clone(), why)));
            let (path, to) = (path.clone(), wanted.clone());
            steps.push(Step { path, now, to });
        }
        Ok(steps)
    }

    /// Keeps what will be overwritten, as the side of the turn that is left: going
    /// the other way once more brings it back.
    fn keep_others(
        &mut self,
        workspace: &Workspace,
        turn: &mut Turn,
        way: Way,
        (steps, report): (&mut [Step], &Report),
    ) -> Result<(), Error> {
        for (path, _) in &report.conflicts {
            let store = Some((&mut self.store, Keeping::Must));
            let now = look(workspace.handle(), path, &self.limits, store)?;
            let change = turn.changes.nodes.get_mut(path.as_path());
            if let Some(change) = change {
                let side = match way {
                    Way::Back => &mut change.after,
                    Way::Forth => &mut change.before,
                };
                *side = match side {
                    // It was opened for this, and is as it was but for that.
                    Node::Unkept { stamp, .. } if now.is_folder() && is_folder(stamp) => {
                        Node::Folder {
                            mode: stamp.permissions(),
                            owner: stamp.owner,
                        }
                    }
                    _ => now.clone(),
                };
            }
            if let Ok(at) = steps.binary_search_by(|step| step.path.cmp(path)) {
                steps[at].now = now;
            }
        }
        self.records.save(turn).map_err(Error::Store)
    }
}

/// Lets folders be looked into that the turn has shut, if they are to be open again.
fn open_folders(workspace: &Workspace, turn: &Turn, way: Way) {
    for (path, change) in &turn.changes.nodes {
        let (now, wanted) = match way {
            Way::Back => (&change.after, &change.before),
            Way::Forth => (&change.before, &change.after),
        };
        if let (Node::Unkept { stamp, .. }, Node::Folder { .. }) = (now, wanted)
            && is_folder(stamp)
        {
            // What stays shut is not restored, and said to be.
            let _ = place::parent(workspace.handle(), &path.0).and_then(|(parent, name)| {
                place::set_folder_mode(parent, name, stamp.permissions() | 0o700)
            });
        }
    }
}

fn is_folder(stamp: &Stamp) -> bool {
    place::file_type(stamp) == rustix::fs::FileType::Directory
}

/// What is to be moved, from and to, and its inode.
fn moves(changes: &Changes, way: Way) -> Vec<(&Path, &Path, u64)> {
    let moves = changes.moves.iter();
    let both = |(from, to, inode)| match way {
        Way::Back => (to, from, inode),
        Way::Forth => (from, to, inode),
    };
    moves
        .map(|m| both((m.from.as_ref(), m.to.as_ref(), m.inode)))
        .collect()
}

/// When restored files are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    Each,
    AtOnce,
}

struct Restorer<'a> {
    root: BorrowedFd<'a>,
    store: &'a mut Store,
    report: Report,
    sync: Sync,
}

impl Restorer<'_> {
    /// Steps are in the order of their paths: folders come before what is in them.
    fn run(&mut self, steps: &[Step], moves: &[(&Path, &Path, u64)]) -> Result<(), Error> {
        let was_folder = |step: &&Step| is_some_folder(&step.now);
        let is_file = |step: &&Step| matches!(step.to, Node::File { .. } | Node::Link { .. });
        for step in steps.iter().filter(was_folder) {
            // So that its entries can be reached; it gets its mode at the end.
            let _ = self.within(&step.path, |parent, name| {
                let stamp = place::stat(parent, name)?.ok_or(Errno::NOENT)?;
                match stamp.mode & 0o700 {
                    0o700 => Ok(()),
                    _ => place::set_folder_mode(parent, name, stamp.permissions() | 0o700),
                }
            });
        }
        let way = steps.iter().rev().filter(|step| {
            !is_some_folder(&step.now) && step.now != Node::Absent && !is_file(step)
        });
        for step in way {
            let removed = self.within(&step.path, |parent, name| place::remove_file(parent, name));
            self.note(step, removed)?;
        }
        for step in steps.iter().filter(|step| step.to.is_folder()) {
            let made =
                self.within_made(&step.path, |parent, name| place::make_folder(parent, name));
            self.note(step, made)?;
        }
        for (from, to, inode) in moves {
            self.move_back(from, to, *inode);
        }
        for step in steps.iter().rev().filter(was_folder) {
            if !step.to.is_folder() {
                let removed = self.within(&step.path, |parent, name| {
                    place::remove_folder(parent, name)
                });
                self.note(step, removed)?;
            }
        }
        for step in steps.iter().filter(is_file) {
            let put = self.put(&step.path, &step.to);
            self.note(step, put)?;
        }
        for step in steps.iter().rev() {
            if let Node::Folder { mode, owner } = step.to {
                let set = self.within(&step.path, |parent, name| {
                    if !step.now.is_folder() {
                        place::give(parent, name, owner);
                    }
                    place::set_folder_mode(parent, name, mode)
                });
                self.note(step, set)?;
            }
        }
        if self.sync == Sync::AtOnce {
            // Before the turn counts as undone.
            sync_all(self.root).map_err(|error| Error::Workspace(PathBuf::new(), error))?;
        }
        let report = &mut self.report;
        report.done.sort_by(|a, b| a.0.cmp(&b.0));
        report.done.dedup_by(|a, b| a.0 == b.0);
        report.left.sort_by(|a, b| a.0.cmp(&b.0));
        report.left.dedup_by(|a, b| a.0 == b.0);
        Ok(())
    }

    /// Takes down what came of a step. Only a full disk stops everything: the rest
    /// can be done later.
    fn note(&mut self, step: &Step, result: io::Result<()>) -> Result<(), Error> {
        let path = step.path.clone();
        match result {
            Ok(()) if step.to == Node::Absent => self.report.done.push((path, Act::Removed)),
            Ok(()) => self.report.done.push((path, Act::Restored)),
            Err(error) if is_full(&error) => return Err(Error::Workspace(path, error)),
            Err(error) => {
                let why = match Errno::from_io_error(&error) {
                    Some(Errno::NOTEMPTY | Errno::EXIST | Errno::ISDIR) => {
                        "a folder that holds other files, ignored or newer ones".into()
                    }
                    Some(Errno::NOTDIR | Errno::LOOP) => "a link or a file is in the way".into(),
                    _ => plain(&error),
                };
                self.report.left.push((path, why));
            }
        }
        Ok(())
    }

    /// Does something in the folder around a path, which is made writable for it.
    fn within<T>(
        &self,
        path: &Path,
        act: impl Fn(&OwnedFd, &OsStr) -> io::Result<T>,
    ) -> io::Result<T> {
        if path.as_os_str().is_empty() {
            return self.root_itself(act);
        }
        let (parent, name) = place::parent(self.root, path)?;
        match act(&parent, name) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ACCESS) => {
                let mode = place::stat_open(&parent)?.permissions();
                fchmod(&parent, raw(mode | 0o700))?;
                let done = act(&parent, name);
                fchmod(&parent, raw(mode))?;
                done
            }
            other => other,
        }
    }

    /// The workspace's own folder, which has no parent here.
    fn root_itself<T>(&self, act: impl Fn(&OwnedFd, &OsStr) -> io::Result<T>) -> io::Result<T> {
        act(&place::folder(self.root, Path::new(""))?, ".".as_ref())
    }

    /// The same, and folders above that are missing are made: somebody has removed
    /// them, and said yes to this.
    fn within_made<T>(
        &self,
        path: &Path,
        act: impl Fn(&OwnedFd, &OsStr) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.within(path, &act) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => {
                let above = path.ancestors().skip(1);
                let above: Vec<&Path> = above.filter(|path| !path.as_os_str().is_empty()).collect();
                for folder in above.into_iter().rev() {
                    self.within(folder, |parent, name| match place::stat(parent, name)? {
                        Some(_) => Ok(()),
                        None => {
                            place::make_folder(parent, name)?;
                            place::set_folder_mode(parent, name, 0o755)
                        }
                    })?;
                }
                self.within(path, act)
            }
            other => other,
        }
    }

    fn move_back(&mut self, from: &Path, to: &Path, inode: u64) {
        let moved = place::parent(self.root, from).and_then(|(old, old_name)| {
            let (new, new_name) = place::parent(self.root, to)?;
            let is_it = place::stat(&old, old_name)?.is_some_and(|stamp| stamp.inode == inode);
            if is_it && place::stat(&new, new_name)?.is_none() {
                place::rename((&old, old_name), (&new, new_name))?;
            }
            Ok(())
        });
        if let Err(error) = moved {
            self.report.left.push((from.to_owned(), plain(&error)));
        }
    }

    /// Puts a file or a link in place; until then what was there is there.
    fn put(&mut self, path: &Path, node: &Node) -> io::Result<()> {
        let temporary = OsString::from(format!(
            ".cairn-undo-{}-{}.tmp",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        ));
        let beside = path.with_file_name(&temporary);
        let file = match node {
            Node::Link { target, owner } => {
                self.within_made(&beside, |parent, name| {
                    place::link(parent, name, target)?;
                    place::give(parent, name, *owner);
                    Ok(())
                })?;
                None
            }
            _ => Some(self.within_made(&beside, |parent, name| place::create(parent, name))?),
        };
        let filled = match (file, node) {
            (
                Some(mut file),
                Node::File {
                    hash, mode, owner, ..
                },
            ) => {
                let filled = self.store.fill(hash, &mut file);
                filled.and_then(|()| finish(&file, *mode, *owner, self.sync))
            }
            _ => Ok(()),
        };
        let name = path.file_name().unwrap_or_default();
        let placed = filled.and_then(|()| {
            self.within(&beside, |parent, temporary| {
                place::rename((parent, temporary), (parent, name))
            })
        });
        if placed.is_err() {
            let _ = self.within(&beside, |parent, name| place::remove_file(parent, name));
        }
        placed
    }
}

fn finish(file: &std::fs::File, mode: u32, owner: Owner, sync: Sync) -> io::Result<()> {
    let now = place::stat_open(file)?;
    if now.owner != owner {
        // Only root can give a file away.
        let (user, group) = (
            rustix::fs::Uid::from_raw(owner.0),
            rustix::fs::Gid::from_raw(owner.1),
        );
        let _ = rustix::fs::fchown(file, Some(user), Some(group));
    }
    // After the owner, because a change of owner clears bits of the mode.
    fchmod(file, raw(mode))?;
    match sync {
        Sync::Each => file.sync_all(),
        Sync::AtOnce => Ok(()),
    }
}

/// Has everything on the disk that was written to a file system.
fn sync_all(root: BorrowedFd<'_>) -> io::Result<()> {
    // The workspace's own handle is one that can only be looked up by.
    let folder = place::folder(root, Path::new(""))?;
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::syncfs(folder)?);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        rustix::fs::sync();
        Ok(())
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "a mode has 16 bits on some systems"
)]
fn raw(mode: u32) -> Mode {
    Mode::from_raw_mode(mode as rustix::fs::RawMode)
}

fn is_full(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOSPC | Errno::DQUOT))
}

/// A folder, also one that could not be looked into.
fn is_some_folder(node: &Node) -> bool {
    match node {
        Node::Folder { .. } => true,
        Node::Unkept { stamp, .. } => is_folder(stamp),
        _ => false,
    }
}
