//! A call's hold on the world outside it: one SIP session, one media endpoint, one trunk's permit.

use super::info::Keys;
use crate::trunk::Grant;
use base::Rng;
use media::{Codec, EndpointId, Latch, SrtpKey, SrtpKeys, SrtpSuite, StreamConfig};
use sip_core::endpoint::SessionId;
use sip_core::sdp::{
    self, Answered, AudioCodec, Crypto, CryptoPair, Direction, LocalAudio, Negotiated, Preference, SdpError, Security,
    SessionDescription,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The payload type under which we offer telephone-event (DESIGN.md §5).
const TELEPHONE_EVENT: u8 = 101;
/// The packet time we offer and send, in milliseconds.
const PTIME_MS: u16 = 20;

/// An RTP port that a call holds, and the endpoint behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MediaPort {
    /// The endpoint.
    pub(crate) id: EndpointId,
    /// Its even RTP port.
    pub(crate) port: u16,
}

/// What a call holds and must give back, each exactly once.
#[derive(Debug, Default)]
pub(crate) struct Leg {
    /// The INVITE session, until its last word.
    pub(crate) session: Option<SessionId>,
    /// The media endpoint, until it has closed.
    pub(crate) media: Option<MediaPort>,
    /// The permit to use a trunk, until the session's last word.
    pub(crate) grant: Option<Grant>,
    /// What we offered or answered with.
    pub(crate) local: Option<LocalAudio>,
    /// The codec in use.
    pub(crate) codec: Option<AudioCodec>,
    /// The codecs of the leg that it is joined with or called for, that leg's best first: what both have is not
    /// translated.
    pub(crate) others: Vec<AudioCodec>,
    /// What the far end last said of itself of its own accord: by an offer, or by its answer to one that it had asked us
    /// for. What it answers to an offer of ours else is bound by that, and tells nothing (RFC 3264 §6.1).
    pub(crate) asks: Direction,
    /// An offer of ours is out, for another direction: the next one waits for its answer (RFC 3264 §4).
    pub(crate) changing: bool,
    /// The far end does not listen.
    pub(crate) held: bool,
    /// Its keys come as telephone-events.
    pub(crate) keys_by_rtp: bool,
    /// It takes telephone-events.
    pub(crate) takes_keys: bool,
    /// Its keys that come otherwise, counted.
    pub(crate) keys: Keys,
}

impl Leg {
    /// Samples a second of what it hears: a recording that has as many loses nothing.
    pub(crate) fn sample_rate(&self) -> u32 {
        self.codec.map_or(Codec::Pcmu, media_codec).sample_rate()
    }

    /// Our side of a session description for this port, with these codecs.
    pub(crate) fn describe(
        port: MediaPort,
        address: IpAddr,
        codecs: Vec<AudioCodec>,
        security: Security,
        session_id: u64,
    ) -> LocalAudio {
        LocalAudio {
            security,
            addr: address,
            port: port.port,
            codecs,
            telephone_event: Some(TELEPHONE_EVENT),
            ptime_ms: PTIME_MS,
            direction: Direction::SendRecv,
            rtcp_mux: false,
            session_id,
            version: session_id,
        }
    }
}

/// Those of `codecs` that are among the `wanted`, in that order, then the rest in theirs.
pub(crate) fn in_order(codecs: &[AudioCodec], wanted: &[AudioCodec]) -> Vec<AudioCodec> {
    let first = wanted.iter().filter(|codec| codecs.contains(codec));
    let mut ordered: Vec<AudioCodec> = Vec::with_capacity(codecs.len());
    for codec in first.chain(codecs) {
        if !ordered.contains(codec) {
            ordered.push(*codec);
        }
    }
    ordered
}

/// Answers an offer: with the first of the `wanted` codecs that it has, so that nothing is translated that need not be;
/// without one, in the offer's own order (RFC 3264 §6.1).
///
/// # Errors
/// [`SdpError`], with the status that refuses the offer.
pub(crate) fn answer(
    offer: &SessionDescription,
    local: &LocalAudio,
    wanted: &[AudioCodec],
) -> Result<Answered, SdpError> {
    let offered = offer.audio_codecs();
    let shared = wanted.iter().find(|codec| offered.contains(codec) && local.codecs.contains(codec));
    let Some(codec) = shared else { return sdp::answer(offer, local) };
    let local = LocalAudio { codecs: in_order(&local.codecs, &[*codec]), ..local.clone() };
    sdp::answer_preferring(offer, &local, Preference::Ours)
}

