//! A disk that is full: the turn goes on, it is said once, and nothing is torn.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::World;

/// A disk of a few pages, which goes when this does.
struct SmallDisk(PathBuf);

/// Bytes of a page, which is what such a disk gives away.
const PAGE: usize = 4096;
const PAGES: usize = 512;

impl SmallDisk {
    /// `None` for who can't mount one.
    fn at(place: &Path) -> Option<Self> {
        fs::create_dir(place).unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={}", PAGES * PAGE),
                "tmpfs",
            ])
            .arg(place)
            .stderr(Stdio::null())
            .status();
        let mounted = mounted.is_ok_and(|status| status.success());
        mounted.then(|| Self(place.to_owned()))
    }

    /// Leaves so many pages.
    fn fill(&self, left: usize) {
        let filler = self.0.join("filler");
        let _ = fs::remove_file(&filler);
        let free = rustix::fs::statvfs(&self.0).unwrap().f_bavail as usize;
        fs::write(&filler, vec![1; (free - left) * PAGE]).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_no_turn_and_tears_nothing() {
    let world = World::new();
    let Some(disk) = SmallDisk::at(&world.0.path().join("disk")) else {
        println!("a disk of its own can't be had: not tried");
        return;
    };
    for name in ["state", "cache"] {
        symlink(&disk.0, world.0.path().join(name)).unwrap();
    }
    let mut told = 0;
    // Less and less of what is kept has room; with this much all of it has.
    for left in [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 400] {
        disk.fill(left);
        let output = world.run(&["--seed", "1", "--prompt", "read notes.txt"]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{left}: {errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("call the bank"), "{left}: {text}");
        for what in [
            "the session can't be written",
            "the answer's tokens can't be kept",
        ] {
            assert!(errors.matches(what).count() <= 1, "{left}: {errors}");
        }
        let failed = errors.contains("can't be");
        told += usize::from(failed);
        assert!(failed || left > 2, "{left}: {errors}");
        assert!(!failed || left < 400, "{left}: {errors}");
        disk.empty();
        for id in world.ids() {
            let shown = world.good(&["sessions", "show", &id]);
            assert!(
                !shown.contains("damaged") && !shown.contains("cut off"),
                "{shown}"
            );
            // What is kept of it can be gone on with.
            world.good(&["--resume", &id, "--prompt", "hello"]);
            let same = world.json(&["replay", &id, "--json"]);
            assert_eq!(same["same"], true, "{left}: {same}");
            world.good(&["sessions", "rm", &id]);
        }
        // Nothing else is left.
        let left_over = fs::read_dir(disk.0.join("cairn/sessions"));
        assert_eq!(left_over.map_or(0, Iterator::count), 0, "{left}");
    }
    assert!(told >= 3);
}
