//! Writing a description: the offer (RFC 3264 §5), and the parts that an answer shares with it.

use super::LocalAudio;
use super::codec::AudioCodec;
use super::crypto::Crypto;
use super::direction::Direction;
use super::event::{NARROW_CLOCK, OUR_EVENTS, WIDE_TELEPHONE_EVENT};
use bytes::Bytes;
use std::fmt::Write as _;
use std::net::IpAddr;

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
    let mut sdp = begin(local, &[(0, 0)]);
    stream.describe(local.port, &mut sdp);
    sdp.into()
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
    /// Writes the `m=` line and its attributes.
    pub fn describe(&self, port: u16, sdp: &mut String) {
        write(sdp, format_args!("m=audio {port} {}", self.protocol));
        let events = self.telephone_events.iter().map(|(payload_type, _)| *payload_type);
        for payload_type in self.codecs.iter().map(|(_, payload_type)| *payload_type).chain(events) {
            write(sdp, format_args!(" {payload_type}"));
        }
        sdp.push_str("\r\n");
        for (codec, payload_type) in self.codecs {
            write(sdp, format_args!("a=rtpmap:{payload_type} {}\r\n", codec.encoding()));
            if let Some(parameters) = codec.parameters() {
                write(sdp, format_args!("a=fmtp:{payload_type} {parameters}\r\n"));
            }
        }
        for (payload_type, clock_rate) in self.telephone_events {
            write(sdp, format_args!("a=rtpmap:{payload_type} telephone-event/{clock_rate}\r\n"));
            write(sdp, format_args!("a=fmtp:{payload_type} {OUR_EVENTS}\r\n"));
        }
        for key in self.crypto {
            write(sdp, format_args!("a=crypto:{}\r\n", key.write()));
        }
        write(sdp, format_args!("a=ptime:{}\r\n", self.ptime_ms));
        if self.rtcp_mux {
            sdp.push_str("a=rtcp-mux\r\n");
        }
        write(sdp, format_args!("a={}\r\n", self.direction.as_str()));
    }
}

/// Writes an `m=` line without attributes, of a medium that is refused (RFC 3264 §6). Its words are the peer's, as they were
/// read: none has a space or an end of line.
pub(super) fn refuse(kind: &str, protocol: &str, formats: &str, sdp: &mut String) {
    write(sdp, format_args!("m={kind} 0 {protocol} {formats}\r\n"));
}

/// The session level; media come behind it.
pub(super) fn begin(local: &LocalAudio, times: &[(u64, u64)]) -> String {
    // RFC 3264 §5: both numbers fit a signed 64-bit integer, with room to count up.
    let number = |value: u64| value & (u64::MAX >> 2);
    let addr = match local.addr {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    };
    let mut sdp = String::with_capacity(320);
    let (id, version, ip) = (number(local.session_id), number(local.version), local.addr);
    write(&mut sdp, format_args!("v=0\r\no=- {id} {version} IN {addr} {ip}\r\ns=-\r\nc=IN {addr} {ip}\r\n"));
    for (start, stop) in times {
        write(&mut sdp, format_args!("t={start} {stop}\r\n"));
    }
    sdp
}

fn write(sdp: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a `String` does not fail.
    let _ = sdp.write_fmt(line);
}
