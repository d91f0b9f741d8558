//! What a panic looks like from outside: one line on stderr and the status of
//! an internal failure, whatever thread it was on.

use std::any::Any;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};

use crate::sandbox::sanitize;

/// Replaces the default report. `RUST_BACKTRACE` brings it back, after the line.
pub fn install() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info
            .location()
            .map_or(String::new(), |at| format!("{}:{}", at.file(), at.line()));
        let line = line(message(info.payload()), &place);
        // Else nobody would see it.
        crate::tui::restore();
        // Without stderr the status still says it.
        let _ = writeln!(io::stderr(), "cairn: {line}");
        tracing::error!("{line}");
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            default(info);
        }
    }));
}

/// Runs `work`; a panic in it, already reported, becomes an error.
///
/// # Errors
/// With one line when `work` panicked.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|payload: Box<dyn Any + Send>| line(message(payload.as_ref()), ""))
}

fn message(payload: &dyn Any) -> &str {
    let fixed = payload.downcast_ref::<&str>().copied();
    fixed
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown")
}

fn line(message: &str, place: &str) -> String {
    let place = match place {
        "" => String::new(),
        place => format!(" at {place}"),
    };
    let line =
        format!("internal error{place}: {message}; this is a bug in cairn, please report it");
    sanitize::for_line(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_one_line() {
        assert_eq!(guarded(|| 3), Ok(3));
        let number = 7;
        let error = guarded(|| -> u32 { panic!("seven\nis {number}") }).unwrap_err();
        let expected = "internal error: seven␊is 7; this is a bug in cairn, please report it";
        assert_eq!(error, expected);
        let error = guarded(|| -> u32 { panic!("no") }).unwrap_err();
        assert!(error.starts_with("internal error: no;"));
        assert!(line("x", "src/a.rs:3").starts_with("internal error at src/a.rs:3: x;"));
    }
}
