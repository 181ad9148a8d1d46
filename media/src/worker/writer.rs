//! The recordings' files: one thread that writes what all shards hand it, so that no disk holds up a packet.
//!
//! A file's header is made true after every block, so that a reader plays it to within a block of its end whatever
//! happens to us. A file that cannot be written costs its recording, and the shards are told.

use super::inbox::{Inbox, Message};
use crate::event::Event;
use crate::record::{Block, RecordEnd, RecordId, RecordOutput};
use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

/// Orders that may wait for the disk. Beyond it they wait at their shards, in blocks that are counted there.
pub const WRITER_QUEUE: usize = 1_024;

/// Octets of the header: RIFF, `fmt ` and the head of `data`.
const HEADER: u64 = 44;

/// What the thread is told, and by which shard.
pub(super) enum Order {
    Record(usize, RecordOutput),
    /// Said when what came before it is on disk.
    Tell(Box<Event>),
    /// Nothing comes any more.
    Stop,
}

/// One file that is open.
struct Wav {
    file: File,
    octets: u64,
    channels: u16,
    rate: u32,
}

impl Wav {
    fn create(path: &Path, rate: u32, channels: u16) -> io::Result<Self> {
        let wav = Self { file: File::create(path)?, octets: 0, channels, rate };
        wav.write_header()?;
        Ok(wav)
    }

    /// A WAV file of 16-bit PCM; 4 GB are more than the longest recording.
    fn write_header(&self) -> io::Result<()> {
        let frame = u32::from(self.channels) * 2;
        let data = self.octets as u32;
        let mut header = [0; HEADER as usize];
        let fields: [&[u8]; 13] = [
            b"RIFF",
            &data.saturating_add(HEADER as u32 - 8).to_le_bytes(),
            b"WAVE",
            b"fmt ",
            &16u32.to_le_bytes(),
            &1u16.to_le_bytes(),
            &self.channels.to_le_bytes(),
            &self.rate.to_le_bytes(),
            &(self.rate * frame).to_le_bytes(),
            &(frame as u16).to_le_bytes(),
            &16u16.to_le_bytes(),
            b"data",
            &data.to_le_bytes(),
        ];
        for (to, from) in header.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        self.file.write_all_at(&header, 0)
    }

    fn write(&mut self, samples: &[i16], buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        buffer.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        self.file.write_all_at(buffer, HEADER + self.octets)?;
        self.octets += buffer.len() as u64;
        self.write_header()
    }

    fn close(mut self, trim: u64) -> io::Result<()> {
        self.octets -= (trim * u64::from(self.channels) * 2).min(self.octets);
        self.file.set_len(HEADER + self.octets)?;
        self.write_header()
    }
}

/// The thread and the way to it.
#[derive(Debug)]
pub(super) struct Writer {
    orders: mpsc::SyncSender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(inboxes: Arc<[Inbox]>, sink: impl Fn(Event) + Send + 'static) -> io::Result<Self> {
        let (orders, receiver) = mpsc::sync_channel(WRITER_QUEUE);
        let files = Files { open: HashMap::new(), failed: HashMap::new(), inboxes, buffer: Vec::new() };
        let builder = std::thread::Builder::new().name("media-files".into());
        let thread = builder.spawn(move || files.run(&receiver, sink))?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// A shard's way to it.
    pub(super) fn orders(&self) -> mpsc::SyncSender<Order> {
        self.orders.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Where it is gone already it needs no word.
        let _ = self.orders.send(Order::Stop);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes recordings ended in a panic");
        }
    }
}

struct Files {
    open: HashMap<RecordId, (crate::EndpointId, Wav)>,
    /// Recordings that could not be written, until their end is told.
    failed: HashMap<RecordId, String>,
    inboxes: Arc<[Inbox]>,
    buffer: Vec<u8>,
}

impl Files {
    fn run(mut self, orders: &mpsc::Receiver<Order>, sink: impl Fn(Event)) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Record(shard, output) => self.obey(shard, output),
                Order::Tell(event) => sink(self.true_end(*event)),
                Order::Stop => break,
            }
        }
        // Whatever is open ends where it stands: its header is true already.
    }

    fn obey(&mut self, shard: usize, output: RecordOutput) {
        match output {
            RecordOutput::Open { id, record, file, rate, channels } => match Wav::create(&file, rate, channels) {
                Ok(wav) => {
                    self.open.insert(record, (id, wav));
                }
                Err(error) => self.fail(id, record, &format!("{}: {error}", file.display())),
            },
            RecordOutput::Samples { record, block } => {
                if let Some((id, wav)) = self.open.get_mut(&record) {
                    let (id, result) = (*id, wav.write(block.samples(), &mut self.buffer));
                    if let Err(error) = result {
                        self.fail(id, record, &error.to_string());
                    }
                }
                self.give_back(shard, block);
            }
            RecordOutput::Close { record, trim } => {
                if let Some((_, wav)) = self.open.remove(&record)
                    && let Err(error) = wav.close(trim)
                {
                    self.failed.insert(record, error.to_string());
                }
            }
        }
    }

    fn give_back(&self, shard: usize, block: Block) {
        if let Some(inbox) = self.inboxes.get(shard) {
            // A shard that has stopped needs none.
            let _ = inbox.push(Message::Recycle(block));
        }
    }

    /// The recording ends; its endpoint may have moved, so that every shard is told.
    fn fail(&mut self, id: crate::EndpointId, record: RecordId, error: &str) {
        tracing::warn!(record = record.0, error, "a recording cannot be written");
        self.open.remove(&record);
        self.failed.insert(record, error.into());
        for inbox in self.inboxes.iter() {
            let _ = inbox.push(Message::RecordFailed { id, record, error: error.into() });
        }
    }

    /// A recording that ended otherwise before its shard heard of the disk has ended by the disk all the same.
    fn true_end(&mut self, event: Event) -> Event {
        let Event::RecordEnded { id, record, duration_ms, octets, reason } = event else { return event };
        let reason = self.failed.remove(&record).map_or(reason, RecordEnd::Disk);
        Event::RecordEnded { id, record, duration_ms, octets, reason }
    }
}
