//! What may be done without a question, after one, or not at all. There is one
//! `Policy` value; file tools and commands are judged by the same one. Layers
//! below the user (project, model) can only tighten it: `tighten` is a meet.

use std::path::{Component, Path};

/// Ordered from the freest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    Allow,
    Ask,
    Deny,
}

impl Decision {
    /// The stricter of the two.
    #[must_use]
    pub fn meet(self, other: Decision) -> Decision {
        self.max(other)
    }
}

/// What one layer says. The default is what an interactive front end starts
/// from: reads are free, changes and commands ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    pub write: Decision,
    pub run: Decision,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            write: Decision::Ask,
            run: Decision::Ask,
        }
    }
}

/// One thing that a tool is about to do. Paths are relative to the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    Read(&'a Path),
    Write(&'a Path),
    Run(&'a str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    rules: Rules,
}

impl Policy {
    /// The uppermost layer: what the user's front end was started with.
    pub fn new(rules: Rules) -> Policy {
        Policy { rules }
    }

    /// A path that leads out of the workspace is denied whatever the rules say.
    /// The workspace enforces that again, against links and races; here it
    /// keeps a hopeless question from being asked.
    pub fn decide(&self, action: Action<'_>) -> Decision {
        match action {
            Action::Read(path) | Action::Write(path) if !stays_inside(path) => Decision::Deny,
            Action::Read(_) => Decision::Allow,
            Action::Write(_) => self.rules.write,
            Action::Run(_) => self.rules.run,
        }
    }

    /// This policy with a lower layer on top: never freer than either.
    #[must_use]
    pub fn tighten(&self, lower: &Rules) -> Policy {
        Policy {
            rules: Rules {
                write: self.rules.write.meet(lower.write),
                run: self.rules.run.meet(lower.run),
            },
        }
    }
}

/// Whether a relative path stays beneath its start, by its text alone. What is
/// asked about and what is opened both go by this, so that they cannot differ.
pub(super) fn stays_inside(path: &Path) -> bool {
    let mut depth = 0usize;
    path.components().all(|component| match component {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => {
            let inside = depth > 0;
            depth = depth.saturating_sub(1);
            inside
        }
        Component::RootDir | Component::Prefix(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decision() -> impl Strategy<Value = Decision> {
        prop_oneof![
            Just(Decision::Allow),
            Just(Decision::Ask),
            Just(Decision::Deny)
        ]
    }

    fn rules() -> impl Strategy<Value = Rules> {
        (decision(), decision()).prop_map(|(write, run)| Rules { write, run })
    }

    fn actions() -> [Action<'static>; 5] {
        [
            Action::Read(Path::new("src/lib.rs")),
            Action::Write(Path::new("src/lib.rs")),
            Action::Write(Path::new("../lib.rs")),
            Action::Read(Path::new("/etc/passwd")),
            Action::Run("true"),
        ]
    }

    proptest! {
        #[test]
        fn no_lower_layer_allows_what_a_higher_one_denied(top in rules(), lower in proptest::collection::vec(rules(), 0..6)) {
            let policy = Policy::new(top);
            let tightened = lower.iter().fold(policy, |policy, rules| policy.tighten(rules));
            for action in actions() {
                prop_assert!(tightened.decide(action) >= policy.decide(action));
            }
        }

        #[test]
        fn tighten_is_a_meet(a in rules(), b in rules(), c in rules()) {
            let policy = Policy::new(a);
            prop_assert_eq!(policy.tighten(&b).tighten(&c), policy.tighten(&c).tighten(&b));
            prop_assert_eq!(policy.tighten(&a), policy);
            prop_assert_eq!(policy.tighten(&b).tighten(&b), policy.tighten(&b));
            prop_assert_eq!(Policy::new(b).tighten(&a), policy.tighten(&b));
        }
    }

    #[test]
    fn defaults_let_reads_through_and_ask_for_the_rest() {
        let policy = Policy::new(Rules::default());
        let got: Vec<Decision> = actions().into_iter().map(|a| policy.decide(a)).collect();
        use Decision::{Allow, Ask, Deny};
        assert_eq!(got, [Allow, Ask, Deny, Deny, Ask]);
    }

    #[test]
    fn dots_that_stay_inside_are_inside() {
        let policy = Policy::new(Rules::default());
        for (path, expected) in [
            ("a/../b", Decision::Allow),
            ("./a/./b/../..", Decision::Allow),
            ("a/../../b", Decision::Deny),
            ("..", Decision::Deny),
        ] {
            assert_eq!(
                policy.decide(Action::Read(Path::new(path))),
                expected,
                "{path}"
            );
        }
    }
}
