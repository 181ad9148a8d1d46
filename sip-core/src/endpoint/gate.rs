//! How many requests from outside of any dialog are looked at: so many a second from one source, so many from all sources
//! that are not known together (FAULTS 20, 21 and 36; SECURITY 8).
//!
//! What is beyond is dropped without a word: an answer would go to whoever a forged source names. Nothing in a dialog or a
//! transaction that stands is ever counted.

use base::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Requests a second that one source may make; a source is an IPv4 address, or the /64 of an IPv6 one.
pub const SOURCE_RATE: u32 = 50;
/// Requests a second that all sources which are not known may make together.
pub const STRANGERS_RATE: u32 = 2_000;
/// How much of a second's allowance may come at once.
pub const BURST: Duration = Duration::from_secs(2);
/// The most sources that are counted one by one. Beyond it the one that has been quiet the longest is forgotten, and with
/// it at most [`BURST`] of what it had used up.
pub const MAX_SOURCES: usize = 16_384;

/// How much is let in of strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRates {
    /// [`SOURCE_RATE`].
    pub source: u32,
    /// [`STRANGERS_RATE`].
    pub strangers: u32,
    /// Networks (address, prefix length) that are not counted: the carriers'.
    pub known: Vec<(IpAddr, u8)>,
}

impl Default for GateRates {
    fn default() -> Self {
        Self { source: SOURCE_RATE, strangers: STRANGERS_RATE, known: Vec::new() }
    }
}

/// One customer of a network operator: an IPv4 address, or the /64 of an IPv6 one.
#[must_use]
pub fn customer_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & (u128::MAX << 64)).into()),
        v4 => v4,
    }
}

/// A rate by one number: the time at which all that was let in is paid for. Letting one in costs an interval; a debt of
/// more than [`BURST`] is not let run up.
#[derive(Clone, Copy, Debug, Default)]
struct Debt(u64);

