//! Challenging, and judging the answer (RFC 3261 §22.2 to §22.4, RFC 7616 §3.4.6).
//!
//! Whoever guesses learns nothing: an unknown user takes the same steps as a wrong password, and hears the same.

use super::challenge::Qop;
use super::digest::{Algorithm, Ha1, Proof, QopProof, response};
use super::nonce::{Freshness, NONCE_LIFETIME, Nonces};
use super::params::{Params, Unreadable, push_quoted, push_token};
use base::{Now, Rng};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How a server challenges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPolicy {
    /// Whose users it knows.
    pub realm: String,
    /// What it offers, the preferred one first (RFC 8760 §2.2); no other is taken.
    pub algorithms: Vec<Algorithm>,
    /// False leaves `algorithm` out of an MD5 challenge, as Twilio does; it means the same.
    pub name_md5: bool,
    /// Sent with each challenge, where set.
    pub opaque: Option<String>,
    /// How long a nonce holds.
    pub nonce_lifetime: Duration,
}

impl ServerPolicy {
    /// SHA-256 first, MD5 for the phones that have nothing else.
    #[must_use]
    pub fn new(realm: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            name_md5: true,
            opaque: None,
            nonce_lifetime: NONCE_LIFETIME,
        }
    }
}

/// A server of one realm.
#[derive(Clone)]
pub struct ServerAuth {
    policy: ServerPolicy,
    nonces: Nonces,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is from this user.
    Accepted {
        /// The user name.
        username: String,
    },
    /// It is to be answered with 401 or 407.
    Challenge {
        /// The values of the `WWW-Authenticate` or `Proxy-Authenticate` headers, one each, in this order.
        headers: Vec<String>,
        /// The password was right and the nonce was not.
        stale: bool,
    },
    /// It is refused.
    Rejected {
        /// Why; the peer learns no more than the status.
        reason: Rejection,
    },
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The header cannot be read, or lacks what it must have.
    Malformed,
    /// It was made for another Request-URI (RFC 7616 §3.4.6).
    UriMismatch,
    /// Unknown user or wrong password.
    Credentials,
}

impl Rejection {
    /// The status that answers the request.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::UriMismatch => 400,
            Self::Credentials => 403,
        }
    }
}

impl ServerAuth {
    /// A server with a key of its own, drawn from `rng`.
    #[must_use]
    pub fn new(policy: ServerPolicy, rng: &mut Rng) -> Self {
        let nonces = Nonces::new(policy.nonce_lifetime, rng);
        Self { policy, nonces }
    }

    /// Judges a request by its `Authorization` or `Proxy-Authorization` value. `ha1` is asked for the stored hash of a
    /// user, realm and algorithm. A response without `qop` (RFC 2069) counts as the first and only use of its nonce.
    pub fn verify<F>(&mut self, header: Option<&[u8]>, method: &str, uri: &str, ha1: F, now: Now) -> Verdict
    where
        F: FnOnce(&str, &str, Algorithm) -> Option<Ha1>,
    {
        let params = match header.map(Params::parse) {
            None | Some(Err(Unreadable::NotDigest)) => return self.challenge(false, now),
            Some(Err(Unreadable::Malformed)) => return rejected(Rejection::Malformed),
            Some(Ok(params)) => params,
        };
        let Some(claim) = Claim::read(&params) else { return rejected(Rejection::Malformed) };
        // An answer to somebody else's challenge says nothing about ours.
        let Some(algorithm) = claim.algorithm.filter(|algorithm| self.policy.algorithms.contains(algorithm)) else {
            return self.challenge(false, now);
        };
        if claim.realm != self.policy.realm {
            return self.challenge(false, now);
        }
        if claim.uri != uri {
            return rejected(Rejection::UriMismatch);
        }
        let stored = ha1(claim.username, &self.policy.realm, algorithm).filter(|ha1| ha1.algorithm() == algorithm);
        if !self.proves(&claim, stored, algorithm, method) {
            return rejected(Rejection::Credentials);
        }
        match self.nonces.spend(claim.nonce, claim.nc(), now) {
            Freshness::Fresh => Verdict::Accepted { username: claim.username.to_owned() },
            Freshness::Stale => self.challenge(true, now),
        }
    }

    /// A challenge, one header an algorithm.
    pub fn challenge(&mut self, stale: bool, now: Now) -> Verdict {
        let nonce = self.nonces.issue(now);
        let headers = self.policy.algorithms.iter().map(|algorithm| self.header(*algorithm, &nonce, stale)).collect();
        Verdict::Challenge { headers, stale }
    }

    fn header(&self, algorithm: Algorithm, nonce: &str, stale: bool) -> String {
        let mut value = String::with_capacity(192);
        push_quoted(&mut value, "realm", &self.policy.realm);
        push_quoted(&mut value, "qop", Qop::Auth.as_str());
        push_quoted(&mut value, "nonce", nonce);
        if let Some(opaque) = &self.policy.opaque {
            push_quoted(&mut value, "opaque", opaque);
        }
        if algorithm != Algorithm::Md5 || self.policy.name_md5 {
            push_token(&mut value, "algorithm", algorithm.as_str());
        }
        if stale {
            push_token(&mut value, "stale", "true");
        }
        value
    }

    /// True where the claim is proved. Without a stored hash it is held against one that nobody has the password to.
    fn proves(&self, claim: &Claim<'_>, stored: Option<Ha1>, algorithm: Algorithm, method: &str) -> bool {
        let nobody = Ha1::of_nobody(algorithm, &self.nonces.derive(b"nobody"));
        let known = u8::from(stored.is_some());
        let expected = response(&stored.unwrap_or(nobody), &claim.proof(method));
        let given = claim.response.to_ascii_lowercase();
        bool::from(expected.as_bytes().ct_eq(given.as_bytes()) & known.ct_eq(&1))
    }
}

impl std::fmt::Debug for ServerAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerAuth").field("policy", &self.policy).finish_non_exhaustive()
    }
}

fn rejected(reason: Rejection) -> Verdict {
    Verdict::Rejected { reason }
}

/// What a request claims.
struct Claim<'a> {
    username: &'a str,
    realm: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    /// `None`: one that we do not have.
    algorithm: Option<Algorithm>,
    qop: Option<(&'a str, u32, &'a str)>,
}

impl<'a> Claim<'a> {
    fn read(params: &'a Params) -> Option<Self> {
        Some(Self {
            username: params.get("username")?,
            realm: params.get("realm")?,
            nonce: params.get("nonce")?,
            uri: params.get("uri")?,
            response: params.get("response")?,
            algorithm: Algorithm::from_name(params.get("algorithm").unwrap_or("MD5")),
            qop: match params.get("qop") {
                None => None,
                Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                    let nc = params.get("nc").filter(|nc| nc.len() == 8 && !nc.starts_with('+'))?;
                    Some((nc, u32::from_str_radix(nc, 16).ok()?, params.get("cnonce")?))
                }
                Some(_) => return None,
            },
        })
    }

    fn nc(&self) -> u32 {
        self.qop.map_or(1, |(_, nc, _)| nc)
    }

    fn proof(&self, method: &'a str) -> Proof<'a> {
        let qop = self.qop.map(|(nc, _, cnonce)| QopProof { qop: Qop::Auth, nc, cnonce });
        Proof { nonce: self.nonce, qop, method, uri: self.uri, body: b"" }
    }
}
