//! `cairn`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cairn::cli::run(std::env::args_os()).code())
}
