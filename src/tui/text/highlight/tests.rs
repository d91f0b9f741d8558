use std::sync::mpsc;

use super::grammars::{ALIASES, LINE_BYTES, SCOPES};
use super::*;
use syntect::parsing::Scope;

/// All pieces, once they are there.
fn all(code: &mut Code, lines: &[String], last: Last) -> Vec<Option<Vec<Piece>>> {
    let (sender, receiver) = mpsc::channel();
    let highlighter = Highlighter::new(move || sender.send(()).unwrap());
    wait(code, lines, last, &highlighter, &receiver)
}

fn wait(
    code: &mut Code,
    lines: &[String],
    last: Last,
    highlighter: &Highlighter,
    ready: &mpsc::Receiver<()>,
) -> Vec<Option<Vec<Piece>>> {
    let settled = match last {
        Last::Closed => lines.len(),
        Last::Open => lines.len() - 1,
    };
    loop {
        let pieces = code.all(highlighter, lines, last);
        if pieces[..settled].iter().all(Option::is_some) {
            return pieces;
        }
        ready.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}

fn strings(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn code_gets_its_colours_on_the_thread() {
    let line = "fn a(b: u8) { c(\"d\\n\", 5) } // e";
    let pieces = all(&mut Code::new("rust"), &strings(&[line]), Last::Closed);
    let pieces = pieces[0].clone().unwrap();
    let mut at = 0;
    let roles: Vec<(&str, Role)> = pieces
        .iter()
        .map(|piece| {
            at += piece.bytes;
            (line[at - piece.bytes..at].trim(), piece.role)
        })
        .filter(|(text, _)| !text.is_empty())
        .collect();
    assert_eq!(
        roles,
        [
            ("fn", Role::Keyword),
            ("a", Role::Function),
            ("(b:", Role::Text),
            ("u8", Role::Keyword),
            (") {", Role::Text),
            ("c", Role::Function),
            ("(", Role::Text),
            ("\"d", Role::String),
            ("\\n", Role::Keyword),
            ("\"", Role::String),
            (",", Role::Text),
            ("5", Role::Number),
            (") }", Role::Text),
            ("// e", Role::Comment),
        ]
    );
    assert_eq!(at, line.len());
}

#[test]
fn what_has_no_colours_is_plain() {
    let line = "let a = 5;".to_owned();
    let long = "x".repeat(LINE_BYTES + 1);
    let lines = [line.clone(), long.clone()];
    let unknown = all(&mut Code::new("klingon"), &lines, Last::Closed);
    assert_eq!(unknown, [Some(plain(&line)), Some(plain(&long))]);
    let known = all(&mut Code::new("rust"), &lines, Last::Closed);
    assert_eq!(known[1], Some(plain(&long)));
    assert_ne!(known[0], unknown[0]);
    let off = Highlighter::off();
    assert_eq!(Code::new("rust").line(&off, 0, &line), Some(plain(&line)));
    let mut nameless = Code::new("");
    let nothing = Highlighter::new(|| unreachable!());
    assert_eq!(nameless.line(&nothing, 0, &line), Some(plain(&line)));
}

#[test]
fn a_block_that_grows_comes_out_as_the_whole() {
    let (sender, receiver) = mpsc::channel();
    let highlighter = Highlighter::new(move || sender.send(()).unwrap());
    let lines = strings(&["/* a", "b */ fn c() {", "  \"d", "e\"", "}"]);
    let whole = all(&mut Code::new("Rust"), &lines, Last::Closed);
    let mut growing = Code::new("rs");
    for end in 1..=lines.len() {
        let mut half = lines[..end].to_vec();
        let last = half[end - 1].len() / 2;
        half[end - 1].truncate(last);
        let now = wait(&mut growing, &half, Last::Open, &highlighter, &receiver);
        assert_eq!(now[..end - 1], whole[..end - 1]);
        assert_eq!((&now[end - 1], growing.sent.len()), (&None, end - 1));
    }
    let now = wait(&mut growing, &lines, Last::Closed, &highlighter, &receiver);
    assert_eq!(now, whole);
    assert_eq!(highlighter.generation(), lines.len());
    // Another text in its place.
    let other = strings(&["fn x() {}"]);
    let whole = all(&mut Code::new("rust"), &other, Last::Closed);
    let now = wait(&mut growing, &other, Last::Closed, &highlighter, &receiver);
    assert_eq!(now, whole);
}

#[test]
fn the_tables_name_what_there_is() {
    for (name, _) in SCOPES {
        assert!(Scope::new(name).is_ok(), "{name}");
    }
    let set = Grammars::load().set;
    for (alias, name) in ALIASES {
        assert!(set.find_syntax_by_token(alias).is_none(), "{alias}");
        assert!(set.find_syntax_by_token(name).is_some(), "{name}");
    }
}
