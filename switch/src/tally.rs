//! What tenants use, and what of it is too much: calls at once, calls a second, minutes and money a day, and where calls go
//! (FAULTS 23). Every call that is to leave over a trunk is judged here, whoever asks for it: the API, a program's
//! `bridge`, a transfer, a phone.
//!
//! A day's minutes and money are kept for a call before it uses them, part by part ([`Tally::keep`]): from its beginning,
//! so that those that ring at the same time do not use the same minute, and again whenever a part is used up. Where
//! nothing is left to be kept, the call is cut. What was kept and not used goes back at its end.

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
    /// Milliseconds of answered calls over trunks today that have ended, and those that are kept for live ones.
    pub billable_ms: u64,
    /// What they cost, in millionths of the deck's currency.
    pub spent: u64,
}

/// The parts of its tenant's day that are kept for a live call. Nothing is where the tenant's day has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    ms: u64,
    micros: u64,
}

/// What a call costs from its answer on, and how long that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paid {
    /// Millionths of the deck's currency.
    pub(crate) micros: u64,
    /// Milliseconds after the answer.
    pub(crate) until_ms: u64,
}

/// The least and the most that is kept of a day's minutes at a time, in milliseconds. In between it is a half of what is
/// left, shared by all of the tenant's calls: so little is lost where some end before they have used their part.
const PART_MS: (u64, u64) = (1_000, 60_000);

#[derive(Debug, Default)]
struct Account {
    /// Live calls, and what ended ones have used.
    usage: Usage,
    /// What is kept for live ones.
    kept: Kept,
    /// When the last calls began to leave (monotonic nanoseconds).
    recent: VecDeque<u64>,
}

/// See the head of this file. It holds a line for each tenant that has had a call today.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    day: u64,
    accounts: BTreeMap<String, Account>,
    /// What was used before this process began is not known yet.
    unknown: bool,
}

/// Why there is nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// A limit, by its stable name.
    Limit(&'static str),
    /// A day has a limit, and what was used of it before this process began is not known yet.
    DayUnknown,
}

impl Tally {
    /// What tenants have used today by now, as an earlier process has counted it; `None`: that is not known yet, and nobody
    /// whose day has a limit calls out until it is ([`Tally::learn`]).
    pub(crate) fn new(used: Option<&BTreeMap<String, Usage>>, now: Now) -> Self {
        let account = |usage: &Usage| Account { usage: Usage { live: 0, ..*usage }, ..Account::default() };
        let accounts = used.into_iter().flatten().map(|(tenant, usage)| (tenant.clone(), account(usage))).collect();
        Self { day: now.wall / DAY_MS, accounts, unknown: used.is_none() }
    }

    /// What tenants had used of the day that began at `since` (milliseconds since the Unix epoch) before this process began.
    pub(crate) fn learn(&mut self, since: u64, used: &BTreeMap<String, Usage>, now: Now) {
        self.turn(now);
        self.unknown = false;
        if since / DAY_MS != self.day {
            return;
        }
        for (tenant, used) in used {
            let usage = &mut self.accounts.entry(tenant.clone()).or_default().usage;
            usage.billable_ms = usage.billable_ms.saturating_add(used.billable_ms);
            usage.spent = usage.spent.saturating_add(used.spent);
        }
    }

