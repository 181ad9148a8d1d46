//! A shard's way back: a queue in which nothing that matters is ever dropped.
//!
//! An answer to a command is one a command, bounded by the inbox it came through. What the network causes (digits,
//! first packets, silence and its end) has [`EVENTS_RESERVED`] places an endpoint. `Quality` is welcome while fewer than
//! [`QUALITY_QUEUED`] events wait.

use crate::event::Event;
use std::collections::VecDeque;

/// Digits of one endpoint that may wait. A flood beyond it is dropped and counted (`ShardStats::digits_dropped`);
/// nothing a person can press comes near.
pub const EVENTS_RESERVED: u16 = 64;

/// Places for what else the network causes, so that a flood of digits cannot hide the end of the media. These facts
/// are a third of a second apart at least; a reader that far behind loses the newest of them.
const STATES_RESERVED: u16 = 16;

/// Above so many waiting events a `Quality` is dropped and counted (`ShardStats::quality_dropped`).
pub const QUALITY_QUEUED: usize = 4_096;

/// What of its reserve an endpoint has in the queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reserve {
    digits: u16,
    states: u16,
}

impl Reserve {
    fn of(&mut self, event: &Event) -> Option<(&mut u16, u16)> {
        match event {
            Event::Digit { .. } => Some((&mut self.digits, EVENTS_RESERVED)),
            Event::FirstPacket { .. }
            | Event::NoMedia { .. }
            | Event::MediaResumed { .. }
            | Event::TimedOut { .. }
            | Event::SpeechStarted { .. }
            | Event::SpeechEnded { .. }
            | Event::Beep { .. } => Some((&mut self.states, STATES_RESERVED)),
            _ => None,
        }
    }

    /// The event has left the queue.
    pub(crate) fn give_back(&mut self, event: &Event) {
        if let Some((waiting, _)) = self.of(event) {
            *waiting = waiting.saturating_sub(1);
        }
    }
}

/// Room made at the start, so that a shard whose events are polled never allocates for one.
const EVENTS_READY: usize = 256;

/// The queue.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self { queue: VecDeque::with_capacity(EVENTS_READY) }
    }
}

impl Events {
    /// Queues what must arrive.
    pub(crate) fn push(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    /// Queues what the network caused, within the endpoint's reserve; false where that is used up.
    pub(crate) fn push_reserved(&mut self, reserve: &mut Reserve, event: Event) -> bool {
        if let Some((waiting, limit)) = reserve.of(&event) {
            if *waiting >= limit {
                return false;
            }
            *waiting += 1;
        }
        self.queue.push_back(event);
        true
    }

    /// Queues a report, if there is room; false where there is not.
    pub(crate) fn push_quality(&mut self, event: Event) -> bool {
        let room = self.queue.len() < QUALITY_QUEUED;
        if room {
            self.queue.push_back(event);
        }
        room
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }
}
