//! The wall clock is set while calls run (FAULTS.md row 18): an hour on, an hour back, a second that comes twice, and slewed.
//! Timers, nonces and lengths of calls are the monotonic clock's, and nothing is seen of it but in the times that are written.

use crate::hosts::{BAD, CARRIER, GOOD, carrier_config, numbers, switch_config, tenant};
use crate::laws;
use crate::place::{Place, RINGS_ALONE, Town, one_of_many, rule};
use base::Now;
use carrier_sim::CarrierConfig;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use switch::{CallSid, Cdr, Fact, Load};

const HOUR_MS: u64 = 3_600_000;
const SECOND: u64 = 1_000_000_000;

/// Right for a second, then an hour on, an hour back, a second behind, and fast by a thousandth: round and round.
fn set_again_and_again(now: Now) -> u64 {
    match now.mono / SECOND % 5 {
        0 => now.wall,
        1 => now.wall + HOUR_MS,
        2 => now.wall - HOUR_MS,
        3 => now.wall - 1_000,
        _ => now.wall + now.mono / SECOND,
    }
}

/// An hour back from the second second on.
fn set_back(now: Now) -> u64 {
    if now.mono < 2 * SECOND { now.wall } else { now.wall - HOUR_MS }
}

fn ends(town: &Town) -> impl Iterator<Item = &Cdr> {
    town.records.iter().filter_map(|record| match &record.fact {
        Fact::Ended(cdr) => Some(&**cdr),
        _ => None,
    })
}

/// The laws but for that of the times that are written, which go with the clock.
fn every_call_ended_once_and_left_nothing(town: &Town, seed: u64) {
    let begun: BTreeSet<CallSid> = town.records.iter().map(|record| record.sid).collect();
    let mut ended: Vec<CallSid> = ends(town).map(|cdr| cdr.sid).collect();
    ended.sort_unstable();
    assert_eq!(ended, begun.into_iter().collect::<Vec<_>>(), "seed {seed}");
    assert!(town.admitted.iter().all(|sid| ended.contains(sid)), "seed {seed}");
    assert_eq!(town.load, Load::default(), "seed {seed}: something is left");
    assert!(town.busy.is_empty(), "seed {seed}: {:#?}", town.busy);
}

#[test]
fn calls_are_as_long_as_their_far_ends_say_while_the_clock_is_set_again_and_again() {
    for (seed, weather) in [(18, GOOD), (19, BAD)] {
        let mut place = Place::clocked(seed, weather, &switch_config(&numbers()), set_again_and_again);
        let carrier = place.carrier(carrier_config(CARRIER), CARRIER, "trunk.example");
        for n in 0..400 {
            one_of_many(&mut place, carrier, n);
        }
        place.wait(RINGS_ALONE);
        let town = place.finish(Duration::from_secs(10));
        every_call_ended_once_and_left_nothing(&town, seed);
        laws::durations_agree(&town, seed);
        let hours = ends(&town)
            .filter(|cdr| cdr.at.answered.zip(cdr.at.ended).is_some_and(|(from, to)| to.abs_diff(from) >= HOUR_MS / 2));
        assert!(hours.count() > 10, "the clock was set in the middle of no call");
    }
}

#[test]
fn a_challenge_a_hold_and_a_days_limit_outlive_a_clock_that_is_set_back_an_hour() {
    let script = "challenge, ring 50ms, answer 200ms, hold after 10s, resume after 15s, hangup after 200s";
    let config = CarrierConfig { by_number: vec![rule(&("+15557770001", script))], ..carrier_config(CARRIER) };
    let mut switch = switch_config(&[("+18325550100", json!({ "bridge": "+15557770001" }))]);
    let limits = switch::TenantLimits { minutes_per_day: Some(1), ..switch::TenantLimits::default() };
    switch.provisioning.tenants = [("default".to_owned(), switch::Tenant { limits, ..tenant() })].into();
    let mut place = Place::clocked(1, GOOD, &switch, set_back);
    let carrier = place.carrier(config, CARRIER, "trunk.example");
    place.call_in(carrier, "+16665550001".to_owned(), "+18325550100", "wait 300s");
    let town = place.finish(Duration::from_secs(300));
    every_call_ended_once_and_left_nothing(&town, 1);
    laws::durations_agree(&town, 1);
    let outward = ends(&town).find(|cdr| cdr.parent.is_some()).unwrap();
    // A minute by the monotonic clock, though the wall's says that it ended an hour before its answer.
    assert_eq!(outward.billable_ms, 60_000, "{outward:#?}");
    assert!(outward.at.ended < outward.at.answered, "{outward:#?}");
}
