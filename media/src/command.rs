//! What the signalling side says to a shard.

use crate::codec::Codec;
use crate::detect::{beep::BeepConfig, machine::MachineConfig, voice::VoiceConfig};
use crate::prompt::Prompt;
use crate::record::{RecordId, RecordOptions};
use crate::room::{MemberOptions, RoomId, RoomOptions};
use crate::srtp::SrtpKeys;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// An endpoint's name: chosen by the caller, unique for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointId(pub u64);

/// A playback's name, chosen by the caller: a stop that names it can never stop another prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlayId(pub u64);

/// Whose packets an endpoint hears and answers. A packet from anyone else is counted as a stranger's and teaches
/// nothing (SECURITY.md rows 1-3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Latch {
    /// Only the signalled address and port.
    Signalled,
    /// The first valid packet from these ranges locks its source; after it, nobody else but the signalled address and port,
    /// where the ranges have it: its first packet takes the lock from whoever was before it. An empty list hears nobody.
    Ranges(Arc<[IpNet]>),
    /// Symmetric RTP (RFC 4961): the first valid packet from anywhere locks its source; after it, nobody else but the signalled
    /// address and port, as above.
    FirstPacket,
}

/// One negotiated audio stream, as an offer and its answer agreed on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Where the far end said it wants RTP. A latched source replaces it as destination.
    pub remote: SocketAddr,
    /// Where the far end said it wants RTCP (RFC 3605). `None`: the RTP address with `rtcp_mux`, else the port above it.
    pub remote_rtcp: Option<SocketAddr>,
    /// RTP and RTCP share one port (RFC 5761).
    pub rtcp_mux: bool,
    /// Both directions' codec.
    pub codec: Codec,
    /// The payload type the far end gave the codec: what we send.
    pub payload_type_out: u8,
    /// The payload type we gave the codec: what we hear.
    pub payload_type_in: u8,
    /// The far end's payload type for telephone-event (RFC 4733). `None`: it takes no digits.
    pub dtmf_out: Option<u8>,
    /// Our payload type for telephone-event.
    pub dtmf_in: Option<u8>,
    /// Ticks a second of telephone-events' durations, both ways: the codec's clock (RFC 4733 §2.1), or 8,000 beside a clock
    /// of 48,000, for phones that know no other. Their timestamps are on the codec's clock all the same.
    pub dtmf_clock: u32,
    /// Packet time of what we send: 10 to 60 ms in steps of 10. Any other value is refused with `Event::Failed`.
    pub ptime_ms: u16,
    /// We send. While true the stream is continuous: silence is sent where nothing plays, so that NAT bindings, far
    /// ends' inactivity timers and Twilio's 60-second rule hold. While false no RTP leaves at all.
    pub send: bool,
    /// We expect to receive. While false (we hold, or the far end does) no media timer runs and nothing is heard.
    pub receive: bool,
    /// The keys of both directions (RFC 4568). `None`: in clear. Where they change, ours is used at once, and the far
    /// end's old one is heard until it uses the new. A key of ours that was replaced is never to be used again.
    pub srtp: Option<SrtpKeys>,
    /// Whose packets are heard.
    pub latch: Latch,
    /// No RTP for so long: `Event::TimedOut`, once a silence.
    pub timeout: Option<Duration>,
    /// No RTP for two seconds: `Event::NoMedia`; when it flows again: `Event::MediaResumed`.
    pub expects_media: bool,
}

impl StreamConfig {
    /// Ticks of the stream in one of a telephone-event's durations.
    pub(crate) fn dtmf_scale(&self) -> u64 {
        let clock_rate = self.codec.clock_rate();
        if clock_rate == self.dtmf_clock { 1 } else { u64::from(clock_rate / self.dtmf_clock.max(1)).max(1) }
    }
}

/// What to listen for in what a far end says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detect {
    /// Speech and its end, for barge-in and for silence.
    pub voice: Option<VoiceConfig>,
    /// Beeps, for what comes behind them.
    pub beep: Option<BeepConfig>,
    /// Whether a person or a machine answered.
    pub machine: Option<MachineConfig>,
}

