//! A peer's session description: what offer/answer needs of it, and nothing else (RFC 8866).
//!
//! A line that has no bearing on audio (`i=`, `u=`, `e=`, `b=`, …) is dropped before the grammar sees it: a gateway that
//! writes one of them badly still gets its call.

use super::codec::AudioCodec;
use super::crypto::{Crypto, MAX_CRYPTO};
use super::direction::Direction;
use super::error::SdpError;
use super::event::TelephoneEvents;
use std::net::{IpAddr, SocketAddr};

/// The longest description read, in bytes; a longer one is [`SdpError::TooLarge`].
pub const MAX_SDP_BYTES: usize = 32 * 1024;

/// The most lines read; more are [`SdpError::TooLarge`].
pub const MAX_LINES: usize = 1000;

/// The most media descriptions (`m=`) read; more are [`SdpError::TooLarge`].
pub const MAX_MEDIA: usize = 32;

/// The most formats in one media description; more are [`SdpError::TooLarge`].
pub const MAX_FORMATS: usize = 64;

/// A session description as it was read: an offer, or an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionDescription {
    session_id: String,
    version: u64,
    pub(super) times: Vec<sdp_types::Time>,
    pub(super) media: Vec<Media>,
}

/// One `m=` and what follows it, session-level values filled in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Media {
    pub kind: String,
    pub port: u16,
    pub protocol: String,
    /// The formats as they were written, for the answer that refuses them.
    pub raw_formats: String,
    pub formats: Vec<Format>,
    connection: Option<String>,
    pub direction: Direction,
    pub ptime_ms: Option<u16>,
    pub max_ptime_ms: Option<u16>,
    rtcp: Option<(u16, Option<IpAddr>)>,
    pub rtcp_mux: bool,
    /// `a=crypto`, as far as we speak it.
    pub crypto: Vec<Crypto>,
}

/// One payload type, with what `a=rtpmap` and `a=fmtp` say about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format {
    pub payload_type: u8,
    encoding: Option<Encoding>,
    pub parameters: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Encoding {
    name: String,
    clock_rate: u32,
    channels: u8,
}

