//! What an answer begins with: tokens that are known, and ids that are forced.

use super::tests::*;
use super::*;
use crate::backend::Alternative;

#[test]
fn given_tokens_count_as_generated() {
    let demo = demo(1);
    let prompt = demo.prompt("which files are in src?");
    let room = prompt.len() + 20;
    let whole = Request {
        sampling: Sampling {
            temperature: 1.0,
            seed: 3,
            repetition_penalty: 1.2,
            ..Sampling::GREEDY
        },
        thinking: Some(demo.budget(6)),
        max_tokens: 24,
        ..demo.request(prompt)
    };
    let short = Request {
        context: room,
        ..whole.clone()
    };
    for request in [whole, short] {
        let once = demo.run(request.clone());
        for known in [0, 1, 5, 7, 8, once.ids.len() - 1, once.ids.len()] {
            let ids = &once.ids[..known];
            if ids.iter().any(|id| request.stop_ids.contains(id)) {
                continue;
            }
            let again = demo.run(Request {
                given: ids.to_vec(),
                ..request.clone()
            });
            assert_eq!(
                (&again.ids, again.reason),
                (&once.ids, once.reason),
                "{known}"
            );
            // No event is sent for what was known.
            assert!(once.tokens.ends_with(&again.tokens), "{known}");
            assert_eq!(again.tokens.len() + known, once.tokens.len(), "{known}");
        }
    }
}

/// Tokens without what depends on whether they were sampled: a head that estimates has
/// another part of the total exact then.
fn as_forced(tokens: &[Token]) -> Vec<Token> {
    let each = tokens.iter().map(|token| Token {
        logprob: 0.0,
        entropy: 0.0,
        exact_logprobs: true,
        top: { token.top.iter() }
            .map(|one| Alternative {
                logprob: 0.0,
                ..*one
            })
            .collect(),
        forced: true,
        ..token.clone()
    });
    each.collect()
}

/// Forced to what it had said, a run says the rest of it, too: in reasoning, where the
/// budget closes it, within a call, and up to its end.
#[test]
fn forced_tokens_are_run_as_sampled_ones_are() {
    let demo = demo(1);
    let specs: Vec<crate::chat::ToolSpec> =
        serde_json::from_value(serde_json::json!([{"name": "list_dir", "parameters": {
            "type": "object", "properties": {"path": {"type": "string"}}}}]))
        .unwrap();
    let grammar = Grammar::compile(&demo.bundle.tokenizer, &specs, &demo.bundle.stop_ids);
    let whole = Request {
        sampling: Sampling {
            temperature: 0.3,
            seed: 3,
            repetition_penalty: 1.05,
            ..Sampling::GREEDY
        },
        thinking: Some(demo.budget(6)),
        constraint: grammar.unwrap(),
        ..demo.request(demo.prompt("which files are in src?"))
    };
    let once = demo.run(whole.clone());
    assert!(once.ids.contains(&demo.budget(6).tool_call.unwrap()));
    for kept in (0..once.ids.len()).step_by(3) {
        for count in [1, 2, 9] {
            let forced = &once.ids[kept..once.ids.len().min(kept + count)];
            let again = demo.run(Request {
                given: once.ids[..kept].to_vec(),
                forced: forced.to_vec(),
                ..whole.clone()
            });
            assert_eq!((&again.ids, again.reason), (&once.ids, once.reason));
            let count = count.min(again.tokens.len());
            let (put, rest) = again.tokens.split_at(count);
            let (was, then) = once.tokens[kept..].split_at(count);
            assert!(rest == then, "{kept} {count}");
            assert!(as_forced(put) == as_forced(was), "{kept} {count}");
            assert!(put.iter().all(|token| token.forced));
            assert_eq!(again.usage.unwrap().prefilled, 1);
        }
    }
}

#[test]
fn what_is_forced_counts_for_loops_budgets_and_calls() {
    let demo = demo(1);
    let prompt = demo.prompt("hello");
    let word = demo.bundle.tokenizer.encode("again")[0];
    let looped = demo.run(Request {
        forced: vec![word; 300],
        max_tokens: 400,
        ..demo.request(prompt.clone())
    });
    assert_eq!(looped.reason, FinishReason::Loop);
    assert_eq!(looped.ids, vec![word; looped.ids.len()]);
    // Text that goes on beyond the budget is closed after it.
    let closing = demo.budget(3).closing;
    let forced = demo.bundle.tokenizer.encode("one two three four five");
    let closed = demo.run(Request {
        forced: forced.clone(),
        thinking: Some(demo.budget(3)),
        ..demo.request(prompt.clone())
    });
    assert!(forced.len() > 3);
    let rest = closed.ids.strip_prefix(&forced[..]).unwrap();
    assert!(rest.starts_with(&closing), "{:?}", closed.ids);
    // What no call may hold lets go of the call, and nothing worse.
    let grammar = Grammar::compile(&demo.bundle.tokenizer, &[], &demo.bundle.stop_ids);
    let call = demo.budget(3).tool_call.unwrap();
    let forced = [&[call][..], &demo.bundle.tokenizer.encode("}{ no call")].concat();
    let broken = demo.run(Request {
        forced: forced.clone(),
        constraint: grammar.unwrap(),
        max_tokens: forced.len() + 4,
        ..demo.request(prompt.clone())
    });
    assert!(broken.ids.starts_with(&forced), "{:?}", broken.ids);
    // A stop id ends it.
    let stop = demo.bundle.stop_ids[0];
    let stopped = demo.run(Request {
        forced: vec![word, stop, word],
        ..demo.request(prompt)
    });
    assert_eq!(
        (stopped.ids, stopped.reason),
        (vec![word, stop], FinishReason::Stop)
    );
}
