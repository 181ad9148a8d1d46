//! A peer's session description: what offer/answer needs of it, and nothing else (RFC 8866), in one walk over its lines.
//!
//! A line that has no bearing on audio (`i=`, `u=`, `e=`, `b=`, …) is not looked at: a gateway that writes one of them badly
//! still gets its call. The others may come in any order, but `v=` first and each medium's behind its `m=`.

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
    /// `t=`: start and stop.
    pub(super) times: Vec<(u64, u64)>,
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
    /// `connection` is of this medium, not the session's.
    is_own: bool,
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
    /// What it is by its `a=rtpmap`; `None` without one.
    encoding: Option<Encoding>,
    pub parameters: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    Codec(AudioCodec),
    /// On this clock, in hertz.
    TelephoneEvent(u32),
    Other,
}

impl SessionDescription {
    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError::TooLarge`] beyond this module's bounds, [`SdpError::Syntax`] where it is no description. An address
    /// or a codec that cannot be used is no error before it is needed.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        within("bytes", bytes.len(), MAX_SDP_BYTES)?;
        let text = String::from_utf8_lossy(bytes);
        let lines = text.split('\n').map(str::trim).filter(|line| !line.is_empty());
        let mut reading = Reading::default();
        for (i, line) in lines.enumerate() {
            within("lines", i + 1, MAX_LINES)?;
            reading.line(line)?;
        }
        reading.done()
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

/// A description as far as it was read.
#[derive(Default)]
struct Reading<'a> {
    has_version: bool,
    has_name: bool,
    origin: Option<(&'a str, u64)>,
    connection: Option<&'a str>,
    /// The session's, for every medium to come.
    attributes: Vec<(&'a str, &'a str)>,
    times: Vec<(u64, u64)>,
    media: Vec<Media>,
}

impl<'a> Reading<'a> {
    fn line(&mut self, line: &'a str) -> Result<(), SdpError> {
        let Some(key @ (b'v' | b'o' | b's' | b'c' | b't' | b'a' | b'm')) = line.as_bytes().first().copied() else {
            return Ok(());
        };
        let value = line.get(1..).and_then(|rest| rest.strip_prefix('=')).ok_or_else(|| bad("a letter and =", line))?;
        // An m= is put together again from its words.
        if line.contains('\0') || (key != b'm' && line.contains('\r')) {
            return Err(bad("no NUL and no CR", line));
        }
        if !self.has_version {
            self.has_version = key == b'v' && value == "0";
            return if self.has_version { Ok(()) } else { Err(bad("v=0 first", line)) };
        }
        match (key, self.media.last_mut()) {
            (b'm', _) => self.medium(value)?,
            (b'a', Some(media)) => {
                let (name, value) = attribute(value);
                media.apply(name, value);
            }
            (b'a', None) => self.attributes.push(attribute(value)),
            (b'c', Some(media)) => {
                let address = connection(value).ok_or_else(|| bad("c=IN IP4 or IP6 and an address", line))?;
                if !std::mem::replace(&mut media.is_own, true) {
                    media.connection = Some(address.to_owned());
                }
            }
            (b'c', None) => {
                let address = connection(value).ok_or_else(|| bad("c=IN IP4 or IP6 and an address", line))?;
                once(&mut self.connection, address, line)?;
            }
            (b'o', None) => {
                let origin = origin(value).ok_or_else(|| bad("the six words of an o=", line))?;
                once(&mut self.origin, origin, line)?;
            }
            (b's', None) if std::mem::replace(&mut self.has_name, true) => return Err(bad("one s=", line)),
            (b't', None) => self.times.push(time(value).ok_or_else(|| bad("two numbers in a t=", line))?),
            // A name, and what belongs above the first m=.
            _ => {}
        }
        Ok(())
    }

    fn medium(&mut self, value: &'a str) -> Result<(), SdpError> {
        within("media", self.media.len() + 1, MAX_MEDIA)?;
        let malformed = || bad("m= with a kind, a port, a protocol and formats", value);
        let mut words = value.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err(malformed());
        };
        let (port, count) = port.split_once('/').map_or((port, None), |(port, count)| (port, Some(count)));
        if count.is_some_and(|count| count.parse::<u16>().is_err()) {
            return Err(malformed());
        }
        let (mut formats, mut raw_formats) = (Vec::with_capacity(4), String::with_capacity(16));
        for (i, word) in words.enumerate() {
            within("formats", i + 1, MAX_FORMATS)?;
            if i > 0 {
                raw_formats.push(' ');
            }
            raw_formats.push_str(word);
            formats.extend(Format::of(word));
        }
        if raw_formats.is_empty() {
            return Err(malformed());
        }
        let mut media = Media {
            kind: kind.to_owned(),
            port: port.parse().map_err(|_| malformed())?,
            protocol: protocol.to_owned(),
            raw_formats,
            formats,
            connection: self.connection.map(str::to_owned),
            is_own: false,
            direction: Direction::SendRecv,
            ptime_ms: None,
            max_ptime_ms: None,
            rtcp: None,
            rtcp_mux: false,
            crypto: Vec::new(),
        };
        // What the media level says comes later, and wins (RFC 8866 §6.7).
        for (name, value) in &self.attributes {
            media.apply(name, value);
        }
        self.media.push(media);
        Ok(())
    }

    fn done(self) -> Result<SessionDescription, SdpError> {
        if !self.has_version {
            return Err(SdpError::Syntax("it has no v=0".to_owned()));
        }
        let (session_id, version) = self.origin.unwrap_or(("0", 0));
        Ok(SessionDescription { session_id: session_id.to_owned(), version, times: self.times, media: self.media })
    }
}

/// What a line should be, and what it is.
fn bad(wanted: &str, line: &str) -> SdpError {
    SdpError::Syntax(format!("{wanted}, not {line:?}"))
}

fn once<T>(place: &mut Option<T>, value: T, line: &str) -> Result<(), SdpError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad("such a line once", line)),
    }
}

/// Name and value; a flag has none.
fn attribute(text: &str) -> (&str, &str) {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    (name.trim(), value.trim())
}

/// The address of a `c=`.
fn connection(text: &str) -> Option<&str> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let [network, kind, address] = [words.next()?, words.next()?, words.next()?];
    (is_token(network) && is_token(kind) && words.next().is_none()).then_some(address)
}

/// Session id and version of an `o=`.
fn origin(text: &str) -> Option<(&str, u64)> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let [_, id, version, network, kind, _] =
        [words.next()?, words.next()?, words.next()?, words.next()?, words.next()?, words.next()?];
    let is_whole = is_token(network) && is_token(kind) && words.next().is_none();
    Some((id, version.parse().ok()?)).filter(|_| is_whole)
}

fn time(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let [start, stop] = [words.next()?.parse().ok()?, words.next()?.parse().ok()?];
    words.next().is_none().then_some((start, stop))
}

/// `token` of RFC 8866 §9.
fn is_token(text: &str) -> bool {
    let is_char =
        |b: u8| matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~');
    text.bytes().all(is_char)
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<(), SdpError> {
    if found > limit { Err(SdpError::TooLarge { what, limit }) } else { Ok(()) }
}

impl Media {
    fn apply(&mut self, name: &str, value: &str) {
        if let Some(direction) = Direction::from_attribute(name) {
            self.direction = direction;
            return;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("rtpmap") {
            self.apply_rtpmap(value);
        } else if is("fmtp") {
            self.apply_fmtp(value);
        } else if is("ptime") {
            self.ptime_ms = milliseconds(value).or(self.ptime_ms);
        } else if is("maxptime") {
            self.max_ptime_ms = milliseconds(value).or(self.max_ptime_ms);
        } else if is("rtcp") {
            self.rtcp = rtcp(value).or(self.rtcp);
        } else if is("rtcp-mux") {
            self.rtcp_mux = true;
        } else if is("crypto") && self.crypto.len() < MAX_CRYPTO {
            self.crypto.extend(Crypto::read(value));
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
        let (name, clock_rate) = (parts.next()?, parts.next()?.parse().ok()?);
        let channels = parts.next().map_or(Some(1), |channels| channels.parse().ok())?;
        if name.eq_ignore_ascii_case("telephone-event") {
            return Some(Self::TelephoneEvent(clock_rate));
        }
        Some(AudioCodec::by_encoding(name, clock_rate, channels).map_or(Self::Other, Self::Codec))
    }
}

impl Format {
    /// A payload type; `None` for what is none (T.38's `t38`, a data channel).
    fn of(text: &str) -> Option<Self> {
        let payload_type = text.parse().ok().filter(|pt| *pt < 128)?;
        Some(Self { payload_type, encoding: None, parameters: None })
    }

    /// The codec it stands for, where it is one of ours: by `a=rtpmap`, else by its static payload type.
    pub fn codec(&self) -> Option<AudioCodec> {
        match self.encoding {
            Some(Encoding::Codec(codec)) => Some(codec),
            Some(_) => None,
            None => AudioCodec::by_static_payload_type(self.payload_type),
        }
    }

    /// Its events, where it is telephone-event on the given clock (RFC 4733 §2.4).
    pub fn telephone_events(&self, clock_rate: u32) -> Option<TelephoneEvents> {
        let is_event = self.encoding == Some(Encoding::TelephoneEvent(clock_rate));
        is_event.then(|| self.parameters.as_deref().map_or(TelephoneEvents::DIGITS, TelephoneEvents::from_fmtp))
    }
}
