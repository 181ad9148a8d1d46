//! The recording of a leg: two buffers of a fixed delay, one for each direction, read on one clock.

use super::{RecordEnd, RecordSource, Records, Tape};
use crate::codec::Codec;
use crate::event::Event;
use crate::playout::Playout;
use base::Now;

/// How long a packet may be on its way and still be on tape, in milliseconds beyond the quickest.
const DELAY_MS: u32 = 240;

/// Frames of ten milliseconds that are caught up with at a time. A shard that was held up longer goes on at its next
/// tick.
const FRAMES_A_TURN: usize = 64;

/// Milliseconds between two turns.
const TURN_MS: u64 = 20;

/// The longest frame: 10 ms of two channels at 48 kHz.
const MAX_FRAME: usize = 960;

/// One recording of a leg.
#[derive(Debug)]
pub(crate) struct LegRecorder {
    pub tape: Tape,
    received: Option<Box<Playout>>,
    sent: Option<Box<Playout>>,
    /// The time whose sound is next on tape, in milliseconds. `None`: paused.
    next: Option<u64>,
}

impl LegRecorder {
    /// It begins at `from_ms`.
    pub(crate) fn new(tape: Tape, from_ms: u64) -> Self {
        Self { tape, received: None, sent: None, next: Some(from_ms) }
    }

    /// When it is to be run, in milliseconds.
    pub(crate) fn wake(&self) -> Option<u64> {
        Some(self.next? + u64::from(DELAY_MS) + TURN_MS)
    }

    /// A packet of the far end's.
    pub(crate) fn hear(&mut self, codec: Codec, timestamp: u32, leaps: bool, payload: &[u8], now: Now) {
        let rate = self.tape.options.rate;
        track(&mut self.received, codec, rate).push(codec, timestamp, leaps, payload, now);
    }

    /// A packet of ours.
    pub(crate) fn send(&mut self, codec: Codec, timestamp: u32, payload: &[u8], now: Now) {
        if self.tape.options.source != RecordSource::Received {
            track(&mut self.sent, codec, self.tape.options.rate).push(codec, timestamp, false, payload, now);
        }
    }

    /// Puts on tape what is complete by now. Says why it is over, if it is.
    pub(crate) fn run(&mut self, now: Now, records: &mut Records) -> Option<RecordEnd> {
        self.advance((now.mono / 1_000_000).saturating_sub(u64::from(DELAY_MS)), FRAMES_A_TURN, now, records)
    }

    /// Puts everything up to now on tape, and rests.
    pub(crate) fn pause(&mut self, now: Now, records: &mut Records) -> Option<RecordEnd> {
        let over = self.advance(now.mono / 1_000_000, usize::MAX, now, records);
        self.next = None;
        self.tape.flush(records);
        over
    }

    /// Goes on with what is heard from now.
    pub(crate) fn resume(&mut self, now: Now) {
        self.next.get_or_insert(now.mono / 1_000_000);
    }

    /// The end, with everything up to now.
    pub(crate) fn end(mut self, reason: RecordEnd, now: Now, records: &mut Records) -> Event {
        let reason = match reason {
            RecordEnd::Stopped | RecordEnd::Closed | RecordEnd::Key(_) => {
                self.advance(now.mono / 1_000_000, usize::MAX, now, records).unwrap_or(reason)
            }
            other => other,
        };
        self.tape.end(reason, records)
    }

    fn advance(&mut self, until_ms: u64, most: usize, now: Now, records: &mut Records) -> Option<RecordEnd> {
        for _ in 0..most {
            let at = self.next.filter(|next| next + 10 <= until_ms)?;
            // What the quickest packet brought then is out of its buffer a delay later.
            let read = Now::new((at + u64::from(DELAY_MS)) * 1_000_000, now.wall);
            self.next = Some(at + 10);
            let over = self.write(read, records);
            if over.is_some() {
                return over;
            }
        }
        None
    }

    fn write(&mut self, read: Now, records: &mut Records) -> Option<RecordEnd> {
        let length = self.tape.frame();
        let (mut received, mut sent, mut frame) = ([0; MAX_FRAME / 2], [0; MAX_FRAME / 2], [0; MAX_FRAME]);
        let (Some(received), Some(sent)) = (received.get_mut(..length), sent.get_mut(..length)) else { return None };
        for (track, to) in [(&mut self.received, &mut *received), (&mut self.sent, &mut *sent)] {
            if let Some(track) = track {
                track.pull(to, read);
            }
        }
        let samples = match self.tape.options.source {
            RecordSource::Received | RecordSource::Room => &*received,
            RecordSource::Mixed => {
                for ((to, &said), &heard) in frame.iter_mut().zip(&*received).zip(&*sent) {
                    *to = said.saturating_add(heard);
                }
                frame.get(..length).unwrap_or_default()
            }
            RecordSource::Dual => {
                for ((to, &said), &heard) in frame.as_chunks_mut::<2>().0.iter_mut().zip(&*received).zip(&*sent) {
                    *to = [said, heard];
                }
                frame.get(..2 * length).unwrap_or_default()
            }
        };
        self.tape.write(samples, received, records)
    }
}

fn track(track: &mut Option<Box<Playout>>, codec: Codec, rate: u32) -> &mut Playout {
    track.get_or_insert_with(|| Box::new(Playout::fixed(codec, rate, DELAY_MS)))
}
