//! Who may do what, served from memory: tenants, the numbers they own, the trunks there are, the limits.
//!
//! The program builds a [`Directory`] from the configuration and puts a new one in its place when that is reloaded; a
//! request sees one or the other. A live call is not touched by either.

use std::collections::{BTreeMap, BTreeSet};

/// All of it, as one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directory {
    /// By name.
    pub tenants: BTreeMap<String, Tenant>,
    /// By number: E.164, or any SIP user part (`menu`, `1001`).
    pub numbers: BTreeMap<String, OwnedNumber>,
    /// The names of the trunks.
    pub trunks: BTreeSet<String>,
    /// `[limits]`.
    pub limits: Limits,
}

/// `[[tenant]]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenant {
    /// Whether its calls may leave by a trunk.
    pub trunk_access: bool,
    /// Requests a minute for each of its keys, in place of [`Limits::api_requests_per_minute`].
    pub api_requests_per_minute: Option<u32>,
}

/// `[[number]]`
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedNumber {
    /// Whose.
    pub tenant: String,
    /// What answers when it is called.
    pub answer: Option<ivr::Answer>,
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
}
