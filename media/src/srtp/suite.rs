//! Crypto suites and their keys, as `a=crypto` names them (RFC 4568 §6.2, RFC 7714 §14.2).

use base::Rng;
use std::fmt;

/// Octets of the longest master key with its salt.
const MAX_KEY: usize = 30;

/// Octets of every suite's master key.
pub(super) const KEY: usize = 16;

/// How packets are encrypted and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SrtpSuite {
    /// AES in counter mode, HMAC-SHA1 cut to 80 bits (RFC 4568 §6.2.1): what everyone has.
    AesCm128HmacSha1_80,
    /// The same cut to 32 bits for RTP, 80 for RTCP (RFC 4568 §6.2.2).
    AesCm128HmacSha1_32,
    /// AES in Galois/counter mode with its tag of 128 bits (RFC 7714).
    AeadAes128Gcm,
}

impl SrtpSuite {
    /// All, the strongest first.
    pub const ALL: [Self; 3] = [Self::AeadAes128Gcm, Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    /// Its name in `a=crypto`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
        }
    }

    /// The suite of that name (RFC 4568 §9.1: compared without case). `None`: one that is not spoken here.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Octets of its master salt: 112 bits (RFC 4568 §6.2.1), 96 with GCM (RFC 7714 §12.1).
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
            Self::AeadAes128Gcm => 12,
        }
    }

    /// Octets of master key and salt together, as `inline:` carries them (RFC 4568 §6.1).
    #[must_use]
    pub const fn key_and_salt_len(self) -> usize {
        KEY + self.salt_len()
    }
}

impl fmt::Display for SrtpSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key of the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key and salt for {suite} are {} octets, not {length}", suite.key_and_salt_len())]
pub struct SrtpKeyError {
    /// What it was for.
    pub suite: SrtpSuite,
    /// How long it was.
    pub length: usize,
}

/// One direction's master key and salt. It is never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SrtpKey {
    suite: SrtpSuite,
    octets: [u8; MAX_KEY],
}

impl SrtpKey {
    /// A key as `inline:` carried it, decoded: master key, then salt. A lifetime beside it may be ignored, since the
    /// default is never reached; an MKI, or a session parameter that leaves out encryption or authentication, is not
    /// spoken here, and signalling refuses the line (RFC 4568 §6.1, §6.3).
    ///
    /// # Errors
    /// [`SrtpKeyError`] where the length is not the suite's.
    pub fn new(suite: SrtpSuite, key_and_salt: &[u8]) -> Result<Self, SrtpKeyError> {
        if key_and_salt.len() != suite.key_and_salt_len() {
            return Err(SrtpKeyError { suite, length: key_and_salt.len() });
        }
        let mut octets = [0; MAX_KEY];
        octets.iter_mut().zip(key_and_salt).for_each(|(to, from)| *to = *from);
        Ok(Self { suite, octets })
    }

    /// A fresh key. One direction's key is never used for another, nor again after it was replaced: the same key and
    /// index twice is no encryption (RFC 3711 §9.1).
    #[must_use]
    pub fn generate(suite: SrtpSuite, rng: &mut Rng) -> Self {
        let mut octets = [0; MAX_KEY];
        if let Some(key) = octets.get_mut(..suite.key_and_salt_len()) {
            rng.fill(key);
        }
        Self { suite, octets }
    }

    /// What it is for.
    #[must_use]
    pub const fn suite(&self) -> SrtpSuite {
        self.suite
    }

    /// Master key and salt, for `inline:`.
    #[must_use]
    pub fn key_and_salt(&self) -> &[u8] {
        self.octets.get(..self.suite.key_and_salt_len()).unwrap_or_default()
    }

    /// The master key.
    pub(super) fn master(&self) -> [u8; KEY] {
        self.octets.first_chunk().copied().unwrap_or_default()
    }

    /// The master salt, filled up with zeros to 112 bits (RFC 7714 §11).
    pub(super) fn salt(&self) -> [u8; 14] {
        self.octets.last_chunk().copied().unwrap_or_default()
    }
}

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpKey({}, …)", self.suite)
    }
}

/// Both directions' keys: of two `a=crypto` lines, ours and the far end's (RFC 4568 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Ours: what we send is protected with it.
    pub send: SrtpKey,
    /// The far end's.
    pub receive: SrtpKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_their_registered_names_and_lengths() {
        for suite in SrtpSuite::ALL {
            assert_eq!(SrtpSuite::from_name(&suite.name().to_lowercase()), Some(suite));
            let key = SrtpKey::generate(suite, &mut Rng::from_u64(1));
            assert_eq!(SrtpKey::new(suite, key.key_and_salt()), Ok(key));
        }
        assert_eq!(SrtpSuite::from_name("F8_128_HMAC_SHA1_80"), None);
        assert_eq!(SrtpSuite::ALL.map(SrtpSuite::key_and_salt_len), [28, 30, 30]);
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_and_none_is_printed() {
        let error = SrtpKey::new(SrtpSuite::AeadAes128Gcm, &[7; 30]).unwrap_err();
        assert_eq!(error.to_string(), "a key and salt for AEAD_AES_128_GCM are 28 octets, not 30");
        let key = SrtpKey::new(SrtpSuite::AesCm128HmacSha1_80, &[0xAB; 30]).unwrap();
        assert_eq!(format!("{key:?}"), "SrtpKey(AES_CM_128_HMAC_SHA1_80, …)");
    }
}
