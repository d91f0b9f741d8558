//! The user's own editor, on a file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `$VISUAL`, else `$EDITOR`: words for a shell, as everywhere.
pub fn chosen() -> Option<String> {
    ["VISUAL", "EDITOR"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|editor| !editor.trim().is_empty())
}

/// Waits until the user has edited a file.
///
/// # Errors
/// When the editor can't be started, or fails; one line.
pub fn open(editor: &str, path: &Path) -> Result<(), String> {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(path)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the editor `{editor}` failed ({status})")),
        Err(error) => Err(format!("the editor `{editor}` can't be started: {error}")),
    }
}

/// Lets the user change a text.
///
/// # Errors
/// When there is no editor, or no room for the text; one line.
pub fn edit(text: &str) -> Result<String, String> {
    let Some(editor) = chosen() else {
        return Err("neither VISUAL nor EDITOR is set".into());
    };
    let path = draft();
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let edited = match made.map_err(failed) {
        Ok(()) => open(&editor, &path).and_then(|()| {
            let bytes = std::fs::read(&path).map_err(failed)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }),
        Err(why) => Err(why),
    };
    // There is nothing to do about one that stays.
    let _ = std::fs::remove_file(&path);
    edited
}

fn draft() -> PathBuf {
    let name = format!("cairn-message-{}.md", std::process::id());
    std::env::temp_dir().join(name)
}
