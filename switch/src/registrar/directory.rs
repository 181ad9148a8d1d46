//! Users and the names they are known under: which user an address means, and what proves a password.
//!
//! A tenant with a SIP domain of its own is meant by that name; under every other name of ours the first tenant that has
//! such a user is. A password leaves this file only inside a hash.

use sip_core::auth::{Algorithm, Ha1, Secret, ha1};
use sip_core::uri::{Host, Uri};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A user, by whom it belongs to and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId {
    /// Whose.
    pub tenant: String,
    /// Its name: the user part of its address-of-record.
    pub name: String,
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

/// A device that may register.
#[derive(Clone, Debug)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Whose.
    pub tenant: String,
    /// Its password.
    pub password: Secret,
}

/// A tenant, and the domain under which its users are meant.
#[derive(Clone, Debug)]
pub struct TenantDomain {
    /// Its name.
    pub tenant: String,
    /// Its own domain, where it has one.
    pub sip_domain: Option<String>,
}

/// What a registrar is told once.
#[derive(Clone, Debug, Default)]
pub struct RegistrarConfig {
    /// Anybody may register any name without a password: a laboratory.
    pub open: bool,
    /// What is offered to prove a password by, the preferred one first; none named: all that we know.
    pub algorithms: Vec<Algorithm>,
    /// The realm of users without a domain of their own; also what names them in a challenge.
    pub realm: String,
    /// Names that are us. Where neither these nor a tenant's domain name anything, any host is us.
    pub domains: Vec<String>,
    /// The tenants, in the order in which they are looked through.
    pub tenants: Vec<TenantDomain>,
    /// The users.
    pub users: Vec<User>,
    /// There may be others, of whom nothing is known yet: they are told to come again (503), and not that they are nobody.
    pub partial: bool,
}

/// The hashes of one user's password in one realm.
#[derive(Clone, Debug)]
struct Keys {
    md5: Ha1,
    sha256: Ha1,
}

/// Users and domains, made ready: see the head of this file.
#[derive(Debug)]
pub struct Directory {
    pub(super) open: bool,
    pub(super) partial: bool,
    pub(super) algorithms: Vec<Algorithm>,
    realm: String,
    domains: BTreeSet<String>,
    /// Lower case.
    of_domain: BTreeMap<String, String>,
    tenants: Vec<String>,
    users: BTreeSet<UserId>,
    keys: BTreeMap<(String, String), (UserId, Keys)>,
    /// What proves trunks by their inbound user name, in every realm.
    trunks: BTreeMap<(String, String), (String, Keys)>,
}

impl Keys {
    fn new(name: &str, realm: &str, password: &Secret) -> Self {
        let hash = |algorithm| ha1(algorithm, name, realm, password.expose());
        Self { md5: hash(Algorithm::Md5), sha256: hash(Algorithm::Sha256) }
    }

    const fn by(&self, algorithm: Algorithm) -> &Ha1 {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
        }
    }
}

impl Directory {
    /// Hashes every password: some microseconds a user.
    #[must_use]
    pub fn new(config: &RegistrarConfig) -> Self {
        let domain_of = |tenant: &str| {
            let of_tenant = config.tenants.iter().find(|known| known.tenant == tenant);
            of_tenant.and_then(|tenant| tenant.sip_domain.as_deref()).map(str::to_ascii_lowercase)
        };
        let mut directory = Self {
            open: config.open,
            partial: config.partial,
            algorithms: config.algorithms.clone(),
            realm: config.realm.clone(),
            domains: config.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
            of_domain: BTreeMap::new(),
            tenants: config.tenants.iter().map(|tenant| tenant.tenant.clone()).collect(),
            users: BTreeSet::new(),
            keys: BTreeMap::new(),
            trunks: BTreeMap::new(),
        };
        for tenant in &config.tenants {
            if let Some(domain) = domain_of(&tenant.tenant) {
                directory.of_domain.insert(domain, tenant.tenant.clone());
            }
        }
        let mut users: Vec<&User> = config.users.iter().collect();
        users.sort_by_key(|user| directory.rank(&user.tenant));
        for user in users {
            directory.add(user, domain_of(&user.tenant));
        }
        directory
    }

