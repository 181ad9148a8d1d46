//! A tenant's day: calls that live when its minutes or its money are used up are cut, and the books say by which limit.

use crate::hosts::{CARRIER, GOOD, carrier_config, switch_config};
use crate::laws;
use crate::place::{Place, Town, order};
use carrier_sim::virtual_network::HostId;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use switch::{Cdr, Command, Fact, Origin, Originate, Status, TenantLimits};

/// What the tenant may have, and what a call to +1555 costs: 0.10 a minute, each begun one whole.
fn config(limits: &TenantLimits) -> switch::Config {
    let mut config = switch_config(&[("+18325550100", json!({ "bridge": "+15557770009" }))]);
    let provisioning = &mut config.provisioning;
    let tenant = provisioning.tenants.get_mut("default").expect("the tenant");
    tenant.limits.minutes_per_day = limits.minutes_per_day;
    tenant.limits.spend_per_day = limits.spend_per_day;
    tenant.limits.calls_per_second = limits.calls_per_second;
    tenant.limits.concurrent_calls = limits.concurrent_calls;
    let rate = carrier::Rate { per_minute: 100_000, increment_s: 60, minimum_s: 60 };
    provisioning.rates.insert("1555", rate);
    config
}

fn place(config: &switch::Config) -> (Place, HostId) {
    let mut place = Place::new(1, GOOD, config);
    let mut carrier = carrier_config(CARRIER);
    carrier.by_number.clear();
    carrier.mix = vec![(1, "answer 100ms, say words loop, wait 600s".parse().expect("a script"))];
    let carrier = place.carrier(carrier, CARRIER, "trunk.example");
    (place, carrier)
}

/// So many calls at once, each of which would last for ten minutes.
fn calls(place: &mut Place, calls: u32) {
    for n in 0..calls {
        let now = place.network.now();
        let order = Originate {
            answer: ivr::Answer::parse(&json!({ "echo": true })).expect("an answer"),
            max_duration: Duration::from_secs(600),
            ..order(n, &mut place.rng, now)
        };
        place.call(order);
    }
}

fn finish(place: Place) -> Town {
    let town = place.finish(Duration::from_secs(300));
    laws::check(&town, 1);
    town
}

fn cdrs(town: &Town) -> Vec<&Cdr> {
    let ended = town.records.iter().filter_map(|record| match &record.fact {
        Fact::Ended(cdr) => Some(&**cdr),
        _ => None,
    });
    ended.collect()
}

fn cut_by(cdr: &Cdr, limit: &str) {
    let reason = format!("limits.{limit} of the tenant is reached");
    assert_eq!(
        (cdr.status, cdr.cause.origin, &cdr.cause.reason),
        (Status::Completed, Origin::Limit, &reason),
        "{cdr:#?}"
    );
}

#[test]
fn live_calls_share_the_minutes_of_a_day_and_are_cut_when_they_are_used_up() {
    let (mut place, _) = place(&config(&TenantLimits { minutes_per_day: Some(2), ..TenantLimits::default() }));
    calls(&mut place, 3);
    let town = finish(place);
    let cdrs = cdrs(&town);
    assert_eq!(cdrs.len(), 3);
    cdrs.iter().for_each(|cdr| cut_by(cdr, "minutes_per_day"));
    let used: u64 = cdrs.iter().map(|cdr| cdr.billable_ms).sum();
    // A part that one call did not use when another was cut is what may be left: a second a call.
    assert!((114_000..=120_300).contains(&used), "{used} ms of 120,000");
}

#[test]
fn no_increment_is_begun_that_the_money_of_the_day_does_not_reach() {
    let (mut place, _) = place(&config(&TenantLimits { spend_per_day: Some(350_000), ..TenantLimits::default() }));
    calls(&mut place, 2);
    let town = finish(place);
    let cdrs = cdrs(&town);
    cdrs.iter().for_each(|cdr| cut_by(cdr, "spend_per_day"));
    let spent: f64 = cdrs.iter().filter_map(|cdr| cdr.price).sum();
    // Two minutes of both: the fourth is begun while 0.05 are left, a fifth is not.
    assert!((spent - 0.4).abs() < 1e-9, "{spent}");
    assert!(cdrs.iter().all(|cdr| (119_000..120_000).contains(&cdr.billable_ms)), "{cdrs:#?}");
}

