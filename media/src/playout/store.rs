//! The packets that wait for their time, in its order. Their buffers are used again.

use crate::codec::Codec;

/// Packets that may wait: two thirds of a second of the shortest. Beyond it the oldest goes.
pub(super) const MAX_PACKETS: usize = 64;

/// Octets a buffer is made for: 60 ms of G.711. A larger packet makes its buffer grow, once.
const USUAL: usize = 480;

/// One packet; places and lengths in samples.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub codec: Codec,
    pub start: i64,
    pub samples: i64,
    pub payload: Vec<u8>,
}

/// All of them, the next to be played last.
#[derive(Clone, Debug)]
pub(super) struct Packets {
    waiting: Vec<Stored>,
    spare: Vec<Vec<u8>>,
}

impl Default for Packets {
    fn default() -> Self {
        Self { waiting: Vec::with_capacity(MAX_PACKETS + 1), spare: Vec::with_capacity(MAX_PACKETS + 1) }
    }
}

impl Packets {
    /// Puts one in its place, unless it is there.
    pub(super) fn insert(&mut self, codec: Codec, start: i64, samples: i64, payload: &[u8]) {
        // The newest mostly goes first: the search begins there.
        let place = self.waiting.iter().position(|waiting| waiting.start <= start).unwrap_or(self.waiting.len());
        if self.waiting.get(place).is_some_and(|waiting| waiting.start == start) {
            return;
        }
        let mut buffer = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(USUAL));
        buffer.clear();
        buffer.extend_from_slice(payload);
        self.waiting.insert(place, Stored { codec, start, samples, payload: buffer });
        if self.waiting.len() > MAX_PACKETS
            && let Some(oldest) = self.waiting.pop()
        {
            self.give_back(oldest);
        }
    }

    /// The next one, if it begins by `end`.
    pub(super) fn take_until(&mut self, end: i64) -> Option<Stored> {
        if self.waiting.last()?.start <= end { self.waiting.pop() } else { None }
    }

    /// Its buffer may be used again.
    pub(super) fn give_back(&mut self, packet: Stored) {
        if self.spare.len() <= MAX_PACKETS {
            self.spare.push(packet.payload);
        }
    }

    pub(super) fn first(&self) -> Option<&Stored> {
        self.waiting.last()
    }

    /// Samples that follow `from` without a hole.
    pub(super) fn contiguous(&self, from: i64) -> i64 {
        let mut end = from;
        for packet in self.waiting.iter().rev() {
            if packet.start > end {
                break;
            }
            end = end.max(packet.start + packet.samples);
        }
        end - from
    }
}
