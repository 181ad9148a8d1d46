//! What a network does to packets on their way: delays, loses, doubles and overtakes them.

use base::Rng;
use smallvec::SmallVec;
use std::time::Duration;

/// How a kind of packet fares between any two hosts. Rates are probabilities, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Every packet takes so long.
    pub delay: Duration,
    /// And up to so much longer, uniformly.
    pub jitter: Duration,
    /// It never arrives.
    pub loss: f64,
    /// It arrives twice, the second time after another jitter.
    pub duplicate: f64,
    /// It is held up by `held_up`, so that later ones overtake it.
    pub reorder: f64,
    /// For how long.
    pub held_up: Duration,
}

impl Impairment {
    /// A good network: 10 ms, nothing lost.
    pub const CLEAN: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
        loss: 0.0,
        duplicate: 0.0,
        reorder: 0.0,
        held_up: Duration::from_millis(50),
    };

    /// The delays after which copies of one packet arrive, in nanoseconds: none, one or two.
    pub(super) fn fate(&self, rng: &mut Rng) -> SmallVec<[u64; 2]> {
        let mut arrivals = SmallVec::new();
        if happens(self.loss, rng) {
            return arrivals;
        }
        arrivals.push(self.one_delay(rng));
        if happens(self.duplicate, rng) {
            arrivals.push(self.one_delay(rng));
        }
        arrivals
    }

    fn one_delay(&self, rng: &mut Rng) -> u64 {
        let jitter = if self.jitter.is_zero() { 0 } else { rng.below(self.jitter.as_nanos() as u64) };
        let held_up = if happens(self.reorder, rng) { self.held_up } else { Duration::ZERO };
        (self.delay + held_up).as_nanos() as u64 + jitter
    }
}

/// Draws only where the answer is open, so that a clean network costs no randomness.
fn happens(rate: f64, rng: &mut Rng) -> bool {
    rate > 0.0 && rng.chance(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_network_delivers_each_packet_once_and_draws_nothing() {
        let (mut rng, mut untouched) = (Rng::from_u64(1), Rng::from_u64(1));
        assert_eq!(Impairment::CLEAN.fate(&mut rng).as_slice(), [10_000_000]);
        assert_eq!(rng.u64(), untouched.u64());
    }

    #[test]
    fn rates_are_met() {
        let rough = Impairment { loss: 0.1, duplicate: 0.05, reorder: 0.2, ..Impairment::CLEAN };
        let mut rng = Rng::from_u64(2);
        let fates: Vec<_> = (0..20_000).map(|_| rough.fate(&mut rng)).collect();
        let share = |matches: &dyn Fn(&[u64]) -> bool| {
            fates.iter().filter(|fate| matches(fate)).count() as f64 / fates.len() as f64
        };
        assert!((share(&|fate| fate.is_empty()) - 0.1).abs() < 0.01);
        assert!((share(&|fate| fate.len() == 2) - 0.9 * 0.05).abs() < 0.01);
        assert!((share(&|fate| fate.first() == Some(&60_000_000)) - 0.9 * 0.2).abs() < 0.02);
    }
}
