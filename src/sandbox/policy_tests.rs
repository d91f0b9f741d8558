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

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        Just("write"),
        Just("write:src/**"),
        Just("run"),
        Just("run:true"),
        Just("run=true")
    ]
    .prop_map(|text| text.parse().unwrap())
}

fn rules() -> impl Strategy<Value = Rules> {
    let mode = prop_oneof![
        Just(Mode::Danger),
        Just(Mode::WorkspaceWrite),
        Just(Mode::ReadOnly)
    ];
    let strength = prop_oneof![Just(Strength::Degraded), Just(Strength::Full)];
    let some = || proptest::collection::vec(rule(), 0..2);
    let decisions = (decision(), decision(), some(), some());
    let all = (decisions, mode, network(), strength);
    all.prop_map(
        |((write, run, allow, deny), mode, network, strength)| Rules {
            write,
            run,
            allow,
            deny,
            mode,
            network,
            strength,
        },
    )
}

fn actions() -> [Action<'static>; 7] {
    [
        Action::Read(Path::new(".env")),
        Action::Write(Path::new("AGENTS.md")),
        Action::Read(Path::new("src/lib.rs")),
        Action::Write(Path::new("src/lib.rs")),
        Action::Write(Path::new("../lib.rs")),
        Action::Read(Path::new("/etc/passwd")),
        Action::Run("true"),
    ]
}

/// All that a policy says of the actions.
fn says(policy: &Policy) -> (Vec<Decision>, Mode, Network, Strength) {
    let decisions = actions().into_iter().map(|action| policy.decide(action));
    let network = policy.network().clone();
    (
        decisions.collect(),
        policy.mode(),
        network,
        policy.strength(),
    )
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
        let same = |one: &Policy, other: &Policy| says(one) == says(other);
        prop_assert!(same(&policy.tighten(&b).tighten(&c), &policy.tighten(&c).tighten(&b)));
        prop_assert!(same(&policy.tighten(&a), &policy));
        prop_assert!(same(&policy.tighten(&b).tighten(&b), &policy.tighten(&b)));
    }

    #[test]
    fn an_answer_for_always_frees_nothing_that_a_layer_denies(top in rules(), lower in rules(), rule in rule()) {
        let mut policy = Policy::new(top.clone()).tighten(&lower);
        let before = policy.clone();
        policy.allow(rule);
        for permission in Permission::ALL {
            policy.set_permission(permission);
            for action in actions() {
                let denied = before.forbids(action).is_some()
                    || lower.decide(action, Whose::Other) == Decision::Deny
                    || top.denying(action).is_some();
                prop_assert!(!denied || policy.decide(action) == Decision::Deny);
                prop_assert!(policy.decide(action) >= lower.decide(action, Whose::Other));
            }
        }
    }
}

#[test]
fn defaults_let_reads_through_and_ask_for_the_rest() {
    let policy = Policy::new(Rules::default());
    let got: Vec<Decision> = actions().into_iter().map(|a| policy.decide(a)).collect();
    use Decision::{Allow, Ask, Deny};
    assert_eq!(got, [Ask, Ask, Allow, Ask, Deny, Deny, Ask]);
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

#[test]
fn rules_decide_before_defaults_and_denials_before_both() {
    let list = |rules: &[&str]| rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let policy = Policy::new(Rules {
        allow: list(&["run:cargo", "write:src/**"]),
        deny: list(&["run:cargo publish", "write:src/secret/**"]),
        ..Rules::default()
    });
    use Decision::{Allow, Ask, Deny};
    for (action, expected) in [
        (Action::Run("cargo test"), Allow),
        (Action::Run("cargo publish --dry-run"), Deny),
        (Action::Run("true; cargo publish"), Deny),
        (Action::Run("make"), Ask),
        (Action::Write(Path::new("src/a")), Allow),
        (Action::Write(Path::new("src/secret/a")), Deny),
        (Action::Write(Path::new("a")), Ask),
    ] {
        assert_eq!(policy.decide(action), expected, "{action:?}");
    }
    let why = policy.denial(Action::Run("cargo publish"));
    assert_eq!(why.as_deref(), Some("a rule denies it (run:cargo publish)"));
}

#[test]
fn some_files_need_a_word_of_their_own() {
    let mut policy = Policy::new(Rules {
        write: Decision::Allow,
        allow: vec!["write".parse().unwrap()],
        ..Rules::default()
    });
    policy.set_permission(Permission::AcceptEdits);
    use Decision::{Allow, Ask};
    let asked = ["AGENTS.md", "a/agents.md", ".env", "a/.env.local"];
    let workflow = ".github/workflows/ci.yml";
    for path in asked.into_iter().chain([workflow]) {
        assert_eq!(policy.decide(Action::Write(Path::new(path))), Ask, "{path}");
    }
    for path in [".env.example", ".environment", "env", "AGENTS.md.bak"] {
        assert_eq!(
            policy.decide(Action::Write(Path::new(path))),
            Allow,
            "{path}"
        );
        assert_eq!(
            policy.decide(Action::Read(Path::new(path))),
            Allow,
            "{path}"
        );
    }
    let [env, agents] = [".env", "AGENTS.md"].map(|path| Action::Read(Path::new(path)));
    assert_eq!((policy.decide(env), policy.decide(agents)), (Ask, Allow));
    policy.allow("read:.env".parse().unwrap());
    policy.allow(Rule::for_path("write", Path::new(workflow)).unwrap());
    assert_eq!(policy.decide(env), Allow);
    assert_eq!(policy.decide(Action::Write(Path::new(workflow))), Allow);
}

#[test]
fn the_users_way_of_being_asked_holds_for_what_would_be_asked() {
    let mut policy = Policy::new(Rules {
        deny: vec!["write:a".parse().unwrap()],
        ..Rules::default()
    });
    let [a, b] = ["a", "b"].map(|path| Action::Write(Path::new(path)));
    let run = Action::Run("true");
    use Decision::{Allow, Ask, Deny};
    policy.set_permission(Permission::AcceptEdits);
    assert_eq!([a, b, run].map(|x| policy.decide(x)), [Deny, Allow, Ask]);
    let strict = policy.tighten(&Rules::default());
    assert_eq!(strict.decide(b), Ask, "a lower layer still asks");
    policy.allow("run".parse().unwrap());
    assert_eq!(policy.decide(run), Allow);
    policy.set_permission(Permission::Plan);
    assert_eq!([a, b, run].map(|x| policy.decide(x)), [Deny; 3]);
    assert!(policy.denial(run).unwrap().contains("plan mode"));
    assert_eq!(policy.decide(Action::Read(Path::new("a"))), Allow);
}
