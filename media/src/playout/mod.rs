//! The receive path where audio is decoded: packets as they come on one side, ten milliseconds of sound after another on
//! the other, at 8, 16 or 48 kHz.
//!
//! A packet's place is its RTP timestamp; `clock` maps those onto our time and follows the sender's skew. What is played
//! now is what should have been heard a delay ago: an adaptive one for conversation, a fixed one for recordings. Where
//! they part, the sound is slipped by a sample, or stretched where that is too slow (`stretch`); what is missing is
//! concealed (`conceal`), but for what a silent sender of Opus leaves out (DTX, RFC 7587 §3.1.3): that is noise. A sender that changes its codec keeps its clock, and what waits of the old one is still heard.
//! Nothing allocates once it is made, except for packets larger than any before, and for another codec's decoder.

mod clock;
mod conceal;
mod idle;
mod noise;
mod store;
mod stretch;

use crate::codec::{Codec, Decoder, opus};
use crate::detect::voice::level_db;
use base::{Now, millis};
use clock::Clock;
use conceal::Concealment;
use idle::Idle;
use noise::Noise;
use store::{Packets, Stored};

/// Milliseconds of decoded sound that may wait: the longest Opus packet, and what stretching needs beside it.
const MAX_DECODED_MS: usize = 160;

/// A step of the timestamp beyond this, in milliseconds, is a new timeline.
const MAX_LEAP_MS: i64 = 2_000;

/// Where it plays that far from where it should, in milliseconds, it does not stretch but leaps.
const MAX_ASTRAY_MS: i64 = 1_000;

/// Frames between two stretches: the sound is a quarter quicker or slower at most.
const REST: u8 = 4;

/// Not asked for longer than this, it goes on with what is due now, and not with what was due then.
const MAX_PAUSE_MS: u64 = 80;

/// The decoder that a stream's packets go through, and when they are heard.
#[derive(Debug)]
pub(crate) struct Playout {
    decoder: Decoder,
    rate: i64,
    clock_rate: i64,
    clock: Clock,
    packets: Packets,
    /// The timestamp that came last, and its place without wraps, in ticks.
    newest: Option<(u32, i64)>,
    /// Decoded sound; its first sample's place is `read`, in samples since a time of our own.
    decoded: Box<[i16]>,
    length: usize,
    read: i64,
    started: bool,
    /// When it was asked last, in monotonic nanoseconds.
    asked: u64,
    concealment: Concealment,
    noise: Option<Noise>,
    /// The sender of Opus is silent: noise as loud as its last packet stands for what it does not send.
    pause: Option<Noise>,
    idle: Idle,
    /// Frames until it may stretch again.
    rest: u8,
    scratch: Box<[i16]>,
    /// What became of the packets and of the time.
    pub(crate) counts: Counts,
}

/// What a playout did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Packets that came after their time.
    pub late: u64,
    /// Samples that were made up.
    pub concealed: u64,
}

impl Playout {
    /// For conversation: as little delay as the network's jitter allows.
    pub(crate) fn adaptive(codec: Codec, rate: u32) -> Self {
        Self::new(codec, rate, Clock::adaptive())
    }

    /// For recordings: always so many milliseconds behind the quickest packet.
    pub(crate) fn fixed(codec: Codec, rate: u32, delay_ms: u32) -> Self {
        Self::new(codec, rate, Clock::fixed(delay_ms))
    }

    fn new(codec: Codec, rate: u32, clock: Clock) -> Self {
        let decoder = Decoder::new(codec, rate);
        let rate = decoder.rate();
        Self {
            decoder,
            rate: i64::from(rate),
            clock_rate: i64::from(codec.clock_rate()),
            clock,
            packets: Packets::default(),
            newest: None,
            decoded: vec![0; rate as usize / 1_000 * MAX_DECODED_MS].into(),
            length: 0,
            read: 0,
            started: false,
            asked: 0,
            concealment: Concealment::new(rate),
            noise: None,
            pause: None,
            idle: Idle::default(),
            rest: 0,
            scratch: vec![0; rate as usize / 1_000 * MAX_DECODED_MS].into(),
            counts: Counts::default(),
        }
    }

    /// The codec of what was decoded last.
    pub(crate) fn codec(&self) -> Codec {
        self.decoder.codec()
    }

    /// Samples a second that it gives.
    pub(crate) fn rate(&self) -> u32 {
        self.decoder.rate()
    }

    /// Samples in ten milliseconds.
    pub(crate) fn frame(&self) -> usize {
        self.rate as usize / 100
    }

