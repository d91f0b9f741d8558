use proptest::prelude::*;

use super::*;
use crate::tui::text::line_width;

fn shown(markdown: &mut Markdown, columns: usize) -> Vec<String> {
    markdown.lay_out(columns, Theme::Plain, &Highlighter::new(|| {}));
    let rows = markdown.rows().iter();
    rows.map(|row| row.line.to_string()).collect()
}
