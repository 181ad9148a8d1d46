//! A member's side of a room: its voice on the way in, and its own mix where that is not everybody's.

use super::BLOCKS;
use crate::codec::Codec;
use crate::detect::voice::{Voice, VoiceConfig};
use crate::playout::Playout;
use base::Now;

/// What is quieter than this, in dB below full scale, is not mixed; a voice is heard so many blocks beyond its end.
const GATE_DB: f32 = 62.0;
const GATE_BLOCKS: u8 = 30;

/// A place in a room.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The room's place on its shard.
    pub index: usize,
    /// It hears nothing.
    pub deaf: bool,
    rate: u32,
    playout: Option<Box<Playout>>,
    /// What was said in the block that is being mixed.
    voice: Box<[i16]>,
    open: u8,
    activity: Voice,
    /// Mixes of its own, block after block, and a bit for each of those that there are.
    own: Box<[i16]>,
    has_own: u32,
}

impl Seat {
    pub(crate) fn new(index: usize, rate: u32, deaf: bool) -> Self {
        let frame = rate as usize / 100;
        Self {
            index,
            deaf,
            rate,
            playout: None,
            voice: vec![0; frame].into(),
            open: 0,
            activity: Voice::new(VoiceConfig::default()),
            own: vec![0; frame * BLOCKS as usize].into(),
            has_own: 0,
        }
    }

    /// A packet of the member's.
    pub(crate) fn hear(&mut self, codec: Codec, timestamp: u32, leaps: bool, payload: &[u8], now: Now) {
        let playout = self.playout.get_or_insert_with(|| Box::new(Playout::adaptive(codec, self.rate)));
        playout.push(codec, timestamp, leaps, payload, now);
    }

    /// Its comfort noise.
    pub(crate) fn hear_noise(&mut self, level: u8) {
        if let Some(playout) = &mut self.playout {
            playout.push_noise(level);
        }
    }

    /// Listens to the next block; whether anything is to be mixed.
    pub(crate) fn listen(&mut self, now: Now) -> bool {
        let Some(playout) = &mut self.playout else { return false };
        playout.rest(self.open == 0);
        playout.pull(&mut self.voice, now);
        self.activity.push(&self.voice);
        self.open = if self.activity.level_db() < GATE_DB { GATE_BLOCKS } else { self.open.saturating_sub(1) };
        self.open > 0
    }

    /// What it said in this block.
    pub(crate) fn voice(&self) -> &[i16] {
        &self.voice
    }

    /// Its level in dB below full scale, while it speaks.
    pub(crate) fn speaks_at(&self) -> Option<f32> {
        self.activity.is_speaking().then(|| self.activity.level_db())
    }

    /// It hears what everybody hears in that block.
    pub(crate) fn share(&mut self, block: u64) {
        self.has_own &= !(1 << (block % BLOCKS));
    }

    /// Its own mix of that block is `total` less its own voice where that is in it.
    pub(crate) fn mix(&mut self, block: u64, total: &[i32], with_voice: bool) {
        self.has_own |= 1 << (block % BLOCKS);
        let Self { own, voice, .. } = self;
        let start = (block % BLOCKS) as usize * voice.len();
        let own = own.iter_mut().skip(start).zip(total).zip(voice.iter());
        for ((own, &total), &voice) in own {
            let less = if with_voice { i32::from(voice) } else { 0 };
            *own = (total - less).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        }
    }

    /// Somebody whispers in its own mix of that block.
    pub(crate) fn whisper(&mut self, block: u64, voice: &[i16]) {
        let start = (block % BLOCKS) as usize * self.voice.len();
        for (own, &voice) in self.own.iter_mut().skip(start).zip(voice) {
            *own = own.saturating_add(voice);
        }
    }

    /// Whether any of `count` blocks from `from` on is its own.
    pub(crate) fn has_own(&self, from: u64, count: u64) -> bool {
        (from..from + count).any(|block| self.has_own >> (block % BLOCKS) & 1 == 1)
    }

    /// Its own mix of a block, where it has one.
    pub(crate) fn own(&self, block: u64) -> Option<&[i16]> {
        let (at, frame) = ((block % BLOCKS) as usize, self.voice.len());
        (self.has_own >> at & 1 == 1).then(|| self.own.get(at * frame..(at + 1) * frame)).flatten()
    }
}
