//! The registrar and its location service (RFC 3261 §10.3), and the door for users' calls (§22): who is registered
//! where, and who a request is from.
//!
//! [`Registrar`] is a plain value: a REGISTER goes in, a [`Reply`] comes out, and nothing but the reply's own words
//! changes the world. Bindings live in memory, and those that hang on no connection are kept as well
//! ([`Registrar::take_moved`], [`Registrar::restore`]): a phone is called after a restart before it registers again.
//! It never says whether a user exists: an unknown one meets the same steps, the same words and the same bans as a wrong
//! password (FAULTS 22).
//!
//! | file | what it holds |
//! |---|---|
//! | `directory` | users, domains, and the hashes of passwords |
//! | `identity` | who a request is from: digest, bans |
//! | `strikes` | failures counted, and who is locked out for a while |
//! | `wish` | what a REGISTER asks for, read and checked |
//! | `location` | the bindings of one user, and the rules that change them |
//! | `kept` | a binding as it outlasts the process |
//! | `target` | a binding as a place to call |

mod directory;
mod identity;
mod kept;
mod location;
mod strikes;
mod target;
#[cfg(test)]
mod tests;
mod wish;

pub use directory::{Directory, RegistrarConfig, TenantDomain, User, UserId};
pub use identity::Verdict;
pub use kept::{KeptBinding, KeptLocation};
pub use location::{BindingView, MAX_BINDINGS};
pub use strikes::{Ban, FAILURE_WINDOW, MAX_STRIKES, SOURCE_BAN, SOURCE_FAILURES, USER_BAN, USER_FAILURES};
pub use target::Target;
pub use wish::{DEFAULT_EXPIRES, MAX_EXPIRES, MAX_FLOW_EXPIRES, MAX_NAT_EXPIRES, MIN_EXPIRES};

use base::{Now, Rng};
use directory::name_in;
use identity::Identity;
use location::{Location, Refusal};
use sip_core::endpoint::{Headers, Source};
use sip_core::header::NameAddr;
use sip_core::message::{Message, StatusCode};
use sip_core::transport::{FlowId, Local};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use wish::Wish;

/// The most users with bindings at once. Beyond it a REGISTER of one more is answered 503; only an open registrar, which
/// takes anybody, can get there.
pub const MAX_LOCATIONS: usize = 100_000;

/// What a REGISTER is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It changed something, or was allowed to: an answer to be kept for its copies.
    Answer(StatusCode, Headers),
    /// A challenge or a refusal: nothing is to be kept of it.
    Refuse(StatusCode, Headers),
    /// Its source is banned: not a word.
    Ignore,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Registrar {
    directory: Arc<Directory>,
    identity: Identity,
    locations: BTreeMap<UserId, Location>,
    /// When the next binding of each ends (monotonic nanoseconds).
    expiry: BTreeSet<(u64, UserId)>,
    /// Who is registered over which connection.
    flows: BTreeMap<FlowId, BTreeSet<UserId>>,
    /// Connections to be kept, or no more, since it was last asked.
    changes: Vec<(FlowId, bool)>,
    /// How many users have registered from each customer's.
    guests: BTreeMap<IpAddr, usize>,
    /// Customers that have become guests, or are no more, since it was last asked.
    acquaintances: Vec<(IpAddr, bool)>,
    /// Users of whom something is kept.
    kept: BTreeSet<UserId>,
    /// Users of whom something else is to be kept, since it was last asked.
    moved: BTreeSet<UserId>,
}

impl Registrar {
    /// A registrar without a binding.
    #[must_use]
    pub fn new(config: &RegistrarConfig, rng: &mut Rng) -> Self {
        Self::of(Arc::new(Directory::new(config)), rng)
    }

