//! Session keys (RFC 3711 §4.3) and the two transforms: AES in counter mode with HMAC-SHA1 (§4.1.1, §4.2.1), and AES in
//! Galois/counter mode (RFC 7714). A tag is compared in constant time, and before anything is decrypted.

use super::suite::{KEY, SrtpKey, SrtpSuite};
use super::{INDEX, MAX_TAG};
use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit, KeyIvInit, StreamCipher};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut;
use ctr::{Ctr128BE, CtrCore, flavors};
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// Octets of an RTCP packet that stay in clear: its first header and its sender (RFC 3711 §3.4).
const RTCP_CLEAR: usize = 8;

/// Octets of HMAC-SHA1's key (RFC 3711 §5.2).
const AUTH_KEY: usize = 20;

/// Octets of the tag of RTCP with HMAC-SHA1, whatever RTP's is (RFC 4568 §6.2.2).
const RTCP_HMAC_TAG: usize = 10;

/// Octets of a compound that is authenticated and not encrypted, with its index: a longer one is refused.
const MAX_SIGNED: usize = 1504;

/// What a session key is for (RFC 3711 §4.3.2), to which RTCP adds three.
#[derive(Clone, Copy)]
enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// The key stream of AES-CM over a label (RFC 3711 §4.3.3), with a key derivation rate of zero.
fn derive<const N: usize>(key: &SrtpKey, label: Label, rtcp: bool) -> [u8; N] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(&key.salt());
    iv[7] ^= label as u8 + if rtcp { 3 } else { 0 };
    let mut out = [0; N];
    Ctr128BE::<Aes128>::new(&key.master().into(), &iv.into()).apply_keystream(&mut out);
    out
}

/// One direction's, for RTP and RTCP.
#[derive(Clone)]
pub(super) struct Cipher {
    rtp: Transform,
    rtcp: Transform,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher(…)")
    }
}

#[derive(Clone)]
enum Transform {
    CounterMode { aes: Aes128, salt: [u8; 14], mac: Hmac<Sha1>, tag: usize },
    Galois { gcm: Aes128Gcm, salt: [u8; 12] },
}

impl Transform {
    fn new(key: &SrtpKey, rtcp: bool) -> Self {
        let session: [u8; KEY] = derive(key, Label::Encryption, rtcp);
        if key.suite() == SrtpSuite::AeadAes128Gcm {
            return Self::Galois { gcm: Aes128Gcm::new(&session.into()), salt: derive(key, Label::Salt, rtcp) };
        }
        let auth: [u8; AUTH_KEY] = derive(key, Label::Authentication, rtcp);
        // HMAC pads a short key to its block with zeros (RFC 2104 §2).
        let mut block = [0; 64];
        block[..AUTH_KEY].copy_from_slice(&auth);
        let tag = if key.suite() == SrtpSuite::AesCm128HmacSha1_32 && !rtcp { 4 } else { RTCP_HMAC_TAG };
        let mac = <Hmac<Sha1> as KeyInit>::new(&block.into());
        Self::CounterMode { aes: Aes128::new(&session.into()), salt: derive(key, Label::Salt, rtcp), mac, tag }
    }

    fn tag(&self) -> usize {
        match self {
            Self::CounterMode { tag, .. } => *tag,
            Self::Galois { .. } => MAX_TAG,
        }
    }

    /// The tag goes behind the index in counter mode, and before it in GCM (RFC 3711 §3.4, RFC 7714 §9.2).
    fn rtcp_index_at(&self, length: usize) -> Option<usize> {
        match self {
            Self::CounterMode { tag, .. } => length.checked_sub(tag + INDEX),
            Self::Galois { .. } => length.checked_sub(INDEX),
        }
    }
}

/// The initial counter block (RFC 3711 §4.1.1).
fn counter(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    xor(&mut iv[4..8], &ssrc.to_be_bytes());
    xor(&mut iv[6..14], &index.to_be_bytes());
    iv
}

/// The nonce of a packet (RFC 7714 §8.1, §9.1): the source and 48 bits of index, under the salt.
fn nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> [u8; 12] {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[4..12], &index.to_be_bytes());
    nonce
}

fn xor(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to ^= from);
}

fn apply(aes: &Aes128, iv: [u8; 16], text: &mut [u8]) {
    let core = CtrCore::<&Aes128, flavors::Ctr128BE>::inner_iv_init(aes, &iv.into());
    aes::cipher::StreamCipherCoreWrapper::from_core(core).apply_keystream(text);
}

