//! Where a call goes: what an address means to a caller of a tenant, and what that caller may reach (DESIGN.md §5).
//!
//! Carriers' callers and users reach numbers and users; a trunk is reached only for a tenant with `trunk_access`.

use crate::call::{Device, Way};
use crate::config::Number;
use crate::desk::Desk;
use crate::ending::Ending;
use crate::provision::{Provisioning, Tenant, TenantLimits};
use crate::registrar::UserId;
use crate::tally::{Reached, check_destination};
use crate::{Origin, Status};
use base::Now;
use sip_core::header::NameAddr;
use sip_core::message::StatusCode;
use sip_core::transport::Transport;
use sip_core::uri::{Host, Scheme, Uri};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// How long whoever is called by a user or a carrier's caller may ring, in seconds.
const RING_S: u32 = 60;

/// Emergency numbers as they are dialled in most of the world. None is ever sent to a trunk by itself: whoever answers for
/// that says where it goes, by a number of this name.
const EMERGENCY: [&str; 12] = ["000", "08", "110", "111", "112", "118", "119", "911", "933", "988", "995", "999"];

fn emergency() -> Ending {
    let reason =
        "emergency_not_open: no number of ours carries emergency calls; a [[number]] of this name says where they go";
    Ending::new(Status::Failed, Origin::Limit, 403, reason)
}

/// A number that answers calls.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) number: Number,
    /// Its answer as the outside is shown it, written once for all its calls.
    pub(crate) shown: Arc<serde_json::Value>,
}

impl Listed {
    fn new(number: Number) -> Arc<Self> {
        let shown = Arc::new(serde_json::to_value(&number.answer).unwrap_or_default());
        Arc::new(Self { number, shown })
    }
}

/// On whose behalf somebody is called, and what they see of it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The tenant.
    pub(crate) tenant: String,
    /// The caller's own number or name.
    pub(crate) from: String,
    /// It has come in over a trunk: its number is shown to others though it is not the tenant's.
    pub(crate) passes: bool,
    /// Whether the tenant's trunks are reached.
    pub(crate) trunks: bool,
}

/// What the switch knows of addresses.
#[derive(Debug)]
pub(crate) struct Plan {
    numbers: BTreeMap<String, Arc<Listed>>,
    /// Whose each number is.
    owners: BTreeMap<String, String>,
    tenants: BTreeMap<String, Tenant>,
    /// What calls cost.
    pub(crate) rates: carrier::Deck,
    /// The first number of each tenant that a trunk can be shown.
    first: BTreeMap<String, carrier::Number>,
    /// The host of our own addresses, where a name is configured.
    host: Option<String>,
    /// There may be numbers and users of whom nothing is known yet.
    partial: bool,
}

impl Plan {
    pub(crate) fn new(provisioning: &Provisioning) -> Self {
        let listed = |number: &Number| (number.number.clone(), Listed::new(number.clone()));
        let numbers: BTreeMap<String, Arc<Listed>> = provisioning.numbers.iter().map(listed).collect();
        let mut owners = provisioning.caller_ids.clone();
        owners.extend(numbers.values().map(|listed| (listed.number.number.clone(), listed.number.tenant.clone())));
        let mut first = BTreeMap::new();
        for (number, tenant) in &owners {
            if let Ok(shown) = number.parse() {
                first.entry(tenant.clone()).or_insert(shown);
            }
        }
        let host = provisioning.registrar.domains.first().cloned();
        let (tenants, rates) = (provisioning.tenants.clone(), provisioning.rates.clone());
        Self { numbers, owners, tenants, rates, first, host, partial: provisioning.registrar.partial }
    }

    /// How much of everything a tenant may have; `None` where it is not known.
    pub(crate) fn limits_of(&self, tenant: &str) -> Option<&TenantLimits> {
        self.tenants.get(tenant).map(|known| &known.limits)
    }

    /// Whether callers of this tenant reach trunks.
    pub(crate) fn has_trunks(&self, tenant: &str) -> bool {
        self.tenants.get(tenant).is_some_and(|tenant| tenant.trunk_access)
    }

    /// The tenant's account, as Twilio's requests name it; empty where it has none.
    pub(crate) fn account_of(&self, tenant: &str) -> String {
        self.tenants.get(tenant).map(|tenant| tenant.account_sid.clone()).unwrap_or_default()
    }

    /// The number that a caller shows to a trunk: its own, where it is one and may be shown, else the first that the
    /// tenant has.
    fn number_of(&self, caller: &Caller) -> Result<carrier::Number, Ending> {
        let owns = || self.owners.get(&caller.from) == Some(&caller.tenant);
        match caller.from.parse() {
            Ok(number) if caller.passes || owns() => Ok(number),
            Ok(_) => Err(refused(403, "the caller's number is not the tenant's")),
            Err(_) => {
                let first = self.first.get(&caller.tenant).cloned();
                first.ok_or_else(|| refused(403, "the tenant has no number to call from"))
            }
        }
    }
}

