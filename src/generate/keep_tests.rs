//! Runs of the real model whose caches are on disk: whatever comes from there, the
//! tokens are those of a run without.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tests::{Outcome, on_cpu};
use super::*;
use crate::bundle::Bundle;
use crate::cache::disk::{BLOCK, Identity, Limit, Store};
use crate::model::load;

/// A machine: its cache folder, and cairns on it.
struct Machine {
    bundle: Bundle,
    folder: tempfile::TempDir,
}

/// A run and the lines that came with it.
#[derive(Debug, PartialEq)]
struct Heard {
    outcome: Outcome,
    notices: Vec<String>,
}

impl Heard {
    fn usage(&self) -> PromptUsage {
        self.outcome.usage.unwrap()
    }
}

impl Machine {
    fn new() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
        Self {
            bundle: Bundle::open(&dir).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn cairn(&self) -> Generator {
        let engine = load(&self.bundle, &on_cpu(2)).unwrap();
        Generator::start(engine, Arc::clone(&self.bundle.tokenizer)).unwrap()
    }

    fn store(&self, generator: &Generator) -> Store {
        let engine = load(&self.bundle, &on_cpu(1)).unwrap();
        let persist = engine.persist().unwrap();
        let identity = Identity {
            bundle: self.bundle.name.clone(),
            fingerprint: self.bundle.fingerprint.clone(),
            numerics: generator.info().numerics.clone(),
            row_len: persist.row_len(),
            state_len: persist.state_len(),
        };
        Store::open(self.folder.path(), &identity, Limit::Share).unwrap()
    }

    /// A cairn of its own, and the store that it keeps its caches in.
    fn start(&self) -> (Generator, Store) {
        let generator = self.cairn();
        let store = self.store(&generator);
        generator.keep_in(store.clone());
        (generator, store)
    }

    fn request(&self, prompt: &[u32], max_tokens: usize) -> Request {
        Request {
            given: Vec::new(),
            forced: Vec::new(),
            after: Vec::new(),
            constraint: None,
            prompt: prompt.to_vec(),
            sampling: Sampling {
                temperature: 1.0,
                seed: 7,
                ..Sampling::GREEDY
            },
            stop_ids: Vec::new(),
            max_tokens,
            context: 3000,
            thinking: None,
            nudges: Vec::new(),
            keys: ThinkingKeys::default(),
            pause: Cancel::default(),
            boundaries: Vec::new(),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<PathBuf> = folders
            .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_none())
            .collect();
        files.sort();
        files
    }
}

fn run(generator: &Generator, request: Request) -> Heard {
    let (mut usage, mut tokens, mut notices) = (None, Vec::new(), Vec::new());
    let mut nudges = Vec::new();
    for event in generator.submit(request, Cancel::default()) {
        match event {
            Event::Prefill { done, total } => assert!(done <= total),
            Event::Notice(text) => notices.push(text),
            Event::Started(u) => usage = Some(u),
            Event::Nudged(nudge) => nudges.push(nudge),
            Event::Token(token) => tokens.push(token),
            Event::Finished { reason, ids, .. } => {
                let outcome = Outcome {
                    usage,
                    tokens,
                    nudges,
                    reason,
                    ids,
                };
                return Heard { outcome, notices };
            }
            Event::Failed(message) => panic!("{message}"),
        }
    }
    panic!("the events ended without a last one");
}

fn ids(seed: u32, count: usize) -> Vec<u32> {
    (0..count as u32)
        .map(|i| (i * i * 31 + seed * 977) % 1500 + 100)
        .collect()
}

/// Stopped anywhere and resumed by another process, it says what it would have said.
#[test]
fn a_run_goes_on_elsewhere_as_if_it_had_never_stopped() {
    let machine = Machine::new();
    let prompt = ids(1, 150);
    let whole = run(&machine.cairn(), machine.request(&prompt, 111));
    let (first, store) = machine.start();
    let kept = run(&first, machine.request(&prompt, 110));
    assert_eq!(kept.outcome.tokens, whole.outcome.tokens[..110]);
    store.flush();
    // 150 of the prompt and 109 that were run: 259.
    assert_eq!(first.durable(), 4 * BLOCK);
    drop((first, store));
    let files = machine.files();
    let all = [&prompt[..], &whole.outcome.ids].concat();
    for cut in [64, 65, 150, 151, 192, 193, 256, 257, 259, 260] {
        let (next, store) = machine.start();
        let more = 261 - cut;
        let heard = run(&next, machine.request(&all[..cut], more));
        let usage = heard.usage();
        // All whole blocks, and what ends where the first run's prompt did or its end.
        let most = cut - 1;
        let expected = match most {
            150..192 => 150,
            259 => 259,
            _ => most / BLOCK * BLOCK,
        };
        assert_eq!((usage.reused, usage.loaded), (expected, expected), "{cut}");
        assert_eq!(usage.prompt, usage.reused + usage.prefilled);
        assert!(usage.replayed <= 2 * next.info().layers);
        assert!(heard.notices.is_empty());
        let from = cut.max(150) - 150;
        if cut >= 150 {
            assert_eq!(heard.outcome.tokens, whole.outcome.tokens[from..], "{cut}");
        }
        drop((next, store));
        let new = machine
            .files()
            .into_iter()
            .filter(|file| !files.contains(file));
        new.for_each(|file| fs::remove_file(file).unwrap());
    }
}

/// A beginning of an answer is taken whole from a disk that has all of the answer,
/// wherever it ends, and from a memory that has it, too.
#[test]
fn a_beginning_of_a_kept_answer_needs_no_prefill() {
    let machine = Machine::new();
    let prompt = ids(1, 150);
    let (first, store) = machine.start();
    let whole = run(&first, machine.request(&prompt, 110)).outcome;
    drop((first, store));
    let files = machine.files();
    let (again, store) = machine.start();
    for kept in [0, 1, 2, 41, 42, 43, 50, 70, 105, 106, 107, 109] {
        let request = Request {
            given: whole.ids[..kept].to_vec(),
            forced: vec![whole.ids[kept]],
            after: whole.ids[kept..].to_vec(),
            ..machine.request(&prompt, 110)
        };
        again.clear();
        for from_disk in [true, false] {
            let heard = run(&again, request.clone());
            let usage = heard.usage();
            assert_eq!(usage.prompt, 150 + kept);
            assert_eq!(
                (usage.prefilled, usage.loaded > 0),
                (1, from_disk),
                "{kept}"
            );
            assert!(usage.replayed <= 2 * again.info().layers, "{usage:?}");
            assert_eq!(heard.outcome.ids, whole.ids, "{kept} {from_disk}");
            assert_eq!(heard.outcome.tokens[1..], whole.tokens[kept + 1..]);
            assert!(heard.notices.is_empty());
        }
        store.flush();
        let new = machine.files();
        let new = new.into_iter().filter(|file| !files.contains(file));
        new.for_each(|file| fs::remove_file(file).unwrap());
    }
}

/// What every conversation begins with is computed once per machine.
#[test]
fn what_is_told_first_is_prefilled_once() {
    let machine = Machine::new();
    let told = ids(2, 170);
    let asked = |seed: u32| {
        let mut request = machine.request(&[&told[..], &ids(seed, 30)].concat(), 3);
        request.boundaries = vec![told.len()];
        request
    };
    let (first, store) = machine.start();
    assert_eq!(run(&first, asked(3)).usage().reused, 0);
    drop((first, store));
    let (second, _store) = machine.start();
    let heard = run(&second, asked(4));
    let usage = heard.usage();
    assert_eq!((usage.reused, usage.replayed), (170, 0));
    assert_eq!(
        heard.outcome.tokens,
        run(&machine.cairn(), asked(4)).outcome.tokens
    );
    // And in the same process, from memory.
    second.clear();
    assert_eq!(run(&second, asked(5)).usage().reused, 170);
    assert_eq!(run(&second, asked(6)).usage().loaded, 0);
}

/// An old turn that memory has left behind comes back from disk.
#[test]
fn a_prompt_that_was_left_behind_is_still_there() {
    let machine = Machine::new();
    let (cairn, store) = machine.start();
    let (one, two) = (ids(8, 200), ids(9, 100));
    let first = run(&cairn, machine.request(&one, 5));
    let other = [&one[..70], &two].concat();
    assert_eq!(run(&cairn, machine.request(&other, 5)).usage().reused, 70);
    store.flush();
    let again = run(&cairn, machine.request(&one, 5));
    assert_eq!((again.usage().reused, again.usage().loaded), (192, 128));
    assert_eq!(again.outcome.tokens, first.outcome.tokens);
}

/// A thousand damages of one or more files: never another token, never a panic, and
/// what is refused is said in one line.
#[test]
fn damage_is_refused_or_of_no_account() {
    let machine = Machine::new();
    let prompt = ids(5, 140);
    let (first, store) = machine.start();
    let want = run(&machine.cairn(), machine.request(&prompt, 2)).outcome;
    run(&first, machine.request(&prompt[..135], 2));
    store.flush();
    let files = machine.files();
    let whole: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    let mut state = 1u64;
    let mut below = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    let mut said = 0;
    for round in 0..1000 {
        for (path, bytes) in files.iter().zip(&whole) {
            fs::write(path, bytes).unwrap();
        }
        for _ in 0..=below(2) {
            let at = below(files.len());
            let mut bytes = whole[at].clone();
            let place = below(bytes.len());
            match below(5) {
                0 => bytes[place] ^= 1 << below(8),
                1 => bytes.truncate(place),
                2 => bytes = whole[below(files.len())].clone(),
                3 => {
                    let other = below(bytes.len());
                    let len = below(300).min(bytes.len() - place.max(other));
                    let part = bytes[other..other + len].to_vec();
                    bytes[place..place + len].copy_from_slice(&part);
                }
                _ => bytes.extend(vec![0; 1 + below(100)]),
            }
            fs::write(&files[at], bytes).unwrap();
        }
        first.clear();
        let heard = run(&first, machine.request(&prompt, 2));
        assert_eq!(heard.outcome.tokens, want.tokens, "{round}");
        assert!(heard.notices.len() <= 1, "{round}: {:?}", heard.notices);
        let usage = heard.usage();
        assert_eq!(usage.prompt, usage.reused + usage.prefilled);
        let undamaged = usage.reused == 135;
        assert!(undamaged || heard.notices.len() == 1, "{round}: {usage:?}");
        said += heard.notices.len();
        // What was refused has been written again by now, or will be overwritten.
        store.flush();
    }
    assert!((500..1000).contains(&said), "{said}");
}

/// A folder that can't be written: the turn goes on, with one line, and nobody waits
/// for what will never be there.
#[test]
fn a_run_goes_on_without_a_disk() {
    let machine = Machine::new();
    let (cairn, store) = machine.start();
    let folder = fs::read_dir(machine.folder.path()).unwrap().next().unwrap();
    let folder = folder.unwrap().path();
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let prompt = ids(6, 140);
    let mut heard = Vec::new();
    for _ in 0..3 {
        cairn.clear();
        heard.push(run(&cairn, machine.request(&prompt, 70)));
        store.flush();
    }
    let notices: Vec<&String> = heard.iter().flat_map(|heard| &heard.notices).collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!(cairn.durable(), usize::MAX);
    let want = run(&machine.cairn(), machine.request(&prompt, 70))
        .outcome
        .tokens;
    assert!(heard.iter().all(|heard| heard.outcome.tokens == want));
}
