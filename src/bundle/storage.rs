//! Where a bundle's files come from: a folder, or memory. Weight files are
//! mapped, so opening reads no more of them than validation looks at.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::quant::{Bytes, Memory};

use super::error::{DOWNLOAD_AGAIN, Error};

/// The files of one bundle.
pub(super) enum Storage {
    Folder(PathBuf),
    Memory(Vec<(String, Bytes)>),
}

impl Storage {
    pub(super) fn folder(dir: &Path) -> Result<Self, Error> {
        let place = dir.display().to_string();
        let meta = std::fs::metadata(dir).map_err(|e| {
            let remedy = "give the folder of a downloaded bundle";
            Error::file(&place, format!("can't be opened ({})", e.kind()), remedy)
        })?;
        if !meta.is_dir() {
            let remedy = "give the folder that the file is in";
            return Err(Error::file(&place, "is not a folder", remedy));
        }
        Ok(Self::Folder(dir.to_owned()))
    }

    /// Names of all files, sorted.
    pub(super) fn list(&self) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = match self {
            Self::Folder(dir) => {
                let place = dir.display().to_string();
                let unreadable = |e: std::io::Error| {
                    let problem = format!("can't be listed ({})", e.kind());
                    Error::file(&place, problem, "check the folder's permissions")
                };
                let mut names = Vec::new();
                for entry in std::fs::read_dir(dir).map_err(unreadable)? {
                    // A name that is not UTF-8 is none that a bundle has.
                    if let Ok(name) = entry.map_err(unreadable)?.file_name().into_string() {
                        names.push(name);
                    }
                }
                names
            }
            Self::Memory(files) => files.iter().map(|(name, _)| name.clone()).collect(),
        };
        names.sort_unstable();
        Ok(names)
    }

    /// The content of a file; `None` if there is no such file.
    pub(super) fn open(&self, name: &str) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Memory(files) => Ok(files
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, bytes)| bytes.clone())),
            Self::Folder(dir) => map(&dir.join(name), name),
        }
    }

    /// The content of a file of at most `limit` bytes that has to be there.
    pub(super) fn require(&self, name: &str, what: &str, limit: usize) -> Result<Bytes, Error> {
        self.small(name, limit)?.ok_or_else(|| {
            let problem = format!("is missing: {what}");
            Error::file(name, problem, "give the folder of a complete bundle")
        })
    }

    /// The content of an optional file of at most `limit` bytes.
    pub(super) fn small(&self, name: &str, limit: usize) -> Result<Option<Bytes>, Error> {
        let bytes = self.open(name)?;
        if let Some(bytes) = &bytes
            && bytes.len() > limit
        {
            let problem = format!(
                "has {} bytes, more than the {limit} that are sensible",
                bytes.len()
            );
            return Err(Error::file(name, problem, DOWNLOAD_AGAIN));
        }
        Ok(bytes)
    }
}

impl Memory for Mmap {
    fn will_read(&self, part: Range<usize>) {
        // Pages are mapped in one call instead of one fault each. Where the
        // system has no such call, they come by themselves.
        #[cfg(target_os = "linux")]
        let _ = self.advise_range(memmap2::Advice::PopulateRead, part.start, part.len());
        #[cfg(not(target_os = "linux"))]
        let _ = part;
    }

    fn release(&self, part: Range<usize>) {
        // Whole pages only: the others belong to neighbours as well.
        let page = rustix::param::page_size();
        let start = part.start.next_multiple_of(page);
        let end = part.end / page * page;
        if start < end {
            // SAFETY: the map is of a file and nothing was written to it, so its
            // pages come back from the file when they are read again.
            let _ = unsafe {
                self.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
            };
        }
    }
}

fn map(path: &Path, name: &str) -> Result<Option<Bytes>, Error> {
    let unreadable = |e: std::io::Error| {
        let remedy = "check its permissions, or download the bundle again";
        Error::file(name, format!("can't be read ({})", e.kind()), remedy)
    };
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e)),
    };
    // Opening a FIFO or a device could block or lie about its size.
    if !meta.is_file() {
        return Err(Error::file(name, "is not a regular file", DOWNLOAD_AGAIN));
    }
    let file = File::open(path).map_err(unreadable)?;
    // Whole pages: a device can share a mapping only by pages. What follows the
    // file's last byte in its last page reads as zeros and belongs to no `Bytes`.
    let len = file.metadata().map_err(unreadable)?.len() as usize;
    if len == 0 {
        return Ok(Some(Bytes::from_vec(Vec::new())));
    }
    let page = rustix::param::page_size();
    let mut options = memmap2::MmapOptions::new();
    options.len(len.next_multiple_of(page));
    // SAFETY: the map is read-only and private to this process. It stays sound
    // as long as nobody changes the file while it is open, which is the
    // documented condition of `Bundle::open`: a bundle is installed once and
    // then only read. Nothing derived from it is trusted beyond its bytes, and
    // every byte pattern is a valid `u8`.
    let mapping = unsafe { options.map(&file) }.map_err(unreadable)?;
    Ok(Some(Bytes::new(Arc::new(mapping), 0..len)))
}
