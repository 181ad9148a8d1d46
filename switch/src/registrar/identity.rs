//! Who a request is from: digest (RFC 3261 §22, RFC 8760), and the patience with those who guess.

use super::directory::{Directory, UserId, name_in};
use super::strikes::{Ban, SOURCE_BAN, SOURCE_FAILURES, Strikes, USER_BAN, USER_FAILURES};
use base::{Now, Rng};
use sip_core::auth::{Rejection, ServerAuth, ServerPolicy};
use sip_core::endpoint::{Headers, Source, customer_of};
use sip_core::header::NameAddr;
use sip_core::header::params::auth_params;
use sip_core::message::{Message, Method, Name};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The longest user name that is looked at, in bytes; a longer one is nobody's.
const MAX_NAME: usize = 128;

/// Who a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This user.
    User(UserId),
    /// Its sender has not said: 401 with these header fields.
    Challenge(Headers),
    /// Its source, or the user it names, is locked out: it is not worth a word.
    Banned,
    /// Its credentials cannot be read, or are for another request: 400.
    Malformed,
    /// A wrong password, an unknown user, another user's name, or nobody could prove anything: 403.
    Stranger,
}

/// What proves, and who has failed to.
#[derive(Debug)]
pub(super) struct Identity {
    realms: BTreeMap<String, ServerAuth>,
    sources: Strikes<IpAddr>,
    users: Strikes<UserId>,
    pub(super) failures: u64,
}

impl Identity {
    pub(super) fn new(directory: &Directory, rng: &mut Rng) -> Self {
        Self {
            realms: directory.realms().map(|realm| (realm.to_owned(), server(directory, realm, rng))).collect(),
            sources: Strikes::new(SOURCE_FAILURES, SOURCE_BAN),
            users: Strikes::new(USER_FAILURES, USER_BAN),
            failures: 0,
        }
    }

    /// The realms of other users: those that stay keep their nonces.
    pub(super) fn follow(&mut self, directory: &Directory, rng: &mut Rng) {
        let mut before = std::mem::take(&mut self.realms);
        for realm in directory.realms() {
            let kept = before.remove(realm).unwrap_or_else(|| server(directory, realm, rng));
            self.realms.insert(realm.to_owned(), kept);
        }
    }

    /// Judges a request. `known` tells whether a user is registered at the request's source.
    pub(super) fn judge(
        &mut self,
        directory: &Directory,
        request: &Message,
        source: &Source,
        known: impl Fn(&UserId) -> bool,
        now: Now,
    ) -> Verdict {
        let from = customer_of(source.addr.ip());
        if self.sources.is_banned(&from, now) {
            return Verdict::Banned;
        }
        let Some(claimed) = claimed(directory, request) else { return Verdict::Stranger };
        if directory.open {
            return Verdict::User(claimed.user);
        }
        if directory.is_empty() {
            return Verdict::Stranger;
        }
        if self.users.is_banned(&claimed.user, now) && !known(&claimed.user) {
            return Verdict::Banned;
        }
        self.prove(directory, request, &claimed, from, now)
    }

    fn prove(&mut self, directory: &Directory, request: &Message, claimed: &Claim, from: IpAddr, now: Now) -> Verdict {
        let realm = directory.realm_of(&claimed.address.uri);
        let Some(server) = self.realms.get_mut(realm) else { return Verdict::Stranger };
        let credentials = credentials(request, realm);
        let method = request.method();
        let uri = String::from_utf8_lossy(request.request_uri_raw()).into_owned();
        let mut proved = None;
        let key = |name: &str, realm: &str, algorithm| {
            let (user, key) = directory.key(realm, name, algorithm)?;
            proved = Some(user.clone());
            Some(key.clone())
        };
        match server.verify(credentials.as_deref(), method.as_str(), &uri, key, now) {
            sip_core::auth::Verdict::Accepted { .. } if proved.as_ref() == Some(&claimed.user) => {
                Verdict::User(claimed.user.clone())
            }
            // Somebody's password, and another's name: it is known who lies, and that is no guess.
            sip_core::auth::Verdict::Accepted { .. } => Verdict::Stranger,
            sip_core::auth::Verdict::Challenge { headers, .. } => Verdict::Challenge(
                headers.into_iter().map(|value| (Name::WwwAuthenticate.as_str().to_owned(), value)).collect(),
            ),
            sip_core::auth::Verdict::Rejected { reason: Rejection::Credentials } => {
                self.failed(&claimed.user, from, now);
                Verdict::Stranger
            }
            sip_core::auth::Verdict::Rejected { .. } => Verdict::Malformed,
        }
    }

    fn failed(&mut self, user: &UserId, from: IpAddr, now: Now) {
        self.failures += 1;
        if self.sources.strike(&from, now) {
            tracing::warn!(source = %from, seconds = SOURCE_BAN.as_secs(), "a source is banned: too many wrong passwords");
        }
        if self.users.strike(user, now) {
            tracing::warn!(%user, seconds = USER_BAN.as_secs(), "a user is guarded: too many wrong passwords");
        }
    }

    pub(super) fn bans(&self, now: Now) -> Vec<Ban> {
        let mut bans = self.sources.bans("source", IpAddr::to_string, now);
        bans.extend(self.users.bans("user", UserId::to_string, now));
        bans
    }
}

/// Who a request says that it is from.
struct Claim {
    address: NameAddr,
    user: UserId,
}

/// A REGISTER is from whom it registers; a third party's registration (§10.3 step 4) is nobody's right here. Anything
/// else is from whom From names.
fn claimed(directory: &Directory, request: &Message) -> Option<Claim> {
    let address = if request.method() == Method::Register { request.to() } else { request.from() }.ok()?;
    let name = name_in(&address.uri).filter(|name| name.len() <= MAX_NAME)?;
    let user = directory.user(&address.uri, &name)?;
    Some(Claim { user, address: address.clone() })
}

/// The credentials for a realm, among those of several (§22.3); without any of that realm, the first.
fn credentials<'a>(request: &'a Message, realm: &str) -> Option<Cow<'a, [u8]>> {
    let names_it = |value: &Cow<'_, [u8]>| {
        let text = String::from_utf8_lossy(value);
        let params = text.split_once(' ').map_or("", |(_, params)| params);
        auth_params(params).any(|(name, value)| name.eq_ignore_ascii_case("realm") && value == realm)
    };
    let all = || request.lines(Name::Authorization).chain(request.lines(Name::ProxyAuthorization));
    all().find(names_it).or_else(|| all().next())
}

/// Who challenges and verifies in a realm.
fn server(directory: &Directory, realm: &str, rng: &mut Rng) -> ServerAuth {
    let mut policy = ServerPolicy::new(realm);
    if !directory.algorithms.is_empty() {
        policy.algorithms.clone_from(&directory.algorithms);
    }
    ServerAuth::new(policy, rng)
}
