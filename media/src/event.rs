//! What a shard says to the signalling side.

use crate::capture::Capture;
use crate::command::{EndpointId, PlayId};
use crate::detect::machine::Decision;
use crate::quality::Quality;
use crate::record::{RecordEnd, RecordId};
use crate::room::RoomId;
use base::Now;
use std::net::SocketAddr;

/// A fact about an endpoint. All but `Quality` arrive without fail (see `EVENTS_RESERVED` for the one bound).
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The endpoint is open.
    Created {
        /// Which endpoint.
        id: EndpointId,
        /// Its RTP port.
        rtp_port: u16,
    },
    /// A command could not be done. After a failed `Create` the endpoint does not exist.
    Failed {
        /// Which endpoint.
        id: EndpointId,
        /// What and why, naming the port or value.
        error: String,
    },
    /// The first valid RTP packet since the stream started or the far end's address was signalled anew.
    FirstPacket {
        /// Which endpoint.
        id: EndpointId,
        /// Its source; where the latch locks, the destination from now on.
        from: SocketAddr,
        /// When it came.
        at: Now,
    },
    /// A key the far end pressed: said once, when it ends, when the next one starts, or when its end got lost.
    Digit {
        /// Which endpoint.
        id: EndpointId,
        /// `0`-`9`, `*`, `#`, `A`-`D`, or `!` for a hook flash (RFC 4733 event 16).
        digit: char,
        /// How long it was held, in milliseconds, as far as the packets told.
        duration_ms: u32,
    },
    /// A playback is over.
    PlayEnded {
        /// Which endpoint.
        id: EndpointId,
        /// Which playback.
        play: PlayId,
        /// All repetitions were played. False: stopped, replaced or closed.
        finished: bool,
        /// Samples (8 kHz) of the prompt that were sent.
        samples: u64,
    },
    /// No RTP for two seconds though it is expected: one-way audio.
    NoMedia {
        /// Which endpoint.
        id: EndpointId,
    },
    /// RTP flows (again) after `NoMedia` or `TimedOut`.
    MediaResumed {
        /// Which endpoint.
        id: EndpointId,
    },
    /// No RTP for as long as `StreamConfig::timeout`.
    TimedOut {
        /// Which endpoint.
        id: EndpointId,
    },
    /// Every five seconds: the stream so far. May be dropped when the queue is full; `ShardStats` counts it.
    Quality {
        /// Which endpoint.
        id: EndpointId,
        /// Totals since the endpoint was created.
        report: Quality,
    },
    /// The capture that `Command::Capture { on: false }` ended.
    Captured {
        /// Which endpoint.
        id: EndpointId,
        /// What was heard.
        capture: Capture,
    },
    /// The far end has begun to speak (`Command::Detect`).
    SpeechStarted {
        /// Which endpoint.
        id: EndpointId,
    },
    /// And has stopped.
    SpeechEnded {
        /// Which endpoint.
        id: EndpointId,
    },
    /// The far end has beeped, and the beep is over.
    Beep {
        /// Which endpoint.
        id: EndpointId,
        /// Its frequency.
        hertz: u32,
    },
    /// Who answered, as far as that can be told: once after each `Command::Detect` that asks.
    Answered {
        /// Which endpoint.
        id: EndpointId,
        /// Who, when and why.
        decision: Decision,
    },
    /// The endpoint is in a room.
    Joined {
        /// Which endpoint.
        id: EndpointId,
        /// Which room.
        room: RoomId,
    },
    /// The endpoint is in it no more.
    Left {
        /// Which endpoint.
        id: EndpointId,
        /// Which room.
        room: RoomId,
    },
    /// Another member is the loudest who speaks. May be dropped when the queue is full.
    Speaker {
        /// Which endpoint.
        id: EndpointId,
        /// In which room.
        room: RoomId,
    },
    /// A recording is over. With the rim, its file is complete then, and the event may come after the endpoint's
    /// `Closed`.
    RecordEnded {
        /// The endpoint it was asked for.
        id: EndpointId,
        /// Which recording.
        record: RecordId,
        /// How long it is, in milliseconds.
        duration_ms: u64,
        /// Octets of its WAV file.
        octets: u64,
        /// Why it is over.
        reason: RecordEnd,
    },
    /// The endpoint is gone, its port free after quarantine. Its last event.
    Closed {
        /// Which endpoint.
        id: EndpointId,
        /// The whole stream.
        report: Quality,
        /// What was heard, where a capture was still on.
        capture: Option<Capture>,
    },
}

impl Event {
    /// The endpoint it is about.
    #[must_use]
    pub fn id(&self) -> EndpointId {
        match self {
            Self::Created { id, .. }
            | Self::Failed { id, .. }
            | Self::FirstPacket { id, .. }
            | Self::Digit { id, .. }
            | Self::PlayEnded { id, .. }
            | Self::NoMedia { id }
            | Self::MediaResumed { id }
            | Self::TimedOut { id }
            | Self::Quality { id, .. }
            | Self::Captured { id, .. }
            | Self::SpeechStarted { id }
            | Self::SpeechEnded { id }
            | Self::Beep { id, .. }
            | Self::Answered { id, .. }
            | Self::Joined { id, .. }
            | Self::Left { id, .. }
            | Self::Speaker { id, .. }
            | Self::RecordEnded { id, .. }
            | Self::Closed { id, .. } => *id,
        }
    }
}
