//! Calls of branches that are left and come back.

use super::*;

impl Yard {
    /// A call of this name, within a turn, that writes a file.
    fn call(&mut self, name: u64, path: &str, text: &str) {
        self.history
            .before(
                &self.workspace,
                &Touches::Path(path.into()),
                Some(name),
                &|| false,
            )
            .unwrap();
        self.file(path, text);
        self.history.after(&self.workspace);
    }

    /// A turn of calls.
    fn calls(&mut self, calls: &[(u64, &str, &str)]) {
        self.history.begin(&self.workspace, "do it");
        for (name, path, text) in calls {
            self.call(*name, path, text);
        }
        assert_eq!(self.history.end(&self.workspace), None);
    }

    fn switch(&mut self, back: &[u64], forth: &[u64]) -> Report {
        self.history.switch(&self.workspace, back, forth).unwrap()
    }

    fn texts(&self) -> [Option<String>; 2] {
        ["a", "b"].map(|path| self.read(path))
    }
}

fn texts(a: &str, b: &str) -> [Option<String>; 2] {
    [a, b].map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

#[test]
fn a_turn_can_be_left_between_its_calls_and_come_back() {
    let mut yard = Yard::new(Limits::default());
    yard.calls(&[(11, "a", "1"), (12, "b", "2"), (13, "a", "3")]);
    yard.calls(&[(14, "b", "4")]);
    // Names that nothing is known of are of no account.
    let report = yard.switch(&[12, 13, 14, 99], &[]);
    assert_eq!(yard.texts(), texts("1", ""));
    assert_eq!(report.conflicts, []);
    // What stays is a turn that can be undone.
    assert_eq!(done(yard.undo(Force::No)).calls, [11]);
    assert_eq!(yard.texts(), texts("", ""));
    done(yard.redo(Force::No));
    // Another process takes up a part of what was left, and then all of it.
    yard.reopen();
    yard.switch(&[], &[12]);
    assert_eq!(yard.texts(), texts("1", "2"));
    yard.switch(&[], &[13, 14]);
    assert_eq!(yard.texts(), texts("3", "4"));
    assert_eq!(yard.switch(&[], &[12, 13, 14]), Report::default());
    // They are the turns that they were.
    assert_eq!(done(yard.undo(Force::No)).calls, [14]);
    assert_eq!(done(yard.undo(Force::No)).calls, [11, 12, 13]);
    assert_eq!(yard.texts(), texts("", ""));
    assert_eq!(yard.undo(Force::No), Answer::Nothing);
}

#[test]
fn what_was_undone_comes_back_to_a_branch_where_it_was_not() {
    let mut yard = Yard::new(Limits::default());
    yard.calls(&[(1, "a", "1"), (2, "b", "2")]);
    done(yard.undo(Force::No));
    yard.switch(&[], &[1]);
    assert_eq!(yard.texts(), texts("1", ""));
    // The rest is on the branch that was left.
    assert_eq!(yard.redo(Force::No), Answer::Nothing);
    assert_eq!(done(yard.undo(Force::No)).calls, [1]);
}

#[test]
fn leaving_a_branch_leaves_alone_what_others_have_changed() {
    let mut yard = Yard::new(Limits::default());
    yard.calls(&[(1, "a", "1"), (2, "b", "2"), (3, "a", "3")]);
    yard.file("a", "the user's");
    let report = yard.switch(&[1, 2, 3], &[]);
    assert_eq!(yard.texts(), texts("the user's", ""));
    assert!(report.conflicts.contains(&("a".into(), Conflict::Changed)));
    let report = yard.switch(&[], &[1, 2, 3]);
    assert_eq!(yard.texts(), texts("the user's", "2"));
    assert!(report.conflicts.contains(&("a".into(), Conflict::Changed)));
}

#[test]
fn the_rest_of_a_turn_is_undone_with_it() {
    let mut yard = Yard::new(Limits::default());
    yard.calls(&[(1, "a", "1"), (2, "b", "2")]);
    yard.switch(&[2], &[]);
    for calls in [&[1][..], &[7]] {
        yard.history.begin(&yard.workspace, "do it");
        yard.history.rejoin(&yard.workspace, calls).unwrap();
        yard.call(3, "b", "3");
        assert_eq!(yard.history.end(&yard.workspace), None);
        assert_eq!(yard.texts(), texts("1", "3"));
        let undone = done(yard.undo(Force::No)).calls;
        match calls {
            [1] => {
                assert_eq!((undone, yard.texts()), (vec![1, 3], texts("", "")));
                done(yard.redo(Force::No));
                yard.switch(&[3], &[]);
            }
            _ => assert_eq!((undone, yard.texts()), (vec![3], texts("1", ""))),
        }
    }
}

/// The end of the last call was not seen: what it changed is left alone, and what those
/// before it changed is not.
#[test]
fn a_turn_that_was_cut_off_is_left_as_far_as_it_is_known() {
    let mut yard = Yard::new(Limits::default());
    yard.history.begin(&yard.workspace, "do it");
    yard.call(1, "a", "1");
    yard.history
        .before(&yard.workspace, &Touches::Workspace, Some(2), &|| false)
        .unwrap();
    yard.file("b", "2");
    yard.reopen();
    let report = yard.switch(&[1, 2], &[]);
    assert_eq!(report.conflicts, [("b".into(), Conflict::Unknown)]);
    assert_eq!(yard.texts(), texts("", "2"));
}
