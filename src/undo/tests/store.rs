//! What the store keeps, for how long, and for whom.

use super::*;

#[test]
fn old_turns_and_their_copies_are_forgotten() {
    let mut yard = Yard::new(Limits {
        turns: 3,
        ..Limits::default()
    });
    for n in 0..40 {
        yard.turn(|yard| yard.file("a", &format!("text {n}")));
    }
    yard.history.collect().unwrap();
    for n in [38, 37, 36] {
        done(yard.undo(Force::No));
        assert_eq!(yard.read("a").unwrap(), format!("text {n}"));
    }
    assert_eq!(yard.undo(Force::No), Answer::Nothing);
    let mut objects = 0;
    let undo = yard.folder.path().join("state/undo");
    let one = fs::read_dir(undo).unwrap().next().unwrap().unwrap().path();
    for part in fs::read_dir(one.join("objects")).unwrap() {
        objects += fs::read_dir(part.unwrap().path()).unwrap().count();
    }
    assert_eq!(objects, 4);
}

#[test]
fn a_store_that_grows_too_large_forgets_the_oldest() {
    let mut yard = Yard::new(Limits {
        store_bytes: 2500,
        ..Limits::default()
    });
    for n in 0..5 {
        yard.turn(|yard| yard.file("a", &n.to_string().repeat(1000)));
    }
    yard.history.collect().unwrap();
    done(yard.undo(Force::No));
    assert_eq!(yard.undo(Force::No), Answer::Nothing);
}

#[test]
fn a_damaged_copy_is_not_restored() {
    let mut yard = Yard::new(Limits::default());
    yard.file("a", "one");
    yard.turn(|yard| yard.file("a", "two"));
    let undo = yard.folder.path().join("state/undo");
    let one = fs::read_dir(undo).unwrap().next().unwrap().unwrap().path();
    let hash = node::Hash::of(b"one").to_string();
    fs::write(one.join("objects").join(&hash[..2]).join(&hash), "bad").unwrap();
    let report = done(yard.undo(Force::No));
    assert_eq!(report.left[0].1, "the kept copy is damaged");
    assert_eq!(yard.read("a").unwrap(), "two");
}

#[test]
fn a_store_in_the_workspace_is_refused() {
    let yard = Yard::new(Limits::default());
    symlink(yard.at(""), yard.folder.path().join("way")).unwrap();
    for state in [yard.at("state"), yard.folder.path().join("way/state/cairn")] {
        let refused = History::open(&state, &yard.workspace, Limits::default());
        assert!(matches!(refused, Err(Error::Inside)), "{refused:?}");
    }
    assert_eq!(fs::read_dir(yard.at("")).unwrap().count(), 0);
}

#[test]
fn two_cairns_do_not_mix_their_turns() {
    let mut yard = Yard::new(Limits::default());
    yard.file("a", "one");
    yard.begin(&Touches::Workspace);
    let state = yard.folder.path().join("state");
    let mut other = History::open(&state, &yard.workspace, Limits::default()).unwrap();
    other.begin(&yard.workspace, "too");
    let lines = other.uncovered(&yard.workspace, &Touches::Workspace);
    assert!(lines[0].contains("another cairn"), "{lines:?}");
    other
        .before(&yard.workspace, &Touches::Workspace, None, &|| false)
        .unwrap();
    assert!(matches!(
        other.undo(&yard.workspace, Force::No),
        Err(Error::Busy)
    ));
    other.begin(&yard.workspace, "too");
    other
        .before(&yard.workspace, &Touches::Workspace, None, &|| false)
        .unwrap();
    let said = other.end(&yard.workspace).unwrap();
    assert!(said.contains("another cairn"), "{said}");
    yard.file("a", "two");
    yard.history.end(&yard.workspace);
    done(other.undo(&yard.workspace, Force::No).unwrap());
    assert_eq!(yard.read("a").unwrap(), "one");
}
