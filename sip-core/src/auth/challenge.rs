//! A server's challenge: `WWW-Authenticate`, `Proxy-Authenticate` (RFC 7616 §3.3).

use super::digest::Algorithm;
use super::params::{Params, Unreadable};
use thiserror::Error;

/// Quality of protection (RFC 7616 §3.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// The request line is protected.
    Auth,
    /// The body as well.
    AuthInt,
}

impl Qop {
    /// The name in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// A challenge that we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Whose users are meant.
    pub realm: String,
    /// What the answer must be made over.
    pub nonce: String,
    /// To be given back as it came.
    pub opaque: Option<String>,
    /// What we will answer with: `auth` where it is offered, else `auth-int`; `None` where `qop` is missing (RFC 2069).
    pub qop: Option<Qop>,
    /// MD5 where none is named.
    pub algorithm: Algorithm,
    /// It was named, so that the answer names it too; Twilio does not.
    pub algorithm_named: bool,
    /// Only the nonce was too old: the same credentials may be tried again.
    pub stale: bool,
}

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChallengeError {
    /// Another scheme: Basic, Bearer.
    #[error("not a digest challenge")]
    NotDigest,
    /// It breaks the grammar, or lacks realm or nonce.
    #[error("malformed challenge")]
    Malformed,
    /// An algorithm, or a `qop`, that we do not have.
    #[error("unsupported algorithm or qop")]
    Unsupported,
}

impl Challenge {
    /// Reads the value of one header.
    ///
    /// # Errors
    /// [`ChallengeError`]; the header is then passed over in favour of another.
    pub fn parse(value: &[u8]) -> Result<Self, ChallengeError> {
        let mut params = Params::parse(value).map_err(|error| match error {
            Unreadable::NotDigest => ChallengeError::NotDigest,
            Unreadable::Malformed => ChallengeError::Malformed,
        })?;
        let named = params.get("algorithm");
        let algorithm = Algorithm::from_name(named.unwrap_or("MD5")).ok_or(ChallengeError::Unsupported)?;
        Ok(Self {
            algorithm_named: named.is_some(),
            algorithm,
            qop: qop(params.get("qop").unwrap_or_default())?,
            stale: params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            realm: params.take("realm").ok_or(ChallengeError::Malformed)?,
            nonce: params.take("nonce").ok_or(ChallengeError::Malformed)?,
            opaque: params.take("opaque"),
        })
    }

    /// The strongest of several, the first of equals; or why none can be answered.
    pub(super) fn strongest<I>(values: I, realm: Option<&str>) -> Result<Self, Unanswerable>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let mut best: Option<Self> = None;
        let mut failure = Unanswerable::NotDigest;
        for value in values {
            match Self::parse(value.as_ref()) {
                Ok(challenge) if realm.is_some_and(|realm| realm != challenge.realm) => {
                    failure = failure.max(Unanswerable::OtherRealm);
                }
                Ok(challenge) if best.as_ref().is_none_or(|best| challenge.algorithm > best.algorithm) => {
                    best = Some(challenge);
                }
                Ok(_) => {}
                Err(ChallengeError::Unsupported) => failure = failure.max(Unanswerable::Unsupported),
                Err(ChallengeError::NotDigest | ChallengeError::Malformed) => {}
            }
        }
        best.ok_or(failure)
    }
}

/// Why none of several challenges can be answered, the most telling reason last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unanswerable {
    NotDigest,
    Unsupported,
    OtherRealm,
}

fn qop(list: &str) -> Result<Option<Qop>, ChallengeError> {
    if list.trim().is_empty() {
        return Ok(None);
    }
    let offered = |qop: Qop| list.split(',').any(|name| name.trim().eq_ignore_ascii_case(qop.as_str()));
    let chosen = [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| offered(*qop));
    chosen.map(Some).ok_or(ChallengeError::Unsupported)
}
