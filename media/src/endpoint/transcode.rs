//! A bridge whose two legs share no codec, or are G.711 of other packet times: the peer's stream is decoded, and made anew at
//! our own pace, as any audio of ours. Two laws of G.711 of one packet time stay with the relay and its table, and so does
//! a shared codec that would lose by it: a packet time is a wish (RFC 4566 §6, `ptime`), and G.722 and Opus keep theirs.
//!
//! Keys are pressed anew too, when each is over: two clocks have no common timestamp that a relayed event could keep.

use super::hush::{self, Hush};
use super::{Context, Endpoint, Kind, Passed, RELAY_PATIENCE_MS, Stream};
use crate::codec::Codec;
use crate::command::StreamConfig;
use crate::digits::{Digits, Heard};
use crate::keys::{Key, MIN_KEY_MS};
use crate::playout::Playout;
use crate::telephone_event::{TelephoneEvent, event_of};
use base::{Now, millis};

/// The peer's stream on its way to ours.
#[derive(Debug)]
pub(super) struct Transcoder {
    playout: Playout,
    digits: Digits,
    /// Who silences the keys in it.
    hush: Option<Hush>,
    /// When something came last, monotonic nanoseconds.
    heard: u64,
}

impl Transcoder {
    fn new(passed: &Passed<'_>, to: Codec) -> Self {
        let from = passed.codec;
        let rate = from.sample_rate().min(to.sample_rate());
        let mut digits = Digits::default();
        digits.set_clock(from.per_ms(), passed.event_scale);
        Self { playout: Playout::adaptive(from, rate), digits, hush: None, heard: 0 }
    }

    /// Whether the peer is heard.
    pub(super) fn flows(&self, now: Now) -> bool {
        !self.playout.is_empty() && now.mono < self.heard + millis(RELAY_PATIENCE_MS)
    }

    /// Samples a second on their way.
    pub(super) fn rate(&self) -> u32 {
        self.playout.rate()
    }

    /// Whole tens of milliseconds, the last of which is due by now: a packet holds what came before it leaves.
    pub(super) fn pull(&mut self, samples: &mut [i16], due: Now) {
        let frame = self.playout.frame();
        let frames = samples.len() / frame.max(1);
        for (index, frame) in samples.chunks_exact_mut(frame).enumerate() {
            let before = millis(10 * (frames - 1 - index) as u64);
            self.playout.pull(frame, Now::new(due.mono.saturating_sub(before), due.wall));
        }
        if self.hush.as_mut().is_some_and(|hush| hush.silences(samples)) {
            samples.fill(0);
        }
    }
}

/// The peer's packets cannot go as they are.
pub(super) fn is_needed(passed: &Passed<'_>, config: &StreamConfig) -> bool {
    let other_time = passed.ptime_ms != config.ptime_ms && config.codec.is_g711();
    other_time || !passed.codec.transcodes_by_table(config.codec)
}

impl Endpoint {
    /// Takes what the peer heard to be made anew.
    #[cold]
    #[inline(never)]
    pub(super) fn transcode(&mut self, passed: &Passed<'_>, stream: &Stream, ctx: &Context<'_>) {
        // The relay has no part in it; where it had, its mapping is over.
        self.relay.stop();
        let audio = self.audio.get_or_insert_default();
        let transcoder = match &mut audio.transcoder {
            Some(transcoder) if transcoder.playout.codec() == passed.codec => transcoder,
            other => other.insert(Box::new(Transcoder::new(passed, stream.config.codec))),
        };
        match hush::is_wanted(passed, &stream.config) {
            true if transcoder.hush.is_none() => transcoder.hush = Some(Hush::new(transcoder.rate())),
            true => {}
            false => transcoder.hush = None,
        }
        match passed.kind {
            Kind::Audio => {
                transcoder.heard = ctx.now.mono;
                transcoder.playout.push(passed.codec, passed.timestamp, passed.leaps, passed.payload, ctx.now);
            }
            Kind::Noise => transcoder.playout.push_noise(passed.payload.first().copied().unwrap_or(u8::MAX)),
            Kind::TelephoneEvent => {
                let Some(event) = TelephoneEvent::parse(passed.payload) else { return };
                let heard = transcoder.digits.push(passed.timestamp, event, ctx.now.mono);
                heard.into_iter().flatten().for_each(|heard| self.press_anew(heard, stream));
            }
            Kind::Other => {}
        }
    }

    /// A key whose end the peer never sent.
    #[cold]
    #[inline(never)]
    pub(super) fn release_passed(&mut self, stream: &Stream, now: Now) {
        let transcoder = self.audio.as_mut().and_then(|audio| audio.transcoder.as_mut());
        if let Some(heard) = transcoder.and_then(|transcoder| transcoder.digits.expire(now.mono)) {
            self.press_anew(heard, stream);
        }
    }

    fn press_anew(&mut self, heard: Heard, stream: &Stream) {
        let Some(event) = event_of(heard.key).filter(|_| stream.config.dtmf_out.is_some()) else { return };
        let held = heard.duration_ms.min(u32::from(u16::MAX)) as u16;
        // A queue that is full of keys (`MAX_KEYS`) drops the newest.
        self.keys.press(&[Key::new(event, held, MIN_KEY_MS, self.outbound.per_ms())]);
    }

    /// What comes can go as it is again, or nobody is there any more.
    pub(super) fn end_transcoding(&mut self) {
        if let Some(audio) = &mut self.audio {
            audio.transcoder = None;
        }
    }
}
