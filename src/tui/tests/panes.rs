//! Panes, the focus and the mouse.

use crossterm::event::{MouseButton, MouseEventKind};
use ratatui::layout::Rect;

use super::world::{USUAL, World, told};
use crate::tui::app::Pane;
use crate::tui::event::Event;
use crate::tui::overlay::Overlay;
use crate::tui::panes::Reasoning;
use crate::tui::theme::Theme;

const THOUGHT: &str = "The user counts. I count along, one after the other, and say so.\n\n";

/// A session of some turns, with a long trace.
fn long(size: (u16, u16)) -> World {
    let mut world = World::ready(size, Theme::Colour);
    for turn in 1..=12 {
        world.user(&format!("question {turn}"));
        let text = format!("{}</think>Answer {turn}.\n\nIt is so.", THOUGHT.repeat(20));
        world.answer(&text, Vec::new());
        world.end_turn();
    }
    world
}

fn seen(world: &World) -> (Vec<String>, Vec<String>) {
    let areas = world.app.areas;
    (world.rows(areas.conversation), world.rows(areas.reasoning))
}

#[test]
fn keys_show_hide_and_enlarge_the_reasoning() {
    let mut world = World::usual();
    assert_ne!(world.app.areas.reasoning, Rect::default());
    world.press("<F2>");
    assert_eq!(world.app.areas.reasoning, Rect::default());
    world.press("<F3>");
    assert_eq!(world.app.areas.conversation, Rect::default());
    assert_eq!(world.app.focus, Pane::Reasoning);
    // Hidden, it has no keys.
    world.press("<F2>");
    assert_eq!(world.app.panes.reasoning, Reasoning::Hidden);
    assert_eq!(world.app.focus, Pane::Composer);
    world.press("<F2>");
    let before = world.app.areas.reasoning.width;
    world.press("<A-=>");
    assert!(world.app.areas.reasoning.width > before);
}

#[test]
fn one_key_goes_through_the_panes() {
    let mut world = World::usual();
    let mut round = || {
        world.press("<F6>");
        world.app.focus
    };
    let panes = [Pane::Reasoning, Pane::Conversation, Pane::Composer];
    assert_eq!([round(), round(), round()], panes);
    world.press("<F2>");
    world.press("<F6>");
    assert_eq!(world.app.focus, Pane::Conversation);
    world.press("<Esc>");
    assert_eq!(world.app.focus, Pane::Composer);
}

#[test]
fn on_a_small_screen_the_reasoning_has_all_of_it_while_it_has_the_keys() {
    let mut world = World::ready((40, 12), Theme::Colour);
    assert_eq!(world.app.areas.reasoning, Rect::default());
    world.press("<F6>");
    assert_eq!(world.app.focus, Pane::Reasoning);
    assert_eq!(world.app.areas.conversation, Rect::default());
    world.press("<Esc>");
    assert_eq!(world.app.focus, Pane::Composer);
    assert_eq!(world.app.areas.reasoning, Rect::default());
}

#[test]
fn the_wheel_turns_what_is_below_it() {
    let mut world = long(USUAL);
    let before = seen(&world);
    world.mouse(MouseEventKind::ScrollUp, (2, 2));
    let scrolled = seen(&world);
    assert_ne!(scrolled.0, before.0);
    assert_eq!(scrolled.1, before.1);
    let areas = world.app.areas;
    world.mouse(MouseEventKind::ScrollUp, (areas.reasoning.x + 2, 2));
    let both = seen(&world);
    assert_eq!(both.0, scrolled.0);
    assert_ne!(both.1, scrolled.1);
    // Nothing moves below what is open over the screen.
    world.press("<F1>");
    world.mouse(MouseEventKind::ScrollUp, (2, 2));
    world.press("<Esc>");
    assert_eq!(seen(&world), both);
}

#[test]
fn a_click_goes_to_the_token_below_it_wherever_the_pane_is() {
    for size in [USUAL, (80, 24)] {
        let mut world = long(size);
        let area = world.app.areas.reasoning;
        let rows = world.rows(area);
        let row = rows.iter().position(|row| row.contains("count along"));
        let (row, column) = row.map(|at| (at, rows[at].find("along").unwrap())).unwrap();
        let at = (area.x + column as u16, area.y + row as u16);
        world.mouse(MouseEventKind::Down(MouseButton::Left), at);
        assert_eq!(world.app.focus, Pane::Reasoning);
        let copied = world.press("y");
        assert_eq!(copied, ["Copy(\" along,\")"]);
    }
}

#[test]
fn text_is_selected_where_the_mouse_is() {
    let mut world = long(USUAL);
    let rows = world.rows(world.app.areas.conversation);
    let row = rows
        .iter()
        .rposition(|row| row.contains("It is so."))
        .unwrap();
    let column = rows[row].find("is so").unwrap() as u16;
    let at = |column| (column, row as u16);
    world.mouse(MouseEventKind::Down(MouseButton::Left), at(column));
    world.mouse(MouseEventKind::Drag(MouseButton::Left), at(column + 4));
    let effects = world.mouse(MouseEventKind::Up(MouseButton::Left), at(column + 4));
    assert_eq!(effects, ["Copy(\"is so\")"]);
}

#[test]
fn another_size_shows_the_same_place() {
    let mut world = long(USUAL);
    world.press("<PgUp><PgUp>");
    let first = |world: &World| {
        let rows = world.rows(world.app.areas.conversation);
        rows.into_iter()
            .find(|row| row.contains("question"))
            .unwrap()
    };
    let before = first(&world);
    for size in [(200, 60), (60, 24), (40, 12), USUAL] {
        world.resize(size);
        assert_eq!(first(&world), before, "{size:?}");
    }
}

#[test]
fn help_opens_by_its_key_and_by_a_question_mark_on_nothing() {
    let mut world = World::usual();
    world.press("why?");
    assert!(world.app.overlay.is_none());
    assert_eq!(world.app.composer.text(), "why?");
    world.press("<F1>");
    assert!(matches!(world.app.overlay, Some(Overlay::Help(_))));
    world.press("<Esc><C-u>?");
    assert!(matches!(world.app.overlay, Some(Overlay::Help(_))));
}

#[test]
fn a_paste_goes_where_text_is_typed() {
    let mut world = long(USUAL);
    let paste = |world: &mut World, text: &str| {
        assert_eq!(told(world.happen(Event::Paste(text.into()))), [""; 0]);
    };
    world.press("<F6>/");
    paste(&mut world, "one after");
    let rows = world.rows(world.app.areas.reasoning).join("\n");
    assert!(rows.contains("/one after"), "{rows}");
    assert_eq!(world.app.composer.text(), "");
    world.press("<Esc>");
    paste(&mut world, "for the message");
    assert_eq!(world.app.focus, Pane::Composer);
    assert_eq!(world.app.composer.text(), "for the message");
    world.press("<C-p>");
    paste(&mut world, "mouse");
    assert_eq!(world.app.composer.text(), "for the message");
    assert_eq!(world.press("<Enter>"), ["SwitchMouse"]);
}
