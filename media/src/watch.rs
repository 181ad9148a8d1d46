//! Is there media? The clock of silence from the far end: one-way audio after two seconds, the end after the timeout.
//!
//! It runs only while we expect to hear: a held call is silent by agreement.

use crate::command::StreamConfig;
use base::secs;
use std::time::Duration;

/// No RTP for this long, where it is expected, is one-way audio.
pub const NO_MEDIA_AFTER: u64 = secs(2);

/// What silence has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    NoMedia,
    TimedOut,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    /// When RTP last came, or when we began to expect it. `None`: we do not expect any.
    since: Option<u64>,
    expects: bool,
    timeout: Option<Duration>,
    said_no_media: bool,
    said_timed_out: bool,
}

impl Watch {
    /// Begins, goes on or stops with the stream.
    pub(crate) fn configure(&mut self, config: &StreamConfig, mono: u64) {
        // After a hold it begins anew: whoever held was silent by right.
        let begins = config.expects_media && !self.expects;
        self.since = config.receive.then(|| self.since.filter(|_| !begins).unwrap_or(mono));
        (self.expects, self.timeout) = (config.expects_media, config.timeout);
    }

    /// RTP came. True where silence had been reported.
    pub(crate) fn heard(&mut self, mono: u64) -> bool {
        if let Some(since) = &mut self.since {
            *since = mono;
        }
        std::mem::take(&mut self.said_no_media) | std::mem::take(&mut self.said_timed_out)
    }

    /// When silence is to be looked at, monotonic nanoseconds.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let since = self.since?;
        let no_media = (self.expects && !self.said_no_media).then_some(since + NO_MEDIA_AFTER);
        let timeout = self.timeout.filter(|_| !self.said_timed_out);
        let timed_out = timeout.map(|timeout| since.saturating_add(timeout.as_nanos() as u64));
        [no_media, timed_out].into_iter().flatten().min()
    }

    /// What silence has come to by now, once each.
    pub(crate) fn expire(&mut self, mono: u64) -> Option<Silence> {
        let since = self.since.filter(|_| self.deadline().is_some_and(|at| at <= mono))?;
        if self.expects && !self.said_no_media && since + NO_MEDIA_AFTER <= mono {
            self.said_no_media = true;
            return Some(Silence::NoMedia);
        }
        self.said_timed_out = true;
        Some(Silence::TimedOut)
    }
}
