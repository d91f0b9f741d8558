//! Keeps a panic inside another crate's parser from ending the program: it
//! becomes an error, and nothing is printed.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`; a panic in it becomes an error that names `what`.
///
/// `body` must not leave anything half-changed that is used afterwards: it
/// builds a value, or reads one that is immutable.
pub(super) fn catch<T>(what: &str, body: impl FnOnce() -> T) -> Result<T, String> {
    silence();
    let outer = GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(outer);
    result.map_err(|_| format!("{what} broke its parser"))
}

/// Makes the panic hook quiet on threads that are inside [`catch`].
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                hook(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(catch("it", || 3), Ok(3));
        let error = catch("it", || -> u32 { panic!("inside") }).unwrap_err();
        assert_eq!(error, "it broke its parser");
        assert!(!GUARDED.get());
    }
}
