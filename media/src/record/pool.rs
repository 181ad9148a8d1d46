//! A shard's blocks of recorded samples: the queue to the rim, and the blocks that have come back from it.

use super::{RecordEnd, RecordId, RecordOptions};
use crate::command::EndpointId;
use crate::event::Event;
use std::{collections::VecDeque, path::Path, sync::Arc};

/// Samples a block holds, of all channels: half a second of two channels at 8 kHz.
pub const BLOCK_SAMPLES: usize = 8_192;

/// Blocks a shard has in all, 64 MB. Where each of them waits to be written, recordings end as [`RecordEnd::Slow`].
pub const MAX_BLOCKS: usize = 4_096;

/// Some recorded samples, the channels interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    samples: Box<[i16]>,
    length: usize,
}

impl Block {
    /// The samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        self.samples.get(..self.length).unwrap_or_default()
    }

    /// Adds as many as there is room for; returns what is left.
    pub(super) fn push<'a>(&mut self, samples: &'a [i16]) -> &'a [i16] {
        let taken = samples.len().min(BLOCK_SAMPLES - self.length);
        let (now, later) = samples.split_at(taken);
        if let Some(to) = self.samples.get_mut(self.length..self.length + taken) {
            to.copy_from_slice(now);
        }
        self.length += taken;
        later
    }
}

/// What the rim does with its files, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordOutput {
    /// A recording begins: a WAV file of 16 bits.
    Open {
        /// The endpoint it was asked for.
        id: EndpointId,
        /// Its name.
        record: RecordId,
        /// Where.
        file: Arc<Path>,
        /// Samples a second.
        rate: u32,
        /// Channels.
        channels: u16,
    },
    /// More of it. The block goes back by `Shard::recycle` when it is written.
    Samples {
        /// Which.
        record: RecordId,
        /// The samples.
        block: Block,
    },
    /// It is over.
    Close {
        /// Which.
        record: RecordId,
        /// Samples of each channel that the file has at its end and shall not keep.
        trim: u64,
    },
}

/// The blocks and the queue of one shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    queue: VecDeque<RecordOutput>,
    spare: Vec<Block>,
    made: usize,
}

impl Records {
    pub(super) fn open(&mut self, id: EndpointId, record: RecordId, options: &RecordOptions) {
        let (file, rate, channels) = (options.file.clone(), options.rate, options.channels());
        self.queue.push_back(RecordOutput::Open { id, record, file, rate, channels });
    }

    /// An empty block; `None`: all are out.
    pub(super) fn take(&mut self) -> Option<Block> {
        if let Some(block) = self.spare.pop() {
            return Some(block);
        }
        if self.made >= MAX_BLOCKS {
            return None;
        }
        self.made += 1;
        Some(Block { samples: vec![0; BLOCK_SAMPLES].into(), length: 0 })
    }

    pub(super) fn write(&mut self, record: RecordId, block: Block) {
        self.queue.push_back(RecordOutput::Samples { record, block });
    }

    pub(super) fn close(&mut self, record: RecordId, trim: u64) {
        self.queue.push_back(RecordOutput::Close { record, trim });
    }

    pub(crate) fn poll(&mut self) -> Option<RecordOutput> {
        self.queue.pop_front()
    }

    pub(crate) fn recycle(&mut self, mut block: Block) {
        block.length = 0;
        if self.spare.len() < MAX_BLOCKS {
            self.spare.push(block);
        }
    }
}

/// The event of a recording's end.
pub(super) fn ended(id: EndpointId, record: RecordId, duration_ms: u64, octets: u64, reason: RecordEnd) -> Event {
    Event::RecordEnded { id, record, duration_ms, octets, reason }
}
