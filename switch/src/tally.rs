//! What tenants use, and what of it is too much: calls at once, calls a second, minutes and money a day, and where calls go
//! (FAULTS 23). Every call that is to leave over a trunk is judged here, whoever asks for it: the API, a program's
//! `bridge`, a transfer, a phone.

use crate::ending::Ending;
use crate::provision::TenantLimits;
use crate::{Origin, Status};
use base::Now;
use carrier::Number;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Milliseconds of a day: days begin at midnight UTC.
const DAY_MS: u64 = 86_400_000;
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;
/// Times of calls that are remembered of a tenant; a limit of more calls a second than that counts as this.
const MAX_RECENT: usize = 10_000;

/// What a tenant uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Calls and legs that live.
    pub live: u32,
    /// Milliseconds of answered calls over trunks today that have ended.
    pub billable_ms: u64,
    /// What they cost, in millionths of the deck's currency.
    pub spent: u64,
}

#[derive(Debug, Default)]
struct Account {
    usage: Usage,
    /// When the last calls began to leave (monotonic nanoseconds).
    recent: VecDeque<u64>,
}

/// See the head of this file. It holds a line for each tenant that has had a call today.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    day: u64,
    accounts: BTreeMap<String, Account>,
}

/// The limit that is reached, by its stable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached(pub(crate) &'static str);

impl Tally {
    /// What tenants have used today by now, as an earlier process has counted it.
    pub(crate) fn new(used: &BTreeMap<String, Usage>, now: Now) -> Self {
        let account = |usage: &Usage| Account { usage: Usage { live: 0, ..*usage }, recent: VecDeque::new() };
        let accounts = used.iter().map(|(tenant, usage)| (tenant.clone(), account(usage))).collect();
        Self { day: now.wall / DAY_MS, accounts }
    }

    /// A new day begins with nothing used.
    fn turn(&mut self, now: Now) {
        let day = now.wall / DAY_MS;
        if std::mem::replace(&mut self.day, day) == day {
            return;
        }
        self.accounts.retain(|_, account| account.usage.live > 0);
        for account in self.accounts.values_mut() {
            account.usage = Usage { live: account.usage.live, ..Usage::default() };
        }
    }

    /// A call or a leg begins; `leaves`: it is to go over a trunk.
    pub(crate) fn begin(&mut self, tenant: &str, leaves: bool, now: Now) {
        self.turn(now);
        let account = self.accounts.entry(tenant.to_owned()).or_default();
        account.usage.live += 1;
        if leaves {
            while account.recent.len() >= MAX_RECENT || account.recent.front().is_some_and(|at| at + SECOND <= now.mono)
            {
                account.recent.pop_front();
            }
            account.recent.push_back(now.mono);
        }
    }

    /// It is over; for so long it was answered, over a trunk, and cost so much.
    pub(crate) fn end(&mut self, tenant: &str, billable_ms: u64, spent: u64, now: Now) {
        self.turn(now);
        let account = self.accounts.entry(tenant.to_owned()).or_default();
        account.usage.live = account.usage.live.saturating_sub(1);
        account.usage.billable_ms = account.usage.billable_ms.saturating_add(billable_ms);
        account.usage.spent = account.usage.spent.saturating_add(spent);
    }

    /// Whether one more call may live.
    pub(crate) fn has_room(&self, tenant: &str, limits: &TenantLimits) -> Result<(), Reached> {
        let live = self.accounts.get(tenant).map_or(0, |account| account.usage.live);
        match limits.concurrent_calls {
            Some(most) if live >= most => Err(Reached("concurrent_calls")),
            _ => Ok(()),
        }
    }

    /// Whether one more call may leave now. The one that is judged does not live yet.
    pub(crate) fn may_leave(&self, tenant: &str, limits: &TenantLimits, now: Now) -> Result<(), Reached> {
        self.has_room(tenant, limits)?;
        let Some(account) = self.accounts.get(tenant) else { return Ok(()) };
        // They are in order.
        let within = account.recent.len() - account.recent.partition_point(|at| at + SECOND <= now.mono);
        if limits.calls_per_second.is_some_and(|most| within >= (most as usize).min(MAX_RECENT)) {
            return Err(Reached("calls_per_second"));
        }
        let usage = if now.wall / DAY_MS == self.day { account.usage } else { Usage::default() };
        limits.of_the_day(&usage).map_err(Reached)
    }

