//! What may change while the switch runs: tenants, trunks, numbers, users and the limits of the whole.
//!
//! A [`Provisioning`] says it, a [`Provisioned`] is that checked and made ready, which the rim does off the signalling
//! thread: hashing the passwords of thousands of users would hold up calls. The switch takes one in place of the other
//! between two inputs, and no live call is touched: what it runs, whom it hears and the permit that it holds are its own.

use crate::ConfigError;
use crate::config::Number;
use crate::registrar::{Directory, RegistrarConfig};
use crate::route::Plan;
use carrier::{Deck, Destinations, Trunk, TrunkConfig};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a tenant is to the switch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tenant {
    /// Whether its callers reach trunks.
    pub trunk_access: bool,
    /// Its account (`AC` and 32 hexadecimal digits), as requests for documents name it; empty where it has none.
    pub account_sid: String,
    /// How much of everything it may have.
    pub limits: TenantLimits,
}

/// How much of everything a tenant may have; where nothing is said, as much as the whole switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantLimits {
    /// Calls and legs that live at once.
    pub concurrent_calls: Option<u32>,
    /// Calls a second that leave over trunks; more are refused and do not wait.
    pub calls_per_second: Option<u32>,
    /// Minutes of answered calls over trunks, a day (UTC). What lives when it is reached is cut.
    pub minutes_per_day: Option<u32>,
    /// What they cost by the rate deck, a day, in millionths of its currency.
    pub spend_per_day: Option<u64>,
    /// Where calls may go.
    pub destinations: Destinations,
}

/// What may change while the switch runs.
#[derive(Clone, Debug)]
pub struct Provisioning {
    /// INVITEs a second that we send, over all trunks.
    pub calls_per_second: u32,
    /// Calls that may live at once, the queued ones included.
    pub concurrent_calls: usize,
    /// Names that are us, beside our addresses: those of the configuration and the tenants' own.
    pub domains: Vec<String>,
    /// Trunks, in the order in which they are tried.
    pub trunks: Vec<TrunkConfig>,
    /// Numbers that answer.
    pub numbers: Vec<Number>,
    /// Whose each number is, those that only call out included.
    pub caller_ids: BTreeMap<String, String>,
    /// What calls cost.
    pub rates: Deck,
    /// Tenants, by name.
    pub tenants: BTreeMap<String, Tenant>,
    /// Users, and who may register.
    pub registrar: RegistrarConfig,
}

impl Default for Provisioning {
    /// Nothing and nobody, and limits as they are where the configuration says none.
    fn default() -> Self {
        Self {
            calls_per_second: 100,
            concurrent_calls: 10_000,
            domains: Vec::new(),
            trunks: Vec::new(),
            numbers: Vec::new(),
            caller_ids: BTreeMap::new(),
            rates: Deck::default(),
            tenants: BTreeMap::new(),
            registrar: RegistrarConfig::default(),
        }
    }
}

/// A [`Provisioning`] that has been checked and made ready.
#[derive(Debug)]
pub struct Provisioned {
    pub(crate) calls_per_second: u32,
    pub(crate) concurrent_calls: usize,
    pub(crate) domains: Vec<String>,
    pub(crate) trunks: Vec<Trunk>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) directory: Arc<Directory>,
}

impl Provisioned {
    /// Checks it and makes it ready. It takes some microseconds a user: not for the signalling thread.
    ///
    /// # Errors
    /// A trunk that cannot be.
    pub fn new(provisioning: Provisioning) -> Result<Self, ConfigError> {
        let plan = Plan::new(&provisioning);
        let trunks: Vec<Trunk> = provisioning.trunks.into_iter().map(Trunk::new).collect::<Result<_, _>>()?;
        let directory = Directory::new(&provisioning.registrar).with_trunks(&trunks);
        Ok(Self {
            calls_per_second: provisioning.calls_per_second,
            concurrent_calls: provisioning.concurrent_calls,
            domains: provisioning.domains,
            trunks,
            plan: Arc::new(plan),
            directory: Arc::new(directory),
        })
    }

    /// The networks (address, prefix length) that carriers call from: nobody counts what comes from there.
    #[must_use]
    pub fn carriers(&self) -> Vec<(std::net::IpAddr, u8)> {
        let networks = self.trunks.iter().flat_map(|trunk| trunk.accept_from().to_vec());
        networks.map(|network| (network.network(), network.prefix_len())).collect()
    }
}