    /// A registrar of these users, without a binding.
    #[must_use]
    pub fn of(directory: Arc<Directory>, rng: &mut Rng) -> Self {
        let identity = Identity::new(&directory, rng);
        Self {
            directory,
            identity,
            locations: BTreeMap::new(),
            expiry: BTreeSet::new(),
            flows: BTreeMap::new(),
            changes: Vec::new(),
            guests: BTreeMap::new(),
            acquaintances: Vec::new(),
            kept: BTreeSet::new(),
            moved: BTreeSet::new(),
        }
    }

    /// Other users from now on. The bindings of users that there are no more are forgotten; those of all others stand, and
    /// so do nonces and bans.
    pub fn replace(&mut self, directory: Arc<Directory>, rng: &mut Rng) {
        self.identity.follow(&directory, rng);
        self.directory = directory;
        if self.directory.open {
            return;
        }
        let gone = |user: &&UserId| !self.directory.knows(user);
        let gone: Vec<UserId> = self.locations.keys().filter(gone).cloned().collect();
        for user in gone {
            let Some(before) = self.locations.remove(&user) else { continue };
            self.forget_expiry(&user, &before);
            self.follow_customers(&before.customers(), &BTreeSet::new());
            self.settle(&user, &before.flows(), Location::default());
        }
    }

    /// Answers a REGISTER (§10.3).
    pub fn register(&mut self, request: &Message, source: &Source, now: Now) -> Reply {
        self.expire(now);
        match self.try_register(request, source, now) {
            Ok(headers) => Reply::Answer(StatusCode::OK, headers),
            Err(reply) => *reply,
        }
    }

    fn try_register(&mut self, request: &Message, source: &Source, now: Now) -> Result<Headers, Box<Reply>> {
        let user = self.address_of_record(request).map_err(refuse)?;
        let wish = Wish::read(request)?;
        self.authorize(&user, request, source, now)?;
        self.store(&user, wish, source, now)?;
        Ok(self.registered(&user, request, now))
    }

    /// §10.3 steps 1 and 5: whose bindings it is about. Whether there is such a user is not said before its sender has
    /// proved to be one.
    fn address_of_record(&self, request: &Message) -> Result<UserId, StatusCode> {
        let to = request.to().map_err(|_| StatusCode::BAD_REQUEST)?;
        let name = name_in(&to.uri).ok_or(StatusCode::BAD_REQUEST)?;
        let nobody = if self.directory.partial { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NOT_FOUND };
        self.directory.user(&to.uri, &name).ok_or(nobody)
    }

    /// §10.3 steps 3 and 4: the sender is who the address-of-record names.
    fn authorize(&mut self, user: &UserId, request: &Message, source: &Source, now: Now) -> Result<(), Box<Reply>> {
        if self.directory.open {
            return Ok(());
        }
        match self.authenticate(request, source, now) {
            Verdict::User(proved) if proved == *user => Ok(()),
            Verdict::Challenge(headers) => Err(Box::new(Reply::Refuse(StatusCode::UNAUTHORIZED, headers))),
            Verdict::Banned => Err(Box::new(Reply::Ignore)),
            Verdict::Malformed => Err(refuse(StatusCode::BAD_REQUEST)),
            Verdict::Later => Err(refuse(StatusCode::SERVICE_UNAVAILABLE)),
            Verdict::User(_) | Verdict::Trunk(_) | Verdict::Stranger => Err(refuse(StatusCode::FORBIDDEN)),
        }
    }

    /// Who a request is from: the user that its credentials prove and its From (for a REGISTER: its To) names. An open
    /// registrar takes From's word. A [`Verdict::Stranger`] is to be refused with 403, whatever it was that was wrong.
    pub fn authenticate(&mut self, request: &Message, source: &Source, now: Now) -> Verdict {
        let known = |user: &UserId| self.locations.get(user).is_some_and(|location| location.is_at(source.addr.ip()));
        self.identity.judge(&self.directory, request, source, known, now)
    }

