//! Runs of the real model that comes along: reuse, limits, cancellation, seeds.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use super::*;
use crate::backend::cpu::CpuOptions;
use crate::bundle::Bundle;
use crate::model::{BackendKind, Cache, Engine, EngineInfo, LoadOptions, Step, StepRow, load};
use crate::model::{Error as EngineError, Interrupted, Progress};

pub(super) struct Demo {
    pub bundle: Bundle,
    pub generator: Generator,
}

/// Everywhere: what is tested is the generator, to the bit.
pub(super) fn on_cpu(threads: usize) -> LoadOptions {
    LoadOptions {
        backend: BackendKind::Cpu,
        cpu: CpuOptions {
            threads,
            ..CpuOptions::default()
        },
        ..LoadOptions::default()
    }
}

pub(super) fn demo(threads: usize) -> Demo {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    let bundle = Bundle::open(&dir).unwrap();
    let engine = load(&bundle, &on_cpu(threads)).unwrap();
    let generator = Generator::start(engine, Arc::clone(&bundle.tokenizer)).unwrap();
    Demo { bundle, generator }
}

/// What came of a run.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub usage: Option<PromptUsage>,
    pub tokens: Vec<Token>,
    pub nudges: Vec<Nudge>,
    pub reason: FinishReason,
    pub ids: Vec<u32>,
}

pub(super) fn outcome(events: Receiver<Event>) -> Outcome {
    let (mut usage, mut tokens, mut nudges) = (None, Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::Prefill { done, total } => assert!(done <= total),
            Event::Notice(text) => panic!("{text}"),
            Event::Started(u) => usage = Some(u),
            Event::Nudged(nudge) => nudges.push(nudge),
            Event::Token(token) => tokens.push(token),
            Event::Finished { reason, ids, .. } => {
                return Outcome {
                    usage,
                    tokens,
                    nudges,
                    reason,
                    ids,
                };
            }
            Event::Failed(message) => panic!("{message}"),
        }
    }
    panic!("the events ended without a last one");
}

impl Demo {
    pub fn prompt(&self, text: &str) -> Vec<u32> {
        let text =
            format!("<bos><|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n<think>\n");
        self.bundle.tokenizer.encode(&text)
    }

    pub fn request(&self, prompt: Vec<u32>) -> Request {
        Request {
            prompt,
            given: Vec::new(),
            forced: Vec::new(),
            after: Vec::new(),
            sampling: Sampling::GREEDY,
            stop_ids: self.bundle.stop_ids.clone(),
            max_tokens: 100,
            context: 3000,
            thinking: None,
            nudges: Vec::new(),
            keys: ThinkingKeys::default(),
            pause: Cancel::default(),
            boundaries: Vec::new(),
            constraint: None,
        }
    }

    pub fn run(&self, request: Request) -> Outcome {
        outcome(self.generator.submit(request, Cancel::default()))
    }

    pub fn budget(&self, tokens: usize) -> ThinkingBudget {
        let id = |text: &str| self.bundle.tokenizer.id_of(text).unwrap();
        let mut closing = vec![id("</think>")];
        closing.extend(self.bundle.tokenizer.encode("\n\n"));
        ThinkingBudget {
            open: id("<think>"),
            close: id("</think>"),
            tool_call: Some(id("<zyphra_tool_call>")),
            starts_open: true,
            tokens,
            closing,
        }
    }
}

pub(super) fn text(outcome: &Outcome) -> String {
    outcome.tokens.iter().map(|t| t.text.as_str()).collect()
}

#[test]
fn a_run_answers_and_reports_each_token() {
    let demo = demo(1);
    let prompt = demo.prompt("what is the capital of France?");
    let got = demo.run(demo.request(prompt.clone()));
    assert_eq!(got.reason, FinishReason::Stop);
    assert!(text(&got).contains("Paris"), "{}", text(&got));
    assert_eq!(
        got.ids.len(),
        got.tokens.len() + 1,
        "the stop id is not a token event"
    );
    let layers = demo.generator.info().layers;
    for (i, token) in got.tokens.iter().enumerate() {
        assert_eq!(token.position, prompt.len() + i);
        assert_eq!((token.top.len(), token.experts.len()), (5, layers));
        assert_eq!(token.top[0].id, token.id, "greedy takes the best");
        assert!(token.logprob <= 0.0 && token.entropy >= 0.0 && !token.forced);
    }
}

