//! The media of one call: its port and its description, and the stream that both sides agree on.

use super::config::{DIGIT_MS, Media, Source};
use super::floor::Floor;
use bytes::Bytes;
use media::{Codec, Command, EndpointId, Latch, PlayId, SrtpKey, SrtpKeys, SrtpSuite, StreamConfig};
use sip_core::sdp::{self, AudioCodec, Crypto, CryptoPair, Direction, LocalAudio, Negotiated, Preference, SdpError};
use sip_core::sdp::{Security, SessionDescription};
use std::net::IpAddr;

/// How many ports are tried before a call fails because none can be bound.
const MAX_TRIES: u32 = 4;
/// Below these bits an endpoint's name is its call's number, above them it counts the tries for a port.
const TRY_BITS: u32 = 48;

/// The payload type under which telephone-event is offered: the field's custom (RFC 4733 §2.4 leaves it free).
const TELEPHONE_EVENT: u8 = 101;
/// The bit of a number that says whose call it is: set where it came to us.
pub(super) const ANSWERED: u64 = 1 << (TRY_BITS - 1);

/// Whose endpoint it is.
pub(super) const fn owner(id: EndpointId) -> u64 {
    id.0 & ((1 << TRY_BITS) - 1)
}

/// A call's media.
#[derive(Debug)]
pub(super) enum Line {
    /// A port is being opened.
    Opening { id: EndpointId, port: u16, tries: u32 },
    /// There is a port, or one that all calls share.
    Open(Box<Open>),
    /// It is being closed.
    Closing { id: EndpointId, port: u16 },
    /// It is gone, or was never had.
    Gone,
}

/// A description of ours, and what stands behind it.
#[derive(Debug)]
pub(super) struct Open {
    /// The endpoint of a call that has one of its own, and its port.
    own: Option<(EndpointId, u16)>,
    local: LocalAudio,
    /// Our last description.
    sent: Option<Bytes>,
    playing: bool,
}

impl Line {
    /// Asks for what the load's calls have; [`Line::Gone`] where there is no port.
    pub(super) fn open(call: u64, floor: &mut Floor) -> Self {
        match floor.config.media {
            Media::Sink(sink) => Self::Open(Box::new(Open::new(None, sink.ip(), sink.port(), floor))),
            Media::Streams { .. } => Self::try_port(call, floor, 0),
        }
    }

    fn try_port(call: u64, floor: &mut Floor, tries: u32) -> Self {
        let port = if tries == MAX_TRIES { None } else { floor.take_port() };
        let Some(port) = port else { return Self::Gone };
        let id = EndpointId(owner(EndpointId(call)) | u64::from(tries) << TRY_BITS);
        floor.media(Command::Create { id, rtp_port: port });
        Self::Opening { id, port, tries }
    }

    pub(super) const fn id(&self) -> Option<EndpointId> {
        match self {
            Self::Opening { id, .. } | Self::Closing { id, .. } => Some(*id),
            Self::Open(open) => match open.own {
                Some((id, _)) => Some(id),
                None => None,
            },
            Self::Gone => None,
        }
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }

    pub(super) fn opened(&mut self) -> Option<&mut Open> {
        match self {
            Self::Open(open) => Some(open),
            _ => None,
        }
    }

    /// The port is open.
    pub(super) fn created(self, floor: &mut Floor) -> Self {
        match (self, &floor.config.media) {
            (Self::Opening { id, port, .. }, Media::Streams { ip, .. }) => {
                let ip = *ip;
                Self::Open(Box::new(Open::new(Some((id, port)), ip, port, floor)))
            }
            (other, _) => other,
        }
    }

    /// A command has failed: another port is tried, or it is gone.
    pub(super) fn failed(self, floor: &mut Floor) -> Self {
        match self {
            Self::Opening { id, port, tries } => {
                floor.release_port(port);
                Self::try_port(owner(id), floor, tries + 1)
            }
            other => other.closed(floor),
        }
    }

    /// Gives the port back; where there is one, `closed` follows.
    pub(super) fn close(self, floor: &mut Floor) -> Self {
        let (id, port) = match self {
            Self::Opening { id, port, .. } => (id, port),
            Self::Open(open) => match open.own {
                Some(own) => own,
                None => return Self::Gone,
            },
            Self::Closing { .. } | Self::Gone => return self,
        };
        floor.media(Command::Close { id });
        Self::Closing { id, port }
    }

    /// The port has been given back.
    pub(super) fn closed(self, floor: &mut Floor) -> Self {
        let port = match self {
            Self::Opening { port, .. } | Self::Closing { port, .. } => Some(port),
            Self::Open(open) => open.own.map(|(_, port)| port),
            Self::Gone => None,
        };
        if let Some(port) = port {
            floor.release_port(port);
        }
        Self::Gone
    }
}

