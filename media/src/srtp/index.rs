//! Packet indices (RFC 3711 §3.3.1) and the replay window (§3.3.2). Nothing here is touched before a packet has
//! authenticated.

/// Packets behind the newest whose arrival is remembered; what is older is refused. RFC 3711 §3.3.2 asks for 64.
const WINDOW: u64 = 128;

/// The index nearest to the highest one that ends in this sequence number (RFC 3711 §3.3.1): the rollover counter that
/// the sender must have had.
pub(super) fn nearest(highest: u64, sequence: u16) -> u64 {
    let step = sequence.wrapping_sub(highest as u16) as i16;
    highest.checked_add_signed(i64::from(step)).unwrap_or(u64::from(sequence))
}

/// Which indices were seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Replay {
    highest: Option<u64>,
    /// Bit n: the packet n before the highest was seen.
    window: u128,
}

impl Replay {
    pub(super) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Never seen, and not so old that nobody knows.
    pub(super) fn is_new(&self, index: u64) -> bool {
        match self.highest.map(|highest| (index > highest, highest.abs_diff(index))) {
            None | Some((true, _)) => true,
            Some((false, behind)) => behind < WINDOW && self.window >> behind & 1 == 0,
        }
    }

    /// The same with that index.
    pub(super) fn seen(self, index: u64) -> Self {
        let Some(highest) = self.highest else { return Self { highest: Some(index), window: 1 } };
        let distance = highest.abs_diff(index) as u32;
        if index > highest {
            return Self { highest: Some(index), window: self.window.checked_shl(distance).unwrap_or(0) | 1 };
        }
        Self { window: self.window | 1u128.checked_shl(distance).unwrap_or(0), ..self }
    }

    /// Under a new key nothing was seen yet, but the counter goes on.
    pub(super) fn renewed(self) -> Self {
        Self { window: 0, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rollover_counter_is_guessed_around_the_wrap() {
        assert_eq!(nearest(0xFFFF, 0), 0x1_0000);
        assert_eq!(nearest(0x1_0000, 0xFFFF), 0xFFFF);
        assert_eq!(nearest(0x1_8000, 0x0001), 0x1_0001);
        assert_eq!(nearest(5, 0xFFFF), 0xFFFF, "there is nothing before the first rollover");
    }

    #[test]
    fn the_window_takes_each_once_and_nothing_older() {
        let replay = [1000, 1005, 1002].into_iter().fold(Replay::default(), Replay::seen);
        let new = [999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 877, 878].map(|index| replay.is_new(index));
        assert_eq!(new, [true, false, true, false, true, true, false, true, false, true]);
        assert!(replay.renewed().is_new(1005) && !replay.seen(5000).is_new(1006));
    }

    proptest! {
        /// Held against a set: no index is ever taken twice.
        #[test]
        fn nothing_is_new_twice(steps in prop::collection::vec(-200i64..200, 1..400)) {
            let (mut replay, mut at) = (Replay::default(), 100_000i64);
            let mut taken = std::collections::BTreeSet::new();
            for step in steps {
                at += step;
                let index = at.unsigned_abs();
                if replay.is_new(index) {
                    prop_assert!(taken.insert(index));
                    replay = replay.seen(index);
                }
                prop_assert!(!replay.is_new(index));
            }
        }
    }
}
