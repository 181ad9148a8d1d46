//! Hearing keys: one stream of digits from RFC 4733 packets that come late, twice, or not at all.
//!
//! A key is its timestamp: whatever else the packets repeat, one timestamp is one key (§2.5.1.2). It is reported once,
//! when its end comes, when the next key starts, or [`LOST_END`] after its last packet. Marker bits are not needed.

use crate::telephone_event::{TelephoneEvent, key_of};
use base::{millis, secs};

/// A key whose packets stop without an end is over after this: three updates of the slowest senders (50 ms), and some.
pub const LOST_END: u64 = millis(200);

/// Keys a second that are believed; a flood beyond is dropped and counted. A person manages ten, a modem twenty.
pub const MAX_DIGITS_PER_SECOND: u32 = 100;

/// Timestamps of reported keys that are remembered against late copies.
const REMEMBERED: usize = 16;

/// How far behind the newest key, in milliseconds, a packet is a late copy. Further back it is a new timeline.
const LATE_WINDOW_MS: i32 = 10_000;

/// A segment at least this long may be continued by another (RFC 4733 §2.5.1.3): senders cut at 65,535.
const LONG_SEGMENT: u32 = 0x8000;

/// A key and how long it was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub key: char,
    pub duration_ms: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    event: u8,
    /// Timestamp of the segment that is being reported.
    segment: u32,
    /// Ticks of the stream in the segments before it.
    before: u32,
    /// Ticks of this one so far.
    duration: u32,
    /// When a packet last came (monotonic nanoseconds).
    seen: u64,
}

/// The digits of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Digits {
    /// Ticks a millisecond of the timestamps, which are the audio's (RFC 4733 §2.1).
    per_ms: u32,
    /// Ticks of the stream in one of an event's durations.
    scale: u32,
    down: Option<Pressed>,
    /// Timestamps that were reported, oldest overwritten.
    said: [Option<u32>; REMEMBERED],
    said_next: usize,
    /// The timestamp of the key that started last.
    newest: Option<u32>,
    second: u64,
    in_second: u32,
    /// Keys beyond [`MAX_DIGITS_PER_SECOND`].
    pub flooded: u64,
}

impl Default for Digits {
    fn default() -> Self {
        Self {
            per_ms: 8,
            scale: 1,
            down: None,
            said: [None; REMEMBERED],
            said_next: 0,
            newest: None,
            second: 0,
            in_second: 0,
            flooded: 0,
        }
    }
}

impl Digits {
    /// The audio's clock is another, and so many ticks of it are one of an event's durations.
    pub(crate) fn set_clock(&mut self, per_ms: u64, scale: u64) {
        (self.per_ms, self.scale) = (per_ms as u32, scale.max(1) as u32);
    }

    /// Takes one packet. At most two keys become certain by it: the one that was down, and the one it ends itself.
    pub(crate) fn push(&mut self, timestamp: u32, event: TelephoneEvent, mono: u64) -> [Option<Heard>; 2] {
        if key_of(event.event).is_none() {
            return [None; 2];
        }
        self.continue_segment(timestamp, event);
        let duration = u32::from(event.duration) * self.scale;
        if let Some(down) = &mut self.down
            && down.segment == timestamp
        {
            if down.event == event.event {
                down.duration = down.duration.max(duration);
                down.seen = mono;
            }
            return [if event.end { self.release(mono) } else { None }, None];
        }
        if self.is_late(timestamp) {
            return [None; 2];
        }
        let before = self.release(mono);
        self.newest = Some(timestamp);
        self.down = Some(Pressed { event: event.event, segment: timestamp, before: 0, duration, seen: mono });
        [before, if event.end { self.release(mono) } else { None }]
    }

    /// A long tone's next segment belongs to the key that is down.
    fn continue_segment(&mut self, timestamp: u32, event: TelephoneEvent) {
        let Some(down) = &mut self.down else { return };
        let distance = timestamp.wrapping_sub(down.segment);
        let adjoins = distance == down.duration || distance == u32::from(u16::MAX) * self.scale;
        if down.event != event.event || down.duration < LONG_SEGMENT * self.scale || !adjoins {
            return;
        }
        let finished = down.segment;
        down.before = down.before.saturating_add(distance);
        (down.segment, down.duration) = (timestamp, 0);
        self.newest = Some(timestamp);
        self.remember(finished);
    }

    /// A copy of a key that was reported, or of one older than the newest.
    fn is_late(&self, timestamp: u32) -> bool {
        let window = LATE_WINDOW_MS * self.per_ms as i32;
        let behind = |newest: u32| (-window..=0).contains(&(timestamp.wrapping_sub(newest) as i32));
        self.said.contains(&Some(timestamp)) || self.newest.is_some_and(behind)
    }