    /// Whether that is still to come.
    pub(crate) const fn is_unknown(&self) -> bool {
        self.unknown
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

    /// Keeps more of its tenant's day for a call that was answered `elapsed_ms` ago: time, where minutes are limited and
    /// what was kept is used up; money, where that is limited and the call is to cost more. How long after its answer the
    /// call has to ask again; `None`: never.
    pub(crate) fn keep(
        &mut self,
        tenant: &str,
        limits: &TenantLimits,
        kept: &mut Kept,
        elapsed_ms: u64,
        paid: Option<Paid>,
        now: Now,
    ) -> Result<Option<u64>, Reached> {
        self.turn(now);
        let account = self.accounts.entry(tenant.to_owned()).or_default();
        let time = limits.minutes_per_day.map(|most| account.keep_time(u64::from(most) * 60_000, kept, elapsed_ms));
        let money = limits.spend_per_day.zip(paid).map(|(most, paid)| account.keep_money(most, kept, paid));
        Ok(time.transpose()?.into_iter().chain(money.transpose()?).min())
    }

    /// It is over, and what was kept for it is not any more; for so long it was answered, over a trunk, and cost so much.
    pub(crate) fn end(&mut self, tenant: &str, kept: Kept, (billable_ms, spent): (u64, u64), now: Now) {
        self.turn(now);
        let account = self.accounts.entry(tenant.to_owned()).or_default();
        account.kept.ms = account.kept.ms.saturating_sub(kept.ms);
        account.kept.micros = account.kept.micros.saturating_sub(kept.micros);
        account.usage.live = account.usage.live.saturating_sub(1);
        account.usage.billable_ms = account.usage.billable_ms.saturating_add(billable_ms);
        account.usage.spent = account.usage.spent.saturating_add(spent);
    }

    /// Whether one more call may live.
    pub(crate) fn has_room(&self, tenant: &str, limits: &TenantLimits) -> Result<(), Reached> {
        let live = self.accounts.get(tenant).map_or(0, |account| account.usage.live);
        match limits.concurrent_calls {
            Some(most) if live >= most => Err(Reached::Limit("concurrent_calls")),
            _ => Ok(()),
        }
    }

    /// Whether one more call may leave now. The one that is judged does not live yet.
    pub(crate) fn may_leave(&self, tenant: &str, limits: &TenantLimits, now: Now) -> Result<(), Reached> {
        self.has_room(tenant, limits)?;
        // They are in order.
        let of_a_second =
            |account: &Account| account.recent.len() - account.recent.partition_point(|at| at + SECOND <= now.mono);
        let within = self.accounts.get(tenant).map_or(0, of_a_second);
        if limits.calls_per_second.is_some_and(|most| within >= (most as usize).min(MAX_RECENT)) {
            return Err(Reached::Limit("calls_per_second"));
        }
        self.has_day_left(tenant, limits, now)
    }

    /// Whether anything is left of a tenant's day.
    pub(crate) fn has_day_left(&self, tenant: &str, limits: &TenantLimits, now: Now) -> Result<(), Reached> {
        if self.unknown && limits.a_day_has_limits() {
            return Err(Reached::DayUnknown);
        }
        let Some(account) = self.accounts.get(tenant) else { return Ok(()) };
        let usage = if now.wall / DAY_MS == self.day { account.used() } else { Usage::default() };
        limits.of_the_day(&usage).map_err(Reached::Limit)
    }

    /// What each tenant uses.
    pub(crate) fn usage(&self) -> BTreeMap<String, Usage> {
        self.accounts.iter().map(|(tenant, account)| (tenant.clone(), account.used())).collect()
    }
}

impl Account {
    /// With what is kept.
    fn used(&self) -> Usage {
        Usage {
            live: self.usage.live,
            billable_ms: self.usage.billable_ms.saturating_add(self.kept.ms),
            spent: self.usage.spent.saturating_add(self.kept.micros),
        }
    }

    /// Until when there is time, in milliseconds after the answer.
    fn keep_time(&mut self, most_ms: u64, kept: &mut Kept, elapsed_ms: u64) -> Result<u64, Reached> {
        if kept.ms > elapsed_ms {
            return Ok(kept.ms);
        }
        // Nothing was kept of what has gone by where the limit is younger than the call.
        let behind = elapsed_ms - kept.ms;
        let left = most_ms.saturating_sub(self.used().billable_ms).saturating_sub(behind);
        if left == 0 {
            return Err(Reached::Limit("minutes_per_day"));
        }
        let shared = left / (2 * (u64::from(self.usage.live) + 1));
        let part = behind + shared.clamp(PART_MS.0, PART_MS.1).min(left);
        kept.ms += part;
        self.kept.ms += part;
        Ok(kept.ms)
    }

