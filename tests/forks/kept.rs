//! A kill in the middle of a forked answer: the next start goes on with it exactly.

use cairn::agent::{Approval, Event, ForkAt, With};

use crate::world::{Caches, Ears, World, answers, hear, turn};

#[test]
fn a_forked_answer_that_is_killed_goes_on_with_the_same_tokens() {
    let world = World::new();
    let mut agent = world.agent(Caches::Kept);
    let whole = turn(&mut agent, "list the files in src");
    let id = agent.session_id().to_owned();
    // What stays, what is put there, and what is sampled after it.
    let at = ForkAt {
        entry: whole[0].entry,
        token: 6,
        with: With::Text(" or rather, all that there is in it,".into()),
    };
    drop(agent);
    for count in [1, 7, 9, 20, 35] {
        world.put_aside("before");
        let mut agent = world.resumed(&id, Caches::Kept);
        let mut seen = 0;
        let mut ears = Ears {
            events: Vec::new(),
            says: Approval::Yes,
            when: &mut |event| {
                seen += usize::from(matches!(event, Event::Token(_)));
                if seen == count && matches!(event, Event::Token(_)) {
                    world.put_aside("killed");
                }
            },
        };
        agent.fork_at(at.clone(), &mut ears).unwrap();
        let want = answers(&ears.events);
        drop(agent);
        world.take_back("killed");
        let mut agent = world.resumed(&id, Caches::Kept);
        assert_eq!(agent.unfinished(), Some("list the files in src"));
        let events = hear(Approval::Yes, |front| {
            agent.go_on(front).unwrap();
        });
        let got = answers(&events);
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(&want) {
            assert_eq!(got.answer, want.answer, "{count}");
            assert_eq!(got.tokens, want.tokens, "{count}");
        }
        let usage = got[0].usage.unwrap();
        assert!(usage.prefilled <= 64, "{usage:?}");
        let log = world.log(&id);
        let path: Vec<_> = agent.session().journal().path();
        assert_eq!(
            path.last().map(|entry| entry.id),
            log.entries.last().map(|e| e.id)
        );
        world.replays(&id, &path);
        drop(agent);
        world.take_back("before");
    }
}
