//! Writing a description: the offer (RFC 3264 §5), and the parts that an answer shares with it.

use super::LocalAudio;
use super::codec::AudioCodec;
use super::crypto::Crypto;
use super::direction::Direction;
use super::event::{NARROW_CLOCK, OUR_EVENTS, WIDE_TELEPHONE_EVENT};
use bytes::Bytes;
use sdp_types::{Attribute, Connection, Media, Origin, Session};

/// An offer of one audio stream: all our codecs in our order, telephone-event last.
#[must_use]
pub fn offer(local: &LocalAudio) -> Bytes {
    let codecs: Vec<_> = local.codecs.iter().map(|codec| (*codec, codec.offered_payload_type())).collect();
    let keys = if local.security.is_required() { local.security.keys() } else { &[] };
    let stream = Stream {
        protocol: if keys.is_empty() { "RTP/AVP" } else { "RTP/SAVP" },
        crypto: keys,
        codecs: &codecs,
        telephone_events: &events_of(local),
        ptime_ms: local.ptime_ms,
        rtcp_mux: local.rtcp_mux,
        direction: local.direction,
    };
    write(&session(local, vec![stream.describe(local.port)]))
}

/// The offer that follows `previous`, a description we have sent in this session: `local.version` goes up by one
/// where anything has changed, and stays where nothing has (RFC 3264 §8).
#[must_use]
pub fn offer_after(previous: &[u8], local: &mut LocalAudio) -> Bytes {
    let unchanged = offer(local);
    if unchanged == previous {
        return unchanged;
    }
    local.version += 1;
    offer(local)
}

/// Our telephone-event once a clock of our codecs (RFC 4733 §2.1), and its payload type there.
pub(super) fn events_of(local: &LocalAudio) -> Vec<(u8, u32)> {
    let Some(narrow) = local.telephone_event else { return Vec::new() };
    let mut events: Vec<(u8, u32)> = Vec::with_capacity(2);
    for clock_rate in local.codecs.iter().map(|codec| codec.clock_rate()) {
        let payload_type = if clock_rate == NARROW_CLOCK { narrow } else { WIDE_TELEPHONE_EVENT };
        if !events.contains(&(payload_type, clock_rate)) {
            events.push((payload_type, clock_rate));
        }
    }
    events
}

/// One live audio stream as it is written.
pub(super) struct Stream<'a> {
    pub protocol: &'a str,
    pub crypto: &'a [Crypto],
    pub codecs: &'a [(AudioCodec, u8)],
    /// Payload types and clock rates.
    pub telephone_events: &'a [(u8, u32)],
    pub ptime_ms: u16,
    pub rtcp_mux: bool,
    pub direction: Direction,
}

impl Stream<'_> {
    /// The `m=` line and its attributes.
    pub fn describe(&self, port: u16) -> Media {
        let events = self.telephone_events.iter().map(|(payload_type, _)| *payload_type);
        let payload_types = self.codecs.iter().map(|(_, payload_type)| *payload_type).chain(events);
        let formats = payload_types.map(|payload_type| payload_type.to_string()).collect::<Vec<_>>().join(" ");
        Media { attributes: self.attributes(), ..media("audio", port, self.protocol, &formats) }
    }

    fn attributes(&self) -> Vec<Attribute> {
        let mut attributes = Vec::with_capacity(8);
        for (codec, payload_type) in self.codecs {
            attributes.push(attribute("rtpmap", Some(format!("{payload_type} {}", codec.encoding()))));
            if let Some(parameters) = codec.parameters() {
                attributes.push(attribute("fmtp", Some(format!("{payload_type} {parameters}"))));
            }
        }
        for (payload_type, clock_rate) in self.telephone_events {
            let value = format!("{payload_type} telephone-event/{clock_rate}");
            attributes.push(attribute("rtpmap", Some(value)));
            attributes.push(attribute("fmtp", Some(format!("{payload_type} {OUR_EVENTS}"))));
        }
        for key in self.crypto {
            attributes.push(attribute("crypto", Some(key.write())));
        }
        attributes.push(attribute("ptime", Some(self.ptime_ms.to_string())));
        if self.rtcp_mux {
            attributes.push(attribute("rtcp-mux", None));
        }
        attributes.push(attribute(self.direction.as_str(), None));
        attributes
    }
}

/// An `m=` line without attributes; port 0 refuses what was offered (RFC 3264 §6).
pub(super) fn media(kind: &str, port: u16, protocol: &str, formats: &str) -> Media {
    Media {
        media: kind.to_owned(),
        port,
        num_ports: None,
        proto: protocol.to_owned(),
        fmt: formats.to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}

/// The session level around the given media.
pub(super) fn session(local: &LocalAudio, medias: Vec<Media>) -> Session {
    // RFC 3264 §5: both numbers fit a signed 64-bit integer, with room to count up.
    let number = |value: u64| value & (u64::MAX >> 2);
    let origin = Origin::with_ip_addr(number(local.session_id), number(local.version), local.addr);
    Session { connection: Some(Connection::from_ip_addr(local.addr)), medias, ..Session::new(origin, "-") }
}

/// The bytes of a description.
pub(super) fn write(session: &Session) -> Bytes {
    let mut bytes = Vec::with_capacity(512);
    // Writing to a `Vec` does not fail.
    let _ = session.write(&mut bytes);
    bytes.into()
}

fn attribute(name: &str, value: Option<String>) -> Attribute {
    Attribute { attribute: name.to_owned(), value }
}