    /// With the trunks whose carriers prove themselves. Of two with one user name the first is meant.
    #[must_use]
    pub fn with_trunks(mut self, trunks: &[carrier::Trunk]) -> Self {
        let realms: Vec<String> = self.realms().map(str::to_owned).collect();
        for trunk in trunks {
            let Some(inbound) = &trunk.config().inbound else { continue };
            for realm in &realms {
                let keys = Keys::new(&inbound.username, realm, &inbound.password);
                let name = (realm.clone(), inbound.username.clone());
                self.trunks.entry(name).or_insert((trunk.name().to_string(), keys));
            }
        }
        self
    }

    /// The place of a tenant in the order in which they are looked through.
    fn rank(&self, tenant: &str) -> usize {
        self.tenants.iter().position(|known| known == tenant).unwrap_or(usize::MAX)
    }

    fn add(&mut self, user: &User, domain: Option<String>) {
        let id = UserId { tenant: user.tenant.clone(), name: user.name.clone() };
        for realm in domain.into_iter().chain([self.realm.clone()]) {
            let keys = Keys::new(&user.name, &realm, &user.password);
            // Of two tenants' users of one name, the earlier tenant's is meant where no domain says otherwise.
            self.keys.entry((realm, user.name.clone())).or_insert((id.clone(), keys));
        }
        self.users.insert(id);
    }

    /// All realms.
    pub(super) fn realms(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.realm.as_str()).chain(self.of_domain.keys().map(String::as_str))
    }

    /// The realm in which an address is to be proved.
    pub(super) fn realm_of(&self, uri: Option<&Uri>) -> &str {
        let named = uri.and_then(name_of).and_then(|name| self.of_domain.get_key_value(&name));
        named.map_or(&self.realm, |(realm, _)| realm)
    }

    /// The user that an address means, whether there is one or not; `None` where its host is not us.
    pub(super) fn user(&self, uri: &Uri, name: &str) -> Option<UserId> {
        let of = |tenant: &str| UserId { tenant: tenant.to_owned(), name: name.to_owned() };
        let host = name_of(uri);
        if let Some(tenant) = host.as_ref().and_then(|host| self.of_domain.get(host)) {
            return Some(of(tenant));
        }
        let names_anything = !self.domains.is_empty() || !self.of_domain.is_empty();
        if host.is_some_and(|host| names_anything && !self.domains.contains(&host)) {
            return None;
        }
        let known = self.tenants.iter().map(|tenant| of(tenant)).find(|user| self.users.contains(user));
        Some(known.unwrap_or_else(|| of(self.tenants.first().map_or("default", String::as_str))))
    }

    pub(super) fn knows(&self, user: &UserId) -> bool {
        self.users.contains(user)
    }

    /// True where there is no user who could prove anything.
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// True where a trunk's carrier may prove itself.
    pub(super) fn has_trunks(&self) -> bool {
        !self.trunks.is_empty()
    }

    /// What proves the trunk of this inbound user name in this realm, and which it is.
    pub(super) fn trunk(&self, realm: &str, name: &str) -> Option<(&str, impl Fn(Algorithm) -> Ha1)> {
        let (trunk, keys) = self.trunks.get(&(realm.to_owned(), name.to_owned()))?;
        Some((trunk, move |algorithm| keys.by(algorithm).clone()))
    }

    /// What proves the password of this name in this realm, and who it is.
    pub(super) fn key(&self, realm: &str, name: &str, algorithm: Algorithm) -> Option<(&UserId, &Ha1)> {
        let (user, keys) = self.keys.get(&(realm.to_owned(), name.to_owned()))?;
        Some((user, keys.by(algorithm)))
    }
}

/// The user that a URI names (§10.3 step 5): escapes resolved, but where that would make a control character of one.
pub(super) fn name_in(uri: &Uri) -> Option<String> {
    let name = uri.user_unescaped().filter(|_| uri.is_sip())?;
    let is_clean = !name.chars().any(char::is_control);
    if is_clean { Some(name.into_owned()) } else { uri.user().map(str::to_owned) }
}

/// The name of a host, lower case; an address is no name, and means us: whoever sent it here has found us by it.
fn name_of(uri: &Uri) -> Option<String> {
    match uri.host() {
        Some(Host::Name(name)) => Some(name.as_str().trim_end_matches('.').to_ascii_lowercase()),
        _ => None,
    }
}
