//! Who may do what, served from memory: tenants, the numbers and users that are theirs, the trunks there are, the limits.
//!
//! One [`Directory`] is what the configuration file names, another what was made over HTTP; [`Directory::merge`] makes of
//! both the one that is in force. The [`registry`](crate::registry) puts a new one in its place when either changes; a
//! request sees one or the other. A live call is not touched by either.

use carrier::{Secret, TrunkConfig};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use switch::registrar::{RegistrarConfig, TenantDomain};

/// All of it, as one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directory {
    /// By name.
    pub tenants: BTreeMap<String, Tenant>,
    /// By number: E.164, or any SIP user part (`menu`, `1001`).
    pub numbers: BTreeMap<String, OwnedNumber>,
    /// By tenant and name.
    pub users: BTreeMap<(String, String), User>,
    /// The trunks, in the order in which they are tried.
    pub trunks: Vec<Trunk>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[[rate]]`: what calls cost.
    pub rates: carrier::Deck,
}

/// Where something is written, and so where it is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ManagedBy)]
pub enum Origin {
    /// In the configuration file: over HTTP it is read-only.
    #[default]
    File,
    /// In the database, by the API.
    Api,
}

/// `[[tenant]]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tenant {
    /// Whether its calls may leave by a trunk.
    pub trunk_access: bool,
    /// The domain under which its users are meant, lower case.
    pub sip_domain: Option<String>,
    /// Requests a minute for each of its keys, in place of [`Limits::api_requests_per_minute`].
    pub api_requests_per_minute: Option<u32>,
    /// How much of everything it may have.
    pub limits: switch::TenantLimits,
    /// Its place among the tenants: where two have a user of one name, the first is meant.
    pub rank: usize,
    /// Where it is changed.
    pub origin: Origin,
}

/// `[[number]]`
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedNumber {
    /// Whose.
    pub tenant: String,
    /// What answers when it is called.
    pub answer: Option<ivr::Answer>,
    /// Where it is changed.
    pub origin: Origin,
}

/// `[[user]]`
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// What it proves itself by; none only where the registrar is open.
    pub password: Option<Secret>,
    /// Where it is changed.
    pub origin: Origin,
}

/// `[[trunk]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// All that is configured of it.
    pub config: TrunkConfig,
    /// Where it is changed.
    pub origin: Origin,
}

impl Trunk {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.config.name.as_str()
    }
}

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute for each key; at least 1.
    pub api_requests_per_minute: u32,
    /// Calls a second that leave. More are not refused: they wait as `queued` in the switch.
    pub calls_per_second: u32,
    /// Calls that may be live at once; a request for one more is refused.
    pub concurrent_calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { api_requests_per_minute: 600, calls_per_second: 100, concurrent_calls: 10_000 }
    }
}

impl Directory {
    /// Whether `tenant` may present `number` as its caller ID.
    #[must_use]
    pub fn owns(&self, tenant: &str, number: &str) -> bool {
        self.numbers.get(number).is_some_and(|owned| owned.tenant == tenant)
    }

    /// Requests a minute for a key of `tenant`.
    #[must_use]
    pub fn requests_per_minute(&self, tenant: &str) -> u32 {
        let own = self.tenants.get(tenant).and_then(|tenant| tenant.api_requests_per_minute);
        own.unwrap_or(self.limits.api_requests_per_minute).max(1)
    }

