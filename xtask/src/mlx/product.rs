//! Folders that are made in one piece and remember what they were made from.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The file of a finished folder that holds its inputs.
const STAMP: &str = "made-from.txt";

/// Whether `folder` was made from exactly `inputs`.
pub fn is_current(folder: &Path, inputs: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|made_from| made_from == inputs)
}

/// Makes `folder` with `build`, unless it is there and was made from the same
/// `inputs`. `build` fills a folder beside it, which takes the name when it is
/// whole: what stands under that name is never half of anything. Says whether it
/// was built.
pub fn make(folder: &Path, inputs: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<bool> {
    if is_current(folder, inputs) {
        return Ok(false);
    }
    let unfinished = folder.with_extension("unfinished");
    remove(&unfinished)?;
    fs::create_dir_all(&unfinished).with_context(|| unfinished.display().to_string())?;
    build(&unfinished)?;
    write(&unfinished.join(STAMP), inputs)?;
    remove(folder)?;
    fs::rename(&unfinished, folder).with_context(|| folder.display().to_string())?;
    Ok(true)
}

/// Replaces `file` in one step, and only if it says something else: cargo looks
/// at the time of its configuration.
pub fn replace(file: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(file).is_ok_and(|now| now == text) {
        return Ok(());
    }
    let unfinished = file.with_extension("unfinished");
    write(&unfinished, text)?;
    fs::rename(&unfinished, file).with_context(|| file.display().to_string())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| file.display().to_string())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_folder_is_made_once_for_the_same_inputs() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("lib");
        let fill = |at: &Path| Ok(fs::write(at.join("content"), "1")?);
        assert!(make(&folder, "a", fill).unwrap());
        let never = |_: &Path| bail!("built again");
        assert!(!make(&folder, "a", never).unwrap());
        assert!(make(&folder, "b", |_| Ok(())).unwrap());
        assert!(is_current(&folder, "b"));
        assert!(!folder.join("content").exists(), "left from before");
    }

    #[test]
    fn a_failure_leaves_what_was_there_and_is_made_good_later() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("lib");
        make(&folder, "a", |_| Ok(())).unwrap();
        let broken = |at: &Path| {
            fs::write(at.join("half"), "")?;
            bail!("the disk is full")
        };
        assert!(make(&folder, "b", broken).is_err());
        assert!(is_current(&folder, "a"));
        make(&folder, "b", |_| Ok(())).unwrap();
        assert!(!folder.join("half").exists());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
