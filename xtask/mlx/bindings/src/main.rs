//! Writes the Rust declarations of mlx-c's headers, as mlx-sys's own build script
//! would: `mlx-bindings MLX_C_FOLDER OUTPUT [CLANG_ARGUMENT...]`. libclang is the
//! one that `LIBCLANG_PATH` names.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mlx-bindings: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let (Some(folder), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("usage: mlx-bindings MLX_C_FOLDER OUTPUT [CLANG_ARGUMENT...]".into());
    };
    let mut builder = bindgen::Builder::default()
        .rust_target(
            "1.73.0"
                .parse()
                .map_err(|_| "bindgen does not know Rust 1.73")?,
        )
        .formatter(bindgen::Formatter::None)
        .clang_arg(format!("-I{folder}"))
        .clang_args(arguments)
        // Rust's standard library has its own idea of their types.
        .blocklist_function("malloc")
        .blocklist_function("realloc");
    for header in headers(Path::new(&folder)).map_err(|error| format!("{folder}: {error}"))? {
        builder = builder.header(header.to_string_lossy());
    }
    let bindings = builder.generate().map_err(|error| error.to_string())?;
    bindings
        .write_to_file(&output)
        .map_err(|error| format!("{output}: {error}"))
}

/// mlx-c's public headers, sorted so that the output does not depend on the disk.
fn headers(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.join("mlx/c").read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "h") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
