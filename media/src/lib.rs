//! The media engine: RTP packets, codecs, prompts, tones, players, bridges, conferences, recordings, SRTP, RFC 4733 digits,
//! detectors, statistics, and the shard that runs thousands of endpoints on one thread (DESIGN.md §3).
//!
//! It has never heard of SIP: `switch` turns a negotiated SDP into a [`StreamConfig`], sends [`Command`]s to a
//! [`Shard`] and reads [`Event`]s. Everything but `worker` is pure: no socket, no clock, no thread, no lock and no
//! random source of its own; packets leave through the caller's [`PacketIo`], time comes in as [`base::Now`].
//! The feature `worker` (default) adds the rim: `Engine`, the threads that own the sockets.
//!
//! A reader's map: `shard` owns a slab of `endpoint`s and a `wheel`, and joins two of them (`shard/bridge`); an endpoint
//! composes `outbound` (one RTP clock), `player`, `endpoint/relay` (a peer's stream placed on ours), `keys` (digits out),
//! `digits` (digits in), `reception` (RFC 3550 appendix A), `bursts`, `latch`, `srtp`, `reports` (RTCP, with
//! `voip_metrics` for XR) and `capture`. Where audio is worked on and not only passed along, `endpoint/audio` holds an
//! encoder and whatever else is needed: `endpoint/transcode` (a peer of another codec), `endpoint/ear` (for `detect`),
//! `endpoint/record` (for `record`) and a seat in a `room`, which `shard/room` mixes; each decodes by a `playout`, the
//! jitter buffer. `prompt`, `tone`, `codec`, `resample`, `ports`, `quality` and `mos` are values of their own.

mod bursts;
mod capture;
mod codec;
mod command;
pub mod detect;
mod digits;
mod endpoint;
mod event;
mod events;
#[doc(hidden)]
pub mod fuzz;
mod io;
mod keys;
mod latch;
pub mod mos;
mod outbound;
mod player;
mod playout;
mod ports;
pub mod prompt;
mod quality;
mod reception;
mod record;
mod reports;
mod resample;
mod room;
mod shard;
mod srtp;
mod stats;
mod telephone_event;
mod tone;
mod voip_metrics;
mod watch;
mod wheel;
#[cfg(feature = "worker")]
pub mod worker;

pub use bursts::{BurstLoss, GMIN};
pub use capture::{Capture, Gap, MAX_CAPTURE};
pub use codec::{Codec, Decoder, Encoder};
pub use command::{Command, Detect, EndpointId, Latch, PlayId, StreamConfig};
pub use digits::{LOST_END, MAX_DIGITS_PER_SECOND};
pub use endpoint::{MAX_BEHIND, RELAY_PATIENCE_MS};
pub use event::Event;
pub use events::{EVENTS_RESERVED, QUALITY_QUEUED};
pub use io::{Channel, Leg, PacketIo, SendResult};
pub use keys::{MAX_KEYS, MIN_KEY_MS};
pub use ports::{PORT_QUARANTINE, PortPool, PortRange, PortRangeError};
pub use prompt::{Prompt, PromptError};
pub use quality::{FarReport, Quality, Received, Sent};
pub use reception::{LATE_MS, MAX_DROPOUT, MAX_MISORDER, MIN_SEQUENTIAL};
pub use record::{
    BLOCK_SAMPLES, Block, MAX_BLOCKS, MAX_RECORD_MS, MAX_RECORDINGS, RecordEnd, RecordId, RecordOptions, RecordOutput,
    RecordSource,
};
pub use room::{MAX_MEMBERS, MAX_ROOMS, MemberOptions, RoomId, RoomOptions};
pub use shard::{EndpointState, FRAMES_A_TICK, MAX_ENDPOINTS, PHASES, Shard, ShardConfig};
pub use srtp::{Refused, Srtp, SrtpKey, SrtpKeyError, SrtpKeys, SrtpSuite};
pub use stats::{Lateness, ShardReport, ShardStats};
pub use tone::{ToneError, tone};
pub use voip_metrics::VoipMetrics;
pub use watch::NO_MEDIA_AFTER;
#[cfg(feature = "worker")]
pub use worker::{Engine, EngineConfig, EngineError};
