//! One endpoint: a port, a stream each way, and what plays, presses, listens and reports on them.
//!
//! It composes parts that know nothing of each other; `send` drives what goes out, `receive` what comes in. It holds no
//! socket: that is how it moves between shards.

mod audio;
mod ear;
mod echo;
mod hush;
mod receive;
mod record;
mod relay;
mod report;
mod secure;
mod send;
mod transcode;

use crate::capture::{Capture, Taker};
use crate::codec::Codec;
use crate::command::{EndpointId, PlayId, StreamConfig};
use crate::digits::Digits;
use crate::event::Event;
use crate::events::{Events, Reserve};
use crate::io::{Leg, PacketIo};
use crate::keys::{Key, Keys, MAX_KEYS};
use crate::latch::Gate;
use crate::outbound::{MAX_BUILT, Outbound};
use crate::player::Player;
use crate::prompt::Prompt;
use crate::reception::Reception;
use crate::record::Records;
use crate::reports::Reports;
use crate::room::{Rooms, Seat};
use crate::srtp::Srtp;
use crate::stats::ShardStats;
use crate::telephone_event::event_of;
use crate::watch::Watch;
use audio::Audio;
use base::{Now, Rng, secs};
use echo::Echo;
pub use relay::RELAY_PATIENCE_MS;
use relay::{Kind, Relay};
pub(crate) use relay::{MAX_LEAD_MS, Passed, Place};
pub use send::MAX_BEHIND;
pub(crate) use send::sooner;
use std::sync::Arc;

/// Milliseconds between two `Event::Quality`.
const QUALITY_EVERY: u64 = secs(5);

/// What an endpoint works with and does not own.
pub(crate) struct Context<'a> {
    pub now: Now,
    pub leg: Leg,
    pub io: &'a mut dyn PacketIo,
    pub events: &'a mut Events,
    pub stats: &'a mut ShardStats,
    pub rng: &'a mut Rng,
    pub records: &'a mut Records,
    pub rooms: &'a mut Rooms,
    /// Where packets are built.
    pub scratch: &'a mut [u8; MAX_BUILT],
}

impl Context<'_> {
    fn ms(&self) -> u64 {
        self.now.mono / 1_000_000
    }
}

/// What offer and answer made of the endpoint.
#[derive(Clone, Debug)]
struct Stream {
    config: StreamConfig,
    gate: Gate,
}

/// When the next packet leaves.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Its place on the ideal grid, in milliseconds: its timestamp.
    due: u64,
    /// When it leaves: later than its place where the shard was late.
    at: u64,
}

/// Which directions are silenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mute {
    /// What the far end says goes nowhere.
    pub inbound: bool,
    /// The far end hears nothing.
    pub outbound: bool,
}

/// The endpoint's whole state.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub id: EndpointId,
    pub rtp_port: u16,
    /// Which of the 20 ms its packets leave in.
    pub phase: u64,
    /// Its events that wait.
    pub reserve: Reserve,
    /// Boxed: it is taken out while a packet is worked on.
    stream: Option<Box<Stream>>,
    outbound: Outbound,
    pace: Option<Pace>,
    chores: send::Chores,
    player: Option<Player>,
    keys: Keys,
    digits: Digits,
    reception: Reception,
    reports: Reports,
    watch: Watch,
    echo: Option<Echo>,
    /// Whom it is joined with, and where that one was when they last met. It counts only where both say so.
    pub peer: Option<Leg>,
    relay: Relay,
    mute: Mute,
    capturing: bool,
    taker: Option<Box<Taker>>,
    /// A first packet was announced for this far end.
    met: bool,
    quality_due: Option<u64>,
    pressure: receive::Pressure,
    strangers: u64,
    malformed: u64,
    /// Kept also while the stream is in clear: a key that comes back must not find its counters gone.
    srtp: Option<Box<Srtp>>,
    unauthentic: u64,
    replayed: u64,
    /// What works on samples: nothing of it is there while packets are only played, echoed and relayed.
    audio: Option<Box<Audio>>,
}

impl Endpoint {
    pub(crate) fn new(id: EndpointId, rtp_port: u16, phase: u64, rng: &mut Rng, now: Now) -> Self {
        Self {
            id,
            rtp_port,
            phase,
            reserve: Reserve::default(),
            stream: None,
            outbound: Outbound::new(rng, now.mono / 1_000_000),
            pace: None,
            chores: send::Chores::default(),
            player: None,
            keys: Keys::default(),
            digits: Digits::default(),
            reception: Reception::default(),
            reports: Reports::new(rng, now),
            watch: Watch::default(),
            echo: None,
            peer: None,
            relay: Relay::default(),
            mute: Mute::default(),
            capturing: false,
            taker: None,
            met: false,
            quality_due: None,
            pressure: receive::Pressure::default(),
            strangers: 0,
            malformed: 0,
            srtp: None,
            unauthentic: 0,
            replayed: 0,
            audio: None,
        }
    }

