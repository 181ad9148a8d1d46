//! The recordings of a shard: commands for them, and what the rim is to write.

use super::Shard;
use crate::command::EndpointId;
use crate::io::PacketIo;
use crate::record::{Block, RecordEnd, RecordId, RecordOptions, RecordOutput, RecordSource};
use base::Now;

impl Shard {
    pub(super) fn record(
        &mut self,
        id: EndpointId,
        record: RecordId,
        options: RecordOptions,
        now: Now,
        io: &mut dyn PacketIo,
    ) {
        if options.source == RecordSource::Room {
            return self.record_room(id, record, options);
        }
        self.with(id, now, io, |endpoint, ctx| endpoint.record(record, options, ctx));
    }

    pub(super) fn stop_record(&mut self, id: EndpointId, record: RecordId, now: Now, io: &mut dyn PacketIo) {
        self.stop_room_record(record, RecordEnd::Stopped);
        self.with(id, now, io, |endpoint, ctx| endpoint.stop_record(record, ctx));
    }

    pub(super) fn pause_record(
        &mut self,
        id: EndpointId,
        record: RecordId,
        paused: bool,
        now: Now,
        io: &mut dyn PacketIo,
    ) {
        self.pause_room_record(record, paused);
        self.with(id, now, io, |endpoint, ctx| endpoint.pause_record(record, paused, ctx));
    }

    /// What the rim is to write next, in order. Call it until `None` after every other call.
    pub fn poll_record(&mut self) -> Option<RecordOutput> {
        self.records.poll()
    }

    /// A block that was written comes back.
    pub fn recycle(&mut self, block: Block) {
        self.records.recycle(block);
    }

    /// A recording could not be written: it ends as `RecordEnd::Disk`. One that is not here has ended.
    pub fn fail_record(&mut self, id: EndpointId, record: RecordId, error: String, now: Now, io: &mut dyn PacketIo) {
        self.stop_room_record(record, RecordEnd::Disk(error.clone()));
        if self.by_id.contains_key(&id) {
            self.with(id, now, io, |endpoint, ctx| endpoint.fail_record(record, error, ctx));
        }
    }
}
