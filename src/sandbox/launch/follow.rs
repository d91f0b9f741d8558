//! Reading what a command prints until it has ended or has to be ended.

use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::disk::Disk;
use super::{CommandLimits, End, GRACE, LaunchError, Running, TICK};
use crate::sandbox::text::{Bounded, Clip};

pub struct Follower<'a> {
    pipe: PipeReader,
    limits: &'a CommandLimits,
    clip: Clip,
    output: &'a mut dyn FnMut(&[u8]),
}

#[derive(PartialEq, Eq)]
enum Progress {
    Waiting,
    Read,
    Closed,
}

impl<'a> Follower<'a> {
    pub fn new(
        pipe: PipeReader,
        limits: &'a CommandLimits,
        output: &'a mut dyn FnMut(&[u8]),
    ) -> Self {
        Self {
            pipe,
            limits,
            clip: Clip::new(limits.output),
            output,
        }
    }

    /// Reads until the command is over; says how, or why it has to be stopped.
    pub fn follow(
        &mut self,
        running: &mut dyn Running,
        disk: &mut Disk<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<End, LaunchError> {
        let limits = self.limits;
        let started = Instant::now();
        let mut open = true;
        let mut ended: Option<(End, Instant)> = None;
        loop {
            if open {
                open = self.read_some(TICK)? != Progress::Closed;
            } else {
                running.wait(TICK);
            }
            if ended.is_none() {
                ended = running.look()?.map(|end| (end, Instant::now()));
            }
            match ended {
                Some((end, at)) if !open || at.elapsed() > GRACE => return Ok(end),
                _ => {}
            }
            if cancelled() {
                return Ok(End::Cancelled);
            }
            if started.elapsed() > limits.time {
                return Ok(End::TimedOut(limits.time));
            }
            if self.clip.total() > limits.flood {
                return Ok(End::Flooded(limits.flood));
            }
            if let Some(floor) = disk.is_full() {
                return Ok(End::DiskFull(floor));
            }
        }
    }

    /// What was written before the end is still in the pipe.
    pub fn drain(&mut self) -> io::Result<()> {
        let until = Instant::now() + GRACE;
        while Instant::now() < until && self.read_some(TICK)? != Progress::Closed {}
        Ok(())
    }

    pub fn finish(self) -> Bounded {
        self.clip.finish()
    }

    fn read_some(&mut self, wait: Duration) -> io::Result<Progress> {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: wait.subsec_nanos().into(),
        };
        let ready = {
            let mut fds = [PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(ready) => ready,
                Err(rustix::io::Errno::INTR) => 0,
                Err(error) => return Err(error.into()),
            }
        };
        if ready == 0 {
            return Ok(Progress::Waiting);
        }
        let mut chunk = [0u8; 64 * 1024];
        match self.pipe.read(&mut chunk) {
            Ok(0) => Ok(Progress::Closed),
            Ok(read) => {
                self.clip.push(&chunk[..read]);
                (self.output)(&chunk[..read]);
                Ok(Progress::Read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Progress::Waiting),
            Err(error) => Err(error),
        }
    }
}