    /// Until when it is paid for: an increment is begun where any money is left.
    fn keep_money(&mut self, most: u64, kept: &mut Kept, paid: Paid) -> Result<u64, Reached> {
        let more = paid.micros.saturating_sub(kept.micros);
        if more > 0 && self.used().spent >= most {
            return Err(Reached::Limit("spend_per_day"));
        }
        kept.micros += more;
        self.kept.micros += more;
        Ok(paid.until_ms)
    }
}

impl TenantLimits {
    /// Whether a day's use has a limit at all.
    #[must_use]
    pub const fn a_day_has_limits(&self) -> bool {
        self.minutes_per_day.is_some() || self.spend_per_day.is_some()
    }

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
        match self {
            Self::Limit(_) => Ending::new(Status::Failed, Origin::Limit, 403, self.reason()),
            Self::DayUnknown => Ending::new(Status::Failed, Origin::Limit, 503, self.reason()).retriable(),
        }
    }

    /// How a call ends that was answered and has used up what there was.
    pub(crate) fn cut(self) -> Ending {
        Ending::cleared(Origin::Limit, &self.reason())
    }

    fn reason(self) -> String {
        match self {
            Self::Limit(limit) => format!("limits.{limit} of the tenant is reached"),
            Self::DayUnknown => "what the tenant has used today is not known: the database is away".to_owned(),
        }
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
        let (mut tally, limits) = (Tally::new(Some(&BTreeMap::new()), DAY), limits());
        tally.begin("a", true, at(0));
        assert_eq!(tally.may_leave("a", &limits, at(0)), Ok(()));
        tally.begin("a", true, at(1));
        assert_eq!(tally.may_leave("a", &limits, at(1)), Err(Reached::Limit("concurrent_calls")));
        tally.end("a", Kept::default(), (0, 0), at(2));
        tally.begin("a", true, at(2));
        tally.end("a", Kept::default(), (0, 0), at(3));
        assert_eq!(tally.may_leave("a", &limits, at(3)), Err(Reached::Limit("calls_per_second")));
        assert_eq!(tally.may_leave("a", &limits, at(1_001)), Ok(()));
        tally.end("a", Kept::default(), (59_999, 0), at(1_002));
        assert_eq!(tally.may_leave("a", &limits, at(1_002)), Ok(()));
        tally.end("a", Kept::default(), (1, 0), at(1_003));
        assert_eq!(tally.may_leave("a", &limits, at(2_003)), Err(Reached::Limit("minutes_per_day")));
        tally.end("b", Kept::default(), (0, 500), at(2_003));
        assert_eq!(tally.may_leave("b", &limits, at(2_003)), Err(Reached::Limit("spend_per_day")));
        assert_eq!(tally.may_leave("c", &limits, at(2_003)), Ok(()));
        assert_eq!(tally.may_leave("a", &TenantLimits::default(), at(2_003)), Ok(()), "nothing is said");
    }

    #[test]
    fn a_day_ends_at_midnight_and_a_restart_does_not_end_it() {
        let used = [("a".to_owned(), Usage { live: 9, billable_ms: 60_000, spent: 0 })].into();
        let (mut tally, limits) = (Tally::new(Some(&used), DAY), limits());
        assert_eq!(tally.may_leave("a", &limits, at(0)), Err(Reached::Limit("minutes_per_day")));
        assert_eq!(tally.may_leave("a", &limits, at(DAY_MS)), Ok(()));
        tally.begin("a", true, at(DAY_MS));
        assert_eq!(tally.usage()["a"], Usage { live: 1, ..Usage::default() });
    }

    #[test]
    fn until_it_is_known_what_was_used_nobody_calls_whose_day_has_a_limit() {
        let (mut tally, limits) = (Tally::new(None, DAY), limits());
        assert_eq!(tally.may_leave("a", &limits, at(0)), Err(Reached::DayUnknown));
        let free = TenantLimits { minutes_per_day: None, spend_per_day: None, ..limits.clone() };
        assert_eq!(tally.may_leave("a", &free, at(0)), Ok(()));
        tally.begin("a", true, at(0));
        tally.end("a", Kept::default(), (20_000, 0), at(1));
        let used = |billable_ms| [("a".to_owned(), Usage { live: 0, billable_ms, spent: 0 })].into();
        tally.learn(DAY.wall - DAY_MS, &used(60_000), at(2));
        assert_eq!(tally.may_leave("a", &limits, at(2)), Ok(()), "of yesterday nothing counts");
        tally.learn(DAY.wall, &used(30_000), at(2));
        assert_eq!((tally.usage()["a"].billable_ms, tally.may_leave("a", &limits, at(2))), (50_000, Ok(())));
        tally.learn(DAY.wall, &used(10_000), at(2));
        assert_eq!(tally.may_leave("a", &limits, at(2)), Err(Reached::Limit("minutes_per_day")));
    }