    /// What each tenant uses.
    pub(crate) fn usage(&self) -> BTreeMap<String, Usage> {
        self.accounts.iter().map(|(tenant, account)| (tenant.clone(), account.usage)).collect()
    }
}

impl TenantLimits {
    /// Whether a day's use is within what a day may have.
    ///
    /// # Errors
    /// The name of the limit that is reached.
    pub fn of_the_day(&self, usage: &Usage) -> Result<(), &'static str> {
        if self.minutes_per_day.is_some_and(|most| usage.billable_ms >= u64::from(most) * 60_000) {
            return Err("minutes_per_day");
        }
        if self.spend_per_day.is_some_and(|most| usage.spent >= most) {
            return Err("spend_per_day");
        }
        Ok(())
    }
}

impl Reached {
    /// How a call ends that is too much.
    pub(crate) fn ending(self) -> Ending {
        let reason = format!("limits.{} of the tenant is reached", self.0);
        Ending::new(Status::Failed, Origin::Limit, 403, reason)
    }
}

/// How a call ends that goes where the tenant's calls do not.
pub(crate) fn check_destination(limits: &TenantLimits, to: &Number) -> Result<(), Ending> {
    let checked = limits.destinations.check(to);
    checked.map_err(|closed| Ending::new(Status::Failed, Origin::Limit, 403, closed.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Now = Now::new(0, 20_000 * DAY_MS);

    fn limits() -> TenantLimits {
        TenantLimits {
            concurrent_calls: Some(2),
            calls_per_second: Some(3),
            minutes_per_day: Some(1),
            spend_per_day: Some(500),
            ..TenantLimits::default()
        }
    }

    fn at(ms: u64) -> Now {
        Now::new(base::millis(ms), DAY.wall + ms)
    }

    #[test]
    fn each_limit_is_reached_by_its_own_name_and_of_its_own_tenant() {
        let (mut tally, limits) = (Tally::new(&BTreeMap::new(), DAY), limits());
        tally.begin("a", true, at(0));
        assert_eq!(tally.may_leave("a", &limits, at(0)), Ok(()));
        tally.begin("a", true, at(1));
        assert_eq!(tally.may_leave("a", &limits, at(1)), Err(Reached("concurrent_calls")));
        tally.end("a", 0, 0, at(2));
        tally.begin("a", true, at(2));
        tally.end("a", 0, 0, at(3));
        assert_eq!(tally.may_leave("a", &limits, at(3)), Err(Reached("calls_per_second")));
        assert_eq!(tally.may_leave("a", &limits, at(1_001)), Ok(()));
        tally.end("a", 59_999, 0, at(1_002));
        assert_eq!(tally.may_leave("a", &limits, at(1_002)), Ok(()));
        tally.end("a", 1, 0, at(1_003));
        assert_eq!(tally.may_leave("a", &limits, at(2_003)), Err(Reached("minutes_per_day")));
        tally.end("b", 0, 500, at(2_003));
        assert_eq!(tally.may_leave("b", &limits, at(2_003)), Err(Reached("spend_per_day")));
        assert_eq!(tally.may_leave("c", &limits, at(2_003)), Ok(()));
        assert_eq!(tally.may_leave("a", &TenantLimits::default(), at(2_003)), Ok(()), "nothing is said");
    }

    #[test]
    fn a_day_ends_at_midnight_and_a_restart_does_not_end_it() {
        let used = [("a".to_owned(), Usage { live: 9, billable_ms: 60_000, spent: 0 })].into();
        let (mut tally, limits) = (Tally::new(&used, DAY), limits());
        assert_eq!(tally.may_leave("a", &limits, at(0)), Err(Reached("minutes_per_day")));
        assert_eq!(tally.may_leave("a", &limits, at(DAY_MS)), Ok(()));
        tally.begin("a", true, at(DAY_MS));
        assert_eq!(tally.usage()["a"], Usage { live: 1, ..Usage::default() });
    }
}
