//! An endpoint's recordings: what it hears and sends goes to each that runs, and a key may end one.

use super::{Context, Endpoint, Stream};
use crate::event::Event;
use crate::player::Player;
use crate::record::{LegRecorder, MAX_RECORDINGS, RecordEnd, RecordId, RecordOptions, Tape};
use crate::tone::tone;
use rtp_rs::RtpReader;
use std::sync::Arc;

/// The beep before a recording, and how long after its command the recording begins, in milliseconds.
const BEEP: &str = "1000/250";
const BEEP_MS: u64 = 300;

impl Endpoint {
    pub(crate) fn record(&mut self, record: RecordId, options: RecordOptions, ctx: &mut Context<'_>) {
        let recorders = &mut self.audio.get_or_insert_default().recorders;
        let error = if recorders.len() >= MAX_RECORDINGS {
            format!("recording {} cannot begin: {MAX_RECORDINGS} run on this endpoint", record.0)
        } else if recorders.iter().any(|recorder| recorder.tape.record == record) {
            format!("recording {} runs already", record.0)
        } else if !matches!(options.rate, 8_000 | 16_000 | 48_000) {
            format!("a recording at {} samples a second cannot be made; 8000, 16000 and 48000 can", options.rate)
        } else {
            let beep = options.beep;
            let begins = ctx.ms() + if beep { BEEP_MS } else { 0 };
            recorders.push(LegRecorder::new(Tape::new(self.id, record, options, ctx.records), begins));
            if beep {
                self.beep(ctx);
            }
            return;
        };
        ctx.events.push(Event::Failed { id: self.id, error });
    }

    fn beep(&mut self, ctx: &mut Context<'_>) {
        self.take_floor(ctx);
        self.end_play(false, ctx);
        self.player = tone(BEEP).ok().map(|beep| Player::new(None, Arc::new(beep), 1));
    }

    pub(crate) fn stop_record(&mut self, record: RecordId, ctx: &mut Context<'_>) {
        self.end_records(RecordEnd::Stopped, ctx, |recorder| recorder.tape.record == record);
    }

    /// The rim could not write it.
    pub(crate) fn fail_record(&mut self, record: RecordId, error: String, ctx: &mut Context<'_>) {
        self.end_records(RecordEnd::Disk(error), ctx, |recorder| recorder.tape.record == record);
    }

    pub(crate) fn pause_record(&mut self, record: RecordId, paused: bool, ctx: &mut Context<'_>) {
        let Some(audio) = &mut self.audio else { return };
        let Some(at) = audio.recorders.iter().position(|recorder| recorder.tape.record == record) else { return };
        let Some(recorder) = audio.recorders.get_mut(at) else { return };
        if !paused {
            recorder.resume(ctx.now);
        } else if let Some(reason) = recorder.pause(ctx.now, ctx.records) {
            self.end_records(reason, ctx, |recorder| recorder.tape.record == record);
        }
    }

    fn end_records(&mut self, reason: RecordEnd, ctx: &mut Context<'_>, which: impl Fn(&LegRecorder) -> bool) {
        let Some(audio) = &mut self.audio else { return };
        while let Some(at) = audio.recorders.iter().position(&which) {
            let ended = audio.recorders.remove(at).end(reason.clone(), ctx.now, ctx.records);
            ctx.events.push(ended);
        }
    }

    /// The endpoint goes.
    pub(super) fn close_records(&mut self, ctx: &mut Context<'_>) {
        self.end_records(RecordEnd::Closed, ctx, |_| true);
    }

    /// Blocks that are begun stay with this shard's rim.
    pub(crate) fn flush_records(&mut self, records: &mut crate::record::Records) {
        let recorders = self.audio.iter_mut().flat_map(|audio| audio.recorders.iter_mut());
        recorders.for_each(|recorder| recorder.tape.flush(records));
    }

    /// A key was heard that may end a recording.
    #[cold]
    #[inline(never)]
    pub(super) fn key_to_records(&mut self, key: char, ctx: &mut Context<'_>) {
        if self.audio.is_some() {
            self.end_records(RecordEnd::Key(key), ctx, |recorder| recorder.tape.options.finish.contains(key));
        }
    }

    /// What the far end said goes on tape.
    pub(super) fn hear_for_records(&mut self, stream: &Stream, rtp: &RtpReader<'_>, leaps: bool, ctx: &Context<'_>) {
        let recorders = self.audio.iter_mut().flat_map(|audio| audio.recorders.iter_mut());
        for recorder in recorders {
            recorder.hear(stream.config.codec, rtp.timestamp(), leaps, rtp.payload(), ctx.now);
        }
    }

    /// The packet in the scratch buffer is about to leave: where it is audio, it goes on tape.
    #[cold]
    #[inline(never)]
    pub(super) fn send_for_records(&mut self, stream: &Stream, length: usize, ctx: &Context<'_>) {
        let Some(audio) = self.audio.as_mut().filter(|audio| !audio.recorders.is_empty()) else { return };
        let Some(rtp) = ctx.scratch.get(..length).and_then(|packet| RtpReader::new(packet).ok()) else { return };
        if rtp.payload_type() == stream.config.payload_type_out {
            for recorder in &mut audio.recorders {
                recorder.send(stream.config.codec, rtp.timestamp(), rtp.payload(), ctx.now);
            }
        }
    }

    /// Puts on tape what is complete.
    #[cold]
    #[inline(never)]
    pub(super) fn run_records(&mut self, ctx: &mut Context<'_>) {
        let Some(audio) = &mut self.audio else { return };
        let mut at = 0;
        while let Some(recorder) = audio.recorders.get_mut(at) {
            let due = recorder.wake().is_some_and(|wake| wake <= ctx.ms());
            match if due { recorder.run(ctx.now, ctx.records) } else { None } {
                Some(reason) => {
                    let ended = audio.recorders.remove(at).end(reason, ctx.now, ctx.records);
                    ctx.events.push(ended);
                }
                None => at += 1,
            }
        }
    }

    pub(super) fn record_wake(&self) -> Option<u64> {
        self.audio.as_ref()?.recorders.iter().filter_map(LegRecorder::wake).min()
    }
}
