//! A tmux server of its own with one pane, in which a shell runs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const COLUMNS: &str = "100";
const ROWS: &str = "30";
/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at the screen.
const PACE: Duration = Duration::from_millis(50);
/// What is typed so soon after a question has come was meant for something else, so
/// the program does not hear it; nothing on the screen says when it does.
const GUARD: Duration = Duration::from_millis(400);

pub fn is_installed() -> bool {
    Command::new("tmux").arg("-V").output().is_ok()
}

pub struct Tmux {
    /// A home, with the socket and a workspace in it.
    home: TempDir,
}

impl Tmux {
    /// A shell in a workspace with two files. Of this machine it knows where programs
    /// are.
    pub fn start() -> Self {
        let tmux = Self {
            home: tempfile::tempdir().unwrap(),
        };
        let workspace = tmux.workspace();
        std::fs::create_dir_all(workspace.join("src")).unwrap();
        std::fs::write(workspace.join("src/main.rs"), "say hi\n").unwrap();
        std::fs::write(workspace.join("src/lib.rs"), "nothing\n").unwrap();
        let cairn = Path::new(env!("CARGO_BIN_EXE_cairn"));
        let mut path = cairn.parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut server = tmux.command();
        server
            .env_clear()
            .env("PATH", path)
            .env("HOME", tmux.home.path())
            .env("SHELL", "/bin/sh")
            .env("PS1", "$ ")
            .env("TERM", "xterm-256color")
            // Ids are promised to be the same on the CPU only.
            .env("CAIRN_BACKEND", "cpu")
            .args(["new-session", "-d", "-x", COLUMNS, "-y", ROWS, "-c"])
            .arg(&workspace)
            .arg("/bin/sh");
        let output = server.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        tmux
    }

    pub fn workspace(&self) -> std::path::PathBuf {
        self.home.path().join("work")
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-u", "-f", "/dev/null", "-S"]);
        command.arg(self.home.path().join("tmux"));
        command
    }

    fn told(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the pane shows, a line for each row.
    pub fn screen(&self) -> String {
        self.told(&["capture-pane", "-p"])
    }

    /// Keys by tmux's names of them.
    pub fn press(&self, keys: &[&str]) {
        self.told(&[&["send-keys"], keys].concat());
    }

    fn write(&self, text: &str) {
        self.told(&["send-keys", "-l", text]);
        // The line may be broken, but not within a word.
        self.wait(text.split(' ').next_back().unwrap());
    }

    /// Has the shell run a program; [`Self::leave`] waits for its status.
    pub fn run(&self, line: &str) {
        // What the program before left there is not to be found.
        self.press(&["-R"]);
        self.write(&format!("{line}; echo status=$?"));
        self.press(&["Enter"]);
    }

    /// Sends the program a message.
    pub fn say(&self, text: &str) {
        self.write(text);
        self.press(&["Enter"]);
    }

    /// Allows a change that has this line in it.
    pub fn allow(&self, line: &str) {
        self.wait("Change this file?");
        self.wait(line);
        std::thread::sleep(GUARD);
        self.press(&["y"]);
    }

    /// Leaves the program by Ctrl-C, twice.
    pub fn leave(&self) {
        self.press(&["C-c"]);
        self.wait("Ctrl-C once more leaves");
        self.press(&["C-c"]);
        self.wait("status=0");
    }

    /// Waits until the screen shows this.
    pub fn wait(&self, text: &str) {
        self.wait_until(&format!("{text:?} is there"), |screen| {
            screen.contains(text)
        });
    }

    /// Waits for the model to be ready, or to have ended its turn.
    pub fn wait_idle(&self) {
        self.wait_until("it waits for a message", |screen| {
            screen.contains("[ask]") && screen.contains("─ Message")
        });
    }

    pub fn wait_until(&self, what: &str, is: impl Fn(&str) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if is(&screen) {
                return;
            }
            assert!(
                Instant::now() < until,
                "waited in vain until {what}:\n{screen}"
            );
            std::thread::sleep(PACE);
        }
    }

    /// The screen once two looks at it are the same.
    pub fn settled(&self) -> String {
        let until = Instant::now() + PATIENCE;
        let mut before = self.screen();
        loop {
            std::thread::sleep(2 * PACE);
            let now = self.screen();
            if now == before {
                return now;
            }
            assert!(Instant::now() < until, "it goes on changing:\n{now}");
            before = now;
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // The server ends, and with it what a failed test left behind.
        let _ = self.command().arg("kill-server").output();
    }
}