    /// Starts the stream or changes it.
    pub(crate) fn configure(&mut self, config: StreamConfig, ctx: &mut Context<'_>) {
        if let Err(error) = check(&config) {
            return ctx.events.push(Event::Failed { id: self.id, error });
        }
        let sound = |config: &StreamConfig| (config.codec, config.ptime_ms);
        if self.stream.as_ref().is_some_and(|stream| sound(&stream.config) != sound(&config)) {
            self.end_transcoding();
        }
        self.take_keys(&config);
        self.take_clock(&config, ctx);
        self.take_ear(&config, ctx.ms());
        let gate = match self.stream.take() {
            Some(stream) => {
                let mut gate = stream.gate;
                gate.reconfigure(&config);
                gate
            }
            None => {
                self.reports.schedule(ctx.rng, ctx.now.mono);
                self.quality_due = Some(ctx.now.mono + QUALITY_EVERY);
                Gate::new(&config)
            }
        };
        self.met &= gate.is_locked();
        if config.dtmf_out.is_none() {
            self.keys.clear();
        }
        self.watch.configure(&config, ctx.now.mono);
        let sends = config.send && gate.has_destination();
        self.pace = if sends { self.pace.or_else(|| Some(self.first_pace(ctx.ms()))) } else { None };
        self.stream = Some(Box::new(Stream { config, gate }));
    }

    /// What counts in ticks counts by the codec's clock.
    fn take_clock(&mut self, config: &StreamConfig, ctx: &Context<'_>) {
        let per_ms = config.codec.per_ms();
        let scale = config.dtmf_scale();
        self.keys.set_scale(scale);
        self.outbound.set_clock(per_ms, ctx.ms());
        self.reception.set_clock(per_ms);
        self.digits.set_clock(per_ms, scale);
        self.reports.per_ms = per_ms as f64;
    }

    /// Joins it with another, or parts it: what it relayed so far says nothing about the next.
    pub(crate) fn join(&mut self, peer: Option<Leg>, ctx: &Context<'_>) {
        self.peer = peer;
        self.fall_silent(ctx);
    }

    /// Silences directions, or no longer.
    pub(crate) fn set_mute(&mut self, mute: Mute, ctx: &Context<'_>) {
        self.mute = mute;
        if mute.outbound {
            self.fall_silent(ctx);
        }
    }

    /// Takes a seat in a room, or gets up.
    pub(crate) fn sit(&mut self, seat: Option<Seat>) {
        self.audio.get_or_insert_default().seat = seat.map(Box::new);
    }

    pub(crate) fn seat(&mut self) -> Option<&mut Seat> {
        self.audio.as_mut()?.seat.as_deref_mut()
    }

    /// The place on this shard of the room it is in.
    pub(crate) fn room(&self) -> Option<usize> {
        Some(self.audio.as_ref()?.seat.as_ref()?.index)
    }

    /// The peer is silent by agreement: our own stream takes over where it left off.
    pub(crate) fn fall_silent(&mut self, ctx: &Context<'_>) {
        self.take_floor(ctx);
        self.relay.stop();
        self.end_transcoding();
    }

