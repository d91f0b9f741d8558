//! `cairn` on a terminal: keys go in, a screen comes out.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A screen that has not changed for so long shows what it is going to show.
const CALM: Duration = Duration::from_millis(150);

/// A workspace, and folders of cairn's own.
pub struct World {
    pub workspace: TempDir,
    pub home: TempDir,
}

impl World {
    pub fn new() -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let root = workspace.path();
        std::fs::create_dir(root.join("src")).unwrap();
        std::fs::write(root.join("src/main.rs"), "say hi\n").unwrap();
        std::fs::write(root.join("src/lib.rs"), "nothing\n").unwrap();
        std::fs::write(root.join("slow.sh"), "touch running; sleep 60\n").unwrap();
        std::fs::write(root.join("evil.txt"), "a\x1b[2Jb\x1b]0;t\x07c\n").unwrap();
        std::fs::write(root.join("wide.txt"), "漢字かな交じり文 🦀🎉 end\n").unwrap();
        Self {
            workspace,
            home: tempfile::tempdir().unwrap(),
        }
    }

    pub fn root(&self) -> &Path {
        self.workspace.path()
    }

    /// The program on a screen of so many rows and columns.
    pub fn start(&self, rows: u16, columns: u16, arguments: &[&str]) -> Terminal {
        Terminal::start(self, (rows, columns), arguments, &[])
    }
}

pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    master: Box<dyn MasterPty + Send>,
}

/// What came out of the program.
struct Seen {
    raw: Vec<u8>,
    screen: vt100::Parser,
    last: Instant,
}

fn size(rows: u16, columns: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

impl Terminal {
    pub fn start(
        world: &World,
        (rows, columns): (u16, u16),
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let pair = native_pty_system().openpty(size(rows, columns)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_cairn"));
        for name in [
            "CAIRN_MODEL",
            "CAIRN_TUI_THEME",
            "COLORFGBG",
            "NO_COLOR",
            "VISUAL",
            "EDITOR",
            "DISPLAY",
        ] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        for name in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(name, world.home.path());
        }
        environment.iter().for_each(|(k, v)| command.env(k, v));
        command.args(arguments);
        command.cwd(world.root());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let screen =
            vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 1000);
        let seen = Arc::new(Mutex::new(Seen {
            raw: Vec::new(),
            screen,
            last: Instant::now(),
        }));
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0u8; 65536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                let mut seen = sink.lock().unwrap();
                seen.raw.extend_from_slice(&buffer[..n]);
                seen.screen.process(&buffer[..n]);
                seen.last = Instant::now();
            }
        });
        Self {
            child,
            keys: pair.master.take_writer().unwrap(),
            seen,
            master: pair.master,
        }
    }

    /// All bytes so far.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().raw).into_owned()
    }

    /// The screen as text, a line for each row.
    pub fn contents(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    /// What has left the screen at its top, and the screen.
    pub fn scrollback(&self) -> String {
        let mut seen = self.seen.lock().unwrap();
        let screen = seen.screen.screen_mut();
        let mut all = String::new();
        screen.set_scrollback(usize::MAX);
        for back in (1..=screen.scrollback()).rev() {
            screen.set_scrollback(back);
            all.push_str(&screen.rows(0, u16::MAX).next().unwrap());
            all.push('\n');
        }
        screen.set_scrollback(0);
        all + &screen.contents()
    }

    pub fn is_alternate(&self) -> bool {
        self.seen.lock().unwrap().screen.screen().alternate_screen()
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Types a message and sends it.
    pub fn say(&mut self, text: &str) {
        self.press(text);
        self.wait(text.split(' ').next_back().unwrap());
        self.press("\r");
    }

    pub fn resize(&mut self, rows: u16, columns: u16) {
        {
            let mut seen = self.seen.lock().unwrap();
            let (rows, columns) = (rows.try_into().unwrap(), columns.try_into().unwrap());
            seen.screen.screen_mut().set_size(rows, columns);
        }
        self.master.resize(size(rows, columns)).unwrap();
    }

    /// Waits until the screen shows this.
    pub fn wait(&self, text: &str) {
        self.wait_until(&format!("{text:?} is on the screen"), |screen| {
            screen.contains(text)
        });
    }

    pub fn wait_until(&self, what: &str, is: impl Fn(&str) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let screen = self.contents();
            if is(&screen) {
                return;
            }
            assert!(
                Instant::now() < until,
                "waited in vain until {what}:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until nothing changes any more, and says what is there then.
    pub fn settled(&self) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let calm = self.seen.lock().unwrap().last.elapsed() > CALM;
            if calm || Instant::now() > until {
                return self.contents();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the model to be ready, or to have ended its turn.
    pub fn wait_idle(&self) {
        let until = Instant::now() + PATIENCE;
        while !Self::is_idle(&self.settled()) {
            assert!(Instant::now() < until, "it goes on:\n{}", self.contents());
        }
    }

    /// Whether what is typed now would begin a turn.
    fn is_idle(screen: &str) -> bool {
        screen.contains("[ask]") && screen.contains("─ Message")
    }

    pub fn pid(&self) -> rustix::process::Pid {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::Pid::from_raw(pid).unwrap()
    }

    /// Whether the terminal takes whole lines, as shells leave it.
    pub fn is_cooked(&self) -> bool {
        let tty = std::fs::File::open(self.master.tty_name().unwrap()).unwrap();
        let modes = rustix::termios::tcgetattr(&tty).unwrap().local_modes;
        modes.contains(rustix::termios::LocalModes::ICANON)
    }

    /// The status it ends with by itself.
    pub fn ended(&mut self) -> u32 {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                std::thread::sleep(CALM);
                return status.exit_code();
            }
            assert!(Instant::now() < until, "it goes on:\n{}", self.contents());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Leaves by Ctrl-C, twice.
    pub fn leave(mut self) -> u32 {
        self.press("\x03");
        self.wait("Ctrl-C once more leaves");
        self.press("\x03");
        self.ended()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that a test left behind.
        let _ = self.child.kill();
    }
}
