//! Bytes from one connection to another, neither of which blocks.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

/// On their way at a time. Bytes.
const CHUNK: usize = 16 << 10;

pub struct Direction<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    waiting: Vec<u8>,
    /// Of `waiting`, what was passed on.
    passed: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// There is no more to read.
    Ending,
    /// And the other side knows.
    Over,
}

/// What has to happen before anything more can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Read,
    Write,
    Nothing,
}

impl<'a> Direction<'a> {
    /// With bytes that come before all others.
    pub fn new(from: &'a TcpStream, to: &'a TcpStream, waiting: Vec<u8>) -> Self {
        Self {
            from,
            to,
            waiting,
            passed: 0,
            state: State::Open,
        }
    }

    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub fn need(&self) -> Need {
        match self.state {
            State::Over => Need::Nothing,
            _ if self.passed < self.waiting.len() => Need::Write,
            _ => Need::Read,
        }
    }

    /// Does what can be done now; says whether anything could.
    pub fn step(&mut self) -> io::Result<bool> {
        let mut moved = false;
        if self.need() == Need::Read {
            self.waiting.resize(CHUNK, 0);
            self.passed = 0;
            let read = for_now((&mut &*self.from).read(&mut self.waiting))?;
            self.waiting.truncate(read.unwrap_or(0));
            match read {
                Some(0) => self.state = State::Ending,
                Some(_) => moved = true,
                None => {}
            }
        }
        if self.need() == Need::Write {
            let written = for_now((&mut &*self.to).write(&self.waiting[self.passed..]))?;
            moved |= written.is_some();
            self.passed += written.unwrap_or(0);
        }
        if self.state == State::Ending && self.passed == self.waiting.len() {
            self.state = State::Over;
            // It may be gone altogether.
            let _ = self.to.shutdown(Shutdown::Write);
        }
        Ok(moved)
    }
}

/// `None` for what may work later.
pub fn for_now(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}
