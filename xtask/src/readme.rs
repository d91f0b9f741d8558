//! `cargo xtask readme-example`: runs the README's first command and records what
//! it prints between the README's two markers.

use std::io::Read;

use anyhow::{Context, Result, ensure};

const OPEN: &str = "<!-- example -->\n";
const CLOSE: &str = "<!-- /example -->";
const PROMPT: &str = "which files are in src?";

pub fn record() -> Result<()> {
    let path = crate::root().join("README.md");
    let text = std::fs::read_to_string(&path).context("README.md")?;
    let output = run()?;
    let section =
        format!("```console\n$ cargo run --release -- --prompt \"{PROMPT}\"\n{output}```\n");
    std::fs::write(&path, replace(&text, &section)?).context("README.md")
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

/// `text` with `section` between the markers.
fn replace(text: &str, section: &str) -> Result<String> {
    let (before, rest) = text
        .split_once(OPEN)
        .context("README.md: no example marker")?;
    let (_, after) = rest
        .split_once(CLOSE)
        .context("README.md: the example has no end")?;
    Ok(format!("{before}{OPEN}{section}{CLOSE}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn only_the_example_changes() {
        let text = "a\n<!-- example -->\nold\n<!-- /example -->\nb\n";
        let new = replace(text, "new\n").unwrap();
        assert_eq!(new, "a\n<!-- example -->\nnew\n<!-- /example -->\nb\n");
        assert!(replace("a", "new").is_err());
    }
}
