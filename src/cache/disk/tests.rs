//! The store by itself: what it keeps, refuses, and lets go.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::files::TEMPORARY;
use super::*;

const ROW: usize = 24;
const STATE: usize = 40;

fn identity(numerics: &str) -> Identity {
    Identity {
        bundle: "demo".into(),
        fingerprint: "f".into(),
        numerics: numerics.into(),
        row_len: ROW,
        state_len: STATE,
    }
}

fn open(root: &Path, limit: Limit) -> Store {
    Store::open(root, &identity("cpu"), limit).unwrap()
}

/// The blocks of some tokens, each with a state.
fn blocks(store: &Store, tokens: &[u32]) -> Vec<Block> {
    let mut before = store.root();
    let parts = tokens.chunks(BLOCK).enumerate();
    parts
        .map(|(at, tokens)| {
            let block = Block {
                before,
                position: at * BLOCK,
                tokens: tokens.to_vec(),
                rows: (0..ROW * tokens.len()).map(|i| i as u8).collect(),
                state: Some(vec![at as u8; STATE]),
            };
            before = block.key();
            block
        })
        .collect()
}

fn save(store: &Store, tokens: &[u32]) -> Vec<Key> {
    let blocks = blocks(store, tokens);
    let keys = blocks.iter().map(Block::key).collect();
    for block in blocks {
        let done = Arc::new(AtomicBool::new(false));
        assert_eq!(store.save(block, Arc::clone(&done)), Queued::Yes);
        store.flush();
        assert!(done.load(Ordering::Relaxed));
    }
    keys
}

fn tokens(seed: u32, count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| seed * 1000 + i).collect()
}

fn files_below(root: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = evict::everything(root)
        .into_iter()
        .filter(evict::is_block)
        .map(|file| file.path)
        .collect();
    found.sort();
    found
}

#[test]
fn what_was_kept_is_found_by_its_beginning() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Limit::Share);
    let all = tokens(1, 200);
    let keys = save(&store, &all);
    assert_eq!(keys.len(), 4);
    let ends =
        |tokens: &[u32]| -> Vec<usize> { store.find(tokens).iter().map(Place::end).collect() };
    assert_eq!(ends(&all), [64, 128, 192, 200]);
    assert_eq!(ends(&all[..199]), [64, 128, 192]);
    assert_eq!(ends(&all[..63]), [] as [usize; 0]);
    let mut other = all.clone();
    other[130] += 1;
    assert_eq!(ends(&other), [64, 128]);
    assert_eq!(ends(&[&all[..], &[7]].concat()), [64, 128, 192, 200]);
    for (place, block) in store.find(&all).iter().zip(blocks(&store, &all)) {
        assert_eq!(store.load(place, &all).unwrap(), Some(block));
    }
    // Another process, and another way of computing.
    assert_eq!(open(root.path(), Limit::Share).find(&all).len(), 4);
    let other = Store::open(root.path(), &identity("mlx"), Limit::Share).unwrap();
    assert!(other.find(&all).is_empty());
    drop(other);
    assert_eq!(verify(root.path()).unwrap().blocks, 4);
}

#[test]
fn a_state_is_added_to_a_block_that_had_none() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Limit::Share);
    let all = tokens(1, BLOCK);
    let with = blocks(&store, &all).remove(0);
    let without = Block {
        state: None,
        ..with.clone()
    };
    for block in [&without, &with, &without] {
        store.save(block.clone(), Arc::default());
    }
    store.flush();
    let place = &store.find(&all)[0];
    assert_eq!(store.load(place, &all).unwrap(), Some(with));
}

/// Files of one block are put in another's place, by name and by fingerprint.
#[test]
fn what_is_not_what_it_should_be_is_refused_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Limit::Share);
    let (ours, theirs) = (tokens(1, BLOCK), tokens(2, BLOCK));
    let key = save(&store, &ours)[0];
    let other = save(&store, &theirs)[0];
    let mlx = Store::open(root.path(), &identity("mlx"), Limit::Share).unwrap();
    let foreign = save(&mlx, &ours)[0];
    let shelf = root.path().join(store.root().name());
    let path = shelf.join(key.name());
    let whole = fs::read(&path).unwrap();
    let swapped = fs::read(shelf.join(other.name())).unwrap();
    let of_mlx = root.path().join(mlx.root().name()).join(foreign.name());
    let of_mlx = fs::read(of_mlx).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        bytes
    };
    let cases = [
        (swapped, "it holds other tokens"),
        (
            of_mlx,
            "it belongs to another bundle or another way of computing",
        ),
        (whole[..whole.len() - 1].to_vec(), "its length is wrong"),
        ([&whole[..], b"x"].concat(), "its length is wrong"),
        (flipped(3), "it is not one, or of another version"),
        (flipped(12), "its length is wrong"),
        (flipped(whole.len() - 1), "its checksum differs"),
        (flipped(whole.len() / 2), "its checksum differs"),
        (Vec::new(), "its length is wrong"),
    ];
    for (bytes, why) in cases {
        fs::write(&path, bytes).unwrap();
        let place = store.find(&ours).remove(0);
        let fault = store.load(&place, &ours).unwrap_err();
        assert_eq!(fault.to_string(), why);
        assert!(!path.exists());
        assert!(store.load(&place, &ours).unwrap().is_none());
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(store.find(&ours).len(), 1);
    fs::write(&path, flipped(150)).unwrap();
    let checked = verify(root.path()).unwrap();
    assert_eq!((checked.blocks, checked.broken.len()), (2, 1));
    assert_eq!(checked.broken[0].1, "its checksum differs");
    assert!(!path.exists());
}