fn hmac(mac: &Hmac<Sha1>, message: &[u8], end: &[u8]) -> Hmac<Sha1> {
    mac.clone().chain_update(message).chain_update(end)
}

fn append(buffer: &mut [u8], at: usize, octets: &[u8]) -> Option<usize> {
    let end = at + octets.len();
    buffer.get_mut(at..end)?.copy_from_slice(octets);
    Some(end)
}

impl Cipher {
    pub(super) fn new(key: &SrtpKey) -> Self {
        Self { rtp: Transform::new(key, false), rtcp: Transform::new(key, true) }
    }

    /// Encrypts what follows the header and appends the tag; returns the new length.
    pub(super) fn seal(&self, buffer: &mut [u8], header: usize, length: usize, ssrc: u32, index: u64) -> Option<usize> {
        match &self.rtp {
            Transform::CounterMode { aes, salt, mac, tag } => {
                apply(aes, counter(salt, ssrc, index), buffer.get_mut(header..length)?);
                let rollovers = ((index >> 16) as u32).to_be_bytes();
                let full = hmac(mac, buffer.get(..length)?, &rollovers).finalize().into_bytes();
                append(buffer, length, full.get(..*tag)?)
            }
            Transform::Galois { gcm, salt } => {
                let (clear, text) = buffer.get_mut(..length)?.split_at_mut_checked(header)?;
                let sealed = gcm.encrypt_inout_detached(&nonce(salt, ssrc, index).into(), clear, text.into());
                append(buffer, length, &sealed.ok()?)
            }
        }
    }

    /// Opens a packet in place; returns its clear length. A packet that is refused is left as it came.
    pub(super) fn open(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) -> Option<usize> {
        let length = packet.len().checked_sub(self.rtp.tag()).filter(|length| *length >= header)?;
        let (message, tag) = packet.split_at_mut_checked(length)?;
        match &self.rtp {
            Transform::CounterMode { aes, salt, mac, .. } => {
                let rollovers = ((index >> 16) as u32).to_be_bytes();
                hmac(mac, message, &rollovers).verify_truncated_left(tag).ok()?;
                apply(aes, counter(salt, ssrc, index), message.get_mut(header..)?);
            }
            Transform::Galois { gcm, salt } => {
                let (clear, text) = message.split_at_mut_checked(header)?;
                let tag = tag.first_chunk::<MAX_TAG>()?;
                gcm.decrypt_inout_detached(&nonce(salt, ssrc, index).into(), clear, text.into(), tag.into()).ok()?;
            }
        }
        Some(length)
    }

    /// Encrypts a compound RTCP packet, and appends the index (whose E bit is set) and the tag.
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], length: usize, ssrc: u32, word: u32) -> Option<usize> {
        let (octets, index) = (word.to_be_bytes(), u64::from(word & !super::ENCRYPTED));
        match &self.rtcp {
            Transform::CounterMode { aes, salt, mac, tag } => {
                apply(aes, counter(salt, ssrc, index), buffer.get_mut(RTCP_CLEAR..length)?);
                let end = append(buffer, length, &octets)?;
                let full = hmac(mac, buffer.get(..end)?, &[]).finalize().into_bytes();
                append(buffer, end, full.get(..*tag)?)
            }
            Transform::Galois { gcm, salt } => {
                let (clear, text) = buffer.get_mut(..length)?.split_at_mut_checked(RTCP_CLEAR)?;
                let data = associated(clear, octets)?;
                let sealed = gcm.encrypt_inout_detached(&nonce(salt, ssrc, index).into(), &data, text.into());
                let end = append(buffer, length, &sealed.ok()?)?;
                append(buffer, end, &octets)
            }
        }
    }

    /// The index of an SRTCP packet, with its E bit.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        let at = self.rtcp.rtcp_index_at(packet.len())?;
        Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?))
    }

    /// Opens a compound RTCP packet in place; returns its clear length. One that is not encrypted is authenticated.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, word: u32) -> Option<usize> {
        let (octets, index) = (word.to_be_bytes(), u64::from(word & !super::ENCRYPTED));
        let encrypted = word & super::ENCRYPTED != 0;
        match &self.rtcp {
            Transform::CounterMode { aes, salt, mac, tag } => {
                let signed = packet.len().checked_sub(*tag)?;
                let length = signed.checked_sub(INDEX).filter(|length| *length >= RTCP_CLEAR)?;
                let (message, tag) = packet.split_at_mut_checked(signed)?;
                hmac(mac, message, &[]).verify_truncated_left(tag).ok()?;
                if encrypted {
                    apply(aes, counter(salt, ssrc, index), message.get_mut(RTCP_CLEAR..length)?);
                }
                Some(length)
            }
            Transform::Galois { gcm, salt } => {
                let length = packet.len().checked_sub(MAX_TAG + INDEX).filter(|length| *length >= RTCP_CLEAR)?;
                let (message, end) = packet.split_at_mut_checked(length)?;
                let tag = end.first_chunk::<MAX_TAG>()?;
                let nonce = nonce(salt, ssrc, index).into();
                if encrypted {
                    let (clear, text) = message.split_at_mut_checked(RTCP_CLEAR)?;
                    gcm.decrypt_inout_detached(&nonce, &associated(clear, octets)?, text.into(), tag.into()).ok()?;
                } else {
                    let mut data = [0; MAX_SIGNED];
                    let end = append(&mut data, 0, message).and_then(|end| append(&mut data, end, &octets))?;
                    let nothing: &mut [u8] = &mut [];
                    gcm.decrypt_inout_detached(&nonce, data.get(..end)?, nothing.into(), tag.into()).ok()?;
                }
                Some(length)
            }
        }
    }
}