impl SessionDescription {
    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError::TooLarge`] beyond this module's bounds, [`SdpError::Syntax`] where it is no description. An address
    /// or a codec that cannot be used is no error before it is needed.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        let session =
            sdp_types::Session::parse(tidy(bytes)?.as_bytes()).map_err(|error| SdpError::Syntax(error.to_string()))?;
        let media = session.medias.iter().map(|media| Media::read(media, &session)).collect::<Result<_, _>>()?;
        Ok(Self {
            session_id: session.origin.sess_id,
            version: session.origin.sess_version,
            times: session.times,
            media,
        })
    }

    /// `o=`'s session id; `0` where there is no `o=`.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Our codecs among those of its first live audio stream, in its order.
    #[must_use]
    pub fn audio_codecs(&self) -> Vec<AudioCodec> {
        let stream = self.media.iter().find(|stream| stream.is_live_audio());
        stream.map(|stream| stream.formats.iter().filter_map(Format::codec).collect()).unwrap_or_default()
    }

    /// `o=`'s version: the same one again means that nothing has changed (RFC 3264 §8).
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// Checks the bounds, and keeps the lines that matter, in the one form the grammar takes.
fn tidy(bytes: &[u8]) -> Result<String, SdpError> {
    within("bytes", bytes.len(), MAX_SDP_BYTES)?;
    let text = String::from_utf8_lossy(bytes);
    let mut tidied = String::with_capacity(text.len());
    let (mut lines, mut media) = (0, 0);
    for line in text.split('\n').map(str::trim).filter(|line| !line.is_empty()) {
        lines += 1;
        within("lines", lines, MAX_LINES)?;
        match line.as_bytes().first() {
            Some(b'm') => {
                media += 1;
                within("media", media, MAX_MEDIA)?;
                push_single_spaced(&mut tidied, line);
            }
            Some(b'v' | b'o' | b's' | b'c' | b't' | b'a') => tidied.push_str(line),
            _ => continue,
        }
        tidied.push_str("\r\n");
    }
    Ok(tidied)
}

fn push_single_spaced(out: &mut String, line: &str) {
    for (i, word) in line.split_ascii_whitespace().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<(), SdpError> {
    if found > limit { Err(SdpError::TooLarge { what, limit }) } else { Ok(()) }
}

impl Media {
    fn read(media: &sdp_types::Media, session: &sdp_types::Session) -> Result<Self, SdpError> {
        within("formats", media.fmt.split_ascii_whitespace().count(), MAX_FORMATS)?;
        let connection = media.connections.first().or(session.connection.as_ref());
        let mut read = Self {
            kind: media.media.clone(),
            port: media.port,
            protocol: media.proto.clone(),
            raw_formats: media.fmt.clone(),
            formats: formats(&media.fmt),
            connection: connection.map(|connection| connection.connection_address.clone()),
            direction: Direction::SendRecv,
            ptime_ms: None,
            max_ptime_ms: None,
            rtcp: None,
            rtcp_mux: false,
            crypto: Vec::new(),
        };
        // What the media level says comes later, and wins (RFC 8866 §6.7).
        for attribute in session.attributes.iter().chain(&media.attributes) {
            read.apply(attribute.attribute.trim(), attribute.value.as_deref().unwrap_or_default().trim());
        }
        Ok(read)
    }

    fn apply(&mut self, name: &str, value: &str) {
        if let Some(direction) = Direction::from_attribute(name) {
            self.direction = direction;
            return;
        }
        match name.to_ascii_lowercase().as_str() {
            "rtpmap" => self.apply_rtpmap(value),
            "fmtp" => self.apply_fmtp(value),
            "ptime" => self.ptime_ms = milliseconds(value).or(self.ptime_ms),
            "maxptime" => self.max_ptime_ms = milliseconds(value).or(self.max_ptime_ms),
            "rtcp" => self.rtcp = rtcp(value).or(self.rtcp),
            "rtcp-mux" => self.rtcp_mux = true,
            "crypto" if self.crypto.len() < MAX_CRYPTO => self.crypto.extend(Crypto::read(value)),
            _ => {}
        }
    }

    fn apply_rtpmap(&mut self, value: &str) {
        if let Some((format, encoding)) = self.format_of(value)
            && let Some(encoding) = Encoding::parse(encoding)
        {
            format.encoding = Some(encoding);
        }
    }

    fn apply_fmtp(&mut self, value: &str) {
        if let Some((format, parameters)) = self.format_of(value) {
            format.parameters = Some(parameters.to_owned());
        }
    }

    /// The format that an attribute's leading payload type names, and the rest of the attribute.
    fn format_of<'a>(&mut self, value: &'a str) -> Option<(&mut Format, &'a str)> {
        let (payload_type, rest) = value.split_once([' ', '\t'])?;
        let payload_type: u8 = payload_type.parse().ok()?;
        let format = self.formats.iter_mut().find(|format| format.payload_type == payload_type)?;
        Some((format, rest.trim()))
    }

    /// True for an audio stream that is offered, or accepted: port 0 is neither (RFC 3264 §6).
    pub fn is_live_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("audio") && self.port != 0
    }

    /// True for RTP in the clear (RFC 3551, RFC 4585).
    pub fn is_plain_rtp(&self) -> bool {
        ["RTP/AVP", "RTP/AVPF"].into_iter().any(|plain| plain.eq_ignore_ascii_case(&self.protocol))
    }

    /// True for SRTP, keyed by SDES or DTLS (RFC 4568, RFC 5764).
    pub fn is_secure_rtp(&self) -> bool {
        self.protocol.to_ascii_uppercase().contains("RTP/SAVP")
    }

    /// True for SRTP keyed by SDES (RFC 4568 §3): DTLS has another protocol's name.
    pub fn is_keyed_here(&self) -> bool {
        ["RTP/SAVP", "RTP/SAVPF"].into_iter().any(|secure| secure.eq_ignore_ascii_case(&self.protocol))
    }

    /// Where RTP is to go. An unspecified address is an RFC 2543 hold, and allowed.
    pub fn address(&self) -> Result<SocketAddr, SdpError> {
        let text = self.connection.as_deref().unwrap_or_default();
        let bad = || SdpError::BadAddress(text.to_owned());
        let ip = unicast(text.split('/').next().unwrap_or_default()).ok_or_else(bad)?;
        Ok(SocketAddr::new(ip, self.port))
    }

    /// Where RTCP is to go where it does not share RTP's port: `a=rtcp` (RFC 3605), else the next port.
    pub fn rtcp_address(&self, rtp: SocketAddr) -> Option<SocketAddr> {
        let (port, ip) = match self.rtcp {
            Some((port, ip)) => (port, ip.unwrap_or(rtp.ip())),
            None => (rtp.port().checked_add(1)?, rtp.ip()),
        };
        (port != 0 && !ip.is_unspecified()).then(|| SocketAddr::new(ip, port))
    }
}

/// The payload types of an `m=` line; what is not a payload type (T.38's `t38`, a data channel) is left out.
fn formats(text: &str) -> Vec<Format> {
    let payload_types = text.split_ascii_whitespace().filter_map(|format| format.parse().ok()).filter(|pt| *pt < 128);
    payload_types.map(|payload_type| Format { payload_type, encoding: None, parameters: None }).collect()
}

fn milliseconds(text: &str) -> Option<u16> {
    // Some gateways write `20.0`.
    text.split('.').next()?.parse().ok().filter(|ms| *ms > 0)
}

fn rtcp(text: &str) -> Option<(u16, Option<IpAddr>)> {
    let mut words = text.split_ascii_whitespace();
    let port = words.next()?.parse().ok()?;
    Some((port, words.nth(2).and_then(unicast)))
}

/// An address that media can go to, or the unspecified one.
fn unicast(text: &str) -> Option<IpAddr> {
    let ip = text.parse::<IpAddr>().ok()?.to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    (!ip.is_multicast() && !is_broadcast).then_some(ip)
}

impl Encoding {
    /// `PCMU/8000` or `PCMU/8000/1`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::trim);
        let (name, clock_rate) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        let channels = parts.next().map_or(Some(1), |channels| channels.parse().ok())?;
        Some(Self { name, clock_rate, channels })
    }
}

impl Format {
    /// The codec it stands for, where it is one of ours: by `a=rtpmap`, else by its static payload type.
    pub fn codec(&self) -> Option<AudioCodec> {
        match &self.encoding {
            Some(encoding) => AudioCodec::by_encoding(&encoding.name, encoding.clock_rate, encoding.channels),
            None => AudioCodec::by_static_payload_type(self.payload_type),
        }
    }

    /// Its events, where it is telephone-event on the given clock (RFC 4733 §2.4).
    pub fn telephone_events(&self, clock_rate: u32) -> Option<TelephoneEvents> {
        let encoding = self.encoding.as_ref()?;
        let is_event = encoding.name.eq_ignore_ascii_case("telephone-event") && encoding.clock_rate == clock_rate;
        is_event.then(|| self.parameters.as_deref().map_or(TelephoneEvents::DIGITS, TelephoneEvents::from_fmtp))
    }
}