/// Whose RTP is heard on a call over a trunk.
#[derive(Clone, Debug)]
pub(crate) enum Hear {
    /// Only these ranges.
    Ranges(Arc<[ipnet::IpNet]>),
    /// Only the address that the far end named; its port is learned from the first packet (a carrier's media gateway
    /// has a public address, and may send from another port than it listens on).
    NamedHost,
    /// Whoever speaks first: a phone behind a NAT names an address that nobody else can reach (RFC 4961).
    First,
}

/// How far a call has come, as its audio is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// We called, and nobody has answered: early media is heard, nothing is sent and nothing is missed.
    Listening,
    /// We were called and have not answered: early media is sent, nothing is missed.
    Announcing,
    /// Answered.
    Answered,
}

impl Hear {
    fn latch(&self, remote: IpAddr) -> Latch {
        match self {
            Self::Ranges(ranges) => Latch::Ranges(Arc::clone(ranges)),
            Self::NamedHost => Latch::Ranges(Arc::from([ipnet::IpNet::from(remote)])),
            Self::First => Latch::FirstPacket,
        }
    }

    /// Whether audio may go there before the ACK shows that the far end is where it says (DESIGN.md §5).
    fn is_trusted(&self, remote: IpAddr) -> bool {
        match self {
            Self::Ranges(ranges) => ranges.iter().any(|range| range.contains(&remote)),
            Self::NamedHost | Self::First => true,
        }
    }
}

/// Whether a call's audio is encrypted, with keys that are nobody else's.
pub(crate) fn security(required: bool, if_offered: bool, rng: &mut Rng) -> Security {
    match (required, if_offered) {
        (true, _) => Security::Required(Crypto::generate(rng)),
        (false, true) => Security::IfOffered(Crypto::generate(rng)),
        (false, false) => Security::Plain,
    }
}

/// The keys that were agreed on, in media's own words.
fn keys(agreed: &CryptoPair) -> Option<SrtpKeys> {
    Some(SrtpKeys { send: key(&agreed.send)?, receive: key(&agreed.receive)? })
}

fn key(crypto: &Crypto) -> Option<SrtpKey> {
    SrtpKey::new(SrtpSuite::from_name(crypto.suite.name())?, &crypto.key_and_salt).ok()
}

const fn media_codec(codec: AudioCodec) -> Codec {
    match codec {
        AudioCodec::Pcmu => Codec::Pcmu,
        AudioCodec::Pcma => Codec::Pcma,
        AudioCodec::G722 => Codec::G722,
        AudioCodec::Opus => Codec::Opus,
    }
}

/// Turns what was negotiated into media's own words.
pub(crate) fn stream(negotiated: &Negotiated, hear: &Hear, phase: Phase, timeout: Duration) -> StreamConfig {
    let answered = phase == Phase::Answered;
    let may_send = match phase {
        Phase::Listening => false,
        Phase::Announcing => hear.is_trusted(negotiated.remote.ip()),
        Phase::Answered => true,
    };
    let (sends, receives) = (negotiated.direction.sends(), negotiated.direction.receives());
    StreamConfig {
        remote: negotiated.remote,
        remote_rtcp: negotiated.remote_rtcp,
        rtcp_mux: negotiated.rtcp_mux,
        codec: media_codec(negotiated.codec),
        payload_type_out: negotiated.payload_type_out,
        payload_type_in: negotiated.payload_type_in,
        dtmf_out: negotiated.telephone_event_out,
        dtmf_in: negotiated.telephone_event_in,
        dtmf_clock: negotiated.telephone_event_clock,
        ptime_ms: negotiated.ptime_ms,
        send: sends && may_send,
        receive: receives,
        srtp: negotiated.crypto.as_ref().and_then(keys),
        latch: hear.latch(negotiated.remote.ip()),
        // Who holds us without music may send nothing (RFC 3264 §8.4).
        timeout: (answered && receives && !negotiated.held_by_peer).then_some(timeout),
        expects_media: answered && receives && !negotiated.held_by_peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_that_a_description_names_is_one_that_media_speaks() {
        for crypto in Crypto::generate(&mut Rng::from_u64(1)) {
            assert_eq!(key(&crypto).map(|key| key.suite().name()), Some(crypto.suite.name()));
        }
    }
}
