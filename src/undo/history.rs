//! The turns of one workspace: what a call will change is kept before it, what it
//! did change is noted after it. One cairn at a time writes here; all it knows is on
//! disk, so that the next one can go on after any crash.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, accessat, flock};

use super::changes::{Change, Changes};
use super::index::{Keeping, Tree, look};
use super::node::{Hash, Name, Node, Why};
use super::record::{OpenCall, Records, State, Turn};
use super::scan::{By, Rules, walk};
use super::store::{self, Store};
use super::{Error, Limits, Touches, place};
use crate::sandbox::Workspace;

/// Characters of what the user asked for that name a turn.
const LABEL: usize = 60;
/// So often is looked for copies that nobody needs, in turns and in bytes.
const COLLECT_TURNS: u64 = 16;
const COLLECT_BYTES: u64 = 1 << 30;

/// What can be undone in one workspace.
#[derive(Debug)]
pub struct History {
    pub(super) limits: Limits,
    pub(super) store: Store,
    pub(super) records: Records,
    folder: PathBuf,
    /// Held from the first change of a turn to its end.
    lock: Option<File>,
    label: String,
    pub(super) turn: Option<Turn>,
    /// Another cairn was at work when this turn began to change something.
    without: bool,
    /// The newest index, by its number.
    index: Option<(u64, Tree, Rules)>,
    /// What went wrong in this turn.
    trouble: Option<String>,
}

/// The file that says whose history it is.
const WORKSPACE: &str = "workspace";
/// How long the history of a folder that is gone is kept.
const ORPHANED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Removes histories of folders that have been gone for long.
fn sweep(all: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(all)? {
        let folder = entry?.path();
        let Ok(workspace) = fs::read(folder.join(WORKSPACE)) else {
            continue;
        };
        let used = fs::metadata(folder.join("lock")).and_then(|found| found.modified());
        let age = used.ok().and_then(|used| used.elapsed().ok());
        let gone = !Path::new(OsStr::from_bytes(&workspace)).exists();
        if gone && age.is_some_and(|age| age > ORPHANED) {
            // If it can't be removed, it is no worse than before.
            let _ = fs::remove_dir_all(&folder);
        }
    }
    Ok(())
}

pub(super) fn in_store<T>(result: std::io::Result<T>) -> Result<T, Error> {
    result.map_err(Error::Store)
}