impl Open {
    fn new(own: Option<(EndpointId, u16)>, addr: IpAddr, port: u16, floor: &mut Floor) -> Self {
        let local = LocalAudio {
            addr,
            port,
            codecs: vec![AudioCodec::Pcmu],
            telephone_event: own.map(|_| TELEPHONE_EVENT),
            ptime_ms: 20,
            direction: Direction::SendRecv,
            rtcp_mux: false,
            security: security(own, floor),
            session_id: u64::from(floor.rng.u32()),
            version: 1,
        };
        Self { own, local, sent: None, playing: false }
    }

    /// Our offer.
    pub(super) fn offer(&mut self) -> Bytes {
        let offer = match &self.sent {
            Some(previous) => sdp::offer_after(previous, &mut self.local),
            None => sdp::offer(&self.local),
        };
        self.sent.insert(offer).clone()
    }

    /// The far end's answer to it.
    pub(super) fn accept(&mut self, answer: &[u8], floor: &mut Floor) -> Result<(), SdpError> {
        let agreed = sdp::accept_answer(&self.local, &SessionDescription::parse(answer)?)?;
        self.agree(&agreed, floor);
        Ok(())
    }

    /// Our answer to an offer that changes the session.
    pub(super) fn answer(&mut self, offer: &[u8], floor: &mut Floor) -> Result<Bytes, SdpError> {
        let offer = SessionDescription::parse(offer)?;
        let answered = match &self.sent {
            Some(previous) => sdp::answer_after(previous, &offer, &mut self.local, Preference::Theirs)?,
            None => sdp::answer(&offer, &self.local)?,
        };
        self.agree(&answered.negotiated, floor);
        Ok(self.sent.insert(answered.sdp).clone())
    }

    fn agree(&mut self, agreed: &Negotiated, floor: &mut Floor) {
        let (Some((id, _)), Media::Streams { source, .. }) = (self.own, &floor.config.media) else { return };
        let source = source.clone();
        floor.media(Command::Configure { id, config: stream(agreed) });
        if std::mem::replace(&mut self.playing, true) {
            return;
        }
        let digits = floor.config.digits.clone().filter(|_| owner(id) & ANSWERED == 0);
        if let Some(digits) = digits.filter(|_| agreed.telephone_event_out.is_some()) {
            floor.lap.counts.digits_sent += digits.len() as u64;
            floor.media(Command::SendDigits { id, digits, tone_ms: DIGIT_MS, gap_ms: DIGIT_MS });
        }
        match source {
            Source::Prompt(prompt) => floor.media(Command::Play { id, play: PlayId(id.0), prompt, repeat: 0 }),
            Source::Echo => floor.media(Command::Echo { id, on: true }),
        }
    }
}

/// Calls of ours are encrypted or not, as the load is told; those that come, as they ask.
fn security(own: Option<(EndpointId, u16)>, floor: &mut Floor) -> Security {
    match own {
        Some((id, _)) if owner(id) & ANSWERED != 0 => Security::IfOffered(Crypto::generate(&mut floor.rng)),
        Some(_) if floor.config.srtp => Security::Required(Crypto::generate(&mut floor.rng)),
        _ => Security::Plain,
    }
}

/// The keys that were agreed on, in media's own words.
fn keys(agreed: &CryptoPair) -> Option<SrtpKeys> {
    let key = |crypto: &Crypto| SrtpKey::new(SrtpSuite::from_name(crypto.suite.name())?, &crypto.key_and_salt).ok();
    Some(SrtpKeys { send: key(&agreed.send)?, receive: key(&agreed.receive)? })
}

fn stream(agreed: &Negotiated) -> StreamConfig {
    StreamConfig {
        remote: agreed.remote,
        remote_rtcp: agreed.remote_rtcp,
        rtcp_mux: agreed.rtcp_mux,
        codec: match agreed.codec {
            AudioCodec::Pcmu => Codec::Pcmu,
            AudioCodec::Pcma => Codec::Pcma,
            AudioCodec::G722 => Codec::G722,
            AudioCodec::Opus => Codec::Opus,
        },
        payload_type_out: agreed.payload_type_out,
        payload_type_in: agreed.payload_type_in,
        dtmf_out: agreed.telephone_event_out,
        dtmf_in: agreed.telephone_event_in,
        dtmf_clock: agreed.telephone_event_clock,
        ptime_ms: agreed.ptime_ms,
        send: agreed.direction.sends(),
        receive: agreed.direction.receives(),
        srtp: agreed.crypto.as_ref().and_then(keys),
        latch: Latch::FirstPacket,
        timeout: None,
        expects_media: false,
    }
}
