//! When a shard sleeps, until when: a timer descriptor, as tokio's own timer rounds up to the next millisecond and every
//! call would start that much late.

use rustix::fd::OwnedFd;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};
use std::io;
use tokio::io::unix::AsyncFd;

/// A timer that a task can wait for.
#[derive(Debug)]
pub(super) struct Wake {
    fd: AsyncFd<OwnedFd>,
    /// What it is set to (monotonic nanoseconds of the load).
    set: Option<u64>,
}

impl Wake {
    /// A timer that is not set. To be called within a tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[allow(deprecated, reason = "what it warns of is a type whose descriptor changes; an `OwnedFd` keeps its own")]
        let fd = AsyncFd::new(fd)?;
        Ok(Self { fd, set: None })
    }

    /// Sets it to a time, as seen from `now`; `None`: to no time.
    pub(super) fn set(&mut self, at: Option<u64>, now: u64) -> io::Result<()> {
        if at == self.set {
            return Ok(());
        }
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would disarm it.
        let wait = at.map_or(never, |at| timespec(at.saturating_sub(now).max(1)));
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: never, it_value: wait })?;
        self.set = at;
        Ok(())
    }

    /// Comes back when its time has come.
    pub(super) async fn rung(&mut self) -> io::Result<()> {
        loop {
            let mut guard = self.fd.readable().await?;
            let mut count = [0; 8];
            let read = guard.try_io(|fd| rustix::io::read(fd, &mut count).map_err(io::Error::from));
            if let Ok(read) = read {
                self.set = None;
                return read.map(|_| ());
            }
        }
    }
}

fn timespec(nanos: u64) -> Timespec {
    let second = base::secs(1);
    Timespec { tv_sec: (nanos / second) as i64, tv_nsec: (nanos % second) as _ }
}