/// Links, pipes and folders are no blocks, and nothing waits for them.
#[test]
fn only_plain_files_are_read() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Limit::Share);
    let all = tokens(1, BLOCK);
    let key = save(&store, &all)[0];
    let path = root.path().join(store.root().name()).join(key.name());
    let elsewhere = root.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert!(store.find(&all).is_empty());
    let place = Place {
        key,
        before: store.root(),
        position: 0,
        len: BLOCK,
    };
    assert!(matches!(
        store.load(&place, &all),
        Err(Fault::Unreadable(_))
    ));
    assert!(elsewhere.exists() && !path.exists());
}

#[test]
fn the_longest_unused_goes_first_and_ends_before_beginnings() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Limit::Share);
    let old = save(&store, &tokens(1, 4 * BLOCK));
    let new = save(&store, &tokens(2, 4 * BLOCK));
    store.touch(new.clone());
    store.flush();
    std::thread::sleep(Duration::from_millis(5));
    store.touch(old.clone());
    store.flush();
    let one = fs::metadata(&files_below(root.path())[0]).unwrap().len();
    for (keep, expected) in [
        (7, [&old[..], &new[..3]].concat()),
        (5, [&old[..], &new[..1]].concat()),
        (2, old[..2].to_vec()),
        (0, Vec::new()),
    ] {
        let collected = gc(root.path(), Limit::Bytes(keep * one)).unwrap();
        assert_eq!(collected.left, keep * one);
        let mut names: Vec<String> = expected.iter().map(Key::name).collect();
        names.sort();
        let left = files_below(root.path());
        let left: Vec<_> = left
            .iter()
            .map(|p| p.file_name().unwrap().to_string_lossy())
            .collect();
        assert_eq!(left, names, "{keep}");
    }
    assert_eq!(list(root.path()).unwrap()[0].blocks, 0);
}

/// Two that share a folder and do not know of each other, one of them modest.
#[test]
fn stores_keep_to_their_own_limits() {
    let root = tempfile::tempdir().unwrap();
    let free = open(root.path(), Limit::Share);
    save(&free, &tokens(1, 40 * BLOCK));
    let one = fs::metadata(&files_below(root.path())[0]).unwrap().len();
    let modest = open(root.path(), Limit::Bytes(10 * one));
    save(&modest, &tokens(2, 5 * BLOCK));
    assert!(files_below(root.path()).len() <= 10);
    assert_eq!(modest.find(&tokens(2, 5 * BLOCK)).len(), 5);
    let none = open(root.path(), Limit::Bytes(0));
    save(&none, &tokens(3, BLOCK));
    assert!(none.find(&tokens(3, BLOCK)).is_empty());
    assert!(none.take_warning().is_none());
    save(&free, &tokens(1, 40 * BLOCK));
    assert_eq!(free.find(&tokens(1, 40 * BLOCK)).len(), 40);
}

#[test]
fn what_killed_writers_left_is_swept_and_what_living_ones_write_is_not() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Limit::Share);
    let shelf = root.path().join(store.root().name());
    let make = |name: &str, age: u64| {
        let file = fs::File::create(shelf.join(format!("{TEMPORARY}{name}"))).unwrap();
        let time = SystemTime::now() - Duration::from_secs(age);
        file.set_modified(time).unwrap();
        file
    };
    let held = make("held", 1000);
    held.lock().unwrap();
    drop(make("dead", 1000));
    drop(make("young", 1));
    assert_eq!(gc(root.path(), Limit::Share).unwrap().temporary, 1);
    let left = fs::read_dir(&shelf).unwrap().count();
    // These two, and whose it is.
    assert_eq!(left, 3);
}

/// A folder that can't be written is said once, and nobody waits for more.
#[test]
fn a_write_that_fails_is_said_once() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Limit::Share);
    let shelf = root.path().join(store.root().name());
    fs::remove_dir_all(&shelf).unwrap();
    fs::write(&shelf, "in the way").unwrap();
    for seed in 0..3 {
        let block = blocks(&store, &tokens(seed, BLOCK)).remove(0);
        store.save(block, Arc::default());
    }
    store.flush();
    assert!(store.stopped());
    let warning = store.take_warning().unwrap();
    assert!(warning.starts_with("the cache on disk can't be written, going on without: "));
    assert!(store.take_warning().is_none());
}