    /// Takes one packet. `leaps`: another source, or another timeline of the same one, begins with it.
    pub(crate) fn push(&mut self, codec: Codec, timestamp: u32, leaps: bool, payload: &[u8], now: Now) {
        let ticks = codec.ticks(payload) as i64;
        if ticks == 0 {
            return;
        }
        // A timestamp of another clock says nothing about one of the old.
        let clock_rate = i64::from(codec.clock_rate());
        let same_clock = std::mem::replace(&mut self.clock_rate, clock_rate) == clock_rate;
        let leaps = leaps || !same_clock;
        let samples = ticks * self.rate / self.clock_rate;
        let mut start = self.place(timestamp, leaps, now) * self.rate / self.clock_rate;
        if self.clock.is_elsewhere(self.transit(start, now), self.is_over(start + samples), now) {
            start = self.place(timestamp, true, now) * self.rate / self.clock_rate;
        }
        self.noise = None;
        self.clock.heard(self.transit(start, now), samples * 1_000 / self.rate, now);
        if self.is_over(start + samples) {
            self.counts.late += 1;
            return;
        }
        self.packets.insert(codec, start, samples, payload);
    }

    /// The transit time of what begins at `start` and has come now.
    fn transit(&self, start: i64, now: Now) -> i64 {
        now.mono as i64 / 1_000 - start * 1_000_000 / self.rate
    }

    /// What ends there comes too late.
    fn is_over(&self, end: i64) -> bool {
        self.started && end <= self.read + self.length as i64
    }

    /// Takes comfort noise (RFC 3389 §3): until audio comes again, noise of that level, in dB below full scale.
    pub(crate) fn push_noise(&mut self, level: u8) {
        self.noise = Some(Noise::new(level, self.rate()));
    }

    /// The timestamp without wraps, in ticks.
    fn place(&mut self, timestamp: u32, leaps: bool, now: Now) -> i64 {
        let max_leap = MAX_LEAP_MS * self.clock_rate / 1_000;
        let step = |newest: u32| i64::from(timestamp.wrapping_sub(newest) as i32);
        let place = match self.newest {
            Some((newest, place)) if !leaps && step(newest).abs() <= max_leap => place + step(newest),
            // A new timeline begins where the old one would stand now; the first of all anywhere.
            Some(_) => {
                self.clock.begin_again(now);
                self.clock.position(now, self.rate) * self.clock_rate / self.rate
            }
            None => i64::from(timestamp) + (1 << 33),
        };
        if leaps || self.newest.is_none_or(|(_, newest)| place > newest || newest - place > max_leap) {
            self.newest = Some((timestamp, place));
        }
        place
    }

    /// How far what is played now is behind the quickest packet, in milliseconds.
    #[cfg(test)]
    pub(crate) fn delay_ms(&self, now: Now) -> i64 {
        (self.clock.position(now, self.rate) - self.read) * 1_000 / self.rate
    }

    /// Whether packets in which nobody speaks need not be decoded: nobody listens to what is that quiet.
    pub(crate) fn rest(&mut self, may: bool) {
        self.idle.rest(may);
    }

    /// Nothing has come yet: it has nothing to play.
    pub(crate) fn is_empty(&self) -> bool {
        !self.started && self.newest.is_none()
    }

    /// Ten milliseconds of sound into `out`, which is [`Self::frame`] long. It wants to be called every ten
    /// milliseconds; where it is called late, the sound skips.
    pub(crate) fn pull(&mut self, out: &mut [i16], now: Now) {
        if self.is_empty() {
            return out.fill(0);
        }
        let target = self.clock.position(now, self.rate) - self.clock.delay(now, self.rate);
        let astray = target - self.read;
        let paused = now.mono.saturating_sub(std::mem::replace(&mut self.asked, now.mono)) > millis(MAX_PAUSE_MS);
        if !self.started || paused || astray.abs() > MAX_ASTRAY_MS * self.rate / 1_000 {
            self.begin(target);
        } else {
            self.approach(astray);
        }
        self.give(out);
    }

    fn begin(&mut self, target: i64) {
        (self.read, self.length, self.started) = (target, 0, true);
        self.concealment.forget();
    }

    /// Sound that is decoded, or can be without making any up.
    fn ready(&self) -> usize {
        self.length + self.packets.contiguous(self.read + self.length as i64) as usize
    }

    /// Moves what is read a little towards where it should be.
    fn approach(&mut self, astray: i64) {
        let (frame, dead) = (self.frame(), self.rate / 8_000);
        self.rest = self.rest.saturating_sub(1);
        if astray.abs() <= dead {
            return;
        }
        let stretchable = astray.unsigned_abs() as usize >= frame / 2 && self.rest == 0;
        let wanted = 3 * frame;
        if stretchable && astray > 0 && self.ready() >= wanted {
            self.fill(wanted);
            let cut = stretch::shorten(&mut self.decoded, self.length, self.rate as usize, astray as usize);
            self.take_away(cut);
        } else if stretchable && astray < 0 && self.ready() >= 2 * frame {
            self.fill(2 * frame);
            let added =
                stretch::lengthen(&mut self.decoded, self.length, self.rate as usize, astray.unsigned_abs() as usize);
            self.length += added;
            self.read -= added as i64;
            self.rest = REST;
        } else {
            self.slip(astray);
        }
    }

