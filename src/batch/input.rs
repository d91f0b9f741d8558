//! What a batch run is asked: prompts from arguments, joined with what is piped
//! in. Only a pipe or a file is read, so that a prompt given as an argument
//! never waits for a terminal, a socket or `/dev/null`.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, fstat};

use crate::agent::Stop;

/// Most bytes taken from stdin.
pub const MOST_INPUT: usize = 1 << 20;
/// How long a silent pipe goes without a notice.
const PATIENCE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(50);

/// Piped text, and whether it was longer than what is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piped {
    pub text: String,
    pub cut: Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Whole,
    /// Only the first [`MOST_INPUT`] bytes are there.
    Head,
}

/// Whether stdin is something that was piped or redirected on purpose.
pub fn is_piped(stdin: &impl AsFd) -> bool {
    fstat(stdin).is_ok_and(|stat| {
        matches!(
            FileType::from_raw_mode(stat.st_mode),
            FileType::Fifo | FileType::RegularFile
        )
    })
}

/// Everything on `source`, up to the limit. Reads on a thread of its own, so
/// that silence can be spoken of (`notice` of `waiting_for`) and given up (`stop`).
///
/// # Errors
/// When reading fails; `Interrupted` when stopped.
pub fn read_all(
    source: impl Read + Send + 'static,
    waiting_for: &str,
    stop: &Stop,
    notice: &mut dyn FnMut(&str),
) -> io::Result<Piped> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new().spawn(move || pump(source, &sender))?;
    let started = Instant::now();
    let mut bytes = Vec::new();
    let mut told = false;
    loop {
        match receiver.recv_timeout(POLL) {
            Ok(Ok(chunk)) if chunk.is_empty() => break,
            Ok(Ok(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(Err(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if bytes.len() > MOST_INPUT {
            break;
        }
        if stop.is_waiting() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if !told && bytes.is_empty() && started.elapsed() >= PATIENCE {
            told = true;
            notice(waiting_for);
        }
    }
    Ok(limited(bytes))
}

fn pump(mut source: impl Read, sender: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let chunk = match source.read(&mut buffer) {
            Ok(n) => Ok(buffer[..n].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let last = !matches!(&chunk, Ok(bytes) if !bytes.is_empty());
        if sender.send(chunk).is_err() || last {
            return;
        }
    }
}

fn limited(mut bytes: Vec<u8>) -> Piped {
    let cut = match bytes.len() > MOST_INPUT {
        true => Cut::Head,
        false => Cut::Whole,
    };
    bytes.truncate(MOST_INPUT);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if cut == Cut::Head {
        // A character cut in two became U+FFFD.
        while text.ends_with('\u{FFFD}') {
            text.pop();
        }
    }
    Piped { text, cut }
}

/// The prompt, then what was piped in, a blank line between them.
pub fn join(prompt: &str, piped: &str) -> String {
    match (prompt.trim_end(), piped.trim_end_matches('\n')) {
        (prompt, "") => prompt.to_owned(),
        ("", piped) => piped.to_owned(),
        (prompt, piped) => format!("{prompt}\n\n{piped}"),
    }
}

/// What one line of a scripted conversation says.
///
/// # Errors
/// For an object that is not a user's message.
pub fn message(line: &str) -> Result<String, String> {
    if !line.trim_start().starts_with('{') {
        return Ok(line.to_owned());
    }
    match serde_json::from_str::<serde_json::Value>(line) {
        Err(_) => Ok(line.to_owned()),
        Ok(object) => match (object["type"].as_str(), object["text"].as_str()) {
            (Some("user"), Some(text)) => Ok(text.to_owned()),
            _ => Err(
                "input line: expected plain text or {\"type\":\"user\",\"text\":\"...\"}".into(),
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn prompt_and_input_are_joined_by_a_blank_line() {
        assert_eq!(join("explain\n", "a\nb\n"), "explain\n\na\nb");
        assert_eq!(join("explain", ""), "explain");
        assert_eq!(join("", "a\n"), "a");
        assert_eq!(join("explain", "\n\n"), "explain");
    }

    #[test]
    fn only_pipes_and_files_count_as_input() {
        let (read, _write) = rustix::pipe::pipe().unwrap();
        assert!(is_piped(&read));
        assert!(is_piped(&tempfile::tempfile().unwrap()));
        assert!(!is_piped(&File::open("/dev/null").unwrap()));
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(!is_piped(&socket));
    }

    #[test]
    fn a_silent_pipe_gets_a_notice_and_can_be_given_up() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let stop = Stop::default();
        let other = stop.clone();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(3 * PATIENCE);
            File::from(write).try_clone().and_then(|mut file| {
                use std::io::Write;
                file.write_all(b"late")
            })
        });
        let mut notices = Vec::new();
        let piped = read_all(File::from(read), "wait", &stop, &mut |n| {
            notices.push(n.to_owned())
        })
        .unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(piped.text, "late");
        assert_eq!(notices, ["wait"]);

        let (read, _write) = rustix::pipe::pipe().unwrap();
        other.stop_run();
        let stopped = read_all(File::from(read), "wait", &stop, &mut |_| ()).unwrap_err();
        assert_eq!(stopped.kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn long_input_is_cut_between_characters() {
        let piped = limited("é".repeat(MOST_INPUT).into_bytes());
        assert_eq!(piped.cut, Cut::Head);
        assert_eq!(piped.text.len(), MOST_INPUT);
        let piped = limited(format!("a{}", "é".repeat(MOST_INPUT)).into_bytes());
        assert_eq!(piped.text.len(), MOST_INPUT - 1);
        assert!(!piped.text.contains('\u{FFFD}'));
    }

    #[test]
    fn lines_are_text_or_user_objects() {
        assert_eq!(message("hi").unwrap(), "hi");
        assert_eq!(message("{ not json").unwrap(), "{ not json");
        assert_eq!(message(r#"{"type":"user","text":"a\nb"}"#).unwrap(), "a\nb");
        assert!(message(r#"{"type":"tool"}"#).is_err());
    }
}
