//! The real program on a terminal (a PTY): how soon there is a frame, and what it does
//! while it waits and while it works.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::Effort;
use crate::figures::{Figures, milliseconds};

const ROWS: u16 = 60;
const COLUMNS: u16 = 200;
/// The end of a frame.
const FRAME_END: &[u8] = b"\x1b[?2026l";
/// What the screen shows when the model waits for a message.
const IDLE: [&str; 2] = ["[ask]", "─ Message"];
const WORKING: &str = "─ Steer";
const MESSAGE: &str = "list the files in src\r";
/// How long anything is waited for, and what counts as calm.
const PATIENCE: Duration = Duration::from_secs(120);
const CALM: Duration = Duration::from_secs(2);
/// Milliseconds to the first frame, and hundredths of a core while idle.
const FIRST_FRAME: f64 = 100.0;
const IDLE_SHARE: f64 = 0.5;
/// The system counts in hundredths of a second.
const TICK: f64 = 0.01;

type Result<T> = std::result::Result<T, String>;

pub fn measure(effort: Effort, model: Option<&Path>, figures: &mut Figures) -> Result<()> {
    let (starts, rest) = match effort {
        Effort::Smoke => (1, Duration::from_secs(1)),
        Effort::Full => (10, Duration::from_secs(10)),
    };
    let demo = first_frames(starts, None)?;
    figures.add("first frame, demo", demo, "ms", Some(FIRST_FRAME));
    let name = "first frame, another bundle";
    match model {
        Some(_) => figures.add(name, first_frames(starts, model)?, "ms", Some(FIRST_FRAME)),
        None => figures.skip(name, "--model names none"),
    }
    match Path::new("/proc/self/task").is_dir() {
        true => shares(rest, figures),
        false => {
            figures.skip("idle", "the system has no /proc");
            Ok(())
        }
    }
}

/// The median of the times from start to first frame, in milliseconds.
fn first_frames(starts: usize, model: Option<&Path>) -> Result<f64> {
    let times = (0..starts).map(|_| {
        let start = Instant::now();
        let mut program = Program::start(model)?;
        program.wait("the first frame", |program| {
            let raw = &program.raw;
            raw.windows(FRAME_END.len()).any(|bytes| bytes == FRAME_END)
        })?;
        Ok(start.elapsed())
    });
    let times = times.collect::<Result<Vec<_>>>()?;
    Ok(milliseconds(0.5, &times))
}

fn shares(rest: Duration, figures: &mut Figures) -> Result<()> {
    let mut program = Program::start(None)?;
    program.wait_idle()?;
    let (before, start) = (program.counts()?, Instant::now());
    std::thread::sleep(rest);
    let (after, passed) = (program.counts()?, start.elapsed());
    let ticks: u64 = used(&before, &after)
        .values()
        .map(|count| count.ticks)
        .sum();
    let share = percent(ticks, passed);
    figures.add("idle, share of a core", share, "%", Some(IDLE_SHARE));
    let woken: BTreeMap<String, Count> = used(&before, &after)
        .into_iter()
        .filter(|(_, count)| count.wakes > 0)
        .collect();
    let wakes: u64 = woken.values().map(|count| count.wakes).sum();
    let name = "idle, times that a thread woke up";
    figures.add(name, wakes as f64, "times", None);
    for (thread, count) in &woken {
        eprintln!("woke up while idle: {thread}, {} times", count.wakes);
    }

    let (before, start) = (program.counts()?, Instant::now());
    program.press(MESSAGE)?;
    program.wait("a turn", |program| program.shows(&[WORKING]))?;
    program.wait("the end of the turn", |program| program.shows(&IDLE))?;
    let (after, passed) = (program.counts()?, start.elapsed());
    let main = used(&before, &after).remove(MAIN).unwrap_or_default();
    let name = "a turn, the screen's share of a core";
    figures.add(name, percent(main.ticks, passed), "%", None);
    Ok(())
}

fn percent(ticks: u64, passed: Duration) -> f64 {
    100.0 * ticks as f64 * TICK / passed.as_secs_f64()
}

/// What the thread is called that draws.
const MAIN: &str = "cairn";

#[derive(Clone, Copy, Default)]
struct Count {
    /// Processor time.
    ticks: u64,
    /// Times that it slept and was woken.
    wakes: u64,
}

/// What threads did between two looks, by name.
fn used(
    before: &BTreeMap<(String, u32), Count>,
    after: &BTreeMap<(String, u32), Count>,
) -> BTreeMap<String, Count> {
    let mut used = BTreeMap::<String, Count>::new();
    for (thread, now) in after {
        let then = before.get(thread).copied().unwrap_or_default();
        let sum = used.entry(thread.0.clone()).or_default();
        sum.ticks += now.ticks.saturating_sub(then.ticks);
        sum.wakes += now.wakes.saturating_sub(then.wakes);
    }
    used
}