    /// The trunk of this name.
    #[must_use]
    pub fn trunk(&self, name: &str) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.name() == name)
    }

    /// Whether a call may ask for this: a trunk, or a group of trunks.
    #[must_use]
    pub fn has_trunk_or_group(&self, name: &str) -> bool {
        let answers = |trunk: &Trunk| [true, false].iter().any(|is_trunk| trunk.config.answers_to(name, *is_trunk));
        self.trunks.iter().any(answers)
    }

    /// What the file names together with what the API has made. On a clash the file wins; what has to stand aside is named
    /// in a sentence each.
    #[must_use]
    pub fn merge(&self, made: &Self) -> (Self, Vec<String>) {
        let (mut all, mut aside) = (self.clone(), Vec::new());
        let named = |what: &str, name: &str| {
            format!("{what} \"{name}\" is in the configuration file, which wins over the one made over HTTP")
        };
        for (name, tenant) in &made.tenants {
            let taken = |other: &Tenant| other.sip_domain.is_some() && other.sip_domain == tenant.sip_domain;
            if self.tenants.contains_key(name) {
                aside.push(named("the tenant", name));
            } else if self.tenants.values().any(taken) {
                aside.push(format!("the tenant \"{name}\", made over HTTP, has a sip_domain that the configuration file gives to another; it is set aside"));
            } else {
                all.tenants.insert(name.clone(), Tenant { rank: self.tenants.len() + tenant.rank, ..tenant.clone() });
            }
        }
        let orphan = |what: &str, name: &str, tenant: &str| {
            format!(
                "{what} \"{name}\", made over HTTP, is of the tenant \"{tenant}\", which there is no more; it is set aside"
            )
        };
        for (name, number) in &made.numbers {
            if self.numbers.contains_key(name) {
                aside.push(named("the number", name));
            } else if !all.tenants.contains_key(&number.tenant) {
                aside.push(orphan("the number", name, &number.tenant));
            } else {
                all.numbers.insert(name.clone(), number.clone());
            }
        }
        for (id, user) in &made.users {
            if self.users.contains_key(id) {
                aside.push(named("the user", &format!("{}/{}", id.0, id.1)));
            } else if !all.tenants.contains_key(&id.0) {
                aside.push(orphan("the user", &id.1, &id.0));
            } else {
                all.users.insert(id.clone(), user.clone());
            }
        }
        for trunk in &made.trunks {
            if self.trunk(trunk.name()).is_some() {
                aside.push(named("the trunk", trunk.name()));
            } else {
                all.trunks.push(trunk.clone());
            }
        }
        (all, aside)
    }

    /// As the switch takes it. `registrar` says what of the registrar does not change; `account` knows a tenant's account
    /// sid.
    #[must_use]
    pub fn provisioning(
        &self,
        registrar: &RegistrarConfig,
        partial: bool,
        account: impl Fn(&str) -> Option<String>,
    ) -> switch::Provisioning {
        let mut tenants: Vec<(&String, &Tenant)> = self.tenants.iter().collect();
        tenants.sort_by_key(|(_, tenant)| tenant.rank);
        let domain = |(name, tenant): &(&String, &Tenant)| TenantDomain {
            tenant: (*name).clone(),
            sip_domain: tenant.sip_domain.clone(),
        };
        let own = self.tenants.values().filter_map(|tenant| tenant.sip_domain.clone());
        // Without a password only where the registrar is open, and then nothing is proved.
        let user = |((tenant, name), user): (&(String, String), &User)| {
            let password = user.password.clone()?;
            Some(switch::registrar::User { name: name.clone(), tenant: tenant.clone(), password })
        };
        let number = |(number, owned): (&String, &OwnedNumber)| {
            let answer = owned.answer.clone()?;
            Some(switch::Number { number: number.clone(), tenant: owned.tenant.clone(), answer })
        };
        let tenant = |(name, tenant): (&String, &Tenant)| {
            let account_sid = account(name).unwrap_or_default();
            let (trunk_access, limits) = (tenant.trunk_access, tenant.limits.clone());
            (name.clone(), switch::Tenant { trunk_access, account_sid, limits })
        };
        switch::Provisioning {
            calls_per_second: self.limits.calls_per_second,
            concurrent_calls: self.limits.concurrent_calls as usize,
            domains: registrar.domains.iter().cloned().chain(own).collect(),
            trunks: self.trunks.iter().map(|trunk| trunk.config.clone()).collect(),
            numbers: self.numbers.iter().filter_map(number).collect(),
            caller_ids: self.numbers.iter().map(|(number, owned)| (number.clone(), owned.tenant.clone())).collect(),
            rates: self.rates.clone(),
            tenants: self.tenants.iter().map(tenant).collect(),
            registrar: RegistrarConfig {
                tenants: tenants.iter().map(domain).collect(),
                users: self.users.iter().filter_map(user).collect(),
                partial,
                ..registrar.clone()
            },
        }
    }
}

/// The directory in force; whoever holds it sees each new one.
pub type Current = Arc<arc_swap::ArcSwap<Directory>>;