    fn take_away(&mut self, samples: usize) {
        self.length -= samples;
        self.read += samples as i64;
        self.rest = REST;
    }

    /// One sample less, or more: what a skew of the clocks asks for, and nobody hears.
    fn slip(&mut self, astray: i64) {
        let frame = self.frame();
        self.fill(frame + 1);
        let middle = frame / 2;
        if astray > 0 {
            self.decoded.copy_within(middle + 1..self.length, middle);
            self.length -= 1;
            self.read += 1;
        } else if self.length < self.decoded.len() {
            self.decoded.copy_within(middle..self.length, middle + 1);
            self.length += 1;
            self.read -= 1;
        }
    }

    fn give(&mut self, out: &mut [i16]) {
        let wanted = out.len().min(self.decoded.len());
        self.fill(wanted);
        for (to, &from) in out.iter_mut().zip(self.decoded.iter()) {
            *to = from;
        }
        self.decoded.copy_within(wanted..self.length.max(wanted), 0);
        self.length -= wanted.min(self.length);
        self.read += wanted as i64;
    }

    /// Decodes, or makes up, until so many samples wait.
    fn fill(&mut self, wanted: usize) {
        // Each turn adds a sample at least or takes a packet away: it ends.
        while self.length < wanted {
            let end = self.read + self.length as i64;
            match self.packets.take_until(end) {
                Some(packet) => self.decode(packet, end),
                None => self.make_up(end),
            }
        }
    }

    fn decode(&mut self, packet: Stored, end: i64) {
        let skipped = (end - packet.start).max(0) as usize;
        self.take_decoder(packet.codec);
        let samples = if self.idle.passes_over(packet.codec, &packet.payload) {
            let length = (packet.samples as usize).min(self.scratch.len());
            self.scratch.iter_mut().take(length).for_each(|sample| *sample = 0);
            length
        } else {
            for before in self.idle.kept() {
                self.decoder.decode(before, &mut self.scratch);
            }
            self.decoder.decode(&packet.payload, &mut self.scratch)
        };
        let Some(fresh) = self.scratch.get_mut(skipped..samples) else {
            self.counts.late += 1;
            return self.packets.give_back(packet);
        };
        let room = self.decoded.len() - self.length;
        let taken = fresh.len().min(room);
        let fresh = fresh.get_mut(..taken).unwrap_or_default();
        let pauses = packet.codec == Codec::Opus && opus::may_pause(&packet.payload);
        self.pause = pauses.then(|| Noise::new(level_db(fresh).round() as u8, self.decoder.rate()));
        self.packets.give_back(packet);
        if !self.decoder.conceals() {
            self.concealment.join(fresh);
            self.concealment.remember(fresh);
        }
        if let Some(to) = self.decoded.get_mut(self.length..self.length + taken) {
            to.copy_from_slice(fresh);
        }
        self.length += taken;
    }

    /// The stream goes on in another codec.
    fn take_decoder(&mut self, codec: Codec) {
        if codec == self.codec() {
            return;
        }
        let conceals = self.decoder.conceals();
        self.idle.kept().for_each(drop);
        self.decoder = Decoder::new(codec, self.rate());
        // What the old one made up, and remembered, is not known here, nor the other way round.
        if conceals || self.decoder.conceals() {
            self.concealment.forget();
        }
    }

    /// What is missing at `end`: noise by agreement, what the codec makes of it, or what was heard last, fading.
    fn make_up(&mut self, end: i64) {
        let gap = self.packets.first().map_or(i64::MAX, |next| next.start - end);
        // The packet behind the one that is missing may carry it (in-band FEC), and then as a whole.
        let (codec, pauses) = (self.codec(), self.pause.is_some());
        // What a silent sender left out is in no other packet, unless that says so.
        let repeats = |next: &Stored| !pauses || opus::carries_fec(&next.payload);
        let carries = |next: &Stored| next.samples == gap && next.codec == codec && repeats(next);
        let carried = self.decoder.conceals() && self.packets.first().is_some_and(carries);
        let most = if carried { gap } else { self.frame() as i64 };
        let samples = gap.clamp(1, most.max(1)) as usize;
        let Some(to) = self.decoded.get_mut(self.length..(self.length + samples).min(self.decoded.len())) else {
            return;
        };
        // What a sender leaves out is not lost, and nothing is made up for it.
        if let Some(noise) = self.noise.as_mut().or(self.pause.as_mut().filter(|_| !carried)) {
            noise.fill(to);
            self.concealment.forget();
            self.length += to.len();
            return;
        }
        self.counts.concealed += to.len() as u64;
        let next = self.packets.first().filter(|_| carried).map(|next| next.payload.as_slice());
        // Opus makes up whole steps of 2.5 ms only.
        let made = if to.len() % (self.rate as usize / 400) == 0 { self.decoder.conceal(next, to) } else { 0 };
        if made == 0 {
            self.concealment.fill(to);
        }
        self.length += to.len();
    }
}

#[cfg(test)]
mod tests;
