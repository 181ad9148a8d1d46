//! Addresses at rest: one that has failed is tried after those that have not (RFC 3263 §4.3, RFC 3261 §21.5.4; FAULTS 5).

use crate::transport::Transport;
use base::Now;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How long an address rests that gave no time itself.
pub const REST: Duration = Duration::from_secs(30);
/// The longest that a Retry-After makes an address rest.
pub const MAX_REST: Duration = Duration::from_secs(300);
/// The most addresses at rest. With one more, the one whose rest ends first is tried as if it had not failed.
pub const MAX_RESTING: usize = 1_024;

/// Who rests, and until when (monotonic nanoseconds).
#[derive(Debug, Default)]
pub(super) struct Resting(BTreeMap<(Transport, SocketAddr), u64>);

impl Resting {
    /// It has failed; `retry_after` is what it said itself, in seconds.
    pub(super) fn failed(&mut self, address: (Transport, SocketAddr), retry_after: Option<u32>, now: Now) {
        let rest = retry_after.map_or(REST, |s| Duration::from_secs(s.into()).min(MAX_REST));
        self.0.retain(|_, until| *until > now.mono);
        if self.0.len() >= MAX_RESTING
            && let Some(first) = self.0.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address)
        {
            self.0.remove(&first);
        }
        self.0.insert(address, now.after(rest));
    }

    /// It has answered.
    pub(super) fn answered(&mut self, address: (Transport, SocketAddr)) {
        self.0.remove(&address);
    }

    pub(super) fn holds(&self, address: (Transport, SocketAddr), now: Now) -> bool {
        self.0.get(&address).is_some_and(|until| *until > now.mono)
    }

    /// Those at rest come last, in their order.
    pub(super) fn last(&self, addresses: &mut [(Transport, SocketAddr)], now: Now) {
        addresses.sort_by_key(|address| self.holds(*address, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u16) -> (Transport, SocketAddr) {
        (Transport::Udp, SocketAddr::new([192, 0, 2, 1].into(), n))
    }

    const fn at(s: u64) -> Now {
        Now::new(base::secs(s), 0)
    }

    #[test]
    fn the_failed_come_last_until_they_answer_or_have_rested() {
        let mut resting = Resting::default();
        let order = |resting: &Resting, s: u64| {
            let mut addresses = [1, 2, 3].map(address);
            resting.last(&mut addresses, at(s));
            addresses.map(|(_, addr)| addr.port())
        };
        resting.failed(address(1), None, at(0));
        resting.failed(address(2), Some(5), at(0));
        assert_eq!((order(&resting, 0), order(&resting, 5), order(&resting, 30)), ([3, 1, 2], [2, 3, 1], [1, 2, 3]));
        resting.answered(address(1));
        assert_eq!(order(&resting, 0), [1, 3, 2]);
        resting.failed(address(3), Some(1_000_000), at(0));
        assert_eq!(order(&resting, MAX_REST.as_secs()), [1, 2, 3]);
    }

    #[test]
    fn the_table_is_bound() {
        let mut resting = Resting::default();
        for n in 0..2 * MAX_RESTING as u16 {
            resting.failed(address(n), Some(1 + u32::from(n) % 100), at(0));
        }
        assert_eq!(resting.0.len(), MAX_RESTING);
    }
}