#[test]
fn the_common_prefix_is_reused_and_counted() {
    let demo = demo(2);
    let first = demo.prompt("what is the capital of France?");
    let run = demo.run(demo.request(first.clone()));
    let usage = run.usage.unwrap();
    assert_eq!(
        usage,
        PromptUsage {
            prompt: first.len(),
            reused: 0,
            loaded: 0,
            prefilled: first.len(),
            replayed: 0
        }
    );

    // Continues from the generated ids: all of them but the last were run.
    let continued = [
        first.clone(),
        run.ids.clone(),
        demo.bundle.tokenizer.encode("\nmore"),
    ]
    .concat();
    let usage = demo.run(demo.request(continued.clone())).usage.unwrap();
    assert_eq!(usage.reused, first.len() + run.ids.len() - 1);
    assert_eq!(usage.prompt, usage.reused + usage.prefilled);
    assert_eq!(usage.replayed, 0);

    // Back to the end of the first prompt: kept there, so nothing is replayed.
    let other = [first.clone(), demo.bundle.tokenizer.encode("\n")].concat();
    let again = demo.run(demo.request(other.clone()));
    assert_eq!(again.usage.unwrap().reused, first.len());
    assert_eq!(again.usage.unwrap().replayed, 0);

    // Into the middle: at most two tokens per layer are replayed, and the
    // result is that of a fresh start.
    let middle = [first[..first.len() - 9].to_vec(), other].concat();
    let resumed = demo.run(demo.request(middle.clone()));
    assert_eq!(
        resumed.usage.unwrap().replayed,
        2 * demo.generator.info().layers
    );
    demo.generator.clear();
    let fresh = demo.run(demo.request(middle));
    assert_eq!(fresh.usage.unwrap().reused, 0);
    assert_eq!(fresh.tokens, resumed.tokens);
}

#[test]
fn the_same_seed_gives_the_same_tokens_for_any_number_of_threads() {
    let sampling = Sampling {
        temperature: 1.5,
        top_p: 0.98,
        seed: 42,
        ..Sampling::GREEDY
    };
    let run = |threads, sampling: &Sampling| {
        let demo = demo(threads);
        let prompt = demo.prompt("hello");
        let request = Request {
            sampling: sampling.clone(),
            max_tokens: 40,
            ..demo.request(prompt)
        };
        demo.run(request).ids
    };
    let first = run(1, &sampling);
    for threads in [2, 3, 4] {
        assert_eq!(run(threads, &sampling), first);
    }
    assert_ne!(
        run(
            2,
            &Sampling {
                seed: 43,
                ..sampling
            }
        ),
        first
    );
}

#[test]
fn limits_end_a_run_and_are_named() {
    let demo = demo(1);
    let prompt = demo.prompt("list the files in src");
    let short = demo.run(Request {
        max_tokens: 3,
        ..demo.request(prompt.clone())
    });
    assert_eq!(
        (short.reason, short.ids.len()),
        (FinishReason::MaxTokens, 3)
    );
    let full = demo.run(Request {
        context: prompt.len() + 5,
        ..demo.request(prompt.clone())
    });
    assert_eq!((full.reason, full.ids.len()), (FinishReason::Context, 5));
    let none = demo.run(Request {
        context: prompt.len(),
        ..demo.request(prompt)
    });
    assert_eq!((none.reason, none.ids.len()), (FinishReason::Context, 0));
}

