//! One sound that is heard now.

use super::io::{Output, PlayId};
use super::outbox::Outbox;
use crate::answer::Sound;
use base::Now;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sounding {
    /// Until whoever plays it says that it has ended.
    Play(PlayId),
    /// Until then (monotonic nanoseconds).
    Silence(u64),
}

impl Sounding {
    pub(super) fn begin(sound: &Sound, now: Now, out: &mut Outbox) -> Self {
        match (out.play(sound), sound) {
            (Some(play), _) => Self::Play(play),
            (None, Sound::Pause { seconds }) => Self::Silence(now.after(Duration::from_secs((*seconds).into()))),
            (None, _) => Self::Silence(now.mono),
        }
    }

    pub(super) const fn deadline(self) -> Option<u64> {
        match self {
            Self::Play(_) => None,
            Self::Silence(until) => Some(until),
        }
    }

    /// True for a silence that has lasted long enough.
    pub(super) const fn is_over(self, now: Now) -> bool {
        matches!(self, Self::Silence(until) if until <= now.mono)
    }

    pub(super) fn stop(self, out: &mut Outbox) {
        if let Self::Play(play) = self {
            out.push(Output::StopPlay { play });
        }
    }
}
