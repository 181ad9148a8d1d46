//! Agreeing: answering a peer's offer, and reading its answer to ours (RFC 3264 §6 and §7, RFC 6337).

use super::codec::AudioCodec;
use super::crypto::{CryptoPair, Security};
use super::description::{Format, Media, SessionDescription};
use super::direction::Direction;
use super::error::SdpError;
use super::event::{NARROW_CLOCK, TelephoneEvents};
use super::offer::{Stream, begin, events_of, refuse};
use super::{LocalAudio, MAX_PTIME_MS, MIN_PTIME_MS, Negotiated};
use bytes::Bytes;

/// An answer, and what it agrees to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The answer to send.
    pub sdp: Bytes,
    /// What holds once it is sent.
    pub negotiated: Negotiated,
}

/// Whose order of codecs decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// The offerer's, as RFC 3264 §6.1 recommends.
    #[default]
    Theirs,
    /// Ours: to spare a transcoding, say.
    Ours,
}

/// Answers an offer with the first codec of *their* order that we have.
///
/// # Errors
/// [`SdpError`], with the status that refuses the offer.
pub fn answer(offer: &SessionDescription, local: &LocalAudio) -> Result<Answered, SdpError> {
    answer_preferring(offer, local, Preference::Theirs)
}

/// Answers an offer: the first usable audio stream is taken with their payload types, every other `m=` line is refused
/// in its place, so that their number and order stay (RFC 3264 §6).
///
/// # Errors
/// [`SdpError`], with the status that refuses the offer.
pub fn answer_preferring(
    offer: &SessionDescription,
    local: &LocalAudio,
    preference: Preference,
) -> Result<Answered, SdpError> {
    let (index, stream, crypto) = usable_audio(offer, &local.security)?;
    let (codec, format) = choose(stream, &local.codecs, preference).ok_or(SdpError::NoCommonCodec)?;
    let event = local.telephone_event.and_then(|_| KeyFormat::of(stream, codec));
    let payload_types = PayloadTypes::both(format.payload_type);
    let negotiated = Negotiated { crypto, ..agree(stream, local, codec, payload_types, event)? };
    let events = negotiated.telephone_event_in.map(|payload_type| (payload_type, negotiated.telephone_event_clock));
    let ours = Stream {
        protocol: &stream.protocol,
        crypto: negotiated.crypto.as_ref().map_or(&[], |pair| std::slice::from_ref(&pair.send)),
        codecs: &[(codec, negotiated.payload_type_in)],
        telephone_events: events.as_slice(),
        ptime_ms: negotiated.ptime_ms,
        rtcp_mux: negotiated.rtcp_mux,
        direction: negotiated.direction,
    };
    // RFC 3264 §6: the answer's time is the offer's.
    let mut sdp = begin(local, &offer.times);
    for (i, offered) in offer.media.iter().enumerate() {
        match i == index {
            true => ours.describe(local.port, &mut sdp),
            false => refuse(&offered.kind, &offered.protocol, &offered.raw_formats, &mut sdp),
        }
    }
    Ok(Answered { sdp: sdp.into(), negotiated })
}

/// The answer that follows `previous`, a description we have sent in this session: `local.version` goes up by one where
/// the answer differs from it, and stays where it does not (RFC 3264 §8).
///
/// # Errors
/// [`SdpError`], with the status that refuses the offer; the session then stays as it was.
pub fn answer_after(
    previous: &[u8],
    offer: &SessionDescription,
    local: &mut LocalAudio,
    preference: Preference,
) -> Result<Answered, SdpError> {
    let unchanged = answer_preferring(offer, local, preference)?;
    if unchanged.sdp == previous {
        return Ok(unchanged);
    }
    local.version += 1;
    answer_preferring(offer, local, preference)
}

