//! A tape: ten milliseconds after another into blocks, until one of its limits is reached.

use super::pool::{Block, Records, ended};
use super::{MAX_RECORD_MS, RecordEnd, RecordId, RecordOptions};
use crate::command::EndpointId;
use crate::detect::voice::{Voice, VoiceConfig};
use crate::event::Event;

/// Milliseconds on a block before it goes to the rim, full or not: what a crash may cost.
const BLOCK_MS: u64 = 500;

/// Octets of a WAV file before its samples.
const HEADER: u64 = 44;

/// One recording.
#[derive(Debug)]
pub(crate) struct Tape {
    pub id: EndpointId,
    pub record: RecordId,
    pub options: RecordOptions,
    /// A room's tape is not written on meanwhile; a leg's recorder rests by itself.
    pub paused: bool,
    block: Option<Block>,
    block_ms: u64,
    /// Milliseconds recorded.
    written_ms: u64,
    voice: Voice,
    silent_ms: u64,
}

impl Tape {
    pub(crate) fn new(id: EndpointId, record: RecordId, options: RecordOptions, records: &mut Records) -> Self {
        records.open(id, record, &options);
        let voice = Voice::new(VoiceConfig::default());
        Self { id, record, options, paused: false, block: None, block_ms: 0, written_ms: 0, voice, silent_ms: 0 }
    }

    /// Samples of one channel in ten milliseconds.
    pub(crate) fn frame(&self) -> usize {
        self.options.rate as usize / 100
    }

    /// Takes ten milliseconds, channels interleaved, and what the far end said in them. Says why it is over, if it is.
    pub(crate) fn write(&mut self, samples: &[i16], said: &[i16], records: &mut Records) -> Option<RecordEnd> {
        let mut left = samples;
        while !left.is_empty() {
            let Some(block) = self.block.as_mut() else {
                self.block = records.take();
                if self.block.is_none() {
                    return Some(RecordEnd::Slow);
                }
                continue;
            };
            left = block.push(left);
            if !left.is_empty() {
                self.flush(records);
            }
        }
        self.block_ms += 10;
        self.written_ms += 10;
        if self.block_ms >= BLOCK_MS {
            self.flush(records);
        }
        self.limit(said)
    }

    fn limit(&mut self, said: &[i16]) -> Option<RecordEnd> {
        self.voice.push(said);
        let quiet = !self.voice.is_speaking();
        self.silent_ms = if quiet { self.silent_ms + 10 } else { 0 };
        if self.options.silence_ms.is_some_and(|limit| self.silent_ms >= u64::from(limit.max(10))) {
            return Some(RecordEnd::Silence);
        }
        let limit = self.options.max_ms.unwrap_or(MAX_RECORD_MS).min(MAX_RECORD_MS);
        (self.written_ms >= limit).then_some(RecordEnd::MaxLength)
    }

    /// What is on the block goes to the rim.
    pub(crate) fn flush(&mut self, records: &mut Records) {
        self.block_ms = 0;
        if let Some(block) = self.block.take() {
            records.write(self.record, block);
        }
    }

    /// The end, and the event that says so.
    pub(crate) fn end(mut self, reason: RecordEnd, records: &mut Records) -> Event {
        self.flush(records);
        let trim_ms = match reason {
            RecordEnd::Silence if self.options.trim => self.silent_ms.min(self.written_ms),
            _ => 0,
        };
        let per_ms = u64::from(self.options.rate) / 1_000;
        records.close(self.record, trim_ms * per_ms);
        let duration_ms = self.written_ms - trim_ms;
        let octets = HEADER + duration_ms * per_ms * 2 * u64::from(self.options.channels());
        ended(self.id, self.record, duration_ms, octets, reason)
    }
}
