//! Visiting the files of a folder the way a developer sees it: sorted, without
//! `.git`, without what `.gitignore` files exclude, without following links.
//! Every step goes through handles below the workspace, so a folder swapped for
//! a link meanwhile leads nowhere. Only regular files are visited.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, FileType};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::workspace::{FileError, Workspace, open_regular};

/// Deeper trees are a loop or an attack.
pub(crate) const MAX_DEPTH: usize = 100;
/// An ignore file beyond this is not one.
pub(crate) const MAX_IGNORE_BYTES: u64 = 1 << 20;

/// What is called with each file: its path from the workspace, and the open file.
pub type Visit<'a> = dyn FnMut(&Path, File) -> ControlFlow<()> + 'a;

impl Workspace {
    /// Visits the regular files below a folder, or the one file that `path` is.
    /// A folder named in the call is entered even if it is ignored itself.
    /// Files that cannot be opened are passed over.
    pub fn walk(&self, path: &str, visit: &mut Visit<'_>) -> Result<(), FileError> {
        let relative = self.relative(path)?;
        if !self.dir.metadata(&relative)?.is_dir() {
            let (file, _) = open_regular(&self.dir, &relative)?;
            self.require_public(&file)?;
            let _ = visit(&relative, file);
            return Ok(());
        }
        let dir = self.open_dir(&relative)?;
        self.require_public(&dir)?;
        let Ignoring {
            mut rules, start, ..
        } = Ignoring::above(&self.dir, &relative);
        let _ = self.descend(&dir, &start, &mut rules, 0, visit);
        Ok(())
    }

    fn descend(
        &self,
        dir: &Dir,
        path: &Path,
        rules: &mut Vec<Gitignore>,
        depth: usize,
        visit: &mut Visit<'_>,
    ) -> ControlFlow<()> {
        let Ok(entries) = dir.entries() else {
            return ControlFlow::Continue(());
        };
        let outer = rules.len();
        rules.extend(read_rules(dir, Path::new(".gitignore"), path));
        let mut names: Vec<(PathBuf, FileType)> = entries
            .flatten()
            .filter(|entry| entry.file_name() != ".git")
            .filter_map(|entry| Some((PathBuf::from(entry.file_name()), entry.file_type().ok()?)))
            .collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, kind) in names {
            let full = path.join(&name);
            if self.is_private(&full) || ignored(rules, &full, kind.is_dir()) {
                continue;
            }
            if kind.is_dir() {
                // A link put in the folder's place meanwhile may lead to another
                // folder inside; never outside.
                if depth < MAX_DEPTH
                    && let Ok(below) = dir.open_dir(&name)
                {
                    self.descend(&below, &full, rules, depth + 1, visit)?;
                }
            } else if kind.is_file()
                && let Ok((file, _)) = open_regular(dir, &name)
            {
                visit(&full, file)?;
            }
        }
        rules.truncate(outer);
        ControlFlow::Continue(())
    }
}

/// The rules that hold in a folder, those of its own file not yet among them.
pub(super) struct Ignoring {
    rules: Vec<Gitignore>,
    /// The folder, as the rules name it.
    start: PathBuf,
    /// The folder itself, or one around it, is ignored.
    inside: bool,
}

impl Ignoring {
    /// `folder` is relative to the workspace.
    pub fn above(workspace: &Dir, folder: &Path) -> Self {
        let start = match folder == Path::new(".") {
            true => PathBuf::new(),
            false => folder.to_owned(),
        };
        let exclude = Path::new(".git/info/exclude");
        let mut rules: Vec<Gitignore> = read_rules(workspace, exclude, Path::new(""))
            .into_iter()
            .collect();
        let (mut above, mut inside) = (PathBuf::new(), false);
        for component in start.components() {
            let file = above.join(".gitignore");
            rules.extend(read_rules(workspace, &file, &above));
            above.push(component);
            inside |= ignored(&rules, &above, true);
        }
        Self {
            rules,
            start,
            inside,
        }
    }

    /// With the rules of the folder's own file.
    pub fn within(mut self, folder: &Dir) -> Self {
        self.rules
            .extend(read_rules(folder, Path::new(".gitignore"), &self.start));
        self
    }

    /// Whether a name in the folder is left out. Who names an ignored folder wants
    /// to see what is in it.
    pub fn leaves_out(&self, name: &Path, folder: bool) -> bool {
        !self.inside && ignored(&self.rules, &self.start.join(name), folder)
    }
}

/// The innermost rule that says anything decides.
fn ignored(rules: &[Gitignore], path: &Path, folder: bool) -> bool {
    is_ignored(rules.iter().rev(), path, folder)
}

/// By rules from the innermost outwards.
pub(crate) fn is_ignored<'a>(
    rules: impl Iterator<Item = &'a Gitignore>,
    path: &Path,
    folder: bool,
) -> bool {
    for rule in rules {
        match rule.matched(path, folder) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => {}
        }
    }
    false
}

/// The rules of one ignore file; `base` is the folder that they are relative to.
/// Lines that do not parse are passed over, as git does.
fn read_rules(dir: &Dir, file: &Path, base: &Path) -> Option<Gitignore> {
    let (file, _) = open_regular(dir, file).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_IGNORE_BYTES).read_to_end(&mut bytes).ok()?;
    parse_rules(&bytes, base)
}

/// The same of a file's text.
pub(crate) fn parse_rules(bytes: &[u8], base: &Path) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new(base);
    for line in String::from_utf8_lossy(bytes).lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().ok()
}