/// What GCM authenticates beside the text of an encrypted compound: its clear octets and the index (RFC 7714 §9.2).
fn associated(clear: &[u8], index: [u8; INDEX]) -> Option<[u8; RTCP_CLEAR + INDEX]> {
    let mut data = [0; RTCP_CLEAR + INDEX];
    append(&mut data, 0, clear)?;
    append(&mut data, RTCP_CLEAR, &index)?;
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;

    /// A packet whose E bit is not set, as a far end that encrypts no RTCP makes it.
    fn signed(transform: &Transform, clear: &[u8], word: u32) -> Vec<u8> {
        let mut packet = clear.to_vec();
        match transform {
            Transform::CounterMode { mac, tag, .. } => {
                packet.extend(word.to_be_bytes());
                let full = hmac(mac, &packet, &[]).finalize().into_bytes();
                packet.extend(&full[..*tag]);
            }
            Transform::Galois { gcm, salt } => {
                let data = [clear, &word.to_be_bytes()].concat();
                let nothing: &mut [u8] = &mut [];
                let nonce = nonce(salt, 7, u64::from(word)).into();
                packet.extend(gcm.encrypt_inout_detached(&nonce, &data, nothing.into()).unwrap());
                packet.extend(word.to_be_bytes());
            }
        }
        packet
    }

    #[test]
    fn an_rtcp_packet_that_is_only_authenticated_is_opened_as_it_is() {
        for suite in SrtpSuite::ALL {
            let cipher = Cipher::new(&SrtpKey::generate(suite, &mut Rng::from_u64(1)));
            let clear = [0x80, 201, 0, 1, 0, 0, 0, 7, 1, 2, 3, 4];
            let mut packet = signed(&cipher.rtcp, &clear, 5);
            assert_eq!(cipher.rtcp_index(&packet), Some(5));
            assert_eq!(cipher.open_rtcp(&mut packet.clone(), 7, 5), Some(clear.len()), "{suite}");
            packet[9] ^= 1;
            assert_eq!(cipher.open_rtcp(&mut packet, 7, 5), None, "{suite}");
        }
    }

    /// RFC 3711 §B.3.
    #[test]
    fn session_keys_are_those_of_the_rfc() {
        let master = [
            0xE1, 0xF9, 0x7A, 0x0D, 0x3E, 0x01, 0x8B, 0xE0, 0xD6, 0x4F, 0xA3, 0x2C, 0x06, 0xDE, 0x41, 0x39, 0x0E, 0xC6,
            0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6,
        ];
        let key = SrtpKey::new(SrtpSuite::AesCm128HmacSha1_80, &master).unwrap();
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02X}")).collect::<String>();
        assert_eq!(hex(&derive::<16>(&key, Label::Encryption, false)), "C61E7A93744F39EE10734AFE3FF7A087");
        assert_eq!(hex(&derive::<14>(&key, Label::Salt, false)), "30CBBC08863D8C85D49DB34A9AE1");
        let auth = hex(&derive::<20>(&key, Label::Authentication, false));
        assert_eq!(auth, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
    }
}