struct Program {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    raw: Vec<u8>,
    screen: vt100::Parser,
    // As long as they are there, the program has its terminal and its folders.
    _master: Box<dyn MasterPty + Send>,
    _folders: [tempfile::TempDir; 2],
}

impl Program {
    fn start(model: Option<&Path>) -> Result<Self> {
        let folder = || tempfile::tempdir().map_err(|e| e.to_string());
        let (workspace, home) = (folder()?, folder()?);
        let source = workspace.path().join("src");
        std::fs::create_dir(&source).map_err(|e| e.to_string())?;
        std::fs::write(source.join("main.rs"), "say hi\n").map_err(|e| e.to_string())?;
        let size = PtySize {
            rows: ROWS,
            cols: COLUMNS,
            pixel_width: 0,
            pixel_height: 0,
        };
        let fault = |error: anyhow::Error| format!("a terminal: {error:#}");
        let pair = native_pty_system().openpty(size).map_err(fault)?;
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_cairn"));
        for name in ["CAIRN_MODEL", "NO_COLOR"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        for name in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(name, home.path());
        }
        if let Some(model) = model {
            command.arg("--model");
            command.arg(model);
        }
        command.cwd(workspace.path());
        let mut reader = pair.master.try_clone_reader().map_err(fault)?;
        let keys = pair.master.take_writer().map_err(fault)?;
        let child = pair.slave.spawn_command(command).map_err(fault)?;
        drop(pair.slave);
        let sizes = NonZeroU16::new(ROWS).zip(NonZeroU16::new(COLUMNS));
        let (rows, columns) = sizes.ok_or("a screen has rows and columns")?;
        let (send, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            keys,
            output,
            raw: Vec::new(),
            screen: vt100::Parser::new(rows, columns, 0),
            _master: pair.master,
            _folders: [workspace, home],
        })
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        let pressed = self.keys.write_all(keys.as_bytes());
        pressed
            .and_then(|()| self.keys.flush())
            .map_err(|e| e.to_string())
    }

    fn shows(&self, parts: &[&str]) -> bool {
        let screen = self.screen.screen().contents();
        parts.iter().all(|part| screen.contains(part))
    }

    /// Waits for output; false if for so long there was none.
    fn take(&mut self, most: Duration) -> Result<bool> {
        match self.output.recv_timeout(most) {
            Ok(bytes) => {
                self.raw.extend_from_slice(&bytes);
                self.screen.process(&bytes);
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => {
                let said = self.screen.screen().contents();
                Err(format!("the program has ended: {}", said.trim()))
            }
        }
    }

    fn wait(&mut self, what: &str, is: impl Fn(&Self) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !is(self) {
            let left = until.saturating_duration_since(Instant::now());
            if !self.take(left)? {
                let shown = self.screen.screen().contents();
                return Err(format!("waited in vain for {what}:\n{shown}"));
            }
        }
        Ok(())
    }

    /// Waits for the model, and for what is done after it was loaded.
    fn wait_idle(&mut self) -> Result<()> {
        self.wait("the model", |program| program.shows(&IDLE))?;
        while self.take(CALM)? {}
        Ok(())
    }

    /// Every thread with what it has used.
    fn counts(&self) -> Result<BTreeMap<(String, u32), Count>> {
        let id = self.child.process_id().ok_or("the program has ended")?;
        let tasks = format!("/proc/{id}/task");
        let tasks = std::fs::read_dir(&tasks).map_err(|e| format!("{tasks}: {e}"))?;
        let mut counts = BTreeMap::new();
        for task in tasks.filter_map(std::result::Result::ok) {
            let read = |name: &str| std::fs::read_to_string(task.path().join(name));
            let number = task.file_name().to_string_lossy().parse();
            // A thread may have ended meanwhile.
            if let (Ok(stat), Ok(status), Ok(number)) = (read("stat"), read("status"), number)
                && let Some((name, count)) = count(&stat, &status)
            {
                counts.insert((name, number), count);
            }
        }
        Ok(counts)
    }
}

/// Of the two files that the system has for a thread.
fn count(stat: &str, status: &str) -> Option<(String, Count)> {
    let (_, stat) = stat.split_once('(')?;
    let (name, fields) = stat.rsplit_once(')')?;
    // The twelfth and thirteenth after the name: user's time and the system's.
    let times = fields.split_whitespace().skip(11).take(2);
    let times: Vec<u64> = times.filter_map(|time| time.parse().ok()).collect();
    let key = "voluntary_ctxt_switches:";
    let wakes = status.lines().find_map(|line| line.strip_prefix(key))?;
    let count = Count {
        ticks: times.iter().sum(),
        wakes: wakes.trim().parse().ok()?,
    };
    Some((name.to_owned(), count))
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
