//! The mix that all silent members of a room share, block by block, and its packets, encoded once.

use super::{BLOCK_MS, BLOCKS};
use crate::codec::{Codec, Encoder, opus};

/// Kinds of packets a room makes: four codecs of at most six packet times.
const MAX_KINDS: usize = 24;

/// Samples of the longest packet.
const MAX_PCM: usize = 2_880;

/// The common mix.
#[derive(Debug)]
pub(crate) struct Mix {
    rate: u32,
    origin_ms: u64,
    /// The block that is mixed next.
    block: u64,
    total: Box<[i32]>,
    ring: Box<[i16]>,
    kinds: Vec<Kind>,
    samples: Box<[i16]>,
}

/// Packets of one codec and packet time.
#[derive(Debug)]
struct Kind {
    encoder: Encoder,
    ms: u16,
    /// The packet that was made last: which, and its octets.
    number: u64,
    payload: Box<[u8]>,
    length: usize,
}

impl Mix {
    pub(super) fn new(rate: u32, now_ms: u64) -> Self {
        let frame = rate as usize / 100;
        Self {
            rate,
            origin_ms: now_ms,
            block: 0,
            total: vec![0; frame].into(),
            ring: vec![0; frame * BLOCKS as usize].into(),
            kinds: Vec::with_capacity(MAX_KINDS),
            samples: vec![0; MAX_PCM].into(),
        }
    }

    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// When the next block is due: when its time is over.
    pub(crate) fn due(&self) -> u64 {
        self.origin_ms + (self.block + 1) * BLOCK_MS
    }

    /// The block that is being mixed.
    pub(crate) fn block(&self) -> u64 {
        self.block
    }

    /// A shard that was held up for longer than is remembered goes on with now.
    pub(crate) fn skip_to(&mut self, now_ms: u64) {
        let behind = now_ms.saturating_sub(self.due()) / BLOCK_MS;
        if behind > BLOCKS {
            self.block += behind;
        }
    }

    /// The sum of the block that is being mixed.
    pub(crate) fn total(&mut self) -> &mut [i32] {
        &mut self.total
    }

    pub(crate) fn clear(&mut self) {
        self.total.fill(0);
    }

    pub(crate) fn add(&mut self, voice: &[i16]) {
        self.total.iter_mut().zip(voice).for_each(|(total, &sample)| *total += i32::from(sample));
    }

    /// The sum is everybody's mix of this block, which is over.
    pub(crate) fn finish(&mut self) {
        let frame = self.total.len();
        let start = (self.block % BLOCKS) as usize * frame;
        for (to, &total) in self.ring.iter_mut().skip(start).zip(self.total.iter()) {
            *to = total.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        }
        self.block += 1;
    }

    /// Everybody's mix of a block that is remembered.
    pub(crate) fn common(&self, block: u64) -> &[i16] {
        let (at, frame) = ((block % BLOCKS) as usize, self.total.len());
        self.ring.get(at * frame..(at + 1) * frame).unwrap_or_default()
    }

    /// The number of the packet of `ms` that is due at `due_ms`: the last that is complete by then. `None`: there is none,
    /// or it is forgotten.
    pub(crate) fn number(&self, ms: u16, due_ms: u64) -> Option<u64> {
        let blocks = u64::from(ms) / BLOCK_MS;
        let complete = due_ms.saturating_sub(self.origin_ms) / u64::from(ms);
        let number = complete.checked_sub(1)?;
        let (first, end) = (number * blocks, (number + 1) * blocks);
        (end <= self.block && first + BLOCKS >= self.block).then_some(number)
    }

    /// That packet, encoded for all who want it. Empty where there is room for no more kinds.
    pub(crate) fn packet(&mut self, codec: Codec, ms: u16, number: u64) -> &[u8] {
        let known = self.kinds.iter().position(|kind| (kind.encoder.codec(), kind.ms) == (codec, ms));
        let index = match known {
            Some(index) => index,
            None if self.kinds.len() >= MAX_KINDS => return &[],
            None => {
                let (encoder, payload) = (Encoder::new(codec, self.rate), vec![0; opus::MAX_PACKET].into());
                self.kinds.push(Kind { encoder, ms, number: u64::MAX, payload, length: 0 });
                self.kinds.len() - 1
            }
        };
        let (blocks, frame) = (u64::from(ms) / BLOCK_MS, self.total.len());
        let Self { kinds, ring, samples, .. } = self;
        let Some(kind) = kinds.get_mut(index) else { return &[] };
        if kind.number != number {
            let length = gather(samples, frame, number * blocks, blocks, |block| {
                let at = (block % BLOCKS) as usize;
                ring.get(at * frame..(at + 1) * frame).unwrap_or_default()
            });
            kind.length = kind.encoder.encode(samples.get(..length).unwrap_or_default(), &mut kind.payload);
            kind.number = number;
        }
        kind.payload.get(..kind.length).unwrap_or_default()
    }
}

/// Blocks side by side; returns how many samples they are.
pub(crate) fn gather<'a>(
    samples: &mut [i16],
    frame: usize,
    first: u64,
    count: u64,
    block: impl Fn(u64) -> &'a [i16],
) -> usize {
    for (to, number) in samples.chunks_exact_mut(frame).zip(first..first + count) {
        let from = block(number);
        if from.len() == to.len() {
            to.copy_from_slice(from);
        }
    }
    (frame * count as usize).min(samples.len())
}