    #[test]
    fn what_is_kept_for_live_calls_is_used_and_what_they_did_not_use_goes_back() {
        let (mut tally, limits) = (Tally::new(Some(&BTreeMap::new()), DAY), limits());
        tally.begin("a", true, at(0));
        let mut kept = Kept::default();
        // A quarter of the minute: half of it, for this call and another.
        assert_eq!(tally.keep("a", &limits, &mut kept, 0, None, at(0)), Ok(Some(15_000)));
        assert_eq!(tally.keep("a", &limits, &mut kept, 14_999, None, at(0)), Ok(Some(15_000)), "there is some left");
        let mut until = 15_000;
        let cut_at = loop {
            match tally.keep("a", &limits, &mut kept, until, None, at(0)) {
                Ok(next) => until = next.unwrap(),
                Err(reached) => break (until, reached),
            }
        };
        assert_eq!(cut_at, (60_000, Reached::Limit("minutes_per_day")), "to the millisecond");
        assert_eq!(tally.may_leave("a", &limits, at(2_000)), Err(Reached::Limit("minutes_per_day")));
        tally.end("a", kept, (20_000, 0), at(3_000));
        assert_eq!(tally.may_leave("a", &limits, at(3_000)), Ok(()));
        assert_eq!(tally.usage()["a"], Usage { live: 0, billable_ms: 20_000, spent: 0 });
    }

    #[test]
    fn increments_are_begun_while_any_money_is_left_whoever_begins_them() {
        let (mut tally, limits) =
            (Tally::new(Some(&BTreeMap::new()), DAY), TenantLimits { minutes_per_day: None, ..limits() });
        let (mut one, mut two) = (Kept::default(), Kept::default());
        tally.begin("a", true, at(0));
        tally.begin("a", true, at(0));
        let paid = |minutes: u64| Some(Paid { micros: minutes * 200, until_ms: minutes * 60_000 });
        assert_eq!(tally.keep("a", &limits, &mut one, 0, paid(1), at(0)), Ok(Some(60_000)));
        assert_eq!(tally.keep("a", &limits, &mut two, 0, paid(1), at(0)), Ok(Some(60_000)));
        assert_eq!(
            tally.keep("a", &limits, &mut one, 60_000, paid(2), at(0)),
            Ok(Some(120_000)),
            "the last, begun at 400"
        );
        assert_eq!(tally.keep("a", &limits, &mut two, 60_000, paid(2), at(0)), Err(Reached::Limit("spend_per_day")));
        assert_eq!(tally.keep("a", &limits, &mut one, 61_000, paid(2), at(0)), Ok(Some(120_000)), "it is paid for");
        assert_eq!(tally.usage()["a"].spent, 600);
        tally.end("a", one, (0, 400), at(0));
        tally.end("a", two, (0, 200), at(0));
        assert_eq!(tally.usage()["a"].spent, 600);
    }

    #[test]
    fn a_limit_that_is_younger_than_a_call_counts_what_the_call_has_used() {
        let (mut tally, limits) = (Tally::new(Some(&BTreeMap::new()), DAY), limits());
        tally.begin("a", true, at(0));
        let mut kept = Kept::default();
        assert_eq!(tally.keep("a", &limits, &mut kept, 59_500, None, at(59_500)), Ok(Some(60_000)));
        let mut late = Kept::default();
        let reached = tally.keep("a", &limits, &mut late, 1, None, at(60_001));
        assert_eq!(reached, Err(Reached::Limit("minutes_per_day")));
    }
}
