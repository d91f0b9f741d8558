//! Pictures of whole screens: the characters, then where which style is. They are kept
//! in `snapshots/`, so that a change of what users see is seen in review.

use std::fmt::Write;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::scenes;
use super::world::World;
use crate::tui::overlay::testing;
use crate::tui::theme::Theme;
use crate::tui::view;

type Scene = fn((u16, u16), Theme) -> World;

const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (200, 60)];

/// Compares a scene with its pictures, at each size.
fn pictures(name: &str, theme: Theme, scene: Scene) {
    for (width, height) in SIZES {
        let world = scene((width, height), theme);
        let name = format!("{name}_{width}x{height}");
        insta::assert_snapshot!(name, picture(&world));
    }
}

fn picture(world: &World) -> String {
    let buf = world.buffer();
    let (width, height) = world.size;
    let mut text = format!("{width} columns, {height} rows");
    if let Some(at) = view::cursor(&world.app, world.screen()) {
        write!(text, ", cursor at {},{}", at.x, at.y).unwrap();
    }
    for row in testing::rows(&buf) {
        write!(text, "\n|{row}").unwrap();
    }
    for y in 0..height {
        let styles = styles(&buf, y);
        if !styles.is_empty() {
            write!(text, "\n{y}: {}", styles.join(", ")).unwrap();
        }
    }
    text
}

/// The stretches of a row that have a style: `from-to` and what it is.
fn styles(buf: &Buffer, y: u16) -> Vec<String> {
    let mut runs: Vec<(u16, u16, String)> = Vec::new();
    let mut x = 0;
    while x < buf.area.width {
        let cell = &buf[(x, y)];
        let columns = crate::tui::text::width(cell.symbol()).max(1) as u16;
        let look = look(cell.fg, cell.bg, cell.modifier);
        let end = x + columns - 1;
        match runs.last_mut() {
            Some((_, to, same)) if *same == look => *to = end,
            _ => runs.push((x, end, look)),
        }
        x += columns;
    }
    let styled = runs.into_iter().filter(|(_, _, look)| !look.is_empty());
    styled
        .map(|(from, to, look)| format!("{from}-{to} {look}"))
        .collect()
}

fn look(fg: Color, bg: Color, modifier: Modifier) -> String {
    let mut words = Vec::new();
    if fg != Color::Reset {
        words.push(fg.to_string());
    }
    if bg != Color::Reset {
        words.push(format!("on {bg}"));
    }
    words.extend(modifier.iter_names().map(|(name, _)| name.to_owned()));
    words.join(" ").to_lowercase()
}

#[test]
fn an_empty_session_and_one_that_loads() {
    pictures("empty", Theme::Colour, scenes::empty);
    pictures("loading", Theme::Colour, scenes::loading);
}

#[test]
fn a_conversation_in_every_theme() {
    pictures("conversation", Theme::Colour, scenes::conversation);
    pictures("conversation_light", Theme::Light, scenes::conversation);
    pictures("conversation_plain", Theme::Plain, scenes::conversation);
}

#[test]
fn a_question() {
    pictures("question", Theme::Colour, scenes::question);
}

#[test]
fn work() {
    pictures("reading", Theme::Colour, scenes::reading);
    pictures("thinking", Theme::Colour, scenes::thinking);
}

#[test]
fn the_help() {
    pictures("help", Theme::Colour, scenes::help);
}

#[test]
fn forks() {
    pictures("fork", Theme::Colour, scenes::fork);
    pictures("branches", Theme::Colour, scenes::branches);
    pictures("comparison", Theme::Colour, scenes::comparison);
}

#[test]
fn the_reasoning_on_the_whole_screen() {
    pictures("routes", Theme::Colour, scenes::routes);
}

#[test]
fn trouble() {
    pictures("trouble", Theme::Colour, scenes::trouble);
}
