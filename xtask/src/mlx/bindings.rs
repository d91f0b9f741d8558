//! Generates the Rust declarations of mlx-c that mlx-sys includes.

use std::path::Path;

use anyhow::{Context, Result};

use super::mlxc::Compiler;
use super::sources::MlxSys;

/// Appended where mlx-c's headers hide the 16-bit floats.
const HALF_BINDINGS: &str = "half_bindings.rs";
/// Stand in for headers that libclang can't read.
const HEADERS: &str = "arm";
/// What decides, all under `xtask/mlx`.
const FILES: &[&str] = &[
    "bindings/Cargo.toml",
    "bindings/Cargo.lock",
    "bindings/src/main.rs",
    "arm/arm_bf16.h",
    "arm/arm_fp16.h",
    HALF_BINDINGS,
];

/// All that decides what the declarations look like.
pub fn inputs(mlx_sys: &MlxSys, compiler: &Compiler, requirements: &str) -> Result<String> {
    let mut text = format!(
        "mlx-sys {} at {}\n{}\n{requirements}",
        mlx_sys.version,
        mlx_sys.mlx_c.display(),
        compiler.version,
    );
    for name in FILES {
        text += &super::shim(name)?;
    }
    Ok(text)
}

/// Writes `bindings.rs` into `folder`.
pub fn build(mlx_sys: &MlxSys, compiler: &Compiler, libclang: &Path, folder: &Path) -> Result<()> {
    let output = folder.join("bindings.rs");
    let mut generate = crate::cargo();
    generate
        .args(["run", "--quiet", "--locked", "--manifest-path"])
        .arg(super::BINDINGS)
        .arg("--target-dir")
        .arg(super::place().join("bindgen"))
        .arg("--")
        .arg(&mlx_sys.mlx_c)
        .arg(&output)
        // The compiler's own headers, of which libclang's wheel brings none.
        .arg(format!("-I{}", super::folder().join(HEADERS).display()))
        .arg(format!("-isystem{}", compiler.headers()?))
        .env("LIBCLANG_PATH", libclang);
    crate::execute(&mut generate, "generating the declarations of mlx-c")?;
    let mut text =
        std::fs::read_to_string(&output).with_context(|| output.display().to_string())?;
    if !text.contains("__BindgenFloat16") {
        text += "\n";
        text += &super::shim(HALF_BINDINGS)?;
    }
    std::fs::write(&output, text).with_context(|| output.display().to_string())
}
