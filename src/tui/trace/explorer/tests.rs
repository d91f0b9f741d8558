use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::tui::theme::Theme;
use crate::tui::trace::sample::{cut, noted};

const TEXT: &str = "The user wants the failing test fixed. I should look at the test first, \
then at the parser.\nMaybe it is the offset?\n\nThe offset counts bytes. It should count \
characters, as 漢字 and 👩‍💻 are several bytes each. So I read the file.</think>\n\nI will read \
the parser first.\n";

fn tokens(text: &str) -> Vec<Noted> {
    let mut tokens = Vec::new();
    for part in text.split_inclusive("</think>") {
        let (part, marker) = match part.strip_suffix("</think>") {
            Some(part) => (part, Some("</think>")),
            None => (part, None),
        };
        tokens.extend(cut(part).into_iter().chain(marker).map(str::to_owned));
    }
    let all = tokens.iter().enumerate();
    all.map(|(at, text)| noted(at, text.as_bytes())).collect()
}

fn drawn(explorer: &mut Explorer, width: u16, height: u16) -> String {
    explorer.layout(width, height);
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    explorer.render(area, &mut buf, Theme::Plain, Focus::Focused);
    let mut text = String::new();
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let symbol = buf[(x, y)].symbol();
            text.push_str(symbol);
            x += crate::tui::text::width(symbol).max(1) as u16;
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

#[test]
fn look() {
    let mut explorer = Explorer::new();
    eprintln!("{}", drawn(&mut explorer, 30, 20));
    explorer.begin();
    for one in tokens(TEXT) {
        explorer.push(&one);
    }
    for (w, h) in [(30, 20), (40, 12), (80, 24), (200, 20)] {
        eprintln!("---- {w} {h}\n{}", drawn(&mut explorer, w, h));
    }
    let answer = Answer {
        text: "I will read the parser first.".into(),
        reasoning: "x".into(),
        ..Default::default()
    };
    explorer.finish(5, &answer);
    let key = |explorer: &mut Explorer, c: char| explorer.key(crate::tui::keys::Key::char(c));
    for c in ['g', 'n', 'f'] {
        key(&mut explorer, c);
        eprintln!("---- {c}\n{}", drawn(&mut explorer, 40, 20));
    }
    explorer.key(crate::tui::keys::Key::new(crossterm::event::KeyCode::Esc));
    for c in ['r', 'i', 'z', 'Z'] {
        key(&mut explorer, c);
        eprintln!("---- {c}\n{}", drawn(&mut explorer, 80, 40));
    }
    let other = TEXT.replace(
        "Maybe it is the offset?",
        "Perhaps the length is wrong? No.",
    );
    explorer.add(9, &answer, &tokens(&other));
    explorer.compare(TraceId::Entry(5), TraceId::Entry(9));
    eprintln!("{}", drawn(&mut explorer, 80, 24));
    explorer.compare(TraceId::Entry(5), TraceId::Entry(9));
    eprintln!("{}", drawn(&mut explorer, 40, 20));
}
