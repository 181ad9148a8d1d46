//! Keys for SRTP in a description: `a=crypto` (RFC 4568), as far as we speak it.
//!
//! A line with an MKI, or with a session parameter that changes what is encrypted or authenticated, is passed over: of
//! several lines the peer offers another. A key is never printed.

use super::error::SdpError;
use base::Rng;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// `a=crypto` lines of one stream that are read; more are passed over.
pub const MAX_CRYPTO: usize = 8;

/// How packets are encrypted and authenticated (RFC 4568 §6.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CryptoSuite {
    /// `AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `AES_CM_128_HMAC_SHA1_80`: what everyone has.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`.
    AesCm128HmacSha1_32,
}

impl CryptoSuite {
    /// All, in the order in which they are offered: first what everyone has, since a peer may take the first line or none.
    pub const ALL: [Self; 3] = [Self::AesCm128HmacSha1_80, Self::AeadAes128Gcm, Self::AesCm128HmacSha1_32];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// Octets of master key and salt: 128 bits, and 112 (RFC 4568 §6.2) or 96 (RFC 7714 §12).
    #[must_use]
    pub const fn key_and_salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 28,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 30,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }
}

/// One `a=crypto` line: what its sender encrypts with.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Its number, which the answer repeats (RFC 4568 §5.1.2).
    pub tag: u32,
    /// Its suite.
    pub suite: CryptoSuite,
    /// Master key, then salt: as many octets as the suite wants.
    pub key_and_salt: Box<[u8]>,
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({} {}, …)", self.tag, self.suite.name())
    }
}

/// Whether audio is encrypted, and with what keys of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// It is not, and nothing else is agreed to.
    #[default]
    Plain,
    /// It is where the peer offers it; our own offers do not.
    IfOffered(Vec<Crypto>),
    /// It is, or there is no call.
    Required(Vec<Crypto>),
}

/// Both directions' keys, as they were agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptoPair {
    /// Ours: what we send.
    pub send: Crypto,
    /// The peer's.
    pub receive: Crypto,
}

impl Security {
    /// The same keys, and no call without them.
    #[must_use]
    pub fn required(self) -> Self {
        match self {
            Self::IfOffered(keys) => Self::Required(keys),
            other => other,
        }
    }

    /// Our keys.
    pub(super) fn keys(&self) -> &[Crypto] {
        match self {
            Self::Plain => &[],
            Self::IfOffered(keys) | Self::Required(keys) => keys,
        }
    }

    pub(super) const fn is_required(&self) -> bool {
        matches!(self, Self::Required(_))
    }

    /// The pair for a peer's offer: its first line whose suite is among ours, answered under its number.
    pub(super) fn answer(&self, offered: &[Crypto]) -> Option<CryptoPair> {
        offered.iter().find_map(|theirs| {
            let ours = self.keys().iter().find(|ours| ours.suite == theirs.suite)?;
            Some(CryptoPair { send: Crypto { tag: theirs.tag, ..ours.clone() }, receive: theirs.clone() })
        })
    }

    /// The pair for a peer's answer: the one line of ours that it took (RFC 4568 §5.1.3).
    pub(super) fn accepted(&self, answered: &[Crypto]) -> Result<CryptoPair, SdpError> {
        let [theirs] = answered else { return Err(SdpError::NoCommonCrypto) };
        let is_taken = |ours: &&Crypto| ours.tag == theirs.tag && ours.suite == theirs.suite;
        let ours = self.keys().iter().find(is_taken).ok_or(SdpError::NoCommonCrypto)?;
        Ok(CryptoPair { send: ours.clone(), receive: theirs.clone() })
    }
}

impl Crypto {
    /// A fresh key a suite, numbered in order of preference.
    #[must_use]
    pub fn generate(rng: &mut Rng) -> Vec<Self> {
        let fresh = |(suite, tag): (CryptoSuite, u32)| {
            let mut key_and_salt = vec![0; suite.key_and_salt_len()].into_boxed_slice();
            rng.fill(&mut key_and_salt);
            Self { tag, suite, key_and_salt }
        };
        CryptoSuite::ALL.into_iter().zip(1..).map(fresh).collect()
    }

    /// The attribute's value.
    pub(super) fn write(&self) -> String {
        format!("{} {} inline:{}", self.tag, self.suite.name(), STANDARD.encode(&self.key_and_salt))
    }

    /// Reads the attribute's value; `None` where it is nothing that we speak.
    pub(super) fn read(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next()?.parse().ok()?;
        let suite = CryptoSuite::from_name(words.next()?)?;
        let key = words.next()?.strip_prefix("inline:")?;
        // §6.1: `key|lifetime|MKI:length`; a lifetime has no colon.
        let mut parts = key.split('|');
        let key_and_salt = STANDARD.decode(parts.next()?).ok()?.into_boxed_slice();
        let has_mki = parts.any(|part| part.contains(':'));
        // §6.3.7: what begins with `-` may be ignored; a window hint changes nothing.
        let changes = |word: &str| !word.starts_with('-') && !word.starts_with("WSH=");
        let fits = key_and_salt.len() == suite.key_and_salt_len() && !has_mki && !words.any(changes);
        fits.then_some(Self { tag, suite, key_and_salt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn reads_what_rfc_4568_shows_and_passes_over_what_we_do_not_speak() {
        let line = |rest: &str| Crypto::read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{rest}"));
        assert_eq!(line("").unwrap().tag, 1);
        assert!(line("|2^20").is_some() && line(" WSH=128").is_some() && line(" -EXTRA").is_some());
        for odd in ["|2^20|1:4", "|1:32", " UNENCRYPTED_SRTP", " KDR=1", " FEC_ORDER=FEC_SRTP"] {
            assert_eq!(line(odd), None, "{odd}");
        }
        for bad in [
            "",
            "1",
            "x AES_CM_128_HMAC_SHA1_80 inline:AA==",
            "1 F8_128_HMAC_SHA1_80 inline:AA==",
            "1 AEAD_AES_128_GCM inline:AA==",
        ] {
            assert_eq!(Crypto::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_pair_is_one_line_of_each_side_with_one_number_and_one_suite() {
        let mut rng = Rng::from_u64(3);
        let (ours, theirs) = (Security::IfOffered(Crypto::generate(&mut rng)), Crypto::generate(&mut rng));
        let gcm: Vec<_> = theirs.iter().filter(|line| line.suite == CryptoSuite::AeadAes128Gcm).cloned().collect();
        let pair = ours.answer(&gcm).unwrap();
        assert_eq!((pair.send.tag, pair.send.suite, &pair.receive), (2, CryptoSuite::AeadAes128Gcm, &gcm[0]));
        assert_ne!(pair.send.key_and_salt, pair.receive.key_and_salt);
        assert_eq!(Security::Plain.answer(&theirs), None);

        let ours = ours.required();
        assert_eq!(ours.accepted(&gcm).unwrap().receive, gcm[0]);
        let other = Crypto { tag: 1, ..gcm[0].clone() };
        for bad in [vec![], vec![other], theirs] {
            assert_eq!(ours.accepted(&bad), Err(SdpError::NoCommonCrypto), "{bad:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back_and_no_key_is_printed() {
        for key in Crypto::generate(&mut Rng::from_u64(1)) {
            assert_eq!(Crypto::read(&key.write()), Some(key.clone()));
            assert!(!format!("{key:?}").contains("inline"));
        }
    }
}
