use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use ratatui::layout::Rect;

use super::picker::{Act, Details, Keep, Picker};
use super::testing::screen;
use crate::tui::theme::{Role, Theme};

fn picker(items: &[&str]) -> Picker {
    let items = items.iter().map(|item| (*item).to_owned()).collect();
    Picker::new(items, Keep::End, Details::Right)
}

fn rows(picker: &Picker, width: u16, height: u16) -> Vec<String> {
    screen(width, height, |area, buf| {
        picker.render(area, buf, Theme::Colour, |index| format!("#{index}"));
    })
}

#[test]
fn the_best_match_comes_first_and_walking_goes_round() {
    let mut one = picker(&["docs/main.md", "src/main.rs", "src/lib.rs", "Main"]);
    assert_eq!(one.selected(), Some(0));
    one.set_filter("src ma");
    assert_eq!((one.selected(), one.len()), (Some(1), 1));
    one.set_filter("Ma");
    assert_eq!((one.selected(), one.len()), (Some(3), 1));
    one.set_filter("");
    one.act(Act::Up);
    assert_eq!(one.selected(), Some(3));
    one.act(Act::Down);
    assert_eq!(one.selected(), Some(0));
    one.set_filter("nothing");
    one.act(Act::Down);
    one.act(Act::PageUp);
    assert_eq!(one.selected(), None);
    assert!(one.is_empty());
}

#[test]
fn rows_are_marked_cut_and_harmless() {
    let mut one = picker(&["a/very/long/path/to/file.rs", "字\x1b[2J.rs", "b"]);
    one.act(Act::Down);
    assert_eq!(
        rows(&one, 20, 3),
        [
            "  …g/path/to/file.rs",
            "> 字␛[2J.rs       #1",
            "  b               #2"
        ]
    );
    assert_eq!(rows(&one, 3, 3), ["  …", "> …", "  b"]);
    // With less room than rows, the one that is chosen shows.
    assert_eq!(rows(&one, 20, 1), ["> 字␛[2J.rs       #1"]);
    let area = Rect::new(0, 0, 20, 3);
    let mut buf = ratatui::buffer::Buffer::empty(area);
    one.set_filter("rs");
    one.render(area, &mut buf, Theme::Plain, |_| String::new());
    let found = Theme::Plain
        .style(Role::Selected)
        .patch(Theme::Plain.style(Role::Match));
    let emphasised: String = { buf.content().iter() }
        .filter(|cell| cell.modifier == found.add_modifier)
        .map(|cell| cell.symbol())
        .collect();
    assert_eq!(emphasised, "rs");
}

#[test]
fn it_scrolls_with_what_is_chosen() {
    let items: Vec<String> = (0..50).map(|n| format!("item {n}")).collect();
    let mut one = Picker::new(items.into(), Keep::Start, Details::Column(8));
    one.layout(3);
    for _ in 0..4 {
        one.act(Act::Down);
    }
    assert_eq!(
        rows(&one, 16, 3),
        ["  item 2    #2", "  item 3    #3", "> item 4    #4"]
    );
    one.act(Act::Up);
    one.act(Act::Up);
    assert_eq!(rows(&one, 16, 3)[0], "> item 2    #2");
    one.act(Act::PageDown);
    assert_eq!(one.selected(), Some(5));
}

/// 100,000 paths like a large repository's.
fn many() -> Arc<[String]> {
    let words = [
        "kernel", "driver", "network", "usb", "include", "arch", "mod", "test",
    ];
    (0..100_000)
        .map(|n: usize| {
            let word = |by: usize| words[n / by % words.len()];
            format!("{}/{}/{}/file_{n}.rs", word(1), word(8), word(64))
        })
        .collect()
}

#[test]
fn a_hundred_thousand_files_are_filtered_at_once() {
    let files = many();
    // The best of three: other tests run at the same time.
    let slowest = |_| {
        let mut one = Picker::new(Arc::clone(&files), Keep::End, Details::Right);
        let filters = ["n", "ne", "net", "netf", "netfi99", "usb drv 77.rs"];
        let times = filters.map(|filter| {
            let start = Instant::now();
            one.set_filter(filter);
            assert!(one.len() <= 1000 && !one.is_empty(), "{filter}");
            start.elapsed()
        });
        times.into_iter().max().unwrap()
    };
    let best = (0..3).map(slowest).min().unwrap();
    // 30 ms where it is optimised.
    assert!(best < Duration::from_millis(400), "{best:?}");
}

proptest! {
    #[test]
    fn narrowing_finds_what_a_new_search_does(
        items in proptest::collection::vec("[abAB é字/.]{0,12}", 0..30),
        filter in "[abAB é字/ ]{0,6}",
    ) {
        let items: Arc<[String]> = items.into();
        let mut narrowed = Picker::new(Arc::clone(&items), Keep::End, Details::Right);
        let mut typed = String::new();
        for c in filter.chars() {
            typed.push(c);
            narrowed.set_filter(&typed);
        }
        let mut fresh = Picker::new(items, Keep::End, Details::Right);
        fresh.set_filter(&filter);
        prop_assert_eq!(rows(&narrowed, 20, 30), rows(&fresh, 20, 30));
    }
}