    fn store(&mut self, user: &UserId, wish: Wish, source: &Source, now: Now) -> Result<(), Box<Reply>> {
        if !self.locations.contains_key(user) && self.locations.len() >= MAX_LOCATIONS {
            return Err(refuse(StatusCode::SERVICE_UNAVAILABLE));
        }
        let before = self.locations.remove(user).unwrap_or_default();
        self.forget_expiry(user, &before);
        let (flows, customers) = (before.flows(), before.customers());
        let (after, result) = match before.clone().apply(wish, source, now) {
            Ok(after) => (after, Ok(())),
            Err(Refusal::OutOfOrder) => (before, Err(refuse(StatusCode::SERVER_INTERNAL_ERROR))),
            Err(Refusal::TooMany) => (before, Err(refuse(StatusCode::FORBIDDEN))),
        };
        self.follow_customers(&customers, &after.customers());
        self.settle(user, &flows, after);
        result
    }

    /// Puts a user's location back, or forgets it where it is empty; connections follow.
    fn settle(&mut self, user: &UserId, flows_before: &BTreeSet<FlowId>, after: Location) {
        self.moved.insert(user.clone());
        let flows = after.flows();
        for flow in flows_before.difference(&flows) {
            self.leave_flow(*flow, user);
        }
        for flow in flows.difference(flows_before) {
            let users = self.flows.entry(*flow).or_default();
            if users.is_empty() {
                self.changes.push((*flow, true));
            }
            users.insert(user.clone());
        }
        if let Some(at) = after.next_expiry() {
            self.expiry.insert((at, user.clone()));
            self.locations.insert(user.clone(), after);
        }
    }

    fn follow_customers(&mut self, before: &BTreeSet<IpAddr>, after: &BTreeSet<IpAddr>) {
        for customer in before.difference(after) {
            let count = self.guests.get(customer).copied().unwrap_or_default();
            if count <= 1 {
                self.guests.remove(customer);
                self.acquaintances.push((*customer, false));
            } else {
                self.guests.insert(*customer, count - 1);
            }
        }
        for customer in after.difference(before) {
            let count = self.guests.entry(*customer).or_default();
            *count += 1;
            if *count == 1 {
                self.acquaintances.push((*customer, true));
            }
        }
    }

    fn leave_flow(&mut self, flow: FlowId, user: &UserId) {
        let Some(users) = self.flows.get_mut(&flow) else { return };
        users.remove(user);
        if users.is_empty() {
            self.flows.remove(&flow);
            self.changes.push((flow, false));
        }
    }

    fn forget_expiry(&mut self, user: &UserId, location: &Location) {
        if let Some(at) = location.next_expiry() {
            self.expiry.remove(&(at, user.clone()));
        }
    }

    /// §10.3 step 8: all that is bound now.
    fn registered(&self, user: &UserId, request: &Message, now: Now) -> Headers {
        let mut headers = self.locations.get(user).map_or_else(Headers::new, |location| location.contacts(now));
        let path = request.header_str(sip_core::message::Name::Path);
        if let Some(path) = path.filter(|_| request.supports("path")) {
            headers.push(("Path".to_owned(), path.into_owned()));
        }
        if request.supports("outbound") && self.locations.get(user).is_some_and(Location::is_outbound) {
            // RFC 5626 §6.
            headers.push(("Require".to_owned(), "outbound".to_owned()));
        }
        headers
    }

    /// Where a user is reached, the preferred place first (§10.2.1.2), of equals the one that registered last.
    #[must_use]
    pub fn targets(&self, user: &UserId, now: Now) -> Vec<Target> {
        self.locations.get(user).map_or_else(Vec::new, |location| location.targets(now))
    }

    /// The user of this name that callers of a tenant mean.
    #[must_use]
    pub fn find(&self, tenant: &str, name: &str) -> Option<UserId> {
        let user = UserId { tenant: tenant.to_owned(), name: name.to_owned() };
        (self.directory.knows(&user) || self.locations.contains_key(&user)).then_some(user)
    }

    /// The user that an address names: a name of ours and a user of it, registered or not.
    #[must_use]
    pub fn find_address(&self, address: &NameAddr) -> Option<UserId> {
        let name = name_in(&address.uri)?;
        let user = self.directory.user(&address.uri, &name)?;
        self.find(&user.tenant, &user.name)
    }

