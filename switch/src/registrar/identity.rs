//! Who a request is from: digest (RFC 3261 §22, RFC 8760), and the patience with those who guess.

use super::directory::{Directory, UserId, name_in};
use super::strikes::{Ban, SOURCE_BAN, SOURCE_FAILURES, Strikes, USER_BAN, USER_FAILURES};
use base::{Now, Rng};
use sip_core::auth::{Algorithm, Ha1, Rejection, ServerAuth, ServerPolicy};
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
    /// The carrier of this trunk, by its inbound credentials: an INVITE only.
    Trunk(String),
    /// Its sender has not said: 401 with these header fields.
    Challenge(Headers),
    /// Its source, or the user it names, is locked out: it is not worth a word.
    Banned,
    /// Its credentials cannot be read, or are for another request: 400.
    Malformed,
    /// A wrong password, an unknown user, another user's name, or nobody could prove anything: 403.
    Stranger,
    /// It may be a user, and not all users are known yet ([`super::RegistrarConfig::partial`]): 503, and no guess.
    Later,
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
        let claimed = claimed(directory, request);
        if directory.open
            && let Some(claimed) = claimed
        {
            return Verdict::User(claimed.user);
        }
        let carriers_prove = request.method() == Method::Invite && directory.has_trunks();
        if carriers_prove && let Some(verdict) = self.judge_trunk(directory, request, claimed.as_ref(), from, now) {
            return verdict;
        }
        let Some(claimed) = claimed else { return Verdict::Stranger };
        if directory.is_empty() && !carriers_prove {
            return if directory.partial { Verdict::Later } else { Verdict::Stranger };
        }
        if self.users.is_banned(&claimed.user, now) && !known(&claimed.user) {
            return Verdict::Banned;
        }
        self.prove(directory, request, &claimed, from, now)
    }

    /// Judges an INVITE whose credentials name a trunk, and one whose From names nobody of ours; none of any other, which a
    /// user has to prove. A wrong password counts against its source alone: From is whoever calls, and the carrier calls too.
    fn judge_trunk(
        &mut self,
        directory: &Directory,
        request: &Message,
        claimed: Option<&Claim>,
        from: IpAddr,
        now: Now,
    ) -> Option<Verdict> {
        let realm = directory.realm_of(claimed.map(|claimed| &claimed.address.uri));
        let credentials = credentials(request, realm);
        let name = credentials.as_deref().and_then(username);
        let is_users = |claimed: &Claim| Some(&claimed.user.name) == name.as_ref() && directory.knows(&claimed.user);
        let trunk = name.as_deref().and_then(|name| directory.trunk(realm, name));
        let trunk = trunk.filter(|_| !claimed.is_some_and(is_users));
        if trunk.is_none() && claimed.is_some() {
            return None;
        }
        let key = |_: &str, _: &str, algorithm| trunk.as_ref().map(|(_, key)| key(algorithm));
        Some(match self.verify(realm, credentials.as_deref(), request, key, now) {
            Proof::Right => trunk.as_ref().map_or(Verdict::Stranger, |(name, _)| Verdict::Trunk((*name).to_owned())),
            Proof::Wrong => {
                self.failures += 1;
                self.strike(from, now);
                Verdict::Stranger
            }
            Proof::Missing(challenge) => Verdict::Challenge(challenge),
            Proof::Malformed => Verdict::Malformed,
        })
    }

    fn prove(&mut self, directory: &Directory, request: &Message, claimed: &Claim, from: IpAddr, now: Now) -> Verdict {
        let realm = directory.realm_of(Some(&claimed.address.uri));
        let credentials = credentials(request, realm);
        let mut proved = None;
        let key = |name: &str, realm: &str, algorithm| {
            let (user, key) = directory.key(realm, name, algorithm)?;
            proved = Some(user.clone());
            Some(key.clone())
        };
        match self.verify(realm, credentials.as_deref(), request, key, now) {
            Proof::Right if proved.as_ref() == Some(&claimed.user) => Verdict::User(claimed.user.clone()),
            // Somebody's password, and another's name: it is known who lies, and that is no guess.
            Proof::Right => Verdict::Stranger,
            Proof::Missing(challenge) => Verdict::Challenge(challenge),
            Proof::Wrong if directory.partial && !directory.knows(&claimed.user) => Verdict::Later,
            Proof::Wrong => {
                self.failed(&claimed.user, from, now);
                Verdict::Stranger
            }
            Proof::Malformed => Verdict::Malformed,
        }
    }

    fn verify(
        &mut self,
        realm: &str,
        credentials: Option<&[u8]>,
        request: &Message,
        key: impl FnOnce(&str, &str, Algorithm) -> Option<Ha1>,
        now: Now,
    ) -> Proof {
        let Some(server) = self.realms.get_mut(realm) else { return Proof::Wrong };
        let uri = String::from_utf8_lossy(request.request_uri_raw()).into_owned();
        match server.verify(credentials, request.method().as_str(), &uri, key, now) {
            sip_core::auth::Verdict::Accepted { .. } => Proof::Right,
            sip_core::auth::Verdict::Challenge { headers, .. } => Proof::Missing(
                headers.into_iter().map(|value| (Name::WwwAuthenticate.as_str().to_owned(), value)).collect(),
            ),
            sip_core::auth::Verdict::Rejected { reason: Rejection::Credentials } => Proof::Wrong,
            sip_core::auth::Verdict::Rejected { .. } => Proof::Malformed,
        }
    }

    fn strike(&mut self, from: IpAddr, now: Now) {
        if self.sources.strike(&from, now) {
            tracing::warn!(source = %from, seconds = SOURCE_BAN.as_secs(), "a source is banned: too many wrong passwords");
        }
    }

    fn failed(&mut self, user: &UserId, from: IpAddr, now: Now) {
        self.failures += 1;
        self.strike(from, now);
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

/// What credentials are worth.
enum Proof {
    Right,
    Wrong,
    /// There are none, or none for us: what to ask for them with.
    Missing(Headers),
    Malformed,
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

/// Whose credentials they are.
fn username(credentials: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(credentials);
    let (_, params) = text.split_once(' ')?;
    let named = auth_params(params).find(|(name, _)| name.eq_ignore_ascii_case("username"));
    named.map(|(_, value)| value.to_string())
}

/// Who challenges and verifies in a realm.
fn server(directory: &Directory, realm: &str, rng: &mut Rng) -> ServerAuth {
    let mut policy = ServerPolicy::new(realm);
    if !directory.algorithms.is_empty() {
        policy.algorithms.clone_from(&directory.algorithms);
    }
    ServerAuth::new(policy, rng)
}
