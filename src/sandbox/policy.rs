//! What may be done without a question, after one, or not at all. There is one
//! `Policy` value; file tools and commands are judged by the same one. Layers
//! below the user (project, model) can only tighten it: `tighten` is a meet.

use std::fmt;
use std::path::{Component, Path};

use super::network::Network;
use super::protected;

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

/// How far commands reach. From the freest to the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// As far as the user does.
    Danger,
    /// The workspace can be written.
    #[default]
    WorkspaceWrite,
    /// Nothing but private temporary files can be written.
    ReadOnly,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Danger => "danger",
            Self::WorkspaceWrite => "workspace-write",
            Self::ReadOnly => "read-only",
        })
    }
}

/// What commands are held by. From the weaker to the stronger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// What can be had without namespaces: only ever by the user's own choice.
    Degraded,
    #[default]
    Full,
}

/// What one layer says. The default is what an interactive front end starts
/// from: reads are free, changes and commands ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    pub write: Decision,
    pub run: Decision,
    pub mode: Mode,
    pub network: Network,
    pub strength: Strength,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            write: Decision::Ask,
            run: Decision::Ask,
            mode: Mode::default(),
            network: Network::default(),
            strength: Strength::default(),
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

/// What no answer to a question allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    Outside,
    ReadOnly,
    Protected,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "outside the workspace",
            Self::ReadOnly => "nothing is written in this mode (read-only)",
            Self::Protected => "protected, as other programs run what it says",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    rules: Rules,
}

impl Policy {
    /// The uppermost layer: what the user's front end was started with.
    pub fn new(rules: Rules) -> Policy {
        Policy { rules }
    }

    pub fn mode(&self) -> Mode {
        self.rules.mode
    }

    pub fn network(&self) -> &Network {
        &self.rules.network
    }

    pub fn strength(&self) -> Strength {
        self.rules.strength
    }

    /// A path that leads out of the workspace is denied whatever the rules say, and
    /// so are changes of what makes other programs run something. The workspace
    /// enforces the first again, against links and races; here it keeps a hopeless
    /// question from being asked.
    pub fn decide(&self, action: Action<'_>) -> Decision {
        match action {
            _ if self.forbids(action).is_some() => Decision::Deny,
            Action::Read(_) => Decision::Allow,
            Action::Write(_) => self.rules.write,
            Action::Run(_) => self.rules.run,
        }
    }

    /// Why an action is denied whatever anybody answers, if it is.
    pub fn forbids(&self, action: Action<'_>) -> Option<Forbidden> {
        match action {
            Action::Read(path) | Action::Write(path) if !stays_inside(path) => {
                Some(Forbidden::Outside)
            }
            Action::Write(_) if self.rules.mode == Mode::ReadOnly => Some(Forbidden::ReadOnly),
            Action::Write(path) if self.rules.mode != Mode::Danger && protected::covers(path) => {
                Some(Forbidden::Protected)
            }
            _ => None,
        }
    }

    /// This policy with a lower layer on top: never freer than either.
    #[must_use]
    pub fn tighten(&self, lower: &Rules) -> Policy {
        Policy {
            rules: Rules {
                write: self.rules.write.meet(lower.write),
                run: self.rules.run.meet(lower.run),
                mode: self.rules.mode.max(lower.mode),
                network: self.rules.network.meet(&lower.network),
                strength: self.rules.strength.max(lower.strength),
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
    use crate::sandbox::network::tests::network;
    use proptest::prelude::*;

    fn decision() -> impl Strategy<Value = Decision> {
        prop_oneof![
            Just(Decision::Allow),
            Just(Decision::Ask),
            Just(Decision::Deny)
        ]
    }

    fn rules() -> impl Strategy<Value = Rules> {
        let mode = prop_oneof![
            Just(Mode::Danger),
            Just(Mode::WorkspaceWrite),
            Just(Mode::ReadOnly)
        ];
        let strength = prop_oneof![Just(Strength::Degraded), Just(Strength::Full)];
        let all = (decision(), decision(), mode, network(), strength);
        all.prop_map(|(write, run, mode, network, strength)| Rules {
            write,
            run,
            mode,
            network,
            strength,
        })
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
            let tightened = lower.iter().fold(policy.clone(), |policy, rules| policy.tighten(rules));
            for action in actions() {
                prop_assert!(tightened.decide(action) >= policy.decide(action));
            }
            prop_assert!(tightened.mode() >= policy.mode());
            prop_assert!(tightened.network().is_within(policy.network()));
            prop_assert!(tightened.strength() >= policy.strength());
        }

        #[test]
        fn tighten_is_a_meet(a in rules(), b in rules(), c in rules()) {
            let policy = Policy::new(a.clone());
            prop_assert_eq!(policy.tighten(&b).tighten(&c), policy.tighten(&c).tighten(&b));
            prop_assert_eq!(policy.tighten(&a), policy.clone());
            prop_assert_eq!(policy.tighten(&b).tighten(&b), policy.tighten(&b));
            prop_assert_eq!(Policy::new(b.clone()).tighten(&a), policy.tighten(&b));
            let once = Policy::new(b.clone()).tighten(&c);
            prop_assert_eq!(policy.tighten(&once.rules), policy.tighten(&b).tighten(&c));
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
    fn what_others_run_by_is_not_written() {
        let free = |mode| {
            Policy::new(Rules {
                write: Decision::Allow,
                mode,
                ..Rules::default()
            })
        };
        let write = |mode, path| free(mode).decide(Action::Write(Path::new(path)));
        for path in [".git/hooks/pre-commit", "vendor/x/.git/config", ".envrc"] {
            assert_eq!(write(Mode::WorkspaceWrite, path), Decision::Deny, "{path}");
        }
        assert_eq!(write(Mode::WorkspaceWrite, "a.rs"), Decision::Allow);
        assert_eq!(write(Mode::ReadOnly, "a.rs"), Decision::Deny);
        let read = Action::Read(Path::new(".git/config"));
        assert_eq!(free(Mode::ReadOnly).decide(read), Decision::Allow);
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