    /// What is heard is passed on: the stream is not held.
    pub(crate) fn listens(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.config.receive)
    }

    /// While the peer has the floor our own packet time is far ahead: it comes back to where the relayed audio ends.
    fn take_floor(&mut self, ctx: &Context<'_>) {
        let yields = self.floor_is_the_peers(ctx.ms()).is_some();
        if let Some(pace) = self.pace.as_mut().filter(|_| yields) {
            let due = self.outbound.ends_at(ctx.ms());
            *pace = Pace { due, at: due };
        }
    }

    /// Until when the peer is heard, in milliseconds. `None`: something else is, or the peer is silent.
    fn floor_is_the_peers(&self, now_ms: u64) -> Option<u64> {
        self.relay.flows_until(now_ms).filter(|_| self.player.is_none() && self.keys.is_idle())
    }

    /// The first millisecond from now that has the endpoint's phase.
    fn first_pace(&self, now_ms: u64) -> Pace {
        let due = now_ms + (self.phase + crate::shard::PHASES - now_ms % crate::shard::PHASES) % crate::shard::PHASES;
        Pace { due, at: due }
    }

    pub(crate) fn play(&mut self, play: PlayId, prompt: Arc<Prompt>, repeat: u32, ctx: &mut Context<'_>) {
        self.take_floor(ctx);
        self.end_play(false, ctx);
        self.player = Some(Player::new(Some(play), prompt, repeat));
        self.end_play_if_over(ctx);
    }

    pub(crate) fn stop_play(&mut self, play: PlayId, ctx: &mut Context<'_>) {
        if self.player.as_ref().is_some_and(|player| player.play == Some(play)) {
            self.end_play(false, ctx);
        }
    }

    fn end_play_if_over(&mut self, ctx: &mut Context<'_>) {
        if self.player.as_ref().is_some_and(Player::is_over) {
            self.end_play(true, ctx);
        }
    }

    fn end_play(&mut self, finished: bool, ctx: &mut Context<'_>) {
        if let Some(player) = self.player.take() {
            let samples = player.samples();
            if let Some(play) = player.play {
                ctx.events.push(Event::PlayEnded { id: self.id, play, finished, samples });
            }
        }
    }

    pub(crate) fn press(&mut self, digits: &str, tone_ms: u16, gap_ms: u16, ctx: &mut Context<'_>) {
        self.take_floor(ctx);
        if let Err(error) = self.queue_keys(digits, tone_ms, gap_ms) {
            ctx.events.push(Event::Failed { id: self.id, error });
        }
    }

    fn queue_keys(&mut self, digits: &str, tone_ms: u16, gap_ms: u16) -> Result<(), String> {
        if self.stream.as_ref().is_none_or(|stream| stream.config.dtmf_out.is_none()) {
            return Err("digits cannot be sent: telephone-event was not negotiated".into());
        }
        let per_ms = self.outbound.per_ms();
        let key = |key: char| {
            let unknown = || format!("digits cannot be sent: `{key}` is none of 0-9, *, #, A-D");
            event_of(key).map(|event| Key::new(event, tone_ms, gap_ms, per_ms)).ok_or_else(unknown)
        };
        let keys = digits.chars().map(key).collect::<Result<Vec<_>, _>>()?;
        if self.keys.press(&keys) { Ok(()) } else { Err(format!("digits cannot be sent: more than {MAX_KEYS} wait")) }
    }

    pub(crate) fn set_echo(&mut self, on: bool) {
        self.echo = on.then(|| self.echo.unwrap_or_default());
    }

    pub(crate) fn set_capture(&mut self, on: bool, ctx: &mut Context<'_>) {
        if self.capturing && !on {
            let capture = self.take_capture();
            ctx.events.push(Event::Captured { id: self.id, capture });
        }
        self.capturing = on;
    }

    fn take_capture(&mut self) -> Capture {
        let codec = self.stream.as_ref().map_or(Codec::Pcmu, |stream| stream.config.codec);
        self.taker.take().map_or_else(|| Taker::new(codec), |taker| *taker).finish()
    }

    /// Says goodbye and gives up what is left.
    pub(crate) fn close(mut self, ctx: &mut Context<'_>) {
        self.end_play(false, ctx);
        self.close_records(ctx);
        if self.outbound.packets > 0 || self.reports.has_spoken() {
            self.report(true, ctx);
        }
        let report = self.quality();
        let capture = self.capturing.then(|| self.take_capture());
        ctx.events.push(Event::Closed { id: self.id, report, capture });
    }
}

/// What cannot be done is said at once, and not heard in mid-call.
fn check(config: &StreamConfig) -> Result<(), String> {
    let ptime = config.ptime_ms;
    if !config.codec.has_ptime(ptime) {
        let without = if config.codec == Codec::Opus { ", of Opus not 30 and 50" } else { "" };
        return Err(format!("a packet time of {ptime} ms cannot be sent; 10 to 60 ms in steps of 10 can{without}"));
    }
    let types = [Some(config.payload_type_out), Some(config.payload_type_in), config.dtmf_out, config.dtmf_in];
    if let Some(bad) = types.into_iter().flatten().find(|payload_type| *payload_type > 127) {
        return Err(format!("{bad} is no payload type; RTP has 0 to 127"));
    }
    if config.dtmf_in == Some(config.payload_type_in) || config.dtmf_out == Some(config.payload_type_out) {
        return Err("audio and telephone-event cannot share a payload type".into());
    }
    Ok(())
}
