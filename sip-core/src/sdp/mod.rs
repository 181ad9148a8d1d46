//! Session descriptions for audio: syntax (RFC 8866), offer and answer (RFC 3264, RFC 6337).
//!
//! Read leniently, write strictly: a peer's bare line feeds, missing `s=` or `t=`, unknown payload types and mixed case
//! cost no call; what we write is what RFC 8866 §5 asks for. Media other than audio is refused with port 0 in its own
//! place (RFC 3264 §6). Media is encrypted with the keys that descriptions carry (RFC 4568). No description resolves a name,
//! opens a port, or is trusted about where media may go: that policy lives with whoever owns the sockets.

mod answer;
mod codec;
mod crypto;
mod description;
mod direction;
mod error;
mod event;
mod fuzz;
mod offer;
#[cfg(test)]
mod tests;
pub(crate) mod version;

pub use answer::{Answered, Preference, accept_answer, answer, answer_after, answer_preferring};
pub use codec::AudioCodec;
pub use crypto::{Crypto, CryptoPair, CryptoSuite, MAX_CRYPTO, Security};
pub use description::{MAX_FORMATS, MAX_LINES, MAX_MEDIA, MAX_SDP_BYTES, SessionDescription};
pub use direction::Direction;
pub use error::SdpError;
pub use event::{TelephoneEvents, WIDE_TELEPHONE_EVENT};
pub use fuzz::fuzz;
pub use offer::{offer, offer_after};

use std::net::{IpAddr, SocketAddr};

/// The media type of a session description (RFC 8866 §8.1): what Content-Type says, and 415 answers anything else.
pub const CONTENT_TYPE: &str = "application/sdp";

/// The shortest packet length agreed to, in milliseconds; a peer that asks for less gets this.
pub const MIN_PTIME_MS: u16 = 10;

/// The longest packet length agreed to, in milliseconds; a peer that asks for more gets this.
pub const MAX_PTIME_MS: u16 = 60;

/// Our side of an audio session: all that an offer says, and all that an answer may agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAudio {
    /// Where the peer is to send.
    pub addr: IpAddr,
    /// The RTP port there; RTCP is on the next one unless `rtcp_mux` is agreed on.
    pub port: u16,
    /// What we encode and decode, the preferred one first.
    pub codecs: Vec<AudioCodec>,
    /// The payload type under which telephone-event (RFC 4733) is offered on a clock of 8 kHz; beside it, where a codec has a
    /// clock of 48 kHz, [`WIDE_TELEPHONE_EVENT`] is. `None` neither offers nor takes it.
    pub telephone_event: Option<u8>,
    /// How much audio we like in a packet, in milliseconds.
    pub ptime_ms: u16,
    /// What we are willing to do.
    pub direction: Direction,
    /// Offer, and agree to, RTP and RTCP on one port (RFC 5761).
    pub rtcp_mux: bool,
    /// Whether it is encrypted.
    pub security: Security,
    /// `o=`'s session id: numeric, the same for the whole session. Its top two bits are not used (RFC 3264 §5).
    pub session_id: u64,
    /// `o=`'s version: one more with each description that differs from the last; see [`offer_after`].
    pub version: u64,
}

/// What both sides have agreed to, seen from ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where RTP goes. An unspecified address (an RFC 2543 hold) comes with a direction that does not send.
    pub remote: SocketAddr,
    /// Where RTCP goes: `a=rtcp` (RFC 3605), else the next port. `None`: with the RTP, or nowhere.
    pub remote_rtcp: Option<SocketAddr>,
    /// RTP and RTCP share one port, both ways.
    pub rtcp_mux: bool,
    /// The codec, the same both ways.
    pub codec: AudioCodec,
    /// The payload type of the packets we send.
    pub payload_type_out: u8,
    /// The payload type of the packets we get.
    pub payload_type_in: u8,
    /// The payload type under which we send telephone-event; `None` where the peer does not take it.
    pub telephone_event_out: Option<u8>,
    /// The payload type under which it arrives.
    pub telephone_event_in: Option<u8>,
    /// What its durations count, in hertz: the codec's clock, or the 8,000 of phones that know no other.
    pub telephone_event_clock: u32,
    /// Which events the peer takes.
    pub telephone_events: TelephoneEvents,
    /// Both directions' keys, where it is encrypted.
    pub crypto: Option<CryptoPair>,
    /// How much audio goes in a packet that we send, in milliseconds.
    pub ptime_ms: u16,
    /// What the peer says that *it* does, whatever we do; it listens to nothing at an unspecified address.
    pub peer_direction: Direction,
    /// What *we* do: sending where [`Direction::sends`], listening where [`Direction::receives`].
    pub direction: Direction,
    /// The peer has asked for silence: it will not listen although we would talk (RFC 6337 §5.3).
    pub held_by_peer: bool,
}
