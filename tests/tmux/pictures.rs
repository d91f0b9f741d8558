//! Screens for the README: written to the file that `CAIRN_PANES` names, or else
//! compared with those that the README has.

use std::fmt::Write;

/// Where the reasoning begins on a screen that has it beside the conversation.
const DIVIDER: usize = 54;

/// Captions, and the screens below them.
#[derive(Default)]
pub struct Pictures(Vec<(&'static str, String)>);

impl Pictures {
    pub fn add(&mut self, caption: &'static str, screen: String) {
        self.0.push((caption, screen));
    }

    /// Writes or compares them.
    pub fn settle(&self) {
        let text = self.markdown();
        if let Some(file) = std::env::var_os("CAIRN_PANES") {
            std::fs::write(file, text).unwrap();
            return;
        }
        let readme = include_str!("../../README.md");
        let (_, rest) = readme.split_once("<!-- panes -->\n").unwrap();
        let (shown, _) = rest.split_once("<!-- /panes -->").unwrap();
        let (shown, now) = (lasting(shown), lasting(&text));
        let stale = "the README's panes are not the program's: cargo xtask readme-panes";
        for (shown, now) in shown.iter().zip(&now) {
            assert_eq!(shown, now, "{stale}");
        }
        assert_eq!(shown.len(), now.len(), "{stale}");
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        for (at, (caption, screen)) in self.0.iter().enumerate() {
            let gap = if at > 0 { "\n" } else { "" };
            let screen = screen.trim_end();
            writeln!(text, "{gap}{caption}\n\n```text\n{screen}\n```").unwrap();
        }
        text
    }
}

/// What is the same at every run: without the status line and the numbers of the
/// chosen token, which have speeds and times.
fn lasting(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut numbers = false;
    for line in text.lines().filter(|line| !line.starts_with("[ask]")) {
        if line.starts_with('─') || line.starts_with("```") {
            numbers = false;
        }
        let length = if numbers { DIVIDER } else { usize::MAX };
        let kept: String = line.chars().take(length).collect();
        lines.push(kept.trim_end().to_owned());
        numbers |= line.contains("│entropy ·") || line.contains("│surprise ·");
    }
    lines
}
