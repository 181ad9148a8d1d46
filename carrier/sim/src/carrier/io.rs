//! What goes into a carrier and what comes out.

use crate::report::CallReport;
use crate::script::Script;
use base::Now;
use sip_core::transport;
use std::fmt;
use std::net::SocketAddr;

/// What a carrier takes.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "it is handed over once and never kept: a box would cost an allocation an event"
)]
pub enum Input {
    /// From the network's signalling side.
    Sip(transport::Input),
    /// From a media shard.
    Media(media::Event),
    /// From its user.
    Command(Command),
    /// The time it asked for has come.
    Timeout,
}

/// What a carrier is told to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// To call in. It answers no challenge (TWILIO.md §1.3).
    Call {
        /// The caller: a user part.
        from: String,
        /// Who is called: a user part, to be found at [`crate::CarrierConfig::originate_to`], or a SIP URI.
        to: String,
        /// What happens once the call is answered, and when the carrier gives up.
        script: Script,
    },
    /// To refuse new calls and to end those that stand.
    Stop,
}

/// What a carrier gives.
#[derive(Clone, Debug)]
pub enum Output {
    /// Toward the network's signalling side.
    Sip(transport::Effect),
    /// Toward the media shards.
    Media(media::Command),
    /// A call has ended; there is one for each.
    Report(Box<CallReport>),
    /// Something has happened in a call.
    Note(Note),
    /// There is nothing more to do before this time (monotonic nanoseconds), or before the next input.
    Timeout(Option<u64>),
}

/// Something that has happened in a call, for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Now,
    /// In which call, by Call-ID.
    pub call_id: String,
    /// What.
    pub what: What,
}

/// What has happened in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An INVITE has come and is a call.
    Invited {
        /// Who calls.
        from: String,
        /// Who is called.
        to: String,
    },
    /// An INVITE was answered 407.
    Challenged,
    /// An INVITE was refused before it was a call.
    TurnedAway(u16),
    /// A response was sent, or (in a call that the carrier places) has come.
    Status(u16),
    /// The ACK has come.
    Confirmed,
    /// A prompt begins.
    Says(String),
    /// Keys are pressed.
    Presses(String),
    /// The peer has pressed a key.
    Heard(char),
    /// The peer's first RTP packet has come.
    FirstPacket(SocketAddr),
    /// The peer changes the session by re-INVITE.
    Changed,
    /// The peer did what a carrier of this kind would not take.
    Complaint(String),
    /// The call is over.
    Ended,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invited { from, to } => write!(f, "{from} calls {to}"),
            Self::Challenged => f.write_str("challenged with 407"),
            Self::TurnedAway(status) => write!(f, "turned away with {status}"),
            Self::Status(status) => write!(f, "{status}"),
            Self::Confirmed => f.write_str("ACK"),
            Self::Says(prompt) => write!(f, "says {prompt}"),
            Self::Presses(keys) => write!(f, "presses {keys}"),
            Self::Heard(key) => write!(f, "hears the key {key}"),
            Self::FirstPacket(from) => write!(f, "hears RTP from {from}"),
            Self::Changed => f.write_str("session changed by the peer"),
            Self::Complaint(complaint) => write!(f, "complains: {complaint}"),
            Self::Ended => f.write_str("ended"),
        }
    }
}
