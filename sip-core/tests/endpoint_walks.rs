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

/// What a walk does when it does not leave it to chance: place, answer, wait, ask again, respond; then what goes on beside:
/// descriptions in provisionals and answers, requests, UPDATE, REFER, late answers, Replaces.
const OPS: [u8; 34] = [
    0, 8, 10, 11, 16, 17, 18, 19, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 42, 43, 44, 45, 44, 45, 44, 45, 46,
    47, 46, 48, 50, 52,
];

#[test]
fn two_thousand_long_walks_leave_nothing_behind() {
    let mut all = Seen::default();
    for seed in 0..2_000 {
        let mut rng = Rng::from_u64(seed);
        let mut data = vec![0; 601];
        rng.fill(&mut data);
        // The first byte says what both sides can do. Half of the walks are wild, half let most calls live for a while.
        let (wild, delivered) = if seed % 2 == 0 { (0.3, 0.5) } else { (0.04, 0.75) };
        for pair in data[1..].chunks_exact_mut(2) {
            if rng.chance(wild) {
                continue;
            }
            let op = if rng.chance(delivered) { 2 } else { OPS[rng.below(OPS.len() as u64) as usize] };
            // To the newest session and the oldest packet, in the order of the wire; some choices are the operation's own.
            let choice = match op {
                0 => pair[1] & 0b1000,
                36 | 37 | 40 | 41 => pair[1] & 3 | 0xf0,
                44 | 45 => pair[1] & 7,
                16 | 17 => 0xf0,
                2 => 0,
                _ => 0xf0 | pair[1] & 1,
            };
            pair.copy_from_slice(&[op, choice]);
        }
        all.add(endpoint_ops(&data));
    }
    eprintln!("{all:?}");
    let least = [all.answered, all.confirmed, all.reoffers, all.ended_by_peer, all.progress_acked, all.requests];
    assert!(least.iter().all(|n| *n > 200), "{all:?}");
    assert!(all.referred > 20 && all.changed > 200 && all.late_answers > 5, "{all:?}");
}
