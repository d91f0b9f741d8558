//! The terminal's modes: taken over, and given back however the program ends.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags,
    PushKeyboardEnhancementFlags,
};
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{Command, execute};

/// Whether this process has taken the terminal over, and its other screen.
static TAKEN: AtomicBool = AtomicBool::new(false);
static ALTERNATE: AtomicBool = AtomicBool::new(false);

/// Whether the mouse is the program's, or the terminal's own for selecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    Ours,
    Terminals,
}

/// Takes the terminal over: keys come one by one, pastes are marked.
///
/// # Errors
/// When it can't be used.
pub fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    let taken = enable_raw_mode().and_then(|()| {
        execute!(
            io::stdout(),
            EnableBracketedPaste,
            EnableFocusChange,
            PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES)
        )
    });
    taken.inspect_err(|_| restore())
}

/// Changes to the other screen, which has no memory, or back.
///
/// # Errors
/// As [`take`].
pub fn show_alternate() -> io::Result<()> {
    ALTERNATE.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, DisableLineWrap)
}

/// # Errors
/// As [`take`].
pub fn show_own() -> io::Result<()> {
    ALTERNATE.store(false, Ordering::SeqCst);
    execute!(io::stdout(), EnableLineWrap, LeaveAlternateScreen)
}

/// # Errors
/// As [`take`].
pub fn set_mouse(mouse: Mouse) -> io::Result<()> {
    match mouse {
        Mouse::Ours => execute!(io::stdout(), Buttons),
        Mouse::Terminals => execute!(io::stdout(), DisableMouseCapture),
    }
}

/// Writes a sequence that is no part of a frame.
///
/// # Errors
/// As [`take`].
pub fn write(sequence: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(sequence.as_bytes())?;
    out.flush()
}

/// Asks for buttons, wheel and drags, and not for every step of the pointer, which
/// would wake the program for nothing.
struct Buttons;

impl Command for Buttons {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str("\x1b[?1000h\x1b[?1002h\x1b[?1006h")
    }
}

/// Gives the terminal back, if it was taken; from any thread, in a panic as well.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut text = String::new();
    let commands: [&dyn Ansi; 6] = [
        &EndSynchronizedUpdate,
        &PopKeyboardEnhancementFlags,
        &DisableMouseCapture,
        &DisableFocusChange,
        &DisableBracketedPaste,
        &Show,
    ];
    commands.iter().for_each(|command| command.write(&mut text));
    if ALTERNATE.swap(false, Ordering::SeqCst) {
        EnableLineWrap.write(&mut text);
        LeaveAlternateScreen.write(&mut text);
    }
    // Past the lock, which the thread that panicked may hold; and the terminal may be
    // what went away.
    let _ = rustix::io::write(io::stdout(), text.as_bytes());
    let _ = disable_raw_mode();
}

/// A command's sequence, whatever its type.
trait Ansi {
    fn write(&self, text: &mut String);
}

impl<C: Command> Ansi for C {
    fn write(&self, text: &mut String) {
        // A string takes everything.
        let _ = self.write_ansi(text);
    }
}
