//! Answering challenges (RFC 3261 §22.1 to §22.3): at most two attempts a request, and never the same mistake twice.

use super::Credentials;
use super::challenge::{Challenge, Qop, Unanswerable};
use super::digest::{Proof, QopProof, ha1, response};
use super::params::{push_quoted, push_token};
use base::Rng;
use thiserror::Error;

/// How often one request is sent again with credentials; the challenge after that ends it
/// ([`AuthFailure::TooManyAttempts`]). A trunk that answers each attempt with a fresh nonce costs two messages.
pub const MAX_ATTEMPTS: u8 = 2;

/// How many protection spaces (a realm, at the far end or at a proxy) are remembered; with one more, the one that was
/// challenged longest ago is forgotten, and challenges us again.
pub const MAX_SPACES: usize = 4;

/// A header that a request is to carry.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    /// `Authorization` or `Proxy-Authorization`.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A full digest does not go into a log.
        write!(f, "{}: Digest ***", self.name)
    }
}

/// Why a challenge is not answered: the request has failed with the status that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthFailure {
    /// There are none to answer with.
    #[error("challenged, and there are no credentials for this peer")]
    NoCredentials,
    /// Every digest challenge is for another realm than the credentials are pinned to.
    #[error("challenged for a realm that the credentials are not for")]
    RealmMismatch,
    /// Every digest challenge asks for what we do not have.
    #[error("challenged with an algorithm or qop that is not supported")]
    UnsupportedAlgorithm,
    /// No digest challenge that could be read.
    #[error("challenged without a digest challenge that can be read")]
    Malformed,
    /// The credentials were wrong: challenged again, and not because the nonce was stale.
    #[error("the credentials were refused")]
    Rejected,
    /// Challenged again and again ([`MAX_ATTEMPTS`]).
    #[error("challenged too often")]
    TooManyAttempts,
}

/// What one dialog, or one registration, knows of the challenges it has met.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    credentials: Option<Credentials>,
    /// The one that was challenged longest ago first.
    spaces: Vec<Space>,
    /// Answers to challenges in the current request.
    attempts: u8,
}

/// One protection space, and its last challenge.
#[derive(Clone, Debug)]
struct Space {
    proxy: bool,
    challenge: Challenge,
    nc: u32,
    /// Challenged in the course of the current request.
    answered: bool,
}

/// What the header is made over.
#[derive(Clone, Copy)]
struct Request<'a> {
    method: &'a str,
    uri: &'a str,
    body: &'a [u8],
}

impl ClientAuth {
    /// Knows nothing yet. Without credentials every challenge fails.
    #[must_use]
    pub const fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, spaces: Vec::new(), attempts: 0 }
    }

    /// Begins a request: the headers it may carry before it is challenged, made with the last nonce of each realm and
    /// the next `nc` (RFC 7616 §3.6). Empty where nothing has been challenged yet.
    ///
    /// Not for ACK and CANCEL, which carry what their INVITE carried (RFC 3261 §22.1).
    pub fn authorize(&mut self, method: &str, uri: &str, body: &[u8], rng: &mut Rng) -> Vec<Authorization> {
        self.attempts = 0;
        self.spaces.iter_mut().for_each(|space| space.answered = false);
        self.headers(Request { method, uri, body }, rng)
    }

    /// Answers a 401 or 407: the headers that the request carries when it is sent again, in place of those it had.
    /// `challenges` are the values of its `WWW-Authenticate` (401) or `Proxy-Authenticate` (407) headers.
    ///
    /// # Errors
    /// [`AuthFailure`]: it must not be sent again.
    pub fn answer<I>(
        &mut self,
        status: u16,
        challenges: I,
        method: &str,
        uri: &str,
        body: &[u8],
        rng: &mut Rng,
    ) -> Result<Vec<Authorization>, AuthFailure>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let credentials = self.credentials.as_ref().ok_or(AuthFailure::NoCredentials)?;
        let challenge = Challenge::strongest(challenges, credentials.realm.as_deref()).map_err(|why| match why {
            Unanswerable::NotDigest => AuthFailure::Malformed,
            Unanswerable::Unsupported => AuthFailure::UnsupportedAlgorithm,
            Unanswerable::OtherRealm => AuthFailure::RealmMismatch,
        })?;
        self.remember(status == 407, challenge)?;
        Ok(self.headers(Request { method, uri, body }, rng))
    }

    fn remember(&mut self, proxy: bool, challenge: Challenge) -> Result<(), AuthFailure> {
        let known = self.spaces.iter().position(|space| space.is(proxy, &challenge.realm));
        if let Some(space) = known.and_then(|at| self.spaces.get(at)) {
            // A second challenge for what we have just proved says that the proof was wrong, unless it says `stale`. One
            // for a nonce of an earlier request says nothing about the password, `stale` or not.
            if space.answered && !challenge.stale {
                return Err(AuthFailure::Rejected);
            }
        }
        if self.attempts >= MAX_ATTEMPTS {
            return Err(AuthFailure::TooManyAttempts);
        }
        self.attempts += 1;
        if let Some(at) = known.or((self.spaces.len() == MAX_SPACES).then_some(0)) {
            self.spaces.remove(at);
        }
        self.spaces.push(Space { proxy, challenge, nc: 0, answered: true });
        Ok(())
    }

    fn headers(&mut self, request: Request<'_>, rng: &mut Rng) -> Vec<Authorization> {
        let Some(credentials) = &self.credentials else { return Vec::new() };
        self.spaces.iter_mut().map(|space| space.header(credentials, request, rng)).collect()
    }
}

impl Space {
    fn is(&self, proxy: bool, realm: &str) -> bool {
        self.proxy == proxy && self.challenge.realm == realm
    }

    fn header(&mut self, credentials: &Credentials, request: Request<'_>, rng: &mut Rng) -> Authorization {
        self.nc = self.nc.saturating_add(1);
        let nc = format!("{:08x}", self.nc);
        let cnonce = rng.token(16);
        let qop = self.challenge.qop.map(|qop| (qop, nc.as_str(), cnonce.as_str()));
        let value = value(&self.challenge, credentials, request, qop);
        Authorization { name: if self.proxy { "Proxy-Authorization" } else { "Authorization" }, value }
    }
}

fn value(
    challenge: &Challenge,
    credentials: &Credentials,
    request: Request<'_>,
    qop: Option<(Qop, &str, &str)>,
) -> String {
    let ha1 = ha1(challenge.algorithm, &credentials.username, &challenge.realm, credentials.password.expose());
    let proof = Proof {
        nonce: &challenge.nonce,
        qop: qop.map(|(qop, nc, cnonce)| QopProof { qop, nc, cnonce }),
        method: request.method,
        uri: request.uri,
        body: request.body,
    };
    let mut value = String::with_capacity(320);
    push_quoted(&mut value, "username", &credentials.username);
    push_quoted(&mut value, "realm", &challenge.realm);
    push_quoted(&mut value, "nonce", &challenge.nonce);
    push_quoted(&mut value, "uri", request.uri);
    push_quoted(&mut value, "response", response(&ha1, &proof).as_str());
    if challenge.algorithm_named {
        push_token(&mut value, "algorithm", challenge.algorithm.as_str());
    }
    if let Some((qop, nc, cnonce)) = qop {
        // RFC 7616 §3.4: neither is quoted, whatever the challenge did.
        push_token(&mut value, "qop", qop.as_str());
        push_token(&mut value, "nc", nc);
        push_quoted(&mut value, "cnonce", cnonce);
    }
    if let Some(opaque) = &challenge.opaque {
        push_quoted(&mut value, "opaque", opaque);
    }
    value
}
