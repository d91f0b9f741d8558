use crossterm::event::KeyCode;
use ratatui::style::Modifier;

use super::*;
use crate::tui::keys::Key;

fn press(transcript: &mut Transcript, keys: &str) -> Option<Outcome> {
    let mut outcome = None;
    for c in keys.chars() {
        outcome = transcript.key(match c {
            '\n' => Key::new(KeyCode::Enter),
            c => Key::char(c),
        });
    }
    outcome
}

#[test]
fn keys_act_on_what_is_selected() {
    let (mut transcript, mut log) = (empty(), Log::default());
    let events = turn(&mut log);
    let now = Instant::now();
    events.iter().for_each(|event| transcript.event(event, now));
    screen(&mut transcript, 60, 45);
    assert_eq!(press(&mut transcript, "y"), None);
    let copied = |text: &str| Some(Outcome::Copy(text.to_owned()));
    // From the end upwards.
    assert_eq!(press(&mut transcript, "[y"), copied("stopped"));
    assert_eq!(press(&mut transcript, "[y"), copied("Almost."));
    assert_eq!(press(&mut transcript, "\n"), Some(Outcome::OpenTrace(11)));
    assert_eq!(press(&mut transcript, "E"), None);
    assert_eq!(press(&mut transcript, "[[[[y"), copied("edited"));
    let seen = screen(&mut transcript, 60, 45);
    let marked: Vec<&String> = seen.iter().filter(|row| row.starts_with('▌')).collect();
    assert_eq!(marked.len(), 5, "{marked:?}");
    assert_eq!(marked[0], "▌ ✓ edit_file src/a.rs");
    // Unfolded, all of it is there; the file that was read has nine lines.
    assert_eq!(press(&mut transcript, "[\n"), None);
    let seen = screen(&mut transcript, 60, 48);
    assert!(seen.contains(&"▌ │ line 9".to_owned()), "{seen:?}");
    press(&mut transcript, "\n");
    let seen = screen(&mut transcript, 60, 48);
    assert!(!seen.contains(&"▌ │ line 9".to_owned()), "{seen:?}");
    assert_eq!(
        press(&mut transcript, "[y"),
        copied("Let me *look*:\n\n```\ncode\n```")
    );
    assert_eq!(press(&mut transcript, "c"), copied("code\n"));
    assert_eq!(press(&mut transcript, "[[[E"), Some(Outcome::Edit(1)));
    assert_eq!(press(&mut transcript, "]\n"), Some(Outcome::OpenTrace(2)));
    let escape = transcript.key(Key::new(KeyCode::Esc));
    assert_eq!((escape, transcript.selected), (Some(Outcome::Leave), None));
    assert_eq!(press(&mut transcript, "c"), copied("code\n"));

    // All cards at once, and back.
    let folded = screen(&mut transcript, 60, 60);
    press(&mut transcript, "e");
    let open = screen(&mut transcript, 60, 60);
    assert!(!open.iter().any(|row| row.contains("more lines")));
    press(&mut transcript, "e");
    assert_eq!(screen(&mut transcript, 60, 60), folded);
}

#[test]
fn selecting_moves_the_view() {
    let (mut transcript, log) = (empty(), long(9));
    log.load(&mut transcript);
    screen(&mut transcript, 60, 8);
    for item in (0..18).rev() {
        press(&mut transcript, "[");
        let seen = screen(&mut transcript, 60, 8);
        assert_eq!(transcript.selected, Some(item));
        assert!(seen.iter().any(|row| row.starts_with('▌')), "{seen:?}");
    }
    press(&mut transcript, "[");
    assert_eq!(transcript.selected, Some(0));
    for item in 1..18 {
        press(&mut transcript, "]");
        let seen = screen(&mut transcript, 60, 8);
        assert_eq!(transcript.selected, Some(item));
        assert!(seen.iter().any(|row| row.starts_with('▌')), "{seen:?}");
    }
}

#[test]
fn every_key_is_in_the_table_once() {
    let mut keys: Vec<Key> = Vec::new();
    for binding in KEYS {
        for key in binding.keys {
            assert!(!keys.contains(key), "{}", key.name());
            keys.push(*key);
        }
    }
    assert_eq!(empty().key(Key::char('x')), None);
}

#[test]
fn the_mouse_selects_text_as_it_was_written() {
    let (mut transcript, mut log) = (empty(), Log::default());
    log.user("one two three four");
    log.answer("- a list that is wrapped here\n\n```\nlong line of code\n```\n\n漢字 end");
    log.load(&mut transcript);
    let seen = screen(&mut transcript, 16, 12);
    assert_eq!(
        seen,
        [
            "  ❯ one two",
            "    three four",
            "",
            "  • a list that",
            "    is wrapped",
            "    here",
            "",
            "  │ long line of",
            "  │↳ code",
            "",
            "  漢字 end",
            "",
        ]
    );
    let mut select = |from: (u16, u16), to: (u16, u16)| {
        transcript.press(from.0, from.1);
        transcript.drag(to.0, to.1);
        transcript.release()
    };
    let all = "one two three four\n\na list that is wrapped here\n\nlong line of code\n\n漢字 end";
    assert_eq!(select((0, 0), (15, 11)).as_deref(), Some(all));
    assert_eq!(select((15, 11), (0, 0)).as_deref(), Some(all));
    assert_eq!(select((8, 0), (8, 1)).as_deref(), Some("two three"));
    assert_eq!(select((2, 10), (4, 10)).as_deref(), Some("漢字"));
    assert_eq!(select((4, 10), (4, 10)), None);
    assert_eq!(transcript.selected, Some(1));

    transcript.press(8, 0);
    transcript.drag(5, 1);
    let buffer = drawn(&transcript, 16, 12);
    let reversed = |y| {
        let is = |x: &u16| {
            let cell = buffer.cell((*x, y)).unwrap();
            cell.modifier.contains(Modifier::REVERSED)
        };
        (0..16).filter(is).collect::<Vec<u16>>()
    };
    assert_eq!(reversed(0), (8..16).collect::<Vec<_>>());
    assert_eq!(reversed(1), (2..6).collect::<Vec<_>>());
    assert_eq!(reversed(2), [0; 0]);
}
