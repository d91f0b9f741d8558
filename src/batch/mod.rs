//! Batch: turns without anybody at the keyboard. Text for people, or JSON, one
//! object per line, for programs; what was not allowed beforehand is refused.

mod input;
mod jsonl;
mod printer;

use std::io::{self, BufRead, Read};

pub use input::{Cut, MOST_INPUT, Piped, is_piped, join, message, read_all};
pub use jsonl::{line, object};
pub use printer::{Format, Printer};

use crate::agent::{Agent, Done, Event, Exit, Front, Reason};

/// Runs the prompts as turns of one conversation. Stops early only when going on
/// makes no sense; the status is that of the first turn that was not simply done.
pub fn run(agent: &mut Agent, prompts: &[String], printer: &mut Printer) -> Exit {
    let mut exit = Exit::Done;
    let mut flow = go_on(agent, printer, &mut exit);
    for prompt in prompts {
        if flow.is_break() {
            break;
        }
        flow = turn(agent, prompt, printer, &mut exit);
    }
    end_commands(agent, printer);
    printer.exit(exit)
}

/// Nobody is left who could.
fn end_commands(agent: &Agent, printer: &mut Printer) {
    for line in agent.end_commands() {
        printer.note(&line);
    }
}

/// A conversation by script: each line of `source` is a user's message, as plain
/// text or as `{"type":"user","text":...}`.
pub fn serve(agent: &mut Agent, mut source: impl BufRead, printer: &mut Printer) -> Exit {
    let mut exit = Exit::Done;
    let mut flow = go_on(agent, printer, &mut exit);
    while flow.is_continue() {
        let mut readable = true;
        let text = match next_line(&mut source) {
            Ok(None) => break,
            Ok(Some(line)) if line.trim().is_empty() => continue,
            Ok(Some(line)) => input::message(&line),
            Err(error) => {
                // After a line that is too long the next one can be read.
                readable = error.kind() == io::ErrorKind::InvalidData;
                Err(format!("stdin: {error}"))
            }
        };
        flow = match text {
            Ok(text) => turn(agent, &text, printer, &mut exit),
            Err(message) => {
                let ended = refuse(Reason::Usage, &message, agent.session_id(), printer);
                if exit == Exit::Done {
                    exit = ended;
                }
                std::ops::ControlFlow::Continue(())
            }
        };
        if !readable {
            break;
        }
    }
    end_commands(agent, printer);
    printer.exit(exit)
}

/// Says why there is no turn: an error, and the `done` that every run ends with.
pub fn refuse(reason: Reason, message: &str, session: &str, printer: &mut Printer) -> Exit {
    printer.event(&Event::Error {
        message: message.to_owned(),
    });
    printer.event(&Event::Done(Done {
        reason,
        text: String::new(),
        session: session.to_owned(),
    }));
    printer.exit(reason.exit())
}

fn turn(
    agent: &mut Agent,
    prompt: &str,
    printer: &mut Printer,
    exit: &mut Exit,
) -> std::ops::ControlFlow<()> {
    let done = agent.turn(prompt, printer);
    after(&done, printer, exit)
}

/// A turn that was cut off comes first.
fn go_on(agent: &mut Agent, printer: &mut Printer, exit: &mut Exit) -> std::ops::ControlFlow<()> {
    match agent.go_on(printer) {
        Some(done) => after(&done, printer, exit),
        None => std::ops::ControlFlow::Continue(()),
    }
}

fn after(done: &Done, printer: &Printer, exit: &mut Exit) -> std::ops::ControlFlow<()> {
    if *exit == Exit::Done {
        *exit = done.reason.exit();
    }
    match done.reason.exit() {
        Exit::Internal | Exit::Interrupted => std::ops::ControlFlow::Break(()),
        _ if printer.is_closed() => std::ops::ControlFlow::Break(()),
        _ => std::ops::ControlFlow::Continue(()),
    }
}

/// One line without its end, `None` after the last.
fn next_line(source: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut limited = source.by_ref().take(MOST_INPUT as u64);
    if limited.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.len() == MOST_INPUT && bytes.last() != Some(&b'\n') {
        skip_line(source)?;
        let problem = format!("a line is longer than {MOST_INPUT} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn skip_line(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = source.fill_buf()?;
        let (used, last) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        source.consume(used);
        if last {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_next_one_is_found() {
        let text = format!("one\r\n{}\ntwo", "x".repeat(3 * MOST_INPUT));
        let mut source = io::BufReader::new(text.as_bytes());
        assert_eq!(next_line(&mut source).unwrap().as_deref(), Some("one"));
        assert!(next_line(&mut source).is_err());
        assert_eq!(next_line(&mut source).unwrap().as_deref(), Some("two"));
        assert_eq!(next_line(&mut source).unwrap(), None);
    }
}