impl History {
    /// The history of a workspace, below cairn's state folder. It is made when there
    /// is something to keep. A turn that a crash cut off is closed.
    ///
    /// # Errors
    /// When nothing can be kept there.
    pub fn open(state: &Path, workspace: &Workspace, limits: Limits) -> Result<Self, Error> {
        let root = workspace.root();
        // Before anything is made: it would be made in the workspace.
        let inside = |folder: &Path| folder.starts_with(root);
        let existing = state.ancestors().find_map(|path| path.canonicalize().ok());
        let existing = existing.unwrap_or_else(|| PathBuf::from("/"));
        if inside(state) || inside(&existing) {
            return Err(Error::Inside);
        }
        let writable = accessat(CWD, &existing, Access::WRITE_OK, AtFlags::EACCESS);
        writable.map_err(|error| Error::Store(error.into()))?;
        let name = Hash::of(root.as_os_str().as_bytes()).to_string();
        let folder = state.join("undo").join(&name[..32]);
        let mut history = Self {
            limits,
            store: Store::new(&folder),
            records: Records::new(&folder),
            folder,
            lock: None,
            label: String::new(),
            turn: None,
            without: false,
            index: None,
            trouble: None,
        };
        if history.folder.exists() {
            match history.lock(workspace) {
                Ok(()) => history.unlock(),
                Err(Error::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(history)
    }

    /// Has this cairn be the one that writes, and finishes what another left.
    pub(super) fn lock(&mut self, workspace: &Workspace) -> Result<(), Error> {
        if self.lock.is_some() {
            return Ok(());
        }
        if !self.folder.exists() {
            in_store(self.make(workspace.root()))?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join("lock"));
        let file = in_store(file)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                // Says that somebody still uses this.
                let _ = file.set_modified(SystemTime::now());
                self.lock = Some(file);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Busy),
            Err(error) => return Err(Error::Store(error.into())),
        }
        in_store(self.store.look())?;
        let newest = in_store(self.records.newest())?;
        if self.index.as_ref().map(|(number, ..)| *number) != newest {
            // An index that can't be read is made anew.
            self.index = newest.and_then(|number| {
                let (tree, rules) = self.records.index(number).ok()?;
                Some((number, tree, rules))
            });
        }
        for id in in_store(self.records.ids(State::Open))? {
            if let Some(mut turn) = in_store(self.records.turn(State::Open, id))? {
                turn.cut_off = true;
                // What can't be found out must not be in the way of everything else.
                let _ = self.close_call(workspace, &mut turn);
                self.settle(turn)?;
            }
        }
        Ok(())
    }

    fn make(&self, root: &Path) -> std::io::Result<()> {
        store::make_folder(&self.folder)?;
        store::write(&self.folder.join(WORKSPACE), root.as_os_str().as_bytes())?;
        if let Some(all) = self.folder.parent() {
            sweep(all)?;
        }
        Ok(())
    }

    pub(super) fn unlock(&mut self) {
        if let Some(lock) = self.lock.take() {
            // Closing it is not enough while a process that is about to be another
            // program still has a copy.
            let _ = flock(&lock, FlockOperation::Unlock);
        }
    }

    pub(super) fn unlock_if_idle(&mut self) {
        if self.turn.is_none() {
            self.unlock();
        }
    }

    /// A turn begins. Nothing is written before it changes something.
    pub fn begin(&mut self, workspace: &Workspace, text: &str) {
        self.end(workspace);
        self.label = crate::sandbox::sanitize::for_line(text.trim())
            .chars()
            .take(LABEL)
            .collect();
    }

    /// Whether this cairn may write in this turn.
    pub(super) fn is_first(&mut self, workspace: &Workspace) -> Result<bool, Error> {
        if !self.without {
            match self.lock(workspace) {
                Err(Error::Busy) => self.without = true,
                other => other?,
            }
        }
        Ok(!self.without)
    }

    /// Keeps what a call of this name may change. A call whose end was not told has lasted until
    /// now.
    ///
    /// # Errors
    /// When it can't be kept: then the call must not run.
    pub fn before(
        &mut self,
        workspace: &Workspace,
        touches: &Touches,
        name: Option<u64>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        if !self.is_first(workspace)? {
            return Ok(());
        }
        if self.turn.as_ref().is_some_and(|turn| turn.call.is_some()) {
            self.after(workspace);
        }
        let mut turn = match self.turn.take() {
            Some(turn) => turn,
            None => {
                let id = in_store(self.records.last_id())? + 1;
                Turn {
                    id,
                    of: id,
                    label: self.label.clone(),
                    ..Turn::default()
                }
            }
        };
        let call = match touches {
            Touches::Path(path) => self.keep_paths(workspace, path),
            Touches::Workspace => self.keep_workspace(workspace, cancelled),
        };
        let saved = call.and_then(|call| {
            (turn.call, turn.name) = (Some(call), name);
            in_store(self.records.save(&turn))
        });
        if saved.is_err() {
            turn.call = None;
        }
        self.turn = Some(turn);
        saved
    }

    /// The path, and folders above it that are not there.
    fn keep_paths(&mut self, workspace: &Workspace, path: &Path) -> Result<OpenCall, Error> {
        let mut paths = Vec::new();
        for path in path
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty())
        {
            let store = Some((&mut self.store, Keeping::Must));
            let node = look(workspace.handle(), path, &self.limits, store)?;
            if paths.is_empty() || node == Node::Absent {
                paths.push((Name(path.to_owned()), node));
            }
        }
        Ok(OpenCall::Paths(paths))
    }

