//! Properties of the output parser over ten thousand broken outputs: it never
//! panics, never shows markup, and doesn't care how the output is cut.

use cairn::chat::{ChatEvent, MarkerIds, Parser, ParserOptions, Start, ToolSpec, coalesce};
use proptest::prelude::*;
use serde_json::json;

const MARKERS: MarkerIds = MarkerIds {
    think: Some(1),
    think_close: Some(2),
    call: Some(3),
    call_close: Some(4),
};

const TAGS: [&str; 4] = [
    "<think>",
    "</think>",
    "<zyphra_tool_call>",
    "</zyphra_tool_call>",
];

const HIDDEN: [&str; 6] = [
    "<think>",
    "</think>",
    "<zyphra_tool_call>",
    "</zyphra_tool_call>",
    "</function>",
    "</parameter>",
];

fn options(start: Start, markers: MarkerIds) -> ParserOptions {
    let tool = |name: &str, properties: serde_json::Value| ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters: json!({"properties": properties, "required": ["path"]}),
    };
    ParserOptions {
        tools: vec![
            tool(
                "read_file",
                json!({"path": {"type": "string"}, "lines": {"type": "integer"}}),
            ),
            tool(
                "write_file",
                json!({"path": {"type": "string"}, "content": {"type": "string"}}),
            ),
        ],
        start,
        markers,
        first_call: 1,
    }
}

fn events(pieces: &[(Option<u32>, &str)], options: ParserOptions) -> Vec<ChatEvent> {
    let mut parser = Parser::new(options);
    let mut events = Vec::new();
    for (id, text) in pieces {
        events.extend(parser.push(*id, text));
    }
    events.extend(parser.finish());
    coalesce(events)
}

/// `text` cut at `cuts`, each reduced to a character boundary.
fn cut<'a>(text: &'a str, cuts: &[prop::sample::Index]) -> Vec<&'a str> {
    let bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let mut at: Vec<usize> = match bounds.len() {
        0 => Vec::new(),
        len => cuts.iter().map(|cut| bounds[cut.index(len)]).collect(),
    };
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2).map(|w| &text[w[0]..w[1]]).collect()
}

/// `text` as tokens where the tags are ids and the rest comes cut.
fn tokens<'a>(text: &'a str, cuts: &[prop::sample::Index]) -> Vec<(Option<u32>, &'a str)> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let found = { TAGS.iter().zip(1..) }
            .filter_map(|(tag, id)| Some((rest.find(tag)?, *tag, id)))
            .min();
        let (at, tag, id) = found.unwrap_or((rest.len(), "", 0));
        tokens.extend(
            cut(&rest[..at], cuts)
                .into_iter()
                .map(|piece| (Some(900), piece)),
        );
        if id > 0 {
            tokens.push((Some(id), tag));
        }
        rest = &rest[at + tag.len()..];
    }
    tokens
}

fn assert_no_markup(events: &[ChatEvent]) {
    let mut visible = String::new();
    for event in events {
        if let ChatEvent::Text(text) = event {
            visible.push_str(text);
        }
    }
    for tag in HIDDEN {
        assert!(!visible.contains(tag), "{tag} in {visible:?}");
    }
}

/// A good output, then mutated: pieces of markup dropped, doubled, moved.
fn outputs() -> impl Strategy<Value = (String, Start)> {
    let piece = prop::sample::select(vec![
        "<think>",
        "</think>",
        "\n",
        "\n\n",
        "<zyphra_tool_call>",
        "</zyphra_tool_call>",
        "<function=read_file>",
        "<function=write_file>",
        "<function=other>",
        "<function=",
        "<function>",
        "read_file",
        "</function>",
        "<parameter=path>",
        "<parameter=content>",
        "<parameter=lines>",
        "<parameter=",
        "<parameter>",
        "</parameter>",
        "<name>path</name>",
        "<value>",
        "</value>",
        "src/main.rs",
        "12",
        "{\"name\": \"read_file\", \"arguments\": {\"path\": \"x\"}}",
        "{",
        "[",
        "VALUE HERE",
        "example_function_name",
        "text é 日本 ",
        "<",
        ">",
        "/",
        "<thi",
        "nk>",
        "</func",
        "tion>",
        "<zyphra_",
        "tool_call>",
        "</",
        "<parameter=path>\nx\n</parameter>\n",
        "null",
        "\"quoted\"",
        "\u{0}",
    ]);
    let good = "I look.\n</think>\n\nLet me.\n<zyphra_tool_call>\n<function=write_file>\n<parameter=path>\na.rs\n</parameter>\n<parameter=content>\nfn main() {}\n</parameter>\n</function>\n</zyphra_tool_call>\n";
    let soup = prop::collection::vec(piece.clone(), 0..24).prop_map(|pieces| pieces.concat());
    let edit = (any::<prop::sample::Index>(), 0..30usize, piece);
    let mutated = prop::collection::vec(edit, 1..6).prop_map(move |edits| {
        let mut text: Vec<char> = good.chars().collect();
        for (at, length, with) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, with.chars());
        }
        text.into_iter().collect()
    });
    let start = prop::sample::select(vec![Start::Content, Start::Reasoning]);
    (prop_oneof![soup, mutated], start)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn broken_output_is_survived_whatever_the_cut(
        (text, start) in outputs(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = events(&[(None, &text)], options(start, MarkerIds::default()));
        assert_no_markup(&whole);
        let pieces: Vec<_> = cut(&text, &cuts).into_iter().map(|piece| (None, piece)).collect();
        prop_assert_eq!(&events(&pieces, options(start, MarkerIds::default())), &whole);
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<_> = letters.iter().map(|c| (None, c.as_str())).collect();
        prop_assert_eq!(&events(&letters, options(start, MarkerIds::default())), &whole);

        // With ids, and with everything spelled out although there are ids.
        let by_id = events(&tokens(&text, &[]), options(start, MARKERS));
        assert_no_markup(&by_id);
        prop_assert_eq!(&events(&tokens(&text, &cuts), options(start, MARKERS)), &by_id);
        let spelled = events(&[(None, &text)], options(start, MARKERS));
        assert_no_markup(&spelled);
        prop_assert_eq!(&events(&letters, options(start, MARKERS)), &spelled);
    }

    #[test]
    fn what_is_written_canonically_is_read_back(
        path in "[ -~é\n]{0,40}",
        content in "[ -~é\n]{0,80}",
        lines in any::<i64>(),
        text in "[a-z .\n]{0,20}",
    ) {
        // Values that the format can't carry, or that are documented to be
        // read differently.
        prop_assume!(!path.contains("</parameter>") && !content.contains("</parameter>"));
        prop_assume!(![&path, &content].iter().any(|v| v.starts_with('"')));
        let call = format!(
            "{text}<zyphra_tool_call>\n<function=read_file>\n<parameter=path>\n{path}\n</parameter>\n\
             <parameter=lines>\n{lines}\n</parameter>\n<parameter=extra>\n{content}\n</parameter>\n\
             </function>\n</zyphra_tool_call>"
        );
        let events = events(&[(None, &call)], options(Start::Content, MarkerIds::default()));
        let Some(ChatEvent::ToolCall(read)) = events.last() else {
            panic!("{events:?}");
        };
        prop_assert_eq!(
            serde_json::Value::Object(read.arguments.clone()),
            json!({"path": path, "lines": lines, "extra": content})
        );
        prop_assert_eq!(events.len(), if text.is_empty() { 1 } else { 2 });
    }
}
