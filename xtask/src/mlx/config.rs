//! The cargo configuration that puts what was made in place of mlx-sys's build
//! script. mlx-sys declares `links = "mlx"`, so a `[target.TRIPLE.mlx]` table
//! says what the script would have said, and the script is not even compiled.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result};

/// The triple for which there is a type check and nothing to link.
pub const MAC: &str = "aarch64-apple-darwin";

/// The declarations of mlx-c.
pub struct Declarations<'a> {
    /// The folder of `bindings.rs`.
    pub folder: &'a Path,
    /// All that they were made from.
    pub inputs: &'a str,
}

/// What there is to link on this machine.
pub struct Library<'a> {
    pub triple: &'a str,
    /// The folder of `libmlxc.a`.
    pub mlx_c: &'a Path,
    /// The folder of `libmlx.so`.
    pub mlx: &'a Path,
    /// All that both were made from.
    pub inputs: &'a str,
}

/// The text of the configuration. The paths in it stay when the files change, and
/// cargo does not look into those: each `mark` stands for what its table's files
/// were made from, and a new one makes cargo build again.
pub fn text(declarations: &Declarations<'_>, library: Option<&Library<'_>>) -> Result<String> {
    let out_dir = quoted(declarations.folder)?;
    let mut text = format!(
        "# Written by `cargo xtask mlx-setup`.\n\
         [target.{MAC}.mlx]\n\
         rustc-env = {{ OUT_DIR = {out_dir} }}\n\
         mark = \"{}\"\n",
        mark(&[declarations.inputs])
    );
    if let Some(library) = library {
        let (mlx_c, mlx) = (quoted(library.mlx_c)?, quoted(library.mlx)?);
        // `library` is metadata, which our build script turns into an rpath. As a
        // flag of rustc that would have every dependency built a second time.
        text += &format!(
            "\n[target.{triple}.mlx]\n\
             rustc-link-search = [{search_mlx_c}, {search_mlx}]\n\
             rustc-link-lib = [\"static=mlxc\", \"dylib=mlx\", \"dylib=stdc++\"]\n\
             rustc-env = {{ OUT_DIR = {out_dir} }}\n\
             library = {mlx}\n\
             mark = \"{mark}\"\n",
            triple = library.triple,
            mark = mark(&[declarations.inputs, library.inputs]),
            search_mlx_c = prefixed("native=", &mlx_c),
            search_mlx = prefixed("native=", &mlx),
        );
    }
    Ok(text)
}

fn mark(inputs: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    inputs.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A path as a TOML string; JSON's escapes are TOML's too.
fn quoted(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .with_context(|| format!("{}: this path is not UTF-8", path.display()))?;
    Ok(serde_json::to_string(text)?)
}

/// Puts `prefix` inside the quotes of a string.
fn prefixed(prefix: &str, quoted: &str) -> String {
    format!("\"{prefix}{}", &quoted[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declarations() -> Declarations<'static> {
        let folder = Path::new("/gen");
        let inputs = "headers";
        Declarations { folder, inputs }
    }

    fn of(inputs: &str) -> String {
        let library = Library {
            triple: "x86_64-unknown-linux-gnu",
            mlx_c: Path::new("/a \"b\"/lib"),
            mlx: Path::new("/a, b/mlx"),
            inputs,
        };
        text(&declarations(), Some(&library)).unwrap()
    }

    #[test]
    fn paths_are_quoted() {
        let text = of("");
        let search = r#"["native=/a \"b\"/lib", "native=/a, b/mlx"]"#;
        assert!(text.contains(search), "{text}");
        assert!(text.contains(r#"library = "/a, b/mlx""#), "{text}");
    }

    #[test]
    fn only_what_a_change_concerns_is_built_again() {
        assert_eq!(of("1"), of("1"));
        assert_ne!(of("1"), of("2"));
        // The library is nothing to a type check.
        let check = text(&declarations(), None).unwrap();
        assert!(check.contains("[target.aarch64-apple-darwin.mlx]"));
        assert!(!check.contains("rustc-link-lib"));
        assert!(of("1").starts_with(&check));
    }
}
