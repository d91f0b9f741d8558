use proptest::prelude::*;

use super::*;
use crate::tui::text::row::fits;

fn shown(markdown: &mut Markdown, columns: usize) -> Vec<String> {
    markdown.lay_out(columns, Theme::Plain, &Highlighter::off());
    let rows = markdown.rows().iter();
    rows.map(|row| row.line.to_string()).collect()
}

/// Of a text that may go on.
fn open(text: &str) -> Markdown {
    let mut markdown = Markdown::default();
    markdown.push(text);
    markdown
}

fn whole(text: &str, columns: usize) -> Vec<String> {
    shown(&mut Markdown::new(text), columns)
}

#[test]
fn blocks_look_like_what_they_are() {
    let text = "\
# Title

One *two* **three** `four` ~~five~~ [six](http://a.b/c) <http://d.e>.
Seven

- a
- b
  1. c
  2. d
- [ ] e
- [x] f

> quoted
> more
>
> > deeper

***

```rust,ignore
fn main() {}

```

| a | b |
|---|--:|
| 1 | 2 |

<div>html</div>

[ref]: http://x.y
";
    let expected = "\
Title

One two three four five six
(http://a.b/c) http://d.e. Seven

• a
• b
  1. c
  2. d
• [ ] e
• [x] f

▌ quoted more
▌ 
▌ ▌ deeper

────────────────────────────────

╭ rust
│ fn main() {}
│ 

a │ b
──┼──
1 │ 2

<div>html</div>

[ref]: http://x.y";
    assert_eq!(whole(text, 32).join("\n"), expected);
}

#[test]
fn lists_that_are_loose_or_interrupted() {
    let text = "1. one\n\n   two\n2. three\n   ```\n   code\n   ```\n3. \n";
    let rows = whole(text, 40);
    assert_eq!(
        rows,
        [
            "1. one",
            "   ",
            "   two",
            "",
            "2. three",
            "   ",
            "   │ code",
            "",
            "3. "
        ]
    );
    // Too deep for the pane: the text keeps half of it.
    let deep = whole("> > > > > > > > text that is long", 12);
    assert_eq!(deep, ["▌ ▌ ▌ text", "▌ ▌ ▌ that", "▌ ▌ ▌ is", "▌ ▌ ▌ long"]);
}

#[test]
fn lists_that_are_too_deep_keep_their_marks() {
    let rows = whole("- a\n  - b\n    - c\n      - d\n        - [x] e\n- f", 14);
    assert_eq!(
        rows,
        [
            "• a",
            "  • b",
            "    • c",
            "      • d",
            "      • [x] e",
            "• f"
        ]
    );
}

#[test]
fn code_is_not_wrapped_between_words_and_can_be_copied() {
    let text = "Do:\n\n1. this\n   ```sh\n   ls -la\n   ```\n\n```\none two three four\n\tfive\n";
    let mut markdown = Markdown::new(text);
    let rows = shown(&mut markdown, 12);
    assert_eq!(
        rows,
        [
            "Do:",
            "",
            "1. this",
            "   ",
            "   ╭ sh",
            "   │ ls -la",
            "",
            "│ one two th",
            "│↳ree four",
            "│     five",
        ]
    );
    let codes = markdown.codes().to_vec();
    let found: Vec<(Range<usize>, String)> = codes
        .iter()
        .map(|code| (code.rows.clone(), markdown.code(code)))
        .collect();
    assert_eq!(
        found,
        [
            (4..6, "ls -la\n".to_owned()),
            (7..10, "one two three four\n\tfive\n".to_owned())
        ]
    );
}

#[test]
fn hostile_text_is_visible() {
    let text = "a\u{1b}[2Jb \u{202e}c\n\n```\n\u{7}\n```\n\n[x](http://a\u{202e}b)\n\n`\u{9b}2J`";
    let rows = whole(text, 60);
    assert_eq!(
        rows,
        [
            "a␛[2Jb <U+202E>c",
            "",
            "│ ␇",
            "",
            "x (http://a<U+202E>b)",
            "",
            "<U+009B>2J"
        ]
    );
}

#[test]
fn any_line_end_is_one() {
    let mut markdown = Markdown::default();
    for piece in ["a\r", "", "\nb\r", "\r", "c\r\nd"] {
        markdown.push(piece);
    }
    assert_eq!(markdown.source(), "a\nb\n\nc\nd");
    let text = "[a]: b\n    fn a() {}\n\r# \n";
    assert_eq!(whole(text, 30), ["[a]: b", "", "│ fn a() {}"]);
}

#[test]
fn what_has_come_to_its_end_is_not_laid_out_again() {
    let mut markdown = Markdown::default();
    for _ in 0..100 {
        markdown.push("A paragraph.\n\n");
    }
    shown(&mut markdown, 40);
    let laid = markdown.laid.rows;
    assert!(laid >= 195, "{laid}");
    // Rows that are settled are the same in memory afterwards.
    let place = markdown.rows[0].line.spans[0].content.as_ptr();
    markdown.push("More");
    shown(&mut markdown, 40);
    assert_eq!(markdown.rows[0].line.spans[0].content.as_ptr(), place);
    markdown.push("\n\n```\n");
    for line in 0..100 {
        markdown.push(&format!("line {line}\n"));
        shown(&mut markdown, 40);
        assert_eq!(markdown.laid.lines, line + 1);
    }
}

#[test]
fn a_block_without_end_is_cut() {
    let text = "word ".repeat(40_000);
    let mut markdown = Markdown::new(&text);
    let rows = shown(&mut markdown, 80);
    assert_eq!(markdown.blocks.list.len(), 4);
    let words: usize = rows.iter().map(|row| row.split_whitespace().count()).sum();
    // The cuts are within words.
    assert!((40_000..=40_003).contains(&words), "{words}");
}

#[test]
fn code_is_settled_when_it_has_its_colours() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let highlighter = Highlighter::new(move || sender.send(()).unwrap());
    let text = "- a\n  ```rust\n  fn b() {}\n  ```\n\n```rust\nfn c() {}\n\n// d\n```\nend";
    let mut markdown = Markdown::new(text);
    let lines = |markdown: &Markdown| -> Vec<String> {
        let rows = markdown.rows().iter();
        rows.map(|row| row.line.to_string()).collect()
    };
    markdown.lay_out(30, Theme::Colour, &highlighter);
    let before = lines(&markdown);
    while markdown.laid.blocks < markdown.blocks.list.len() {
        receiver
            .recv_timeout(std::time::Duration::from_secs(60))
            .unwrap();
        markdown.lay_out(30, Theme::Colour, &highlighter);
        assert_eq!(lines(&markdown), before);
    }
    let keyword = Theme::Colour.style(crate::tui::theme::Role::Keyword);
    let coloured = markdown.rows().iter().filter(|row| {
        let mut spans = row.line.spans.iter();
        spans.any(|span| (span.content.as_ref(), span.style) == ("fn", keyword))
    });
    assert_eq!(coloured.count(), 2);
    assert_eq!(markdown.codes().len(), 2);
}

/// Pieces of Markdown that are put together in any order.
fn pieces() -> impl Strategy<Value = Vec<String>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "\n",
            "\n\n",
            "# ",
            "- ",
            "* ",
            "1. ",
            "> ",
            "```",
            "```rust\n",
            "~~~",
            "    ",
            "  ",
            "\t",
            "|",
            "| a | b |\n",
            "|---|--:|\n",
            "---",
            "===",
            "<div>",
            "</div>",
            "<!--",
            "-->",
            "[a]",
            "[a]: b\n",
            "[a](b)",
            "![",
            "**",
            "*",
            "_",
            "`",
            "~~",
            "\\",
            "\r\n",
            "\r",
            "word ",
            "[ ] ",
            "[x] ",
            "&amp;",
            "漢字",
            "👩‍💻",
            "\u{1b}[2J",
            "\u{202e}",
            "fn a() {}\n",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pieces_come_out_as_the_whole(pieces in pieces(), columns in 1usize..60) {
        let mut streamed = Markdown::default();
        let mut text = String::new();
        for piece in &pieces {
            streamed.push(piece);
            text.push_str(piece);
            let now = shown(&mut streamed, columns);
            prop_assert_eq!(&now, &shown(&mut open(&text), columns), "{:?}", text);
        }
        streamed.finish();
        let now = shown(&mut streamed, columns);
        prop_assert_eq!(&now, &whole(&text, columns), "{:?}", text);
        prop_assert_eq!(streamed.laid.blocks, streamed.blocks.list.len());
    }

    #[test]
    fn rows_fit_and_nothing_drives_a_terminal(pieces in pieces(), columns in 4usize..60) {
        let mut markdown = Markdown::new(&pieces.concat());
        markdown.lay_out(columns, Theme::Colour, &Highlighter::off());
        for row in markdown.rows() {
            prop_assert!(fits(row, columns), "{:?}", row.line.to_string());
            prop_assert!(!row.line.to_string().chars().any(char::is_control));
        }
        for code in markdown.codes().to_vec() {
            prop_assert!(code.rows.end <= markdown.rows().len());
            markdown.code(&code);
        }
    }
}
