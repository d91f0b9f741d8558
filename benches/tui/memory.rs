//! What a token of a trace takes.

use cairn::backend::own_memory;
use cairn::tui::trace::Explorer;

use crate::figures::Figures;
use crate::session::Tokens;

/// Bytes of a token, alternatives and routes included.
const LIMIT: f64 = 128.0;

pub fn measure(stream: &Tokens, tokens: usize, figures: &mut Figures) {
    let before = own_memory();
    let mut explorer = Explorer::new();
    explorer.begin();
    for at in 0..tokens {
        explorer.push(&stream.noted(at));
    }
    let after = own_memory();
    let each = |bytes: f64| bytes / tokens as f64;
    let kept = each(explorer.memory() as f64);
    figures.add("memory of a token", kept, "bytes", Some(LIMIT));
    match before.zip(after) {
        Some((before, after)) => {
            let grown = each(after.saturating_sub(before) as f64);
            figures.add("resident memory of a token", grown, "bytes", None);
        }
        None => figures.skip("resident memory of a token", "the system does not say"),
    }
}