/// Who is meant by an address: its user; of a telephone number the number alone (RFC 3261 §19.1.6), without what carriers
/// add to it (`;npdi`, `;rn=`: RFC 4694) and, where it is a global one or said to be a telephone's, without what only
/// people read (RFC 3966 §5.1.1).
pub(crate) fn subscriber(uri: &Uri) -> Option<String> {
    let user = uri.user_unescaped()?;
    let number = user.split(';').next().unwrap_or_default();
    let is_separator = |c: char| matches!(c, '-' | '.' | '(' | ')');
    let is_of_one = |c: char| c.is_ascii_digit() || is_separator(c) || matches!(c, '*' | '#');
    let rest = number.strip_prefix('+').unwrap_or(number);
    if rest.is_empty() || !rest.chars().all(is_of_one) {
        return Some(user.into_owned());
    }
    let is_phones = number.starts_with('+') || !uri.is_sip() || uri.param("user") == Some("phone");
    Some(if is_phones { number.chars().filter(|c| !is_separator(*c)).collect() } else { number.to_owned() })
}

impl Desk {
    /// An address of ours.
    fn address(&self, user: &str) -> Option<NameAddr> {
        let host = Host::parse(self.plan.host.as_ref().unwrap_or(&self.host).as_bytes()).ok()?;
        Some(NameAddr::new(Uri::sip(Some(user), host, None)))
    }

    /// What answers at an address that somebody calls: a number, or a user or another number whom that one is joined with.
    /// `trunk`: over which it comes, whose way to write numbers is understood where no number has just this name.
    pub(crate) fn called(
        &self,
        uri: &Uri,
        user: Option<&UserId>,
        trunk: Option<usize>,
    ) -> Result<Arc<Listed>, StatusCode> {
        let name = subscriber(uri).unwrap_or_default();
        let tenant = user.map(|user| user.tenant.as_str());
        let reaches = |listed: &&Arc<Listed>| tenant.is_none_or(|tenant| tenant == listed.number.tenant);
        let meant = || self.plan.numbers.get(self.trunks.read(trunk?, &name)?.as_str());
        if let Some(listed) = self.plan.numbers.get(&name).or_else(meant).filter(reaches) {
            return Ok(listed.clone());
        }
        let meant = match tenant {
            Some(tenant) => self.registrar.find(tenant, &name),
            None => self.registrar.find_address(&NameAddr::new(uri.clone())),
        };
        let over_trunk = || {
            let tenant = tenant.filter(|tenant| self.plan.has_trunks(tenant))?;
            name.parse::<carrier::Number>().ok().map(|_| tenant.to_owned())
        };
        let nobody = if self.plan.partial { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NOT_FOUND };
        let tenant = meant.map(|user| user.tenant).or_else(over_trunk).ok_or(nobody)?;
        let answer = serde_json::json!({ "bridge": name, "timeout_s": RING_S });
        let answer = ivr::Answer::parse(&answer).map_err(|_| StatusCode::NOT_FOUND)?;
        Ok(Listed::new(Number { number: name, tenant, answer }))
    }

    /// What a call is booked as that takes another's place: the address that it was sent to, of the caller's tenant.
    pub(crate) fn taking_over(&self, uri: &Uri, user: &UserId) -> Result<Arc<Listed>, StatusCode> {
        let number = subscriber(uri).unwrap_or_default();
        let answer = ivr::Answer::parse(&serde_json::json!({ "hangup": true })).map_err(|_| StatusCode::NOT_FOUND)?;
        Ok(Listed::new(Number { number, tenant: user.tenant.clone(), answer }))
    }

    /// Whether one more call of a tenant may live.
    pub(crate) fn has_room(&self, tenant: &str) -> Result<(), Reached> {
        self.plan.tenants.get(tenant).map_or(Ok(()), |known| self.tally.has_room(tenant, &known.limits))
    }

    /// Whether a tenant may call this number now, whoever asks for it.
    pub(crate) fn may_leave(&self, tenant: &str, to: &carrier::Number, now: Now) -> Result<(), Ending> {
        let Some(known) = self.plan.tenants.get(tenant) else { return Ok(()) };
        check_destination(&known.limits, to)?;
        self.tally.may_leave(tenant, &known.limits, now).map_err(Reached::ending)
    }

    /// Whether a call that the API has admitted may leave now. Its place among the tenant's calls, and among those of its
    /// second, was kept for it when it was admitted: what was told 201 is not refused for either.
    pub(crate) fn admitted_may_leave(&self, tenant: &str, to: &carrier::Number, now: Now) -> Result<(), Ending> {
        let Some(known) = self.plan.tenants.get(tenant) else { return Ok(()) };
        check_destination(&known.limits, to)?;
        self.tally.has_day_left(tenant, &known.limits, now).map_err(Reached::ending)
    }

