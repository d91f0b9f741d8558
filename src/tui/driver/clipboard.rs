//! To the clipboard: by an escape sequence, which works through ssh and tmux, and by
//! the system where there is a desktop. Notifications go the first way, too.

use arboard::Clipboard;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::sandbox::sanitize;

/// Terminals take no more than about so many bytes.
const MOST: usize = 72_000;

/// What asks the terminal to copy a text (OSC 52); `None` if it is too long for that.
pub fn sequence(text: &str) -> Option<String> {
    (text.len() <= MOST).then(|| format!("\x1b]52;c;{}\x07", STANDARD.encode(text)))
}

/// The desktop's clipboard, if there is one here. It has to stay for as long as what
/// was copied is wanted.
#[derive(Default)]
pub struct Desktop(Option<Clipboard>);

impl Desktop {
    /// False if there is none.
    pub fn copy(&mut self, text: &str) -> bool {
        if self.0.is_none() && is_local() {
            self.0 = Clipboard::new().ok();
        }
        let clipboard = self.0.as_mut();
        clipboard.is_some_and(|clipboard| clipboard.set_text(text).is_ok())
    }
}

/// Whether the user sits at this machine's own desktop.
fn is_local() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let desktop = cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY");
    desktop && !set("SSH_CONNECTION") && !set("SSH_TTY")
}

/// What tells a user who looks elsewhere: the terminal's own notification (OSC 9, or
/// 777 where that is the one that is known), and the bell.
pub fn notification(text: &str, term: &str) -> String {
    let text = sanitize::for_line(text);
    match term.starts_with("rxvt") || term.starts_with("foot") {
        true => format!("\x1b]777;notify;cairn;{text}\x07\x07"),
        false => format!("\x1b]9;cairn: {text}\x07\x07"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_those_that_terminals_know() {
        assert_eq!(sequence("aé").as_deref(), Some("\x1b]52;c;YcOp\x07"));
        assert_eq!(sequence(&"x".repeat(MOST + 1)), None);
        let told = notification("done\x1b[2J", "xterm-256color");
        assert_eq!(told, "\x1b]9;cairn: done␛[2J\x07\x07");
        let told = notification("done", "foot");
        assert_eq!(told, "\x1b]777;notify;cairn;done\x07\x07");
    }
}