/// An instruction to the shard that owns the endpoint. One that names an unknown endpoint is counted and has no effect:
/// the endpoint has closed meanwhile.
#[derive(Clone, Debug)]
pub enum Command {
    /// Opens an endpoint on a port pair. Answered by `Event::Created` or `Event::Failed`.
    Create {
        /// Its name.
        id: EndpointId,
        /// The even RTP port; RTCP is the port above.
        rtp_port: u16,
    },
    /// Starts the stream, or changes it. SSRC, sequence and clock go on through every change.
    Configure {
        /// Which endpoint.
        id: EndpointId,
        /// The stream from now on.
        config: StreamConfig,
    },
    /// Plays a prompt from its start, in place of what is playing (which ends as not finished).
    Play {
        /// Which endpoint.
        id: EndpointId,
        /// This playback's name, given back in `Event::PlayEnded`.
        play: PlayId,
        /// What to play.
        prompt: Arc<Prompt>,
        /// How many times; 0: for ever.
        repeat: u32,
    },
    /// Stops that playback, if it is the one that plays.
    StopPlay {
        /// Which endpoint.
        id: EndpointId,
        /// Which playback.
        play: PlayId,
    },
    /// Presses keys (RFC 4733). Audio is withheld while a key is down; a prompt goes on where it stood.
    SendDigits {
        /// Which endpoint.
        id: EndpointId,
        /// `0`-`9`, `*`, `#`, `A`-`D`. Any other character refuses the whole string with `Event::Failed`.
        digits: String,
        /// How long each is held, in milliseconds.
        tone_ms: u16,
        /// The pause after each, in milliseconds.
        gap_ms: u16,
    },
    /// Silences a direction, from now on; the stream itself goes on, keys included, and nobody's timer runs.
    Mute {
        /// Which endpoint.
        id: EndpointId,
        /// What the far end says reaches nobody: not a peer, a room, a recording, an echo or a detector.
        inbound: bool,
        /// The far end hears silence, whatever plays or comes from a peer or a room.
        outbound: bool,
    },
    /// Sends what is heard back to the far end, or stops to.
    Echo {
        /// Which endpoint.
        id: EndpointId,
        /// On or off.
        on: bool,
    },
    /// Joins two endpoints: each one's far end hears the other's, under its own leg's SSRC, sequence and clock. One
    /// command joins both, before or after they are configured, and parts either from whom it was joined with. While
    /// a prompt plays on one, it is heard there in place of the peer; keys that the peer presses are passed on where
    /// the far end takes them. Where the peer is silent, silence is sent.
    Bridge {
        /// One.
        id: EndpointId,
        /// The other.
        with: EndpointId,
    },
    /// Parts an endpoint from the one it is joined with, if any. A `Close` does so too.
    Unbridge {
        /// Either of the two.
        id: EndpointId,
    },
    /// Brings an endpoint into a room, out of its bridge or its room before. The first one makes the room. Answered by
    /// `Event::Joined` or `Event::Failed`. A prompt that plays on the endpoint is heard there in place of the room.
    Join {
        /// Which endpoint.
        id: EndpointId,
        /// Which room.
        room: RoomId,
        /// What the room is like, if this makes it.
        options: RoomOptions,
        /// What the member may do.
        member: MemberOptions,
    },
    /// Changes what a member may do. Nothing happens where it is in no room.
    Update {
        /// Which endpoint.
        id: EndpointId,
        /// What it may do from now on.
        member: MemberOptions,
    },
    /// Everybody in the endpoint's room hears this once, beside what is said; so does a recording of the room. Nothing
    /// happens where it is in no room; of more than four sounds at once the oldest ends.
    Announce {
        /// Who is in the room.
        id: EndpointId,
        /// What is heard.
        prompt: Arc<Prompt>,
    },
    /// Takes an endpoint out of its room, if it is in one: `Event::Left`. A `Close` does so too, and so does a `Bridge`.
    Leave {
        /// Which endpoint.
        id: EndpointId,
    },
    /// Listens to what the far end says, from now on and for this only: `Event::SpeechStarted`, `SpeechEnded`, `Beep` and,
    /// once, `Answered`. Nothing to listen for ends it.
    Detect {
        /// Which endpoint.
        id: EndpointId,
        /// What to listen for.
        detect: Detect,
    },
    /// Records to a file (`crate::record`). Ends with `Event::RecordEnded`, or does not begin and says `Event::Failed`.
    Record {
        /// Which endpoint.
        id: EndpointId,
        /// The recording's name.
        record: RecordId,
        /// What, how and for how long.
        options: RecordOptions,
    },
    /// Ends a recording, if it runs.
    StopRecord {
        /// The endpoint it was asked for.
        id: EndpointId,
        /// Which recording.
        record: RecordId,
    },
    /// Leaves out what is said from now on, or goes on: the file has no gap for it.
    PauseRecord {
        /// The endpoint it was asked for.
        id: EndpointId,
        /// Which recording.
        record: RecordId,
        /// Pause, or go on.
        paused: bool,
    },
    /// Keeps what is heard in memory, or stops to and gives it back as `Event::Captured`.
    Capture {
        /// Which endpoint.
        id: EndpointId,
        /// On or off.
        on: bool,
    },
    /// Ends the endpoint: RTCP BYE, `Event::PlayEnded` where something played, then `Event::Closed`, its last event.
    Close {
        /// Which endpoint.
        id: EndpointId,
    },
}

impl Command {
    /// The endpoint it is for; of a `Bridge` the first.
    #[must_use]
    pub fn id(&self) -> EndpointId {
        match self {
            Self::Create { id, .. }
            | Self::Configure { id, .. }
            | Self::Play { id, .. }
            | Self::StopPlay { id, .. }
            | Self::SendDigits { id, .. }
            | Self::Mute { id, .. }
            | Self::Echo { id, .. }
            | Self::Bridge { id, .. }
            | Self::Unbridge { id }
            | Self::Join { id, .. }
            | Self::Update { id, .. }
            | Self::Announce { id, .. }
            | Self::Leave { id }
            | Self::Detect { id, .. }
            | Self::Record { id, .. }
            | Self::StopRecord { id, .. }
            | Self::PauseRecord { id, .. }
            | Self::Capture { id, .. }
            | Self::Close { id } => *id,
        }
    }
}
