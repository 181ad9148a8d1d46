//! Digest authentication, as client and as server (RFC 7616 as SIP uses it: RFC 3261 §22, RFC 8760).
//!
//! MD5 and SHA-256, `qop=auth` with `nc` and `stale`; as client also `auth-int` where nothing else is offered, and
//! RFC 2069 where no `qop` is. Header values come in and go out as they stand on the wire; nothing here knows a message.
//! A password leaves this module only inside a hash, and no `Debug` shows one. Whether a peer may be answered at all is
//! decided by whoever knows the peer; that a credential goes only to its own realm is decided here.

mod challenge;
mod client;
mod digest;
mod fuzz;
mod nonce;
mod params;
mod server;
#[cfg(test)]
mod tests;

pub use challenge::{Challenge, ChallengeError, Qop};
pub use client::{AuthFailure, Authorization, ClientAuth, MAX_ATTEMPTS, MAX_SPACES};
pub use digest::{Algorithm, Ha1, ha1};
pub use fuzz::fuzz;
pub use nonce::{MAX_NONCES, NONCE_LIFETIME};
pub use params::{MAX_AUTH_BYTES, MAX_PARAMS};
pub use server::{Rejection, ServerAuth, ServerPolicy, Verdict};

use std::fmt;

/// A text that must not be shown: `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who we are toward a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The only realm they are for; a challenge for another is not answered. `None` answers any realm, and then the
    /// caller must know that the peer is the one they are meant for.
    pub realm: Option<String>,
}
