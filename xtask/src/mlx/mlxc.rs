//! Compiles mlx-c and the shims beside it into a static library.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};

use super::sources::MlxSys;

/// Optimised a little: what it does is hand pointers to MLX.
const FLAGS: &[&str] = &["-std=c++20", "-O1", "-fPIC", "-w"];
const SHIMS: &[&str] = &["half_shim.cpp", "mach_shim.cpp"];
const FORMAT_SHIM: &str = "format_shim.h";

/// The C++ compiler, and what it calls itself.
pub struct Compiler {
    pub program: String,
    pub version: String,
}

impl Compiler {
    /// The one that `CXX` names, or `c++`.
    pub fn find() -> Result<Self> {
        let program = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        let output = Command::new(&program).arg("--version").output();
        let output = output.with_context(|| {
            format!(
                "the C++ compiler `{program}` can't be started: install one (Debian: g++) \
                 or name it in CXX"
            )
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().next().unwrap_or_default().to_owned();
        Ok(Self { program, version })
    }

    /// The folder of the headers that come with the compiler, such as stddef.h.
    pub fn headers(&self) -> Result<String> {
        let output = Command::new(&self.program)
            .arg("-print-file-name=include")
            .output()
            .with_context(|| self.program.clone())?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// All that decides what the library looks like.
pub fn inputs(mlx_sys: &MlxSys, compiler: &Compiler) -> Result<String> {
    let mut text = format!(
        "mlx-sys {} at {}\n{}\n{}\n",
        mlx_sys.version,
        mlx_sys.mlx_c.display(),
        compiler.version,
        FLAGS.join(" ")
    );
    for name in SHIMS.iter().chain([&FORMAT_SHIM]) {
        text += &super::shim(name)?;
    }
    Ok(text)
}

/// Writes `libmlxc.a` into `folder`, compiling on as many cores as there are.
pub fn build(
    mlx_sys: &MlxSys,
    compiler: &Compiler,
    mlx_headers: &Path,
    folder: &Path,
) -> Result<()> {
    let sources = sources(&mlx_sys.mlx_c)?;
    let objects: Vec<PathBuf> = (0..sources.len())
        .map(|number| folder.join(format!("{number}.o")))
        .collect();
    let queue = Mutex::new(sources.iter().zip(&objects));
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let worker = || {
        while let Some((source, object)) = next() {
            let mut command = Command::new(&compiler.program);
            command.args(FLAGS).stdin(Stdio::null());
            command
                .arg("-include")
                .arg(super::folder().join(FORMAT_SHIM));
            command.arg("-I").arg(&mlx_sys.mlx_c);
            command.arg("-I").arg(mlx_headers);
            command.arg("-c").arg(source).arg("-o").arg(object);
            let outcome = crate::execute(&mut command, &format!("compiling {}", source.display()));
            if outcome.is_err() {
                while next().is_some() {}
                return outcome;
            }
        }
        Ok(())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            match worker.join() {
                Ok(outcome) => outcome?,
                Err(_) => bail!("a compiling thread panicked"),
            }
        }
        Ok(())
    })?;
    let archiver = std::env::var("AR").unwrap_or_else(|_| "ar".into());
    let mut archive = Command::new(&archiver);
    archive
        .arg("rcs")
        .arg(folder.join("libmlxc.a"))
        .args(&objects);
    crate::execute(&mut archive, "archiving mlx-c")?;
    for object in &objects {
        std::fs::remove_file(object).with_context(|| object.display().to_string())?;
    }
    Ok(())
}

/// mlx-c's files and the shims, the longest first, so that no core is left
/// alone with it at the end.
fn sources(mlx_c: &Path) -> Result<Vec<PathBuf>> {
    let folder = mlx_c.join("mlx/c");
    let mut sized = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| folder.display().to_string())?
    {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "cpp") {
            sized.push((entry.metadata()?.len(), path));
        }
    }
    ensure!(!sized.is_empty(), "{}: no C++ files", folder.display());
    sized.sort_by(|a, b| b.cmp(a));
    let mut sources: Vec<PathBuf> = sized.into_iter().map(|(_, path)| path).collect();
    sources.extend(SHIMS.iter().map(|name| super::folder().join(name)));
    Ok(sources)
}
