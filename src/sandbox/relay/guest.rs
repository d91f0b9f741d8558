//! One connection from a command: its request, the answer, and then bytes both ways
//! until either side, the relay or the clock ends it.

use std::io::{self, PipeReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::dial::Dial;
use super::direction::{Direction, Need, for_now};
use super::request::{self, MOST_HEAD, Request};
use super::wait;
use crate::sandbox::network::{Destination, Destinations};

/// For the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// Without a byte from either side.
const IDLE: Duration = Duration::from_secs(300);
/// To take an answer that is not what was asked for.
const FAREWELL: Duration = Duration::from_millis(500);

pub struct Guest {
    connection: TcpStream,
    allowed: Arc<Destinations>,
    stopped: Arc<PipeReader>,
}

/// Why there is nothing to pass on.
enum No {
    /// A status, and why.
    Answer(&'static str, String),
    /// It is over: nobody listens any more.
    Gone,
}

impl From<io::Error> for No {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Guest {
    pub fn new(
        connection: TcpStream,
        allowed: Arc<Destinations>,
        stopped: Arc<PipeReader>,
    ) -> io::Result<Self> {
        connection.set_nonblocking(true)?;
        Ok(Self {
            connection,
            allowed,
            stopped,
        })
    }

    pub fn serve(&self) {
        if let Err(No::Answer(status, why)) = self.try_serve() {
            self.answer(status, &why);
        }
    }

    /// There are too many.
    pub fn turn_away(&self) {
        // Not waited for: it would keep the others from being heard.
        let answer = answer("503 Service Unavailable", "too many connections at a time");
        let _ = (&self.connection).write(answer.as_bytes());
    }

    fn try_serve(&self) -> Result<(), No> {
        let (request, rest) = self.request()?;
        let to = request.destination();
        if !self.allowed.contains(to) {
            let why = format!("{to} is not allowed; the user allows it by --net {to}");
            return Err(No::Answer("403 Forbidden", why));
        }
        let upstream = self.dial(to)?;
        let (to_guest, to_upstream) = match request {
            Request::Tunnel(_) => (b"HTTP/1.1 200 Connection established\r\n\r\n".into(), rest),
            Request::Forward { head, .. } => (Vec::new(), [head, rest].concat()),
        };
        self.pass_on(&upstream, to_guest, to_upstream)
    }

    /// The request, and what came after its head.
    fn request(&self) -> Result<(Request, Vec<u8>), No> {
        let until = Instant::now() + HEAD_PATIENCE;
        let mut head = Vec::new();
        loop {
            if let Some(length) = request::head_length(&head) {
                let rest = head.split_off(length);
                let request = request::parse(&head);
                let request = request.map_err(|why| No::Answer("400 Bad Request", why))?;
                return Ok((request, rest));
            }
            if head.len() >= MOST_HEAD {
                let why = format!("the request's head is longer than {MOST_HEAD} bytes");
                return Err(No::Answer("431 Request Header Fields Too Large", why));
            }
            let left = until.saturating_duration_since(Instant::now());
            let ready = [PollFd::new(&self.connection, PollFlags::IN)];
            if left.is_zero() || wait(&self.stopped, &ready, Some(left))? {
                return Err(No::Gone);
            }
            let mut chunk = vec![0; MOST_HEAD - head.len()];
            match for_now((&self.connection).read(&mut chunk))? {
                Some(0) => return Err(No::Gone),
                Some(read) => head.extend_from_slice(&chunk[..read]),
                None => {}
            }
        }
    }

    fn dial(&self, to: &Destination) -> Result<TcpStream, No> {
        let bad = |why| No::Answer("502 Bad Gateway", why);
        let dial = Dial::start(to.clone(), self.allowed.clone());
        let dial = dial.map_err(|error| bad(format!("{to} can't be reached: {error}")))?;
        loop {
            let answered = [PollFd::new(&dial.answered, PollFlags::IN)];
            if wait(&self.stopped, &answered, None)? {
                return Err(No::Gone);
            }
            if let Some(upstream) = dial.answer() {
                let upstream = upstream.map_err(bad)?;
                upstream.set_nonblocking(true)?;
                return Ok(upstream);
            }
        }
    }

    /// Bytes both ways, after those that wait already.
    fn pass_on(&self, upstream: &TcpStream, down: Vec<u8>, up: Vec<u8>) -> Result<(), No> {
        let guest = &self.connection;
        let mut up = Direction::new(guest, upstream, up);
        let mut down = Direction::new(upstream, guest, down);
        let mut last = Instant::now();
        while !(up.is_over() && down.is_over()) {
            if up.step()? | down.step()? {
                last = Instant::now();
                continue;
            }
            // Only what is waited for: the end of the other would be told without end.
            let mut needed = Vec::new();
            for (direction, from, to) in [(&up, guest, upstream), (&down, upstream, guest)] {
                match direction.need() {
                    Need::Read => needed.push(PollFd::new(from, PollFlags::IN)),
                    Need::Write => needed.push(PollFd::new(to, PollFlags::OUT)),
                    Need::Nothing => {}
                }
            }
            let left = IDLE.saturating_sub(last.elapsed());
            if left.is_zero() || wait(&self.stopped, &needed, Some(left))? {
                break;
            }
        }
        Ok(())
    }

    /// Says no, and waits a little until it was heard.
    fn answer(&self, status: &str, why: &str) {
        let _ = (&self.connection).write(answer(status, why).as_bytes());
        let _ = self.connection.shutdown(Shutdown::Write);
        // What came and was not read would take the answer with it.
        let until = Instant::now() + FAREWELL;
        let mut chunk = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let ready = [PollFd::new(&self.connection, PollFlags::IN)];
            if left.is_zero() || !matches!(wait(&self.stopped, &ready, Some(left)), Ok(false)) {
                return;
            }
            if let Ok(Some(0)) | Err(_) = for_now((&self.connection).read(&mut chunk)) {
                return;
            }
        }
    }
}

fn answer(status: &str, why: &str) -> String {
    let length = why.len() + "cairn: \n".len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\ncairn: {why}\n"
    )
}
