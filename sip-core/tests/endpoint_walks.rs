//! Random users, random peers, random weather: the body of the fuzz target `endpoint_ops` on random inputs.

use base::Rng;
use proptest::prelude::*;
use sip_core::endpoint::fuzz::{Seen, endpoint_ops};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_panics_or_stays_behind_whatever_happens(data in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = endpoint_ops(&data);
    }
}

#[test]
fn two_thousand_long_walks_leave_nothing_behind() {
    let mut all = Seen::default();
    for seed in 0..2_000 {
        let mut rng = Rng::from_u64(seed);
        let mut data = vec![0; 600];
        rng.fill(&mut data);
        // Calls and deliveries more often than chance has them.
        for pair in data.chunks_exact_mut(2) {
            if rng.chance(0.7) {
                // Place, deliver the oldest and forget it, answer, wait, ask again, respond.
                let op = [0, 2, 3, 2, 3, 2, 3, 8, 10, 11, 16, 17, 18, 19][rng.below(14) as usize];
                pair.copy_from_slice(&[op, if op == 8 { pair[1] } else { 0 }]);
            }
        }
        let seen = endpoint_ops(&data);
        all.answered += seen.answered;
        all.confirmed += seen.confirmed;
        all.reoffers += seen.reoffers;
        all.ended_by_peer += seen.ended_by_peer;
    }
    eprintln!("{all:?}");
    assert!(all.answered > 500 && all.confirmed > 500 && all.reoffers > 50 && all.ended_by_peer > 500, "{all:?}");
}