    /// When the key that is down is given up, monotonic nanoseconds.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.down.map(|down| down.seen + LOST_END)
    }

    /// The key whose end got lost, once its time has come.
    pub(crate) fn expire(&mut self, mono: u64) -> Option<Heard> {
        if self.deadline()? > mono { None } else { self.release(mono) }
    }

    /// A new source has a timeline of its own: what is down ends, and what is older than the newest is not late. Copies
    /// are still copies: a sender that changes its SSRC while a key is down repeats that key's timestamp.
    pub(crate) fn restart(&mut self, mono: u64) -> Option<Heard> {
        self.newest = None;
        self.release(mono)
    }

    fn release(&mut self, mono: u64) -> Option<Heard> {
        let down = self.down.take()?;
        self.remember(down.segment);
        if mono / secs(1) != self.second {
            (self.second, self.in_second) = (mono / secs(1), 0);
        }
        self.in_second += 1;
        if self.in_second > MAX_DIGITS_PER_SECOND {
            self.flooded += 1;
            return None;
        }
        let samples = down.before.saturating_add(down.duration);
        Some(Heard { key: key_of(down.event)?, duration_ms: samples / self.per_ms.max(1) })
    }

    fn remember(&mut self, timestamp: u32) {
        if let Some(slot) = self.said.get_mut(self.said_next) {
            *slot = Some(timestamp);
        }
        self.said_next = (self.said_next + 1) % REMEMBERED;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ear {
        digits: Digits,
        mono: u64,
        heard: Vec<(char, u32)>,
    }

    impl Ear {
        fn new() -> Self {
            Self { digits: Digits::default(), mono: 0, heard: Vec::new() }
        }

        /// One packet, 20 ms after the last.
        fn hear(&mut self, timestamp: u32, event: u8, duration: u16, end: bool) {
            self.mono += millis(20);
            let heard = self.digits.push(timestamp, TelephoneEvent { event, end, duration }, self.mono);
            self.heard.extend(heard.into_iter().flatten().map(|heard| (heard.key, heard.duration_ms)));
        }

        fn wait(&mut self, ms: u64) {
            self.mono += millis(ms);
            self.heard.extend(self.digits.expire(self.mono).map(|heard| (heard.key, heard.duration_ms)));
        }
    }

    #[test]
    fn three_ends_and_their_copies_are_one_key() {
        let mut ear = Ear::new();
        for (duration, end) in [(160, false), (320, false), (480, true), (480, true), (480, true), (320, false)] {
            ear.hear(1000, 7, duration, end);
        }
        ear.wait(500);
        assert_eq!(ear.heard, [('7', 60)]);
    }

    #[test]
    fn the_same_key_twice_is_two_keys() {
        let mut ear = Ear::new();
        ear.hear(1000, 7, 480, true);
        ear.hear(2000, 7, 480, true);
        assert_eq!(ear.heard, [('7', 60), ('7', 60)]);
    }

    #[test]
    fn a_lost_end_is_ended_by_time_or_by_the_next_key() {
        let mut ear = Ear::new();
        ear.hear(1000, 1, 160, false);
        ear.wait(199);
        assert_eq!(ear.heard, []);
        ear.wait(1);
        assert_eq!(ear.heard, [('1', 20)]);
        ear.hear(1000, 1, 800, true);
        ear.hear(4000, 2, 160, false);
        ear.hear(6000, 3, 160, true);
        assert_eq!(ear.heard, [('1', 20), ('2', 20), ('3', 20)]);
    }

    #[test]
    fn an_end_that_comes_behind_the_next_keys_start_is_no_third_key() {
        let mut ear = Ear::new();
        ear.hear(1000, 1, 160, false);
        ear.hear(2000, 2, 160, false);
        ear.hear(1000, 1, 320, true);
        ear.hear(2000, 2, 320, true);
        assert_eq!(ear.heard, [('1', 20), ('2', 40)]);
    }

    #[test]
    fn a_ten_second_key_in_two_segments_is_one_key() {
        let mut ear = Ear::new();
        for update in 1..=409 {
            ear.hear(1000, 9, update * 160, false);
        }
        ear.hear(1000, 9, 65_535, false);
        for update in 1..=90 {
            ear.hear(66_535, 9, update * 160, false);
        }
        ear.hear(66_535, 9, 14_465, true);
        ear.hear(66_535, 9, 14_465, true);
        ear.wait(500);
        assert_eq!(ear.heard, [('9', 10_000)]);
    }

    #[test]
    fn a_timestamp_that_leaps_back_an_hour_is_a_new_timeline() {
        let mut ear = Ear::new();
        ear.hear(40_000_000, 1, 160, true);
        ear.hear(40_000_000 - 28_800_000, 2, 160, true);
        assert_eq!(ear.heard, [('1', 20), ('2', 20)]);
    }

    #[test]
    fn timestamps_wrap() {
        let mut ear = Ear::new();
        ear.hear(u32::MAX - 100, 1, 160, true);
        ear.hear(900, 2, 160, true);
        ear.hear(u32::MAX - 100, 1, 160, true);
        assert_eq!(ear.heard, [('1', 20), ('2', 20)]);
    }

    #[test]
    fn what_is_no_key_is_ignored_and_a_flood_is_bounded() {
        let mut ear = Ear::new();
        ear.hear(1, 36, 160, true);
        assert_eq!(ear.heard, []);
        for key in 1..=1000u32 {
            let event = TelephoneEvent { event: 5, end: true, duration: 80 };
            let heard = ear.digits.push(key * 200, event, 0);
            ear.heard.extend(heard.into_iter().flatten().map(|heard| (heard.key, heard.duration_ms)));
        }
        assert_eq!((ear.heard.len(), ear.digits.flooded), (100, 900));
    }
}
