//! The parts of the README that are recorded or made of tables, each between two
//! markers: the first command's output, the pictures of the screen, the keys.

use std::io::Read;

use anyhow::{Context, Result, ensure};

const PROMPT: &str = "which files are in src?";

/// `cargo xtask readme-example`: runs the README's first command and records what it
/// prints.
pub fn record_example() -> Result<()> {
    let output = run()?;
    let section =
        format!("```console\n$ cargo run --release -- --prompt \"{PROMPT}\"\n{output}```\n");
    write("example", &section)
}

/// `cargo xtask readme-panes`: has the scripted session in tmux say what its panes show.
pub fn record_panes() -> Result<()> {
    let file = crate::root().join("target/readme-panes.md");
    if file.exists() {
        std::fs::remove_file(&file).with_context(|| file.display().to_string())?;
    }
    let mut command = crate::cargo();
    command.args(["test", "--quiet", "--test", "tmux"]);
    command.env("CAIRN_PANES", &file);
    crate::execute(&mut command, "the session in tmux")?;
    let panes = std::fs::read_to_string(&file)
        .context("the session wrote no panes; tmux has to be installed")?;
    write("panes", &panes)
}

/// `cargo xtask readme-keys`: the tables of commands and keys.
pub fn write_keys() -> Result<()> {
    write("keys", &cairn::tui::help::markdown())
}

/// Standard output and error of the command, as a terminal would mix them.
fn run() -> Result<String> {
    let (mut reader, writer) = std::io::pipe()?;
    let mut command = crate::cargo();
    command
        .args(["run", "--quiet", "--release", "--", "--prompt", PROMPT])
        .env_remove("CAIRN_MODEL")
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command.spawn().context("cargo can't be started")?;
    drop(command); // it holds the pipe's other end
    let mut output = String::new();
    reader
        .read_to_string(&mut output)
        .context("the command's output")?;
    let status = child.wait()?;
    ensure!(status.success(), "the command failed: {status}\n{output}");
    if !output.ends_with('\n') {
        output.push('\n');
    }
    Ok(output)
}

/// Puts `section` between the README's markers of this name.
fn write(name: &str, section: &str) -> Result<()> {
    let path = crate::root().join("README.md");
    let text = std::fs::read_to_string(&path).context("README.md")?;
    std::fs::write(&path, replace(&text, name, section)?).context("README.md")
}

fn replace(text: &str, name: &str, section: &str) -> Result<String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text
        .split_once(&open)
        .with_context(|| format!("README.md: there is no <!-- {name} -->"))?;
    let (_, after) = rest
        .split_once(&close)
        .with_context(|| format!("README.md: there is no {close}"))?;
    Ok(format!("{before}{open}{section}{close}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "a\n<!-- x -->\nold\n<!-- /x -->\n<!-- y -->\nb\n<!-- /y -->\n";
        let new = replace(text, "x", "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- x -->\nnew\n<!-- /x -->\n<!-- y -->\nb\n<!-- /y -->\n"
        );
        assert!(replace("a", "x", "new").is_err());
    }
}