/// Reads the answer to the offer that [`super::offer`] made of `offered`. Our audio was the only `m=` line, so the first
/// one answers it; further ones, which the peer may not add, are not looked at.
///
/// # Errors
/// [`SdpError`]: the call then has no usable media.
pub fn accept_answer(offered: &LocalAudio, answer: &SessionDescription) -> Result<Negotiated, SdpError> {
    let stream = answer.media.first().filter(|stream| stream.is_live_audio()).ok_or(SdpError::AudioRefused)?;
    let crypto = match (offered.security.is_required(), stream.is_keyed_here(), stream.is_plain_rtp()) {
        (true, true, _) => Some(offered.security.accepted(&stream.crypto)?),
        (false, _, true) => None,
        (true, ..) => return Err(SdpError::NoCommonCrypto),
        (false, ..) => return Err(SdpError::SecureRequired(stream.protocol.clone())),
    };
    let (codec, format) = choose(stream, &offered.codecs, Preference::Theirs).ok_or(SdpError::NoCommonCodec)?;
    // RFC 3264 §7: we send what the answer numbers, and get what our offer numbered.
    let payload_types = PayloadTypes { out: format.payload_type, r#in: codec.offered_payload_type() };
    let ours = events_of(offered);
    let on = |clock_rate: u32| ours.iter().find(|(_, ours)| *ours == clock_rate).map(|(payload_type, _)| *payload_type);
    let event = KeyFormat::of(stream, codec).and_then(|theirs| {
        let r#in = on(theirs.clock_rate)?;
        Some(KeyFormat { payload_types: PayloadTypes { out: theirs.payload_types.out, r#in }, ..theirs })
    });
    let agreed = agree(stream, offered, codec, payload_types, event)?;
    // A peer that does not listen holds us only where we had offered to talk.
    Ok(Negotiated { held_by_peer: agreed.held_by_peer && offered.direction.sends(), crypto, ..agreed })
}

/// The payload types of one format, each way.
#[derive(Clone, Copy)]
struct PayloadTypes {
    out: u8,
    r#in: u8,
}

impl PayloadTypes {
    const fn both(payload_type: u8) -> Self {
        Self { out: payload_type, r#in: payload_type }
    }

    /// True where one number would mean both.
    const fn overlap(self, other: Self) -> bool {
        self.out == other.out || self.r#in == other.r#in
    }
}

/// The first audio stream that we can carry, its place, and its keys: an encrypted one before a plain one.
fn usable_audio<'a>(
    offer: &'a SessionDescription,
    security: &Security,
) -> Result<(usize, &'a Media, Option<CryptoPair>), SdpError> {
    let audio = || offer.media.iter().enumerate().filter(|(_, stream)| stream.is_live_audio());
    let keyed = audio().filter(|(_, stream)| stream.is_keyed_here());
    let mut keyed = keyed.filter_map(|(index, stream)| Some((index, stream, security.answer(&stream.crypto)?)));
    if let Some((index, stream, pair)) = keyed.next() {
        return Ok((index, stream, Some(pair)));
    }
    let plain = audio().find(|(_, stream)| stream.is_plain_rtp()).filter(|_| !security.is_required());
    if let Some((index, stream)) = plain {
        return Ok((index, stream, None));
    }
    match audio().find(|(_, stream)| stream.is_secure_rtp()) {
        Some((_, stream)) if security.keys().is_empty() => Err(SdpError::SecureRequired(stream.protocol.clone())),
        Some(_) => Err(SdpError::NoCommonCrypto),
        None if audio().next().is_some() && security.is_required() => Err(SdpError::NoCommonCrypto),
        None => Err(SdpError::NoAudio),
    }
}

fn choose<'a>(stream: &'a Media, ours: &[AudioCodec], preference: Preference) -> Option<(AudioCodec, &'a Format)> {
    let theirs = || stream.formats.iter().filter_map(|format| Some((format.codec()?, format)));
    match preference {
        Preference::Theirs => theirs().find(|(codec, _)| ours.contains(codec)),
        Preference::Ours => ours.iter().find_map(|mine| theirs().find(|(codec, _)| codec == mine)),
    }
}

/// Telephone-event as a stream has it.
#[derive(Clone, Copy)]
struct KeyFormat {
    payload_types: PayloadTypes,
    clock_rate: u32,
    events: TelephoneEvents,
}

impl KeyFormat {
    /// Theirs on the codec's clock; else on 8 kHz, which is all that many phones have beside Opus: without it their keys
    /// would not be heard.
    fn of(stream: &Media, codec: AudioCodec) -> Option<Self> {
        let on = |clock_rate: u32| {
            let mut formats = stream.formats.iter();
            formats.find_map(|format| {
                let payload_types = PayloadTypes::both(format.payload_type);
                Some(Self { payload_types, clock_rate, events: format.telephone_events(clock_rate)? })
            })
        };
        on(codec.clock_rate()).or_else(|| on(NARROW_CLOCK))
    }
}

fn agree(
    stream: &Media,
    local: &LocalAudio,
    codec: AudioCodec,
    payload_types: PayloadTypes,
    event: Option<KeyFormat>,
) -> Result<Negotiated, SdpError> {
    let remote = stream.address()?;
    // Our socket reaches its own family alone: what went to the other would be a call without sound.
    if remote.is_ipv4() != local.addr.is_ipv4() {
        return Err(SdpError::BadAddress(remote.ip().to_string()));
    }
    // Audio and keys under one number cannot be told apart (RFC 3551 §6): keys under another, or none.
    let event = event.filter(|event| !payload_types.overlap(event.payload_types));
    let theirs = effective_direction(stream.direction, remote.ip().is_unspecified());
    let rtcp_mux = stream.rtcp_mux && local.rtcp_mux;
    Ok(Negotiated {
        remote,
        remote_rtcp: if rtcp_mux { None } else { stream.rtcp_address(remote) },
        rtcp_mux,
        codec,
        payload_type_out: payload_types.out,
        payload_type_in: payload_types.r#in,
        telephone_event_out: event.map(|event| event.payload_types.out),
        telephone_event_in: event.map(|event| event.payload_types.r#in),
        telephone_event_clock: event.map_or(codec.clock_rate(), |event| event.clock_rate),
        crypto: None,
        telephone_events: event.map_or(TelephoneEvents::NONE, |event| event.events),
        ptime_ms: codec.packet_time(packet_time(stream, local.ptime_ms)),
        peer_direction: theirs,
        direction: local.direction.and(theirs.reversed()),
        held_by_peer: !theirs.receives(),
    })
}

/// What the peer does, given that nothing can be sent to an unspecified address, the hold of RFC 2543 (RFC 3264 §8.4).
fn effective_direction(stated: Direction, address_is_unspecified: bool) -> Direction {
    if address_is_unspecified { stated.and(Direction::SendOnly) } else { stated }
}

/// What the peer wants in a packet, up to its `a=maxptime`, in milliseconds (RFC 8866 §6.4).
fn packet_time(stream: &Media, ours_ms: u16) -> u16 {
    let wanted = stream.ptime_ms.unwrap_or(ours_ms);
    wanted.min(stream.max_ptime_ms.unwrap_or(u16::MAX)).clamp(MIN_PTIME_MS, MAX_PTIME_MS)
}