    /// The ways to whom a program or a transfer names, each with what it shows as its caller; one for each device of a
    /// user.
    pub(crate) fn route(&mut self, to: &str, caller: &Caller, now: Now) -> Result<Vec<(String, Way)>, Ending> {
        if let Ok(uri) = Uri::parse(to.as_bytes()) {
            return self.route_uri(&uri, caller, now);
        }
        match to.parse() {
            Ok(number) => self.over_trunks(number, None, caller, now),
            Err(_) => {
                let nobody = || if EMERGENCY.contains(&to) { emergency() } else { refused(404, "no such user") };
                let user = self.registrar.find(&caller.tenant, to).ok_or_else(nobody)?;
                self.to_devices(&user, caller, now)
            }
        }
    }

    fn route_uri(&mut self, uri: &Uri, caller: &Caller, now: Now) -> Result<Vec<(String, Way)>, Ending> {
        let name = subscriber(uri).unwrap_or_default();
        let number = name.parse::<carrier::Number>();
        let at = uri.host().filter(|_| !self.listens_at(uri)).and_then(|host| self.trunks.at(host));
        if let (Some(trunk), Ok(number)) = (at, &number) {
            return self.over_trunks(number.clone(), Some(trunk), caller, now);
        }
        let address = NameAddr::new(uri.clone());
        match (self.registrar.find_address(&address), number) {
            (Some(user), _) if user.tenant == caller.tenant => self.to_devices(&user, caller, now),
            (_, Ok(number)) if self.registrar.is_ours(uri) || self.listens_at(uri) || uri.host().is_none() => {
                self.over_trunks(number, None, caller, now)
            }
            _ => Err(refused(404, "neither a user of ours nor a trunk's address")),
        }
    }

    /// Whether an address names a socket of ours: its port tells it from a trunk on the same host.
    fn listens_at(&self, uri: &Uri) -> bool {
        let transport = if uri.scheme() == Scheme::Sips { Transport::Tls } else { Transport::Udp };
        let port = uri.port().unwrap_or_else(|| transport.default_port());
        let Some(socket) = uri.host().and_then(Host::ip).map(|ip| SocketAddr::new(ip, port)) else { return false };
        self.locals.iter().any(|local| [local.bound, local.advertised, local.inside].contains(&socket))
    }

    fn over_trunks(
        &mut self,
        to: carrier::Number,
        only: Option<String>,
        caller: &Caller,
        now: Now,
    ) -> Result<Vec<(String, Way)>, Ending> {
        if !caller.trunks || !self.plan.has_trunks(&caller.tenant) {
            return Err(refused(403, "this caller reaches no trunk"));
        }
        let from = self.plan.number_of(caller)?;
        self.may_leave(&caller.tenant, &to, now)?;
        let candidates = self.trunks.candidates(&to, only.as_deref(), &mut self.rng);
        if candidates.is_empty() {
            return Err(refused(503, &self.trunks.none_for(&to)));
        }
        Ok(vec![(from.as_str().to_owned(), Way::Trunks { from, to, candidates })])
    }

    fn to_devices(&self, user: &UserId, caller: &Caller, now: Now) -> Result<Vec<(String, Way)>, Ending> {
        let addresses = self.address(&caller.from).zip(self.address(&user.name));
        let (from, to) = addresses.ok_or_else(|| refused(500, "this name makes no address"))?;
        let device = |target: crate::registrar::Target| {
            let device = Device {
                user: user.name.clone(),
                uri: target.uri,
                next_hop: target.next_hop,
                routes: target.path,
                from: from.clone(),
                to: to.clone(),
            };
            (caller.from.clone(), Way::Device(Box::new(device)))
        };
        let ways: Vec<_> = self.registrar.targets(user, now).into_iter().map(device).collect();
        if ways.is_empty() { Err(refused(480, "the user is not registered")) } else { Ok(ways) }
    }
}

fn refused(code: u16, reason: &str) -> Ending {
    Ending::new(Status::Failed, Origin::Switch, code, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telephone_number_is_the_number_alone_however_it_is_dressed_and_a_name_is_left_as_it_is() {
        let table = [
            ("sip:+18325550100@a.example", "+18325550100"),
            ("sip:+18325550100;npdi@a.example;user=phone", "+18325550100"),
            ("sip:+18325550100;npdi;rn=+18320000000@a.example", "+18325550100"),
            ("sip:+1-832-555-0100@a.example;user=phone", "+18325550100"),
            ("sip:8325550100;phone-context=+1@a.example;user=phone", "8325550100"),
            ("sip:832.555.0100@a.example;user=phone", "8325550100"),
            ("tel:+1(832)555-0100", "+18325550100"),
            ("tel:+1-832-555-0100;npdi", "+18325550100"),
            ("sip:front-desk@a.example", "front-desk"),
            ("sip:alice;x=y@a.example", "alice;x=y"),
            ("sip:10-1@a.example", "10-1"),
            ("sip:*97@a.example", "*97"),
            ("sip:+@a.example", "+"),
        ];
        for (uri, meant) in table {
            let parsed = Uri::parse(uri.as_bytes()).unwrap();
            assert_eq!(subscriber(&parsed).as_deref(), Some(meant), "{uri}");
        }
        assert_eq!(subscriber(&Uri::parse(b"sip:a.example").unwrap()), None);
    }
}