#[test]
fn a_spent_thinking_budget_is_forced_closed() {
    let demo = demo(1);
    let prompt = demo.prompt("what is the capital of France?");
    let request = Request {
        thinking: Some(demo.budget(4)),
        ..demo.request(prompt)
    };
    let got = demo.run(request);
    let forced: Vec<usize> = (0..got.tokens.len())
        .filter(|&i| got.tokens[i].forced)
        .collect();
    assert_eq!(forced, [4, 5]);
    assert_eq!(got.tokens[4].text, "</think>");
    assert_eq!(got.tokens[5].text, "\n\n");
}

/// What the user does to the reasoning is told as it is to be repeated, and repeated
/// wherever the answer was cut off.
#[test]
fn the_user_closes_reasoning_or_lets_it_go_on() {
    let demo = demo(1);
    let prompt = demo.prompt("what is the capital of France?");
    let request = Request {
        thinking: Some(demo.budget(4)),
        ..demo.request(prompt)
    };
    let pressed = |press: fn(&ThinkingKeys)| {
        let keys = ThinkingKeys::default();
        press(&keys);
        demo.run(Request {
            keys,
            ..request.clone()
        })
    };
    let close = pressed(|keys| keys.close_thinking());
    let more = pressed(|keys| keys.more_thinking(2));
    let told = |what| vec![Nudge { at: 0, what }];
    for (got, what, closed) in [
        (close, ThinkingKey::Close, 0),
        (more, ThinkingKey::More(2), 6),
    ] {
        assert_eq!(got.nudges, told(what));
        let forced = got.tokens.iter().map(|token| token.forced);
        let wanted = (0..got.tokens.len()).map(|at| (closed..closed + 2).contains(&at));
        assert!(forced.eq(wanted), "{}", text(&got));
        assert_eq!(got.tokens[closed].text, "</think>");
        for known in 0..got.tokens.len() {
            let again = demo.run(Request {
                given: got.ids[..known].to_vec(),
                nudges: got.nudges.clone(),
                ..request.clone()
            });
            assert_eq!(again.ids, got.ids, "from {known}");
            assert_eq!(again.nudges, [], "it was known");
        }
    }
    // A handle that is pressed while tokens come: from the next one on.
    let keys = ThinkingKeys::default();
    let events = demo.generator.submit(
        Request {
            thinking: Some(demo.budget(100)),
            keys: keys.clone(),
            ..request
        },
        Cancel::default(),
    );
    let mut seen = Vec::new();
    for event in events {
        if let Event::Token(_) = &event {
            keys.close_thinking();
        }
        seen.push(event);
    }
    let nudged = seen
        .iter()
        .position(|event| matches!(event, Event::Nudged(_)));
    let Event::Token(next) = &seen[nudged.unwrap() + 1] else {
        panic!("{seen:?}");
    };
    assert_eq!((next.text.as_str(), next.forced), ("</think>", true));
}

/// Where the limits of thinking, tokens and context meet.
#[test]
fn limits_are_exact_where_they_meet() {
    let demo = demo(2);
    let prompt = demo.prompt("which files are in src?");
    let budget = demo.budget(4);
    let closing = budget.closing.len();
    for (max_tokens, forced) in [(0, 0), (4, 0), (5, 1), (4 + closing, closing)] {
        let outcome = demo.run(Request {
            max_tokens,
            thinking: Some(budget.clone()),
            ..demo.request(prompt.clone())
        });
        assert_eq!(outcome.reason, FinishReason::MaxTokens);
        assert_eq!(outcome.ids.len(), max_tokens);
        let flags: Vec<bool> = outcome.tokens.iter().map(|t| t.forced).collect();
        let want = (0..max_tokens).map(|i| i >= max_tokens - forced);
        assert_eq!(flags, want.collect::<Vec<_>>(), "of {max_tokens}");
    }
    for room in 1..6 {
        let outcome = demo.run(Request {
            context: prompt.len() + room,
            ..demo.request(prompt.clone())
        });
        assert_eq!(outcome.reason, FinishReason::Context);
        assert_eq!(outcome.ids.len(), room);
        // The last token takes the last position.
        let last = outcome.tokens.last().unwrap();
        assert_eq!(last.position, prompt.len() + room - 1);
        // If both limits are reached at once, the caller's own is named.
        let outcome = demo.run(Request {
            context: prompt.len() + room,
            max_tokens: room,
            ..demo.request(prompt.clone())
        });
        assert_eq!(outcome.reason, FinishReason::MaxTokens);
    }
}

