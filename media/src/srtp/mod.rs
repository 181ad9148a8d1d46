//! SRTP and SRTCP (RFC 3711, RFC 7714) with keys that signalling brought (SDES, RFC 4568): one value for both directions
//! of one stream.
//!
//! What does not authenticate, or comes a second time, is refused before anything is learned from it, and ends nothing
//! but itself (SECURITY.md rows 2, 4 and 5). No key is ever printed.

mod cipher;
mod index;
mod suite;

use cipher::Cipher;
use index::{Replay, nearest};
pub use suite::{SrtpKey, SrtpKeyError, SrtpKeys, SrtpSuite};

/// Octets that protection adds to an RTP packet at most: the tag of AES-GCM.
pub(crate) const MAX_TAG: usize = 16;

/// Octets that protection adds to a compound RTCP packet at most: a tag and the index (RFC 3711 §3.4).
pub(crate) const MAX_RTCP_TAG: usize = MAX_TAG + INDEX;

/// Sources one far end may have under one key; a new one takes the place of that which was silent longest. It must have
/// authenticated first, so that only the far end itself can get there.
const MAX_SOURCES: usize = 8;

/// Octets of the SRTCP index with its E bit.
const INDEX: usize = 4;

/// The E bit: the packet is encrypted (RFC 3711 §3.4).
const ENCRYPTED: u32 = 1 << 31;

/// The last SRTCP index of a key (RFC 3711 §9.2): at a report every 2.5 s it takes 170 years.
const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;

/// Why a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its header is none.
    Malformed,
    /// It came before, or is older than the window tells.
    Replayed,
    /// Its tag is not the key's.
    Unauthentic,
}

/// Both directions of one stream.
#[derive(Clone, Debug)]
pub struct Srtp {
    sender: Sender,
    receiver: Receiver,
    /// Under the far end's key before this one, until it uses the new one: what is on its way when keys change, and what
    /// it sends until our answer has reached it, is heard (RFC 4568 §7.1.4).
    before: Option<Box<Receiver>>,
}

impl Srtp {
    /// Both directions with these keys, from their first packet.
    #[must_use]
    pub fn new(keys: &SrtpKeys) -> Self {
        let (sender, receiver) = (Sender::new(&keys.send), Receiver::new(&keys.receive));
        Self { sender, receiver, before: None }
    }

    /// Takes the keys of a new offer and answer. A key that stays keeps its counters; where one changes the rollover
    /// counter goes on (RFC 3711 §3.3.1), unless the far end `moved`: a new address knows nothing of it, and begins at
    /// zero (RFC 4568 §7.1.4).
    pub fn rekey(&mut self, keys: &SrtpKeys, moved: bool) {
        if self.sender.key != keys.send {
            let highest = if moved { None } else { self.sender.highest };
            self.sender = Sender { highest, ..Sender::new(&keys.send) };
        }
        if self.receiver.key != keys.receive {
            let renewed = self.receiver.rekeyed(&keys.receive);
            self.before = Some(Box::new(std::mem::replace(&mut self.receiver, renewed)));
        }
    }

    /// Protects the RTP packet at the start of the buffer; returns its new length, 0 where it does not fit.
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> usize {
        self.sender.protect(buffer, length).unwrap_or(0)
    }

    /// Protects a compound RTCP packet; returns its new length, 0 where it does not fit.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> usize {
        self.sender.protect_rtcp(buffer, length).unwrap_or(0)
    }

    /// Opens an RTP packet in place; returns its clear length.
    ///
    /// # Errors
    /// [`Refused`]; the packet is left as it came.
    pub fn open(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        self.by_either_key(packet, Receiver::open)
    }

    /// Opens a compound RTCP packet in place; returns its clear length.
    ///
    /// # Errors
    /// As [`Srtp::open`].
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        self.by_either_key(packet, Receiver::open_rtcp)
    }

    /// A packet that is refused was left as it came, so that the other key may try.
    fn by_either_key(
        &mut self,
        packet: &mut [u8],
        open: fn(&mut Receiver, &mut [u8]) -> Result<usize, Refused>,
    ) -> Result<usize, Refused> {
        match (open(&mut self.receiver, packet), &mut self.before) {
            (Err(Refused::Unauthentic), Some(before)) => open(before, packet),
            (opened, before) => {
                if opened.is_ok() {
                    *before = None;
                }
                opened
            }
        }
    }
}

/// Our direction: one SSRC, as an endpoint has.
#[derive(Clone, Debug)]
struct Sender {
    key: SrtpKey,
    cipher: Cipher,
    /// The highest index sent: rollover counter and sequence number.
    highest: Option<u64>,
    rtcp_index: u32,
}

impl Sender {
    fn new(key: &SrtpKey) -> Self {
        Self { key: *key, cipher: Cipher::new(key), highest: None, rtcp_index: 0 }
    }

    fn protect(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let header = Header::read(buffer.get(..length)?)?;
        let index = self.highest.map_or(u64::from(header.sequence), |highest| nearest(highest, header.sequence));
        let protected = self.cipher.seal(buffer, header.length, length, header.ssrc, index)?;
        self.highest = Some(self.highest.map_or(index, |highest| highest.max(index)));
        Some(protected)
    }

    fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let ssrc = rtcp_ssrc(buffer.get(..length)?)?;
        if self.rtcp_index == MAX_RTCP_INDEX {
            return None;
        }
        self.rtcp_index += 1;
        self.cipher.seal_rtcp(buffer, length, ssrc, self.rtcp_index | ENCRYPTED)
    }
}

/// What is known of one of the far end's sources.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    rtp: Replay,
    rtcp: Replay,
    /// The key is new: a far end may have begun its rollover counter anew with it (RFC 3711 and RFC 4568 differ).
    rekeyed: bool,
    /// When it was heard last, in packets.
    heard: u64,
}

impl Source {
    fn new(ssrc: u32) -> Self {
        Self { ssrc, rtp: Replay::default(), rtcp: Replay::default(), rekeyed: false, heard: 0 }
    }

    /// The indices a sequence number may mean, the likelier one first, each with what was seen on its counter.
    fn indices(&self, sequence: u16) -> [Option<(u64, Replay)>; 2] {
        let anew = u64::from(sequence);
        let first = self.rtp.highest().map_or(anew, |highest| nearest(highest, sequence));
        let second = self.rekeyed && first != anew;
        [Some((first, self.rtp)), second.then(|| (anew, Replay::default()))]
    }
}

/// The far end's direction.
#[derive(Clone, Debug)]
struct Receiver {
    key: SrtpKey,
    cipher: Cipher,
    sources: Vec<Source>,
    packets: u64,
}

impl Receiver {
    fn new(key: &SrtpKey) -> Self {
        Self { key: *key, cipher: Cipher::new(key), sources: Vec::with_capacity(1), packets: 0 }
    }

    fn rekeyed(&self, key: &SrtpKey) -> Self {
        let renew = |source: &Source| Source { rtp: source.rtp.renewed(), rekeyed: true, ..Source::new(source.ssrc) };
        Self { sources: self.sources.iter().map(renew).collect(), ..Self::new(key) }
    }

    /// What is known of the source, or a new one that nothing is known of.
    fn source(&self, ssrc: u32) -> Source {
        let known = self.sources.iter().find(|source| source.ssrc == ssrc);
        known.copied().unwrap_or_else(|| Source::new(ssrc))
    }

    fn keep(&mut self, source: Source) {
        self.packets += 1;
        let source = Source { heard: self.packets, ..source };
        if let Some(known) = self.sources.iter_mut().find(|known| known.ssrc == source.ssrc) {
            *known = source;
        } else if self.sources.len() < MAX_SOURCES {
            self.sources.push(source);
        } else if let Some(oldest) = self.sources.iter_mut().min_by_key(|known| known.heard) {
            *oldest = source;
        }
    }

    fn open(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let header = Header::read(packet).ok_or(Refused::Malformed)?;
        let source = self.source(header.ssrc);
        let mut why = Refused::Replayed;
        for (index, replay) in source.indices(header.sequence).into_iter().flatten() {
            // The window first: a replay costs no cipher (RFC 3711 §3.3).
            if !replay.is_new(index) {
                continue;
            }
            if let Some(length) = self.cipher.open(packet, header.length, header.ssrc, index) {
                self.keep(Source { rtp: replay.seen(index), rekeyed: false, ..source });
                return Ok(length);
            }
            why = Refused::Unauthentic;
        }
        Err(why)
    }

    fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let ssrc = rtcp_ssrc(packet).ok_or(Refused::Malformed)?;
        let word = self.cipher.rtcp_index(packet).ok_or(Refused::Malformed)?;
        let (source, index) = (self.source(ssrc), u64::from(word & !ENCRYPTED));
        if !source.rtcp.is_new(index) {
            return Err(Refused::Replayed);
        }
        let length = self.cipher.open_rtcp(packet, ssrc, word).ok_or(Refused::Unauthentic)?;
        self.keep(Source { rtcp: source.rtcp.seen(index), ..source });
        Ok(length)
    }
}

/// What of an RTP header protection needs; it stays in clear (RFC 3711 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// Octets of it, CSRCs and extension included.
    length: usize,
    sequence: u16,
    ssrc: u32,
}

impl Header {
    fn read(packet: &[u8]) -> Option<Self> {
        let &[first, _, high, low, _, _, _, _, a, b, c, d] = packet.first_chunk::<12>()?;
        let fixed = 12 + 4 * usize::from(first & 0x0F);
        let length = if first & 0x10 == 0 {
            fixed
        } else {
            let words = packet.get(fixed + 2..fixed + 4)?.first_chunk::<2>()?;
            fixed + 4 + 4 * usize::from(u16::from_be_bytes(*words))
        };
        let valid = first >> 6 == 2 && length <= packet.len();
        let (sequence, ssrc) = (u16::from_be_bytes([high, low]), u32::from_be_bytes([a, b, c, d]));
        valid.then_some(Self { length, sequence, ssrc })
    }
}

/// The sender of a compound RTCP packet.
fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*packet.get(4..)?.first_chunk::<4>()?))
}

#[cfg(test)]
mod tests;
