//! Why a session description was not agreed to, and what the peer is told.

use crate::header::Warning;
use thiserror::Error;

/// Why a description could not be read, or agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SdpError {
    /// It is not a session description.
    #[error("not a session description: {0}")]
    Syntax(String),
    /// It is longer than one of the bounds of this module.
    #[error("the session description has more than {limit} {what}")]
    TooLarge {
        /// What there is too much of: bytes, lines, media, formats.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// It has no audio, or audio on port 0 only.
    #[error("the offer has no audio")]
    NoAudio,
    /// Our audio was refused: port 0, or no line, in the answer.
    #[error("the answer refuses our audio")]
    AudioRefused,
    /// No codec that both sides have.
    #[error("no codec in common")]
    NoCommonCodec,
    /// Encrypted media is asked for.
    #[error("the peer asks for encrypted media ({0})")]
    SecureRequired(String),
    /// Neither side's keys fit the other's, or media would not be encrypted that has to be.
    #[error("no way to encrypt media in common")]
    NoCommonCrypto,
    /// Media is to go to something that is not a unicast address: a name, a multicast group, no address at all.
    #[error("not an address that media can go to: {0:?}")]
    BadAddress(String),
}

impl SdpError {
    /// The status that answers the offer (RFC 3261 §21.4): 400, 413 or 488.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Syntax(_) => 400,
            Self::TooLarge { .. } => 413,
            Self::NoAudio
            | Self::AudioRefused
            | Self::NoCommonCodec
            | Self::SecureRequired(_)
            | Self::NoCommonCrypto
            | Self::BadAddress(_) => 488,
        }
    }

    /// What a 488 says besides (RFC 3261 §20.43); nothing where the status says it all.
    #[must_use]
    pub fn warning(&self) -> Option<Warning> {
        let (code, text) = match self {
            Self::Syntax(_) | Self::TooLarge { .. } => return None,
            Self::NoAudio | Self::AudioRefused => (304, "Media type not available: no audio stream that can be used"),
            Self::NoCommonCodec => (305, "Incompatible media format: no audio codec in common"),
            Self::SecureRequired(_) => (302, "Incompatible transport protocol: SRTP is not taken here, offer RTP/AVP"),
            Self::NoCommonCrypto => (
                302,
                "Incompatible transport protocol: no SRTP keys in common, offer RTP/SAVP with a=crypto (RFC 4568)",
            ),
            Self::BadAddress(_) => (301, "Incompatible network address formats: offer a unicast address of our family"),
        };
        Some(Warning::new(code, text))
    }
}
