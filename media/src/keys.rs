//! Pressing keys: RFC 4733 packets in place of audio while a key is down.
//!
//! A packet each packet time with the timestamp of the key's start and a growing duration, marker on the first
//! (§2.5.1.1), the end three times (§2.5.1.4). A tone longer than 65,535 samples becomes segments, each starting where
//! the one before ended, without marker (§2.5.1.3).

use crate::telephone_event::TelephoneEvent;
use std::collections::VecDeque;

/// Keys that may wait. A `SendDigits` that would exceed it is refused as a whole with `Event::Failed`.
pub const MAX_KEYS: usize = 256;

/// The shortest tone and the shortest pause, in milliseconds: what a receiver must recognise (ITU-T Q.24 §5.3).
pub const MIN_KEY_MS: u16 = 40;

/// How often an end is sent (RFC 4733 §2.5.1.4).
const ENDS: u8 = 3;

/// The longest a segment can say it lasts (RFC 4733 §2.5.1.3).
const MAX_SEGMENT: u64 = 0xFFFF;

/// A key to be pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    event: u8,
    /// Samples it is held.
    tone: u64,
    /// Samples until the next.
    gap: u64,
}

impl Key {
    /// A key held and followed by a pause, in milliseconds, on a clock of `per_ms` ticks.
    pub(crate) fn new(event: u8, tone_ms: u16, gap_ms: u16, per_ms: u64) -> Self {
        let samples = |ms: u16| u64::from(ms.max(MIN_KEY_MS)) * per_ms;
        Self { event, tone: samples(tone_ms), gap: samples(gap_ms) }
    }
}

/// One packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPacket {
    pub timestamp: u64,
    pub marker: bool,
    pub event: TelephoneEvent,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    /// Down since `start`; the current segment began at `segment`.
    Down {
        key: Key,
        start: u64,
        segment: u64,
    },
    /// Up again; its end is still to be said `left` times.
    Up {
        key: Key,
        start: u64,
        segment: u64,
        left: u8,
    },
    /// Silent until this timestamp.
    Pause {
        until: u64,
    },
}

/// The keys of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    waiting: VecDeque<Key>,
    state: State,
    /// Ticks of the stream in one of an event's durations.
    scale: u64,
}

impl Default for Keys {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), state: State::Idle, scale: 1 }
    }
}

impl Keys {
    /// Durations count another clock: so many ticks of the stream are one of theirs.
    pub(crate) fn set_scale(&mut self, scale: u64) {
        self.scale = scale.max(1);
    }

    /// Adds keys behind those that wait; false, and none added, where there is no room.
    pub(crate) fn press(&mut self, keys: &[Key]) -> bool {
        if self.waiting.len() + keys.len() > MAX_KEYS {
            return false;
        }
        self.waiting.extend(keys);
        true
    }

    /// Forgets what waits and what is down: the far end takes no digits any more.
    pub(crate) fn clear(&mut self) {
        *self = Self { scale: self.scale, ..Self::default() };
    }