impl Debt {
    /// What it would be with one more; none where that is too much.
    fn with_one(self, per_second: u32, now: Now) -> Option<Self> {
        let interval = base::secs(1) / u64::from(per_second.max(1));
        let paid_at = self.0.max(now.mono) + interval;
        (paid_at <= now.after(BURST)).then_some(Self(paid_at))
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Gate {
    rates: Option<GateRates>,
    strangers: Debt,
    sources: BTreeMap<IpAddr, Debt>,
    by_debt: BTreeSet<(u64, IpAddr)>,
    /// Customers where somebody is registered: they are counted each for itself, and not among the strangers.
    guests: BTreeSet<IpAddr>,
    /// Requests that were turned away.
    pub(crate) turned_away: u64,
}

impl Gate {
    /// Without rates everything is let in.
    pub(crate) fn new(rates: Option<GateRates>) -> Self {
        let (sources, by_debt) = (BTreeMap::new(), BTreeSet::new());
        Self { rates, strangers: Debt(0), sources, by_debt, guests: BTreeSet::new(), turned_away: 0 }
    }

    /// Somebody is registered there, or nobody any more.
    pub(crate) fn acquaint(&mut self, customer: IpAddr, is_guest: bool) {
        if is_guest {
            self.guests.insert(customer);
        } else {
            self.guests.remove(&customer);
        }
    }

    /// Other networks that are not counted; without rates nobody is.
    pub(crate) fn set_known(&mut self, known: Vec<(IpAddr, u8)>) {
        if let Some(rates) = &mut self.rates {
            rates.known = known;
        }
    }

    /// Whether one more request of this source is looked at.
    pub(crate) fn admits(&mut self, source: IpAddr, now: Now) -> bool {
        let Some(rates) = &self.rates else { return true };
        if rates.known.iter().any(|(net, prefix)| super::config::is_within(source, *net, *prefix)) {
            return true;
        }
        let who = customer_of(source);
        let before = self.sources.get(&who).copied();
        let debt = before.unwrap_or_default().with_one(rates.source, now);
        let strangers = if self.guests.contains(&who) {
            Some(self.strangers)
        } else {
            self.strangers.with_one(rates.strangers, now)
        };
        let Some((debt, strangers)) = debt.zip(strangers) else {
            self.turned_away += 1;
            return false;
        };
        self.strangers = strangers;
        self.note(who, before, debt);
        true
    }

    fn note(&mut self, who: IpAddr, before: Option<Debt>, debt: Debt) {
        match before {
            Some(before) => drop(self.by_debt.remove(&(before.0, who))),
            None if self.sources.len() >= MAX_SOURCES => {
                if let Some((_, quiet)) = self.by_debt.pop_first() {
                    self.sources.remove(&quiet);
                }
            }
            None => {}
        }
        self.sources.insert(who, debt);
        self.by_debt.insert((debt.0, who));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(source: u32, strangers: u32) -> Gate {
        let known = vec![("203.0.113.0".parse().unwrap(), 24)];
        Gate::new(Some(GateRates { source, strangers, known }))
    }

    const fn at(ms: u64) -> Now {
        Now::new(base::secs(100) + base::millis(ms), 0)
    }

    /// How many of so many at once.
    fn admitted(gate: &mut Gate, source: &str, many: usize, now: Now) -> usize {
        let ip = source.parse().unwrap();
        (0..many).filter(|_| gate.admits(ip, now)).count()
    }

    #[test]
    fn a_source_has_a_burst_and_then_its_rate() {
        let mut gate = gate(10, 1_000_000);
        assert_eq!(admitted(&mut gate, "192.0.2.1", 100, at(0)), 20);
        assert_eq!(admitted(&mut gate, "192.0.2.1", 100, at(1_000)), 10);
        assert_eq!(admitted(&mut gate, "192.0.2.2", 100, at(1_000)), 20, "each for itself");
        assert_eq!(admitted(&mut gate, "192.0.2.1", 100, at(100_000)), 20, "no more than a burst is saved up");
        assert_eq!(gate.turned_away, 80 + 90 + 80 + 80);
    }

    #[test]
    fn all_strangers_share_a_rate_and_carriers_are_not_counted() {
        let mut gate = gate(1_000, 100);
        let all: usize = (0..=255).map(|n| admitted(&mut gate, &format!("192.0.2.{n}"), 10, at(0))).sum();
        assert_eq!(all, 200);
        assert_eq!(admitted(&mut gate, "203.0.113.9", 100_000, at(0)), 100_000);
    }

    #[test]
    fn who_is_registered_is_heard_while_strangers_are_too_many() {
        let mut gate = gate(10, 100);
        gate.acquaint("192.0.2.250".parse().unwrap(), true);
        for n in 0..100 {
            admitted(&mut gate, &format!("198.51.100.{n}"), 20, at(0));
        }
        assert_eq!(admitted(&mut gate, "192.0.2.9", 10, at(0)), 0);
        assert_eq!(admitted(&mut gate, "192.0.2.250", 100, at(0)), 20, "as many as one source may");
        gate.acquaint("192.0.2.250".parse().unwrap(), false);
        assert_eq!(admitted(&mut gate, "192.0.2.250", 10, at(1)), 0);
    }

    #[test]
    fn an_ipv6_customer_is_one_source() {
        let mut gate = gate(1, 1_000);
        assert_eq!(
            admitted(&mut gate, "2001:db8:1:2::1", 10, at(0)) + admitted(&mut gate, "2001:db8:1:2:ffff::9", 10, at(0)),
            2
        );
        assert_eq!(admitted(&mut gate, "2001:db8:1:3::1", 10, at(0)), 2);
    }

    #[test]
    fn the_table_is_bound_and_forgets_the_quietest() {
        let mut gate = gate(1_000, u32::MAX);
        assert_eq!(admitted(&mut gate, "198.51.100.1", 5_000, at(0)), 2_000);
        for n in 0..2 * MAX_SOURCES as u32 {
            gate.admits(IpAddr::V4((0x0a00_0000 + n).into()), at(0));
        }
        assert_eq!((gate.sources.len(), gate.by_debt.len()), (MAX_SOURCES, MAX_SOURCES));
        assert_eq!(admitted(&mut gate, "198.51.100.1", 10, at(0)), 0, "who is in debt is remembered");
    }
}
