//! The escape suite: attempts from within the sandbox, judged from outside, as root and
//! as a user without privileges. It is its own probe: a copy of it is the command.
//! Prints a table of what was expected and what came of it; fails if they differ.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod endless;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod rows;
#[cfg(target_os = "linux")]
mod scene;

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    println!("escape: the attempts are system calls of Linux");
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((word, attempts)) if word == "probe" => {
            probe::run(attempts);
            ExitCode::SUCCESS
        }
        Some((word, [cairn, folder])) if word == "suite" => {
            suite::run_as_user(cairn.as_ref(), folder.as_ref())
        }
        // cargo's own arguments choose among tests: there is one.
        _ => suite::run_all(),
    }
}

#[cfg(target_os = "linux")]
mod suite {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode};

    use super::rows::{self, DEGRADED, ELSEWHERE, Elsewhere, MISSING, Row};
    use super::scene::Scene;

    const NOBODY: u32 = 65534;

    /// As who started it and, if that is root, as nobody.
    pub fn run_all() -> ExitCode {
        let cairn = Path::new(env!("CARGO_BIN_EXE_cairn"));
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let mut good = run(cairn, folder.path());
        good &= elsewhere();
        if rustix::process::geteuid().is_root() {
            let place = public_folder();
            let copy = |from: &Path, name: &str| {
                let to = place.path().join(name);
                fs::copy(from, &to).expect("a copy");
                fs::set_permissions(&to, PermissionsExt::from_mode(0o755)).expect("its mode");
                to
            };
            let this = std::env::current_exe().expect("this program");
            let (this, cairn) = (copy(&this, "suite"), copy(cairn, "cairn"));
            let status = Command::new(this)
                .arg("suite")
                .args([&cairn, &place.path().to_owned()])
                .uid(NOBODY)
                .gid(NOBODY)
                .status();
            good &= status.is_ok_and(|status| status.success());
        }
        exit(good)
    }

    fn exit(good: bool) -> ExitCode {
        match good {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }

    /// With namespaces and, as far as that goes, without.
    pub fn run_as_user(cairn: &Path, folder: &Path) -> ExitCode {
        let full = run(cairn, folder);
        exit(run_degraded(cairn, folder) && full)
    }

    /// As many rows as are known from others' sandboxes.
    const KNOWN: u32 = 76;

    /// Prints which tests try the other rows; false if one of them is not there.
    fn elsewhere() -> bool {
        println!("rows of other tests\n\n| # | attempt | expected | by |\n|---|---|---|---|");
        let mut good = true;
        for Elsewhere {
            number,
            name,
            expected,
            test: (file, function),
        } in ELSEWHERE
        {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let there = fs::read_to_string(path)
                .is_ok_and(|text| text.contains(&format!("fn {function}(")));
            good &= there;
            let mark = if there { "" } else { "WRONG: not there: " };
            println!("| {number} | {name} | {expected} | {mark}{file}, {function} |");
        }
        let here = rows::all().into_iter().map(|row| row.number);
        let tried: Vec<u32> = here.chain(ELSEWHERE.iter().map(|row| row.number)).collect();
        let missing: Vec<u32> = (1..=KNOWN).filter(|row| !tried.contains(row)).collect();
        println!("\nnot tried by any: {missing:?}\n");
        good && missing == MISSING
    }

    /// A folder that everybody can reach and write to; in a place that commands see,
    /// if there is one.
    fn public_folder() -> tempfile::TempDir {
        let wanted = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let reachable = wanted.ancestors().all(|folder| {
            fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
        });
        let place = match reachable {
            true => tempfile::tempdir_in(wanted),
            false => tempfile::tempdir_in("/var/tmp"),
        };
        let place = place.expect("a folder");
        fs::set_permissions(place.path(), PermissionsExt::from_mode(0o777)).expect("its mode");
        place
    }

    fn run(cairn: &Path, folder: &Path) -> bool {
        let who = match rustix::process::geteuid().as_raw() {
            0 => "root".to_owned(),
            id => format!("uid {id}"),
        };
        play(&who, rows::all(), cairn, folder)
    }

    fn run_degraded(cairn: &Path, folder: &Path) -> bool {
        // There is no network of its own.
        let rows = rows::all();
        let rows = rows.iter().filter(|row| row.flags.is_empty());
        let mut held = Vec::new();
        for row in rows {
            let flags = &["--sandbox-degraded"];
            let other = DEGRADED.iter().find(|(name, _)| *name == row.name);
            match other.map_or(Some(row.expected), |(_, expected)| *expected) {
                Some(expected) => held.push(Row {
                    flags,
                    expected,
                    ..*row
                }),
                None => println!("degraded: {} {} is not held", row.number, row.name),
            }
        }
        play("a user, degraded", held, cairn, folder)
    }

    fn play(who: &str, rows: Vec<Row>, cairn: &Path, folder: &Path) -> bool {
        let mut wrong = 0;
        println!("escape suite as {who}\n");
        println!("| # | attempt | expected | got |\n|---|---|---|---|");
        for row in &rows {
            let scene = Scene::new(folder, row, cairn);
            let got = scene.play(row);
            let mark = match &got {
                Ok(()) => format!("{:?}", row.expected),
                Err(why) => {
                    wrong += 1;
                    format!("WRONG: {why}")
                }
            };
            println!(
                "| {} | {} | {:?} | {mark} |",
                row.number, row.name, row.expected
            );
        }
        println!("\n{} rows, {wrong} wrong\n", rows.len());
        wrong == 0
    }
}