    /// Nothing is down or about to be: audio may flow.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !matches!(self.state, State::Down { .. } | State::Up { .. })
    }

    /// The packet in place of the audio that starts at `timestamp` and lasts `samples`; `None`: audio it is.
    pub(crate) fn next(&mut self, timestamp: u64, samples: u64) -> Option<KeyPacket> {
        match self.state {
            State::Idle => self.start(timestamp, samples),
            State::Pause { until } if timestamp < until => None,
            State::Pause { .. } => self.start(timestamp, samples),
            State::Down { key, start, segment } => Some(self.hold(key, start, segment, timestamp + samples, false)),
            State::Up { key, start, segment, left } => Some(self.release(key, start, segment, left)),
        }
    }

    fn start(&mut self, timestamp: u64, samples: u64) -> Option<KeyPacket> {
        self.state = State::Idle;
        let key = self.waiting.pop_front()?;
        Some(self.hold(key, timestamp, timestamp, timestamp + samples, true))
    }

    /// Says how long the key has been down by `until`.
    fn hold(&mut self, key: Key, start: u64, segment: u64, until: u64, marker: bool) -> KeyPacket {
        if until >= start + key.tone {
            return self.release(key, start, self.segment_of(start, key.tone), ENDS);
        }
        // A segment that is full is said full once more, then the next begins where it ended.
        let longest = self.longest();
        let full = until - segment > longest;
        let duration = if full { longest } else { until - segment };
        let next = if full { segment + longest } else { segment };
        self.state = State::Down { key, start, segment: next };
        self.packet(segment, marker, key, false, duration)
    }

    fn release(&mut self, key: Key, start: u64, segment: u64, left: u8) -> KeyPacket {
        let end = start + key.tone;
        self.state = if left > 1 {
            State::Up { key, start, segment, left: left - 1 }
        } else {
            State::Pause { until: end + key.gap }
        };
        self.packet(segment, false, key, true, end - segment)
    }

    /// Ticks of the stream in the longest segment.
    fn longest(&self) -> u64 {
        MAX_SEGMENT * self.scale
    }

    /// Where the last segment of a tone begins.
    fn segment_of(&self, start: u64, tone: u64) -> u64 {
        start + (tone.saturating_sub(1) / self.longest()) * self.longest()
    }

    fn packet(&self, timestamp: u64, marker: bool, key: Key, end: bool, duration: u64) -> KeyPacket {
        let duration = (duration / self.scale).min(MAX_SEGMENT) as u16;
        KeyPacket { timestamp, marker, event: TelephoneEvent { event: key.event, end, duration } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Timestamp, marker, event, end, duration.
    type Said = (u64, bool, u8, bool, u16);

    /// What each frame said, `None` where audio flows.
    fn sent(keys: &mut Keys, frames: u64) -> Vec<Option<Said>> {
        let said = |p: KeyPacket| (p.timestamp, p.marker, p.event.event, p.event.end, p.event.duration);
        (0..frames).map(|frame| keys.next(1000 + frame * 160, 160).map(said)).collect()
    }

    #[test]
    fn a_key_is_a_growing_duration_and_three_ends() {
        let mut keys = Keys::default();
        assert!(keys.press(&[Key::new(5, 50, 60, 8), Key::new(6, 40, 40, 8)]));
        assert_eq!(
            sent(&mut keys, 12),
            [
                Some((1000, true, 5, false, 160)),
                Some((1000, false, 5, false, 320)),
                Some((1000, false, 5, true, 400)),
                Some((1000, false, 5, true, 400)),
                Some((1000, false, 5, true, 400)),
                // Held until 1400, silent until 1880.
                None,
                Some((1960, true, 6, false, 160)),
                Some((1960, false, 6, true, 320)),
                Some((1960, false, 6, true, 320)),
                Some((1960, false, 6, true, 320)),
                None,
                None,
            ]
        );
        assert!(keys.is_idle());
    }

    #[test]
    fn a_long_tone_goes_on_in_a_second_segment_without_marker() {
        let mut keys = Keys::default();
        keys.press(&[Key::new(1, 10_000, 40, 8)]);
        let packets: Vec<_> = sent(&mut keys, 510).into_iter().flatten().collect();
        assert!(packets.iter().skip(1).all(|packet| !packet.1), "one marker only");
        assert!(packets.contains(&(1000, false, 1, false, 65_535)));
        let tail = &packets[packets.len() - 3..];
        assert!(tail.iter().all(|packet| *packet == (1000 + 65_535, false, 1, true, 14_465)));
        assert!(packets.windows(2).all(|pair| pair[0].0 <= pair[1].0), "timestamps never step back");
    }

    #[test]
    fn durations_may_count_a_slower_clock_than_timestamps() {
        let mut keys = Keys::default();
        keys.set_scale(6);
        keys.press(&[Key::new(5, 50, 60, 48)]);
        let durations: Vec<_> = (0..3)
            .filter_map(|frame| keys.next(frame * 960, 960))
            .map(|packet| (packet.timestamp, packet.event.duration))
            .collect();
        assert_eq!(durations, [(0, 160), (0, 320), (0, 400)]);
    }

    #[test]
    fn more_keys_than_can_wait_are_refused_as_a_whole() {
        let mut keys = Keys::default();
        assert!(keys.press(&[Key::new(1, 100, 50, 8); MAX_KEYS]));
        assert!(!keys.press(&[Key::new(1, 100, 50, 8)]));
    }
}
