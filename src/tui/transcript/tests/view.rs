use proptest::prelude::*;

use super::*;

#[test]
fn the_view_follows_the_end_and_stays_when_it_is_scrolled() {
    let (mut transcript, mut log, now) = (empty(), long(20), Instant::now());
    log.load(&mut transcript);
    let end = screen(&mut transcript, 40, 10);
    assert!(transcript.follows());
    assert!(end[9].ends_with("word39"), "{end:?}");
    transcript.event(&Event::Text { text: "new".into() }, now);
    assert_eq!(screen(&mut transcript, 40, 10)[9], "  new");

    transcript.page(-2);
    let held = screen(&mut transcript, 40, 10);
    assert!(!transcript.follows());
    for _ in 0..4 {
        transcript.event(
            &Event::Text {
                text: "\n\nnew".into(),
            },
            now,
        );
        let now = screen(&mut transcript, 40, 10);
        assert_eq!(now[..9], held[..9]);
    }
    let seen = screen(&mut transcript, 40, 10);
    assert!(seen[9].ends_with("↓ 8 new lines below"), "{seen:?}");
    transcript.apply(&log.user("another"));
    let seen = screen(&mut transcript, 40, 10);
    assert!(seen[9].ends_with("↓ 10 new lines below"), "{seen:?}");

    transcript.page(1);
    transcript.page(1);
    transcript.scroll(3);
    let seen = screen(&mut transcript, 40, 10);
    assert!(!transcript.follows());
    assert!(seen[9].ends_with("↓ 7 new lines below"), "{seen:?}");
    transcript.scroll(7);
    assert!(transcript.follows());
    assert_eq!(screen(&mut transcript, 40, 10)[9], "  ❯ another");
    transcript.to_top();
    assert_eq!(screen(&mut transcript, 40, 10)[0], "  ❯ question 0");
    transcript.scroll(-5);
    assert_eq!(screen(&mut transcript, 40, 10)[0], "  ❯ question 0");
    transcript.scroll(i32::MAX);
    assert!(transcript.follows());
}

#[test]
fn another_width_keeps_the_place() {
    let (mut transcript, log) = (empty(), long(50));
    log.load(&mut transcript);
    screen(&mut transcript, 60, 10);
    transcript.scroll(-117);
    let before = screen(&mut transcript, 60, 10);
    let first = |rows: &[String]| rows[0].split_whitespace().next().map(str::to_owned);
    for width in [30, 100, 41, 9, 200, 60] {
        let now = screen(&mut transcript, width, 10);
        let word = first(&before).unwrap();
        assert!(now[0].contains(&word), "{width}: {now:?}");
        assert!(!now.concat().contains("below"), "{now:?}");
    }
    assert_eq!(screen(&mut transcript, 60, 10), before);
    // Another height, too.
    assert_eq!(screen(&mut transcript, 60, 5), before[..5]);
    assert_eq!(screen(&mut transcript, 60, 10), before);
}

#[test]
fn only_what_is_in_view_is_laid_out() {
    let (mut transcript, log, now) = (empty(), long(1000), Instant::now());
    log.load(&mut transcript);
    let layouts = |transcript: &Transcript| -> usize {
        transcript.items.iter().map(|item| item.layouts).sum()
    };
    screen(&mut transcript, 80, 40);
    let first = layouts(&transcript);
    assert!(first < 30, "{first}");
    screen(&mut transcript, 80, 40);
    assert_eq!(layouts(&transcript), first);
    // A piece more is one item more.
    for piece in 1..=5 {
        transcript.event(&Event::Text { text: "a ".into() }, now);
        screen(&mut transcript, 80, 40);
        assert_eq!(layouts(&transcript), first + piece);
    }
    // So is another width.
    let before = layouts(&transcript);
    screen(&mut transcript, 50, 40);
    assert!(layouts(&transcript) - before < 40);
    // The beginning costs as much as the end, and so does the way there.
    let before = layouts(&transcript);
    transcript.to_top();
    screen(&mut transcript, 50, 40);
    assert!(layouts(&transcript) - before < 40);
}

#[derive(Clone, Debug)]
enum Step {
    Text(String),
    Thought(String),
    Notice(String),
    User(String),
    Answer(String),
    Key(usize),
    Size(u16, u16),
    Scroll(i32),
    Mouse(u16, u16),
    Load,
}

fn step() -> impl Strategy<Value = Step> {
    let text = || prop_oneof![any::<String>(), "[a-z \n`|#*>-]{0,40}"];
    prop_oneof![
        text().prop_map(Step::Text),
        text().prop_map(Step::Thought),
        text().prop_map(Step::Notice),
        text().prop_map(Step::User),
        text().prop_map(Step::Answer),
        (0..KEYS.len()).prop_map(Step::Key),
        (0u16..30, 0u16..12).prop_map(|(width, height)| Step::Size(width, height)),
        (-20i32..20).prop_map(Step::Scroll),
        (0u16..40, 0u16..20).prop_map(|(x, y)| Step::Mouse(x, y)),
        Just(Step::Load),
    ]
}

proptest! {
    #[test]
    fn nothing_panics_and_the_view_is_full(steps in prop::collection::vec(step(), 0..40)) {
        let (mut transcript, mut log, now) = (empty(), Log::default(), Instant::now());
        let (mut width, mut height) = (20, 8);
        for step in steps {
            match step {
                Step::Text(text) => transcript.event(&Event::Text { text }, now),
                Step::Thought(text) => transcript.event(&Event::Reasoning { text }, now),
                Step::Notice(text) => transcript.event(&Event::Notice { text }, now),
                Step::User(text) => transcript.apply(&log.user(&text)),
                Step::Answer(text) => transcript.apply(&log.answer(&text)),
                Step::Key(at) => {
                    transcript.key(KEYS[at].keys[0]);
                }
                Step::Size(w, h) => (width, height) = (w, h),
                Step::Scroll(rows) => transcript.scroll(rows),
                Step::Mouse(x, y) => {
                    transcript.press(y, x);
                    transcript.drag(x, y);
                    transcript.release();
                }
                Step::Load => log.load(&mut transcript),
            }
            transcript.layout(width, height, Theme::Colour, now);
            drawn(&transcript, width, height);
            let all: usize = (0..transcript.items.len()).map(|item| transcript.height(item)).sum();
            let last = transcript.place_at(usize::from(height).saturating_sub(1));
            prop_assert!(height == 0 || all < usize::from(height) || last.is_some());
        }
    }
}