/// An answer that is known up to any token goes on as it went, to whatever end.
#[test]
fn cancelling_stops_at_once_and_the_next_run_is_right() {
    let demo = demo(1);
    let prompt = demo.prompt("what is the capital of France?");
    let cancel = Cancel::default();
    cancel.cancel();
    let got = outcome(demo.generator.submit(demo.request(prompt.clone()), cancel));
    assert_eq!((got.reason, got.tokens.len()), (FinishReason::Cancelled, 0));

    let cancel = Cancel::default();
    let events = demo
        .generator
        .submit(demo.request(prompt.clone()), cancel.clone());
    let mut seen = 0;
    for event in &events {
        if matches!(event, Event::Token(_)) {
            seen += 1;
            cancel.cancel();
        }
        if let Event::Finished { reason, .. } = event {
            assert_eq!(reason, FinishReason::Cancelled);
        }
    }
    assert!(seen > 0);
    // A run that nobody listens to ends by itself and does not block the next.
    drop(
        demo.generator
            .submit(demo.request(prompt.clone()), Cancel::default()),
    );
    assert!(text(&demo.run(demo.request(prompt))).contains("Paris"));
}

#[test]
fn an_unknown_id_fails_the_run_with_a_line() {
    let demo = demo(1);
    let events = demo
        .generator
        .submit(demo.request(vec![2, 999_999]), Cancel::default());
    let last = events.into_iter().last();
    assert!(matches!(last, Some(Event::Failed(line)) if line.contains("999999")));
}

/// The real engine, but for one step that panics.
struct Fragile {
    engine: Box<dyn Engine>,
    steps: AtomicUsize,
}

impl Engine for Fragile {
    fn info(&self) -> &EngineInfo {
        self.engine.info()
    }

    fn new_cache(&self) -> Cache {
        self.engine.new_cache()
    }

    fn prefill(
        &self,
        cache: &mut Cache,
        tokens: &[u32],
        progress: &mut Progress<'_>,
    ) -> Result<ControlFlow<Interrupted>, EngineError> {
        self.engine.prefill(cache, tokens, progress)
    }

    fn step(&self, rows: &mut [StepRow<'_>]) -> Result<Vec<Step>, EngineError> {
        assert!(self.steps.fetch_add(1, Ordering::Relaxed) != 3, "broken");
        self.engine.step(rows)
    }

    fn truncate(&self, cache: &mut Cache, len: usize) -> Result<usize, EngineError> {
        self.engine.truncate(cache, len)
    }

    fn logits(&self, cache: &mut Cache, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
        self.engine.logits(cache, tokens)
    }
}

#[test]
fn a_panic_fails_the_run_and_the_next_one_starts_afresh() {
    let mut demo = demo(1);
    let engine = Box::new(Fragile {
        engine: load(&demo.bundle, &on_cpu(1)).unwrap(),
        steps: AtomicUsize::new(0),
    });
    demo.generator = Generator::start(engine, Arc::clone(&demo.bundle.tokenizer)).unwrap();
    let prompt = demo.prompt("what is the capital of France?");
    let request = demo.request(prompt.clone());
    let events: Vec<Event> = demo
        .generator
        .submit(request, Cancel::default())
        .into_iter()
        .collect();
    let tokens = events.iter().filter(|e| matches!(e, Event::Token(_)));
    assert_eq!(tokens.count(), 3);
    let last = events.last();
    assert!(matches!(last, Some(Event::Failed(line)) if line.starts_with("internal error")));
    let next = demo.run(demo.request(prompt));
    assert_eq!(next.usage.unwrap().reused, 0);
    assert!(text(&next).contains("Paris"));
}
