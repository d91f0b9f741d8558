//! Files' contents, outside the workspace, by their hash. A copy shares blocks with
//! its original where the file system can do that, and is never a link to it. What
//! is kept is checked against its hash when it is used, so that copies need not be
//! on the disk before a command runs: no crash can make a wrong one pass.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::node::Hash;

/// Files up to this many bytes are hashed before anything is written.
const SMALL: u64 = 1 << 20;
/// Copies stop when fewer bytes than this are free.
const FLOOR: u64 = 256 << 20;
/// And this is how often that is looked at, in bytes.
const LOOK: u64 = 16 << 20;

const OBJECTS: &str = "objects";
const TEMPORARY: &str = "new";

/// Why a file was not kept.
#[derive(Debug)]
pub enum KeepError {
    /// The file could not be read.
    Source,
    /// The copy could not be written.
    Store(io::Error),
}

#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    present: HashSet<Hash>,
    temporary: u64,
    /// Whether copies may share blocks.
    shares: bool,
    /// Bytes written since the last look at the disk, and since the store was opened.
    unlooked: u64,
    pub written: u64,
    /// Files read.
    #[cfg(test)]
    pub reads: usize,
}

impl Store {
    /// One that may not exist yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            present: HashSet::new(),
            temporary: 0,
            shares: true,
            unlooked: LOOK,
            written: 0,
            #[cfg(test)]
            reads: 0,
        }
    }

    /// Makes it if need be, and finds out what is kept, now that nobody else
    /// changes it.
    pub fn look(&mut self) -> io::Result<()> {
        make_folder(&self.folder.join(OBJECTS))?;
        self.present = self.objects()?.into_iter().map(|(hash, _)| hash).collect();
        Ok(())
    }

    fn objects(&self) -> io::Result<Vec<(Hash, PathBuf)>> {
        let mut found = Vec::new();
        for part in fs::read_dir(self.folder.join(OBJECTS))? {
            let part = part?.path();
            let Ok(entries) = fs::read_dir(&part) else {
                continue;
            };
            for entry in entries {
                let entry = entry?;
                if let Some(hash) = entry.file_name().to_str().and_then(Hash::parse) {
                    found.push((hash, entry.path()));
                }
            }
        }
        Ok(found)
    }

    pub fn has(&self, hash: &Hash) -> bool {
        self.present.contains(hash)
    }

    pub(super) fn path(&self, hash: &Hash) -> PathBuf {
        let name = hash.to_string();
        self.folder.join(OBJECTS).join(&name[..2]).join(name)
    }

    fn create(&mut self) -> io::Result<(PathBuf, File)> {
        self.temporary += 1;
        let name = format!("{TEMPORARY}-{}-{}", std::process::id(), self.temporary);
        let path = self.folder.join(OBJECTS).join(name);
        // One of a process that had the same number.
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok((path, file))
    }

    /// Keeps a copy of an open file; returns the hash and the number of its bytes.
    pub fn keep(&mut self, mut file: &File, size: u64) -> Result<(Hash, u64), KeepError> {
        #[cfg(test)]
        {
            self.reads += 1;
        }
        if size <= SMALL {
            let mut bytes = Vec::with_capacity(size as usize + 1);
            let read = (&mut file).take(SMALL + 1).read_to_end(&mut bytes);
            read.map_err(|_| KeepError::Source)?;
            // It may have grown since it was looked at.
            if bytes.len() as u64 <= SMALL {
                let hash = self.keep_bytes(&bytes).map_err(KeepError::Store)?;
                return Ok((hash, bytes.len() as u64));
            }
            file.rewind().map_err(|_| KeepError::Source)?;
        }
        let (path, copy) = self.create().map_err(KeepError::Store)?;
        let kept = self.copy(file, copy).and_then(|(hash, bytes)| {
            self.place(&path, hash).map_err(KeepError::Store)?;
            Ok((hash, bytes))
        });
        if kept.is_err() {
            let _ = fs::remove_file(&path);
        }
        kept
    }

    fn keep_bytes(&mut self, bytes: &[u8]) -> io::Result<Hash> {
        let hash = Hash::of(bytes);
        if !self.has(&hash) {
            self.count(bytes.len() as u64)?;
            let (path, mut copy) = self.create()?;
            let kept = copy.write_all(bytes).and_then(|()| self.place(&path, hash));
            if kept.is_err() {
                let _ = fs::remove_file(&path);
            }
            kept?;
        }
        Ok(hash)
    }

    fn copy(&mut self, mut file: &File, mut copy: File) -> Result<(Hash, u64), KeepError> {
        let mut hasher = Sha256::new();
        if self.shares {
            match share(&copy, file) {
                Ok(()) => {
                    copy.rewind().map_err(KeepError::Store)?;
                    let bytes = hash_all(&mut copy, &mut hasher).map_err(KeepError::Store)?;
                    return Ok((Hash::from_all(hasher), bytes));
                }
                Err(_) => self.shares = false,
            }
        }
        let mut chunk = vec![0; 256 << 10];
        let mut bytes = 0;
        loop {
            let read = match file.read(&mut chunk) {
                Ok(0) => return Ok((Hash::from_all(hasher), bytes)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(KeepError::Source),
            };
            hasher.update(&chunk[..read]);
            bytes += read as u64;
            self.count(read as u64).map_err(KeepError::Store)?;
            copy.write_all(&chunk[..read]).map_err(KeepError::Store)?;
        }
    }

    /// Gives a finished copy its name.
    fn place(&mut self, path: &Path, hash: Hash) -> io::Result<()> {
        let to = self.path(&hash);
        match fs::rename(path, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let part = to.parent().unwrap_or(&self.folder);
                make_folder(part)?;
                fs::rename(path, &to)?;
            }
            other => other?,
        }
        self.present.insert(hash);
        Ok(())
    }

    /// Leaves some room on the disk for everybody else.
    fn count(&mut self, bytes: u64) -> io::Result<()> {
        self.written += bytes;
        self.unlooked += bytes;
        if self.unlooked >= LOOK {
            self.unlooked = 0;
            let disk = rustix::fs::statvfs(&self.folder)?;
            if disk.f_bavail.saturating_mul(disk.f_frsize) < FLOOR {
                return Err(rustix::io::Errno::NOSPC.into());
            }
        }
        Ok(())
    }

    /// Fills a new file with what was kept.
    ///
    /// # Errors
    /// Also when it is not what it was; it is forgotten then.
    pub fn fill(&mut self, hash: &Hash, file: &mut File) -> io::Result<()> {
        let path = self.path(hash);
        let mut hasher = Sha256::new();
        let mut kept = File::open(&path)?;
        if !self.shares || share(file, &kept).is_err() {
            self.shares = false;
            io::copy(&mut kept, file)?;
        }
        file.rewind()?;
        hash_all(file, &mut hasher)?;
        if Hash::from_all(hasher) == *hash {
            return Ok(());
        }
        self.present.remove(hash);
        let _ = fs::remove_file(&path);
        Err(io::Error::other("the kept copy is damaged"))
    }

    /// Forgets what is not in `used`; returns how many bytes are left.
    pub fn collect(&mut self, used: &HashSet<Hash>) -> io::Result<u64> {
        for entry in fs::read_dir(self.folder.join(OBJECTS))? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(TEMPORARY) {
                let _ = fs::remove_file(entry.path());
            }
        }
        let mut left = 0;
        for (hash, path) in self.objects()? {
            if used.contains(&hash) {
                left += fs::metadata(&path).map_or(0, |found| found.len());
            } else {
                fs::remove_file(&path)?;
                self.present.remove(&hash);
            }
        }
        Ok(left)
    }
}

/// Makes a folder that is nobody else's, and those above it.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Hashes without keeping.
pub fn hash(mut file: &File) -> io::Result<(Hash, u64)> {
    let mut hasher = Sha256::new();
    let bytes = hash_all(&mut file, &mut hasher)?;
    Ok((Hash::from_all(hasher), bytes))
}

/// Hashes what is left to read.
fn hash_all(file: &mut impl Read, hasher: &mut Sha256) -> io::Result<u64> {
    let mut chunk = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                hasher.update(&chunk[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Has two files share their blocks until one is written.
fn share(to: &File, from: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::ioctl_ficlone(to, from)?);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (to, from);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Writes a file of the store so that a crash leaves the old one or the new one.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or(OsStr::new("file")).to_owned();
    name.push(format!(".{TEMPORARY}-{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
