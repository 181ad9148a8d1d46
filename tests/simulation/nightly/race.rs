//! CANCEL and 200 cross, in either order and in both directions, each time at a time of its own (FAULTS row 6).

use crate::hosts::{BAD, CARRIER, GOOD, SHUFFLED, carrier_config, switch_config};
use crate::laws;
use crate::place::{Place, Town, order, rule};
use carrier_sim::virtual_network::Impairment;
use serde_json::json;
use std::time::Duration;
use switch::EndAs;

/// The number that answers as soon as [`LEG`] does.
const JOINED: &str = "+18325550100";
const LEG: &str = "+15557770006";
/// A call answers, or will after its CANCEL has come, within this time of its INVITE; so it is taken back around then.
const AROUND: (Duration, Duration) = (Duration::from_millis(280), Duration::from_millis(130));
/// The same, as a caller sees it that is joined with somebody.
const AROUND_JOINED: (u64, u64) = (250, 150);

pub fn run(seed: u64, calls: u32) -> Vec<Town> {
    [GOOD, SHUFFLED, BAD]
        .into_iter()
        .zip(seed..)
        .map(|(weather, seed)| races(seed, calls.div_ceil(3), weather))
        .collect()
}

fn races(seed: u64, calls: u32, weather: Impairment) -> Town {
    let mut place = Place::new(seed, weather, &switch_config(&[(JOINED, json!([{"bridge": LEG, "timeout_s": 6}]))]));
    let mut carrier = carrier_config(CARRIER);
    carrier.by_number = [
        (LEG, "answer 250ms, wait 20s"),
        ("*0", "ring 20ms, answer 300ms, wait 20s"),
        ("*1", "answer 300ms, wait 20s"),
        ("*2", "ring 50ms, late 200 after cancel, answer 20s"),
        ("*3", "ring 50ms, late 200 after cancel 30ms, answer 20s"),
        ("*4", "early ringback, answer 300ms, wait 20s"),
    ]
    .iter()
    .map(rule)
    .collect();
    let carrier = place.carrier(carrier, CARRIER, "trunk.example");
    for n in 0..calls {
        if n % 3 == 2 {
            let cancel = AROUND_JOINED.0 + place.rng.below(AROUND_JOINED.1);
            let script = format!("cancel after {cancel}ms, hangup after 1s");
            place.call_in(carrier, format!("+1666{n:07}"), JOINED, &script);
            place.wait_about(AROUND.0, AROUND.1);
            continue;
        }
        let now = place.network.now();
        let mut order = order(3, &mut place.rng, now);
        order.to = format!("+1555{:06}{}", n, n % 5).parse().expect("a number");
        let sid = place.call(order);
        place.wait_about(AROUND.0, AROUND.1);
        place.end(sid, if n % 2 == 0 { EndAs::Completed } else { EndAs::Canceled });
        if n % 2 == 1 {
            // Where it was answered, that was no order.
            place.wait(Duration::from_millis(500));
            place.end(sid, EndAs::Completed);
        }
    }
    let town = place.finish(Duration::from_secs(10));
    let sides = laws::sides(&town, seed);
    if calls >= 60 {
        let all_kinds = [sides.both_answered, sides.crossed, sides.unanswered];
        assert!(all_kinds.iter().all(|kind| *kind * 20 > calls), "seed {seed}: {sides:?} of {calls}");
    }
    town
}
