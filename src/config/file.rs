//! Reading and replacing the small files that the user's settings are in.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Beyond this many bytes it is no file of settings.
pub(super) const MAX_BYTES: u64 = 256 * 1024;

/// The text of a file; `None` where there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("more than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8 text"))?;
    Ok(Some(text))
}

/// Changes a file's text while no other cairn does: `change` gets what is there
/// and gives what shall be there, or nothing to leave it. Whoever reads sees the
/// old text or the new one. A link stays one.
pub(super) fn change<E: From<io::Error>>(
    path: &Path,
    change: impl FnOnce(Option<String>) -> Result<Option<String>, E>,
) -> Result<(), E> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(E::from)?;
    // The lock ends with the handle.
    let lock = File::open(folder)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(io::Error::from)?;
    if let Some(text) = change(read(path)?)? {
        replace(path, &text)?;
    }
    Ok(())
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = match path.canonicalize() {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = folder.join(format!(".cairn-{}.tmp", std::process::id()));
    let written = fill(&temporary, &path, text).and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // The first error is what counts; the file may not exist at all.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    // The content is safe; some file systems can't sync a folder.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

fn fill(temporary: &Path, old: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(temporary)?;
    if let Ok(old) = fs::metadata(old) {
        let mode = old.permissions().mode() & 0o777;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
