//! The log file: what happened and when, for the day something went wrong. It names
//! bundles, tools, counts and times; what was said, read or written is not in it. It
//! can fail without anything else failing.

use std::fmt::{self, Write as _};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, OFlags, flock};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::folders;
use crate::sandbox::sanitize;

const NAME: &str = "cairn.log";
/// Bytes after which a file is put aside; two older ones are kept.
const ROTATE: u64 = 2 << 20;
/// Of a line.
const LONGEST: usize = 4096;

/// Writes what happens from here on to `logs/cairn.log` in the state folder. A file
/// that can't be written is one warning.
pub fn install(level: &str) {
    let Some(filter) = filter(level) else {
        return;
    };
    let Some(folder) = folders::state().map(|state| state.join("logs")) else {
        return;
    };
    let log = match Log::open(&folder, ROTATE) {
        Ok(log) => log,
        Err(error) => return warn(&folder.join(NAME), &error),
    };
    let lines = Lines {
        log: Mutex::new(Some(log)),
    };
    // Another one is installed only by a test.
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(lines.with_filter(filter)),
    );
}

/// `None` is off.
fn filter(level: &str) -> Option<LevelFilter> {
    match level {
        "off" => None,
        level => level.parse().ok(),
    }
}

fn warn(path: &Path, error: &io::Error) {
    let line = format!(
        "warning: the log {} can't be written, going on without: {error}",
        path.display()
    );
    // Without stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "cairn: {}", sanitize::for_line(&line));
}

/// A line for each event of ours.
struct Lines {
    /// None once it can't be written.
    log: Mutex<Option<Log>>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("cairn")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = line(SystemTime::now(), *metadata.level(), &fields);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = log.as_mut()
            && let Err(error) = open.write(&line)
        {
            warn(&open.path, &error);
            *log = None;
        }
    }
}

/// The message, and after it the other fields by name.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            // Quoted where it would not be one word.
            name if value.is_empty() || value.contains([' ', '"', '=']) => {
                let _ = write!(self.rest, " {name}={value:?}");
            }
            name => {
                let _ = write!(self.rest, " {name}={value}");
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String can't fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.rest, " {name}={value:?}"),
        };
    }
}

/// One line with its line break, whatever the fields hold.
fn line(time: SystemTime, level: Level, fields: &Fields) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let text = format!(
        "{} {level} [{}] {}{}",
        utc(since),
        std::process::id(),
        fields.message,
        fields.rest
    );
    let mut line = sanitize::for_line(&text).into_owned();
    if let Some((cut, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(cut);
        line.push_str("...");
    }
    line.push('\n');
    line
}

/// `2026-01-02T03:04:05.678Z`.
fn utc(since: Duration) -> String {
    let seconds = since.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar. Years
/// are counted from March, so that the leap day is the last of a year.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = match month {
        0..=9 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    (era * 400 + year + carry, month, date)
}

/// The file, which other cairns write as well: each line is one write at the end.
struct Log {
    path: PathBuf,
    file: File,
    rotate: u64,
}

impl Log {
    fn open(folder: &Path, rotate: u64) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let path = folder.join(NAME);
        Ok(Self {
            file: append(&path)?,
            path,
            rotate,
        })
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.file.metadata()?.len() >= self.rotate {
            self.put_aside()?;
        }
        let written = self.file.write(line.as_bytes())?;
        if written == line.len() {
            return Ok(());
        }
        // Half a line would stay in front of the next one.
        let end = self.file.metadata()?.len();
        self.file.set_len(end.saturating_sub(written as u64))?;
        Err(io::Error::other("there is no room for a line"))
    }

    /// Makes the file the first of the old ones, unless another cairn just did.
    fn put_aside(&mut self) -> io::Result<()> {
        // The lock ends with the handle.
        let folder = File::open(self.path.parent().unwrap_or(Path::new(".")))?;
        flock(&folder, FlockOperation::LockExclusive)?;
        let ours = self.file.metadata()?;
        let there = std::fs::metadata(&self.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            let old = |number: u32| self.path.with_extension(format!("log.{number}"));
            match std::fs::rename(old(1), old(2)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => std::fs::rename(&self.path, old(1))?,
            }
        }
        self.file = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a regular file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn times_are_utc() {
        let at = |seconds| utc(Duration::new(seconds, 7_000_000));
        assert_eq!(at(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.007Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59.007Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.007Z");
    }

    #[test]
    fn a_line_is_one_line() {
        let fields = Fields {
            message: "a\nb\u{1b}[2J".to_owned() + &"x".repeat(2 * LONGEST),
            rest: " k=\"v\r\"".into(),
        };
        let line = line(SystemTime::UNIX_EPOCH, Level::WARN, &fields);
        assert!(
            line.starts_with("1970-01-01T00:00:00.000Z WARN ["),
            "{line}"
        );
        assert_eq!(line.matches(['\n', '\r', '\u{1b}']).count(), 1);
        assert!(line.ends_with("...\n") && line.chars().count() == LONGEST + 4);
    }

    #[test]
    fn files_are_private_and_two_old_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("logs");
        let mut logs = [
            Log::open(&folder, 100).unwrap(),
            Log::open(&folder, 100).unwrap(),
        ];
        for number in 0..60 {
            for log in &mut logs {
                log.write(&format!("line number {number}\n")).unwrap();
            }
        }
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["cairn.log", "cairn.log.1", "cairn.log.2"]);
        for name in &names {
            let text = fs::read_to_string(folder.join(name)).unwrap();
            assert!(text.len() < 120, "{}", text.len());
            assert!(
                text.lines().all(|line| line.starts_with("line number ")),
                "{text}"
            );
            let mode = fs::metadata(folder.join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let last = fs::read_to_string(folder.join("cairn.log")).unwrap();
        assert!(last.ends_with("line number 59\n"), "{last}");
    }

    #[test]
    fn lines_of_many_writers_do_not_tear() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let folder = folder.path();
                scope.spawn(move || {
                    let mut log = Log::open(folder, 20_000).unwrap();
                    let line = writer.to_string().repeat(70) + "\n";
                    for _ in 0..200 {
                        log.write(&line).unwrap();
                    }
                });
            }
        });
        for entry in fs::read_dir(folder.path()).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            for line in text.lines() {
                let same = line.chars().all(|c| line.starts_with(c));
                assert!(same && line.len() == 70, "{line}");
            }
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join(NAME);
        std::os::unix::fs::symlink("/dev/full", &at).unwrap();
        assert!(Log::open(folder.path(), 100).is_err());
        fs::remove_file(&at).unwrap();
        fs::create_dir(&at).unwrap();
        assert!(Log::open(folder.path(), 100).is_err());
        // Full from the first byte on.
        let mut full = Log {
            path: at,
            file: OpenOptions::new().append(true).open("/dev/full").unwrap(),
            rotate: 100,
        };
        assert!(full.write("x\n").is_err());
    }
}