    fn keep_workspace(
        &mut self,
        workspace: &Workspace,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<OpenCall, Error> {
        let unread = |error| Error::Workspace(PathBuf::new(), error);
        let root = workspace.handle();
        let (listing, rules) = walk(root, By::Live, &self.limits).map_err(unread)?;
        let old = self.index.as_ref().map(|(_, tree, _)| tree);
        let tree = Tree::take(
            root,
            listing,
            old,
            &mut self.store,
            Keeping::Must,
            cancelled,
        )?;
        Ok(OpenCall::Workspace(self.set_index(tree, rules)?))
    }

    /// Writes an index if it says anything new; returns its number.
    fn set_index(&mut self, tree: Tree, rules: Rules) -> Result<u64, Error> {
        if let Some((number, old, old_rules)) = &self.index
            && *old == tree
            && old_rules == &rules
        {
            return Ok(*number);
        }
        let number = in_store(self.records.add_index(&tree, &rules))?;
        self.index = Some((number, tree, rules));
        Ok(number)
    }

    /// Notes what the call has changed. What goes wrong is said at the turn's end;
    /// undoing then asks first.
    pub fn after(&mut self, workspace: &Workspace) {
        let Some(mut turn) = self.turn.take() else {
            return;
        };
        let call = turn.call.clone();
        let closed = self.close_call(workspace, &mut turn);
        if let Err(error) = closed.and_then(|()| in_store(self.records.save(&turn))) {
            turn.cut_off = true;
            // Another try is made before the turn is undone.
            turn.call = call;
            self.trouble = Some(error.to_string());
        }
        self.turn = Some(turn);
    }

    fn close_call(&mut self, workspace: &Workspace, turn: &mut Turn) -> Result<(), Error> {
        let mut changes = Changes::default();
        let closed = match turn.call.take() {
            Some(call) => self.see(workspace, call, &mut changes),
            None => Ok(()),
        };
        turn.add(changes);
        closed
    }

    /// Looks what a call has changed.
    fn see(
        &mut self,
        workspace: &Workspace,
        call: OpenCall,
        changes: &mut Changes,
    ) -> Result<(), Error> {
        let root = workspace.handle();
        match call {
            OpenCall::Paths(paths) => {
                for (path, before) in paths {
                    let store = Some((&mut self.store, Keeping::May));
                    let after = look(root, &path.0, &self.limits, store)?;
                    if !before.agrees(&after) {
                        changes.add(path, Change { before, after });
                    }
                }
            }
            OpenCall::Workspace(number) => {
                if self
                    .index
                    .as_ref()
                    .is_none_or(|(newest, ..)| *newest != number)
                {
                    let (tree, rules) = in_store(self.records.index(number))?;
                    self.index = Some((number, tree, rules));
                }
                let Some((_, tree, rules)) = &self.index else {
                    return Ok(());
                };
                let covered = |path: &Path| {
                    let seen = tree.get(path);
                    seen.is_some_and(|seen| {
                        !matches!(
                            seen.node,
                            Node::Unkept {
                                why: Why::Ignored,
                                ..
                            }
                        )
                    })
                };
                let unread = |error| Error::Workspace(PathBuf::new(), error);
                let by = By::Earlier(rules, &covered);
                let (listing, _) = walk(root, by, &self.limits).map_err(unread)?;
                let (keeping, go_on) = (Keeping::May, || false);
                let now = Tree::take(root, listing, Some(tree), &mut self.store, keeping, &go_on)?;
                let born = |path: &Path| {
                    let (parent, name) = place::parent(root, path).ok()?;
                    place::born(parent, name)
                };
                changes.add_between(tree, &now, &born);
                let rules = rules.clone();
                self.set_index(now, rules)?;
            }
        }
        Ok(())
    }

    /// The turn is over. Returns what the user should know of it.
    pub fn end(&mut self, workspace: &Workspace) -> Option<String> {
        if let Some(turn) = &self.turn {
            if turn.call.is_some() {
                self.after(workspace);
            }
            if let Some(turn) = self.turn.take_if(|turn| turn.call.is_none())
                && let Err(error) = self.settle(turn)
            {
                self.trouble.get_or_insert(error.to_string());
            }
        }
        // One that is still open on disk is looked at again.
        self.turn = None;
        self.unlock();
        let busy = std::mem::take(&mut self.without);
        match self.trouble.take() {
            Some(why) => Some(format!(
                "what this turn changed could not be noted whole ({why}): /undo will ask"
            )),
            None => busy.then(|| format!("this turn can't be undone: {}", Error::Busy)),
        }
    }

    /// Closes a turn on disk, and forgets what it makes obsolete.
    fn settle(&mut self, mut turn: Turn) -> Result<(), Error> {
        if turn.changes.is_empty() {
            in_store(self.records.remove(State::Open, turn.id))?;
            return self.collect_sometimes(turn.id);
        }
        in_store(self.records.save(&turn))?;
        in_store(self.records.change(&mut turn, State::Done))?;
        for id in in_store(self.records.ids(State::Undone))? {
            in_store(self.records.remove(State::Undone, id))?;
        }
        for state in [State::Done, State::Left] {
            let ids = in_store(self.records.ids(state))?;
            for id in &ids[..ids.len().saturating_sub(self.limits.turns)] {
                in_store(self.records.remove(state, *id))?;
            }
        }
        self.collect_sometimes(turn.id)
    }

    fn collect_sometimes(&mut self, id: u64) -> Result<(), Error> {
        if let Some((newest, ..)) = &self.index {
            in_store(self.records.remove_older(*newest))?;
        }
        match id.is_multiple_of(COLLECT_TURNS) || self.store.written > COLLECT_BYTES {
            true => self.collect(),
            false => Ok(()),
        }
    }

    /// Removes copies that nobody needs, and the oldest turns if there is too much.
    pub(super) fn collect(&mut self) -> Result<(), Error> {
        self.store.written = 0;
        loop {
            let mut used: HashSet<_> = HashSet::new();
            in_store(self.records.hashes(&mut used))?;
            if let Some((_, tree, _)) = &self.index {
                tree.hashes(&mut used);
            }
            let left = in_store(self.store.collect(&used))?;
            let oldest = |state| -> Result<Option<(State, u64)>, Error> {
                let ids = in_store(self.records.ids(state))?;
                Ok(ids.first().map(|id| (state, *id)))
            };
            match oldest(State::Left)?.or(oldest(State::Done)?) {
                Some((state, id)) if left > self.limits.store_bytes => {
                    in_store(self.records.remove(state, id))?;
                }
                _ => return Ok(()),
            }
        }
    }
}