    /// Whether an address names us.
    #[must_use]
    pub fn is_ours(&self, uri: &sip_core::uri::Uri) -> bool {
        self.directory.user(uri, "").is_some()
    }

    /// A connection has ended, and the bindings over it with it (RFC 5626 §5.3). True where there were any.
    pub fn flow_closed(&mut self, flow: FlowId) -> bool {
        let Some(users) = self.flows.remove(&flow) else { return false };
        for user in users {
            let Some(before) = self.locations.remove(&user) else { continue };
            self.forget_expiry(&user, &before);
            let flows = before.flows().into_iter().filter(|other| *other != flow).collect();
            let (customers, after) = (before.customers(), before.without_flow(flow));
            self.follow_customers(&customers, &after.customers());
            self.settle(&user, &flows, after);
        }
        true
    }

    /// When [`Registrar::expire`] has something to do (monotonic nanoseconds).
    #[must_use]
    pub fn next_expiry(&self) -> Option<u64> {
        self.expiry.first().map(|(at, _)| *at)
    }

    /// Forgets the bindings whose time is over.
    pub fn expire(&mut self, now: Now) {
        while let Some((_, user)) = self.expiry.first().filter(|(at, _)| *at <= now.mono).cloned() {
            let Some(before) = self.locations.remove(&user) else { return };
            self.forget_expiry(&user, &before);
            let flows = before.flows();
            let (customers, after) = (before.customers(), before.at(now));
            self.follow_customers(&customers, &after.customers());
            self.settle(&user, &flows, after);
        }
    }

    /// What is to be kept of each user of whom something else was kept before, since this was last asked.
    pub fn take_moved(&mut self, now: Now) -> Vec<KeptLocation> {
        let mut told = Vec::new();
        for user in std::mem::take(&mut self.moved) {
            let kept = KeptLocation::of(&user, self.locations.get(&user), now);
            let was_kept = if kept.bindings.is_empty() {
                self.kept.remove(&user)
            } else {
                self.kept.insert(user);
                true
            };
            if was_kept {
                told.push(kept);
            }
        }
        told
    }

    /// Takes up what an earlier process has kept, of users that there are and that have not registered since.
    pub fn restore(&mut self, kept: &[KeptLocation], locals: &[Local], now: Now) {
        for kept in kept {
            let user = kept.user();
            self.kept.insert(user.clone());
            self.moved.insert(user.clone());
            let is_one = self.directory.open || self.directory.knows(&user);
            if !is_one || self.locations.contains_key(&user) || self.locations.len() >= MAX_LOCATIONS {
                continue;
            }
            let after = Location::restored(&kept.bindings, locals, now);
            self.follow_customers(&BTreeSet::new(), &after.customers());
            self.settle(&user, &BTreeSet::new(), after);
        }
    }

    /// The connections that somebody has begun (true) or ceased to be registered over, since this was last asked.
    pub fn take_changes(&mut self) -> Vec<(FlowId, bool)> {
        std::mem::take(&mut self.changes)
    }

    /// The customers where somebody has begun (true) or ceased to be registered, since this was last asked.
    pub fn take_acquaintances(&mut self) -> Vec<(IpAddr, bool)> {
        std::mem::take(&mut self.acquaintances)
    }

    /// Who is registered where.
    #[must_use]
    pub fn bindings(&self, now: Now) -> Vec<BindingView> {
        self.locations.iter().flat_map(|(user, location)| location.view(user, now)).collect()
    }

    /// Who is locked out, and for how long.
    #[must_use]
    pub fn bans(&self, now: Now) -> Vec<Ban> {
        self.identity.bans(now)
    }

    /// Wrong passwords and unknown users so far.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.identity.failures
    }
}

fn refuse(status: StatusCode) -> Box<Reply> {
    Box::new(Reply::Refuse(status, Headers::new()))
}
