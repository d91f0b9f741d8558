//! `cairn repl` from outside: on a real terminal (a PTY) and by script.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

fn workspace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    std::fs::write(dir.path().join("src/main.rs"), "say hi\n").unwrap();
    std::fs::write(dir.path().join("src/lib.rs"), "nothing\n").unwrap();
    std::fs::write(dir.path().join("slow.sh"), "touch running; sleep 60\n").unwrap();
    std::fs::write(dir.path().join("evil.txt"), "a\x1b[2Jb\x1b]0;t\x07c\n").unwrap();
    dir
}

/// The program on a terminal of 80 by 24, and what it wrote to it.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    output: Arc<Mutex<Vec<u8>>>,
    /// Output before this was looked at.
    seen: usize,
    master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    fn start(workspace: &Path, state: &Path, environment: &[(&str, &str)]) -> Self {
        let size = PtySize {
            rows: 24,
            cols: 80,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_cairn"));
        command.env_remove("CAIRN_MODEL");
        command.env_remove("NO_COLOR");
        command.env("TERM", "xterm-256color");
        command.env("XDG_STATE_HOME", state);
        command.env("XDG_CONFIG_HOME", state);
        command.env("XDG_CACHE_HOME", state);
        environment.iter().for_each(|(k, v)| command.env(k, v));
        command.arg("repl");
        command.cwd(workspace);
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        let mut terminal = Self {
            child,
            keys: pair.master.take_writer().unwrap(),
            output,
            seen: 0,
            master: pair.master,
        };
        terminal.wait("cairn> ");
        terminal
    }

    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for text after what was seen before.
    fn wait(&mut self, text: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let all = self.output.lock().unwrap().clone();
            let fresh = &all[self.seen..];
            let found = fresh.windows(text.len()).position(|w| w == text.as_bytes());
            if let Some(at) = found {
                self.seen += at + text.len();
                return;
            }
            assert!(
                Instant::now() < until,
                "waited in vain for {text:?} in {}",
                String::from_utf8_lossy(fresh)
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait_until(&self, what: &str, is: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !is() {
            assert!(Instant::now() < until, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn say(&mut self, line: &str) {
        self.press(line);
        self.press("\r");
    }

    fn leave(mut self) -> u32 {
        self.press("\x04");
        self.child.wait().unwrap().exit_code()
    }
}

#[test]
fn a_session_on_a_terminal() {
    let dir = workspace();
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(dir.path(), state.path(), &[]);

    terminal.say("list the files in src");
    terminal.wait("\x1b[2m"); // Reasoning is dimmed.
    terminal.wait("src contains lib.rs, main.rs.");
    terminal.wait("cairn> ");

    terminal.say("create a.txt with \"x y\"");
    terminal.wait("+x y");
    terminal.wait("allow? [y]es / [n]o: ");
    terminal.say("y");
    terminal.wait("bytes to a.txt");
    terminal.wait("cairn> ");
    let written = std::fs::read_to_string(dir.path().join("a.txt")).unwrap();
    assert_eq!(written.trim_end(), "x y");

    terminal.say("create b.txt with \"x y\"");
    terminal.wait("allow? ");
    terminal.say("yy");
    terminal.wait("y or n?");
    terminal.wait("allow? ");
    terminal.say("");
    terminal.wait("denied by the user");
    terminal.wait("cairn> ");
    assert!(!dir.path().join("b.txt").exists());

    terminal.say("/jobs");
    terminal.wait("no command runs in the background");
    terminal.say("/kill 7");
    terminal.wait("no background command \"7\" runs; /jobs lists them");
    terminal.wait("cairn> ");

    // Ctrl-C stops the turn and not the program.
    terminal.say("run the command sh slow.sh");
    terminal.wait("allow? ");
    terminal.say("y");
    terminal.wait_until("the command runs", || dir.path().join("running").exists());
    terminal.press("\x03");
    terminal.wait("(stopped)");
    terminal.wait("cairn> ");
    terminal.press("abc\x03");
    terminal.wait("Ctrl-D leaves");
    terminal.wait("cairn> ");

    // A line that ends with a backslash goes on.
    terminal.say("/th\\");
    terminal.wait("...> ");
    terminal.say("x");
    terminal.wait("the nearest is /think");
    assert_eq!(terminal.leave(), 0);

    // History outlives the program.
    let mut terminal = Terminal::start(dir.path(), state.path(), &[("NO_COLOR", "1")]);
    // The newest message has two lines: up, up within it, and past it.
    terminal.press("\x1b[A\x1b[A\x1b[A");
    terminal.wait("run the command sh slow.sh");
    terminal.press("\x15");
    terminal.say("read evil.txt");
    terminal.wait("a␛[2Jb␛]0;t␇c");
    terminal.wait("cairn> ");
    let raw = terminal.raw();
    assert!(
        !raw.contains("\x1b[2m") && !raw.contains("\x1b[1m"),
        "NO_COLOR"
    );
    assert!(!raw.contains("a\x1b[2Jb"), "a file drove the terminal");
    assert_eq!(terminal.leave(), 0);
}

#[test]
fn answers_for_always_are_kept_and_modes_are_shown() {
    let dir = workspace();
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(dir.path(), state.path(), &[]);
    terminal.say("run the command ls src");
    terminal.wait("p       always, what begins like it: run:ls");
    terminal.wait("allow? [y]es / [n]o: ");
    terminal.say("p");
    terminal.wait("always allowed: run:ls");
    terminal.wait("[ask] cairn> ");
    let config = std::fs::read_to_string(state.path().join("cairn/config.toml")).unwrap();
    assert!(config.contains("\"run:ls\""), "{config}");

    terminal.say("run the command cat slow.sh");
    terminal.wait("allow? ");
    terminal.say("n look at it yourself");
    terminal.wait("denied by the user: look at it yourself");
    terminal.wait("cairn> ");

    terminal.say("/mode plan");
    terminal.wait("[plan] cairn> ");
    terminal.say("create a.txt with \"x y\"");
    terminal.wait("refused: write_file (only tools that read");
    terminal.wait("[plan] cairn> ");
    terminal.say("/mode accept-edits");
    terminal.wait("[accept-edits] cairn> ");
    terminal.say("create a.txt with \"x y\"");
    terminal.wait("bytes to a.txt");
    terminal.wait("cairn> ");
    terminal.say("/mode fast");
    terminal.wait("/mode takes ask, accept-edits, plan");
    terminal.wait("cairn> ");
    assert_eq!(terminal.leave(), 0);

    // The rule outlives the program.
    let mut terminal = Terminal::start(dir.path(), state.path(), &[]);
    terminal.say("/permissions");
    terminal.wait("allow  run:ls");
    terminal.wait("cairn> ");
    terminal.say("run the command ls src");
    terminal.wait("[exit 0]");
    terminal.wait("cairn> ");
    assert!(!terminal.raw().contains("allow? "), "it asked again");
    assert_eq!(terminal.leave(), 0);
}

#[test]
fn the_screen_is_append_only() {
    let dir = workspace();
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(dir.path(), state.path(), &[]);
    terminal.say("/think fold");
    terminal.wait("cairn> ");
    terminal.say("hello");
    terminal.wait("/think prints it");
    terminal.wait("Hello!");
    terminal.wait("cairn> ");
    let mut screen = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
    screen.process(&terminal.output.lock().unwrap());
    let text = screen.screen().contents();
    let order = ["cairn> hello", "(thought for", "Hello! I can"].map(|part| {
        text.find(part)
            .unwrap_or_else(|| panic!("{part} in {text}"))
    });
    assert!(order.is_sorted(), "{text}");
    assert_eq!(terminal.leave(), 0);
}

/// Runs a script of lines without a terminal.
fn script(workspace: &Path, lines: &[&str]) -> (String, Option<i32>) {
    script_of(workspace, &["repl"], lines)
}

fn script_of(workspace: &Path, arguments: &[&str], lines: &[&str]) -> (String, Option<i32>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .env_remove("CAIRN_MODEL")
        .env(
            "XDG_STATE_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/state"),
        )
        .env(
            "XDG_CACHE_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"),
        )
        .env(
            "XDG_CONFIG_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/config"),
        )
        .args(arguments)
        .current_dir(workspace)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in lines {
        writeln!(stdin, "{line}").unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\x1b'), "escape codes in a file");
    (text, output.status.code())
}

#[test]
fn three_scripted_turns_do_the_work() {
    let dir = workspace();
    let (text, status) = script(
        dir.path(),
        &[
            "list the files in src",
            "read src/main.rs",
            "replace hi with ho in src/main.rs",
            "y",
            "/stats",
        ],
    );
    assert_eq!(status, Some(0));
    for part in [
        "src contains lib.rs, main.rs.",
        "say hi",
        "+say ho",
        "edited src/main.rs",
        "turns      3, model calls 6",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let edited = std::fs::read_to_string(dir.path().join("src/main.rs")).unwrap();
    assert_eq!(edited, "say ho\n");
}

#[test]
fn commands_work_by_script() {
    let dir = workspace();
    let (text, status) = script(
        dir.path(),
        &[
            "/help",
            "/model",
            "/model /does/not/exist",
            "/think off",
            "hello",
            "/think",
            "/clear",
            "/think sideways",
            "/quit",
            "never said",
        ],
    );
    assert_eq!(status, Some(0));
    for part in [
        "/stats",
        "thinking on",
        "error: /does/not/exist",
        "thinking is off",
        "there was no reasoning",
        "a new conversation",
        "/think takes on, off, show or fold",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("never said"));
}

#[test]
fn a_terminated_repl_leaves_the_terminal_as_it_was() {
    let dir = workspace();
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(dir.path(), state.path(), &[]);
    let tty = terminal.master.tty_name().unwrap();
    let local = || {
        let tty = std::fs::File::open(&tty).unwrap();
        rustix::termios::tcgetattr(&tty).unwrap().local_modes
    };
    assert!(!local().contains(rustix::termios::LocalModes::ICANON));
    let pid = i32::try_from(terminal.child.process_id().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(terminal.child.wait().unwrap().exit_code(), 130);
    // The editor's mode for pastes goes, and what comes next has a line of its own.
    terminal.wait("\x1b[?2004l\r\n");
    assert!(local().contains(rustix::termios::LocalModes::ICANON));
}

#[test]
fn a_question_is_stopped_by_an_interrupt_on_a_plain_terminal_too() {
    let dir = workspace();
    let state = tempfile::tempdir().unwrap();
    // Without an editor, Ctrl-C comes as a signal while the question waits.
    let mut terminal = Terminal::start(dir.path(), state.path(), &[("TERM", "dumb")]);
    terminal.say("create c.txt with \"x y\"");
    terminal.wait("allow? ");
    terminal.press("\x03");
    terminal.wait("^C");
    std::thread::sleep(Duration::from_millis(200));
    terminal.say("y");
    terminal.wait("not run: the turn ended before this call");
    terminal.wait("(stopped)");
    assert!(!dir.path().join("c.txt").exists());
    terminal.wait("cairn> ");
    assert_eq!(terminal.leave(), 0);
}

#[test]
fn cairn_alone_is_the_repl() {
    let dir = workspace();
    let (text, status) = script_of(dir.path(), &[], &["list the files in src", "/quit"]);
    assert_eq!(status, Some(0));
    assert!(text.contains("src contains lib.rs, main.rs."), "{text}");
    let (json, status) = script_of(dir.path(), &["--output", "jsonl"], &["hello"]);
    assert_eq!(status, Some(0));
    assert!(json.lines().last().unwrap().contains("\"done\""), "{json}");
}