#[test]
fn calls_that_ring_keep_what_their_beginning_will_cost() {
    let (mut place, _) = place(&config(&TenantLimits { spend_per_day: Some(200_000), ..TenantLimits::default() }));
    calls(&mut place, 5);
    let town = finish(place);
    let refused = |cdr: &&&Cdr| cdr.status == Status::Failed && cdr.cause.sip_status == Some(403);
    let cdrs = cdrs(&town);
    assert_eq!(cdrs.iter().filter(refused).count(), 3, "{cdrs:#?}");
    assert!(cdrs.iter().all(|cdr| cdr.cause.reason == "limits.spend_per_day of the tenant is reached"), "{cdrs:#?}");
    let spent: f64 = cdrs.iter().filter_map(|cdr| cdr.price).sum();
    assert!((spent - 0.2).abs() < 1e-9, "{spent}");
}

#[test]
fn what_the_api_has_admitted_is_refused_for_no_limit_in_which_its_place_was_kept() {
    let (calls_per_second, concurrent_calls) = (Some(2), Some(2));
    let limits = TenantLimits { calls_per_second, concurrent_calls, ..TenantLimits::default() };
    let (mut place, carrier) = place(&config(&limits));
    for n in 0..4 {
        let now = place.network.now();
        let answer = ivr::Answer::parse(&json!({ "echo": true })).expect("an answer");
        let order = order(n, &mut place.rng, now);
        place.call(Originate { answer, max_duration: Duration::from_secs(60), ..order });
    }
    // A program's own leg has no such place: it is judged by what there is.
    place.call_in(carrier, "+16665550001".to_owned(), "+18325550100", "say words loop, wait 600s");
    let town = finish(place);
    let cdrs = cdrs(&town);
    let of_api = cdrs.iter().filter(|cdr| cdr.direction == switch::Direction::OutboundApi);
    assert!(of_api.clone().all(|cdr| cdr.status == Status::Completed), "{cdrs:#?}");
    assert_eq!((of_api.count(), cdrs.iter().filter(|cdr| cdr.parent.is_some()).count()), (4, 0));
}

#[test]
fn a_leg_of_a_bridge_is_cut_and_its_caller_with_it() {
    let (mut place, carrier) = place(&config(&TenantLimits { minutes_per_day: Some(1), ..TenantLimits::default() }));
    place.call_in(carrier, "+16665550001".to_owned(), "+18325550100", "say words loop, wait 600s");
    let town = finish(place);
    let cdrs = cdrs(&town);
    let (legs, callers): (Vec<&Cdr>, Vec<&Cdr>) = cdrs.iter().copied().partition(|cdr| cdr.parent.is_some());
    cut_by(legs[0], "minutes_per_day");
    assert!((59_000..60_300).contains(&legs[0].billable_ms), "{}", legs[0].billable_ms);
    assert!(callers[0].billable_ms < 61_000, "{}", callers[0].billable_ms);
}

#[test]
fn a_limit_that_comes_while_a_call_lives_counts_what_it_has_used() {
    let (mut place, _) = place(&config(&TenantLimits::default()));
    calls(&mut place, 1);
    place.wait(Duration::from_secs(30));
    let with_limit = config(&TenantLimits { minutes_per_day: Some(1), ..TenantLimits::default() });
    let provisioned = switch::Provisioned::new(with_limit.provisioning).expect("provisioned");
    place.command(Command::Provision(Arc::new(provisioned)));
    let town = finish(place);
    let cdrs = cdrs(&town);
    cut_by(cdrs[0], "minutes_per_day");
    assert!((59_000..60_300).contains(&cdrs[0].billable_ms), "{}", cdrs[0].billable_ms);
}
