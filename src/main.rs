//! `cairn`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Some(code) = cairn::sandbox::launcher(std::env::args_os()) {
        return ExitCode::from(code);
    }
    ExitCode::from(cairn::cli::run(std::env::args_os()))
}
