//! The cargo configuration that puts what was made in place of mlx-sys's build
//! script. mlx-sys declares `links = "mlx"`, so a `[target.TRIPLE.mlx]` table
//! says what the script would have said, and the script is not even compiled.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result};

/// The triple for which there is a type check and nothing to link.
pub const MAC: &str = "aarch64-apple-darwin";

pub struct Library<'a> {
    pub triple: &'a str,
    /// The folder of `libmlxc.a`.
    pub mlx_c: &'a Path,
    /// The folder of `libmlx.so`.
    pub mlx: &'a Path,
}

/// The text of the configuration. `generated` holds `bindings.rs`; `inputs` is
/// all that the files were made from. Their paths stay when their content
/// changes, and cargo does not look into them: the mark is what makes it rebuild.
pub fn text(generated: &Path, library: Option<&Library<'_>>, inputs: &str) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    inputs.hash(&mut hasher);
    let mark = hasher.finish();
    let out_dir = quoted(generated)?;
    let mut text = format!(
        "# Written by `cargo xtask mlx-setup`.\n\
         [target.{MAC}.mlx]\n\
         rustc-env = {{ OUT_DIR = {out_dir} }}\n\
         mark = \"{mark:016x}\"\n"
    );
    if let Some(Library { triple, mlx_c, mlx }) = library {
        let (mlx_c, mlx) = (quoted(mlx_c)?, quoted(mlx)?);
        // -Xlinker, not -Wl: a path may hold a comma.
        text += &format!(
            "\n[target.{triple}]\n\
             rustflags = [\n    \
                 \"-Clink-arg=-Xlinker\", \"-Clink-arg=-rpath\",\n    \
                 \"-Clink-arg=-Xlinker\", {rpath},\n\
             ]\n\n\
             [target.{triple}.mlx]\n\
             rustc-link-search = [{search_mlx_c}, {search_mlx}]\n\
             rustc-link-lib = [\"static=mlxc\", \"dylib=mlx\", \"dylib=stdc++\"]\n\
             rustc-env = {{ OUT_DIR = {out_dir} }}\n\
             mark = \"{mark:016x}\"\n",
            rpath = prefixed("-Clink-arg=", &mlx),
            search_mlx_c = prefixed("native=", &mlx_c),
            search_mlx = prefixed("native=", &mlx),
        );
    }
    Ok(text)
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

    #[test]
    fn paths_are_quoted_and_changed_inputs_change_the_mark() {
        let library = Library {
            triple: "x86_64-unknown-linux-gnu",
            mlx_c: Path::new("/a \"b\"/lib"),
            mlx: Path::new("/a, b/mlx"),
        };
        let of = |inputs| text(Path::new("/gen"), Some(&library), inputs).unwrap();
        let first = of("1");
        assert!(
            first.contains(r#"["native=/a \"b\"/lib", "native=/a, b/mlx"]"#),
            "{first}"
        );
        assert!(first.contains(r#""-Clink-arg=/a, b/mlx""#), "{first}");
        assert_eq!(first, of("1"));
        assert_ne!(first, of("2"));
    }

    #[test]
    fn without_a_library_only_the_type_check_is_set_up() {
        let text = text(Path::new("/gen"), None, "").unwrap();
        assert!(text.contains("[target.aarch64-apple-darwin.mlx]"));
        assert!(!text.contains("rustc-link-lib"));
    }
}
