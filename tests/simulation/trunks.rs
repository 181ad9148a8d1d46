//! Trunks on virtual time: which one a number is sent over, in which form it is written, what a failure leads to; and that
//! no carrier ever sees more calls a second than its trunk takes.

use crate::hosts::{CARRIER, GOOD, Host, Told, carrier_config, switch_config, trunk};
use crate::place::{Place, order};
use base::Rng;
use carrier::{NumberForm, Rewrite, RouteConfig, TrunkConfig, WhenFull};
use carrier_sim::CarrierConfig;
use carrier_sim::virtual_network::{HostId, Impairment};
use serde_json::json;
use std::time::Duration;
use switch::{CallSid, Command, Fact, Provisioned, Switch};

const OTHER: [u8; 4] = [10, 0, 0, 3];
/// Packets take up to so much longer than others: less than what trunks leave between two seconds.
const JITTER: Impairment = Impairment { delay: Duration::from_millis(5), jitter: Duration::from_millis(15), ..GOOD };
/// Seeds of the law of the rate where nothing else is said; `SIM_SEEDS=5000` tries it longer.
const SEEDS: u64 = 300;

/// A carrier whose calls meet these, by weight.
fn meets(ip: [u8; 4], mix: &[(u32, &str)]) -> CarrierConfig {
    let mut config = carrier_config(ip);
    config.credentials = None;
    config.by_number = Vec::new();
    config.mix = mix.iter().map(|(weight, script)| (*weight, script.parse().expect(script))).collect();
    config
}

fn two_trunks(change: impl FnOnce(&mut TrunkConfig, &mut TrunkConfig)) -> switch::Config {
    let mut config = switch_config(&[("+18325550100", json!([{"play": "words"}]))]);
    let mut first = trunk("first", "sip:first.example", &[OTHER]);
    let mut second = trunk("second", "sip:trunk.example", &[CARRIER]);
    change(&mut first, &mut second);
    config.provisioning.trunks = vec![first, second];
    config
}

/// A place where both trunks lead to a carrier of their own.
fn place(config: &switch::Config, first: &[(u32, &str)]) -> (Place, HostId) {
    let mut place = Place::new(5, GOOD, config);
    let first = place.carrier(meets(OTHER, first), OTHER, "first.example");
    place.carrier(meets(CARRIER, &[(1, "busy")]), CARRIER, "trunk.example");
    (place, first)
}

fn call(place: &mut Place, to: &str) -> CallSid {
    let now = place.network.now();
    let mut order = order(0, &mut place.rng, now);
    order.to = to.parse().expect("a number");
    place.call(order)
}

/// The trunks that a call was tried over, in order.
fn tried(place: &Place, sid: CallSid) -> Vec<String> {
    let name = |record: &switch::Record| match &record.fact {
        Fact::Dialing { trunk, .. } if record.sid == sid => Some(trunk.clone()),
        _ => None,
    };
    place.town.records.iter().filter_map(name).collect()
}

/// Places a call, and says what it was tried over until it had ended.
fn dialled(place: &mut Place, to: &str) -> Vec<String> {
    let sid = call(place, to);
    place.wait(Duration::from_secs(6));
    tried(place, sid)
}

#[test]
fn the_longest_prefix_then_the_least_cost_then_the_priority_decides_and_the_rest_is_failed_over_to() {
    let digits = |list: &[&str]| list.iter().map(|digits| (*digits).to_owned()).collect();
    let config = two_trunks(|first, second| {
        first.route = RouteConfig {
            prefixes: digits(&["1", "44", "49"]),
            costs: [("49".to_owned(), 3)].into(),
            priority: 2,
            ..RouteConfig::default()
        };
        second.route = RouteConfig {
            prefixes: digits(&["1832", "1", "49"]),
            costs: [("49".to_owned(), 2)].into(),
            priority: 1,
            ..RouteConfig::default()
        };
    });
    let mut config = config;
    let open = carrier::Destinations::new(Some(&["+1".to_owned(), "+44".to_owned(), "+49".to_owned()]), &[]);
    let tenant = config.provisioning.tenants.get_mut("default").expect("the tenant");
    tenant.limits.destinations = open.expect("countries");
    config.provisioning.trunks.iter_mut().for_each(|trunk| trunk.max_cps = 1_000);
    let (mut place, _) = place(&config, &[(1, "reject 404")]);
    for (to, expected) in [
        ("+18325550199", vec!["second"]),
        ("+14165550199", vec!["second"]),
        ("+4930901820", vec!["second"]),
        ("+442079460018", vec!["first"]),
    ] {
        assert_eq!(dialled(&mut place, to), expected, "{to}");
    }
}

#[test]
fn a_number_that_no_trunk_takes_is_refused_and_says_so() {
    let config = two_trunks(|first, second| {
        first.route.prefixes = ["44".to_owned()].into();
        second.route.prefixes = ["49".to_owned()].into();
    });
    let (mut place, _) = place(&config, &[(1, "busy")]);
    let sid = call(&mut place, "+15557770001");
    place.wait(Duration::from_secs(1));
    let end = place.town.records.iter().find_map(|record| match &record.fact {
        Fact::Ended(cdr) if record.sid == sid => Some(cdr.cause.reason.clone()),
        _ => None,
    });
    assert!(end.as_deref().is_some_and(|reason| reason.starts_with("no trunk takes +15557770001")), "{end:?}");
}

#[test]
fn numbers_go_out_as_the_carrier_writes_them_and_come_in_as_e164() {
    let config = two_trunks(|first, _| {
        first.numbers = Rewrite {
            form: NumberForm::Digits,
            prepend: "99#".to_owned(),
            strip: "1".to_owned(),
            ..Rewrite::default()
        };
    });
    let mut place = Place::new(5, GOOD, &config);
    let first = place.carrier(meets(OTHER, &[(1, "busy")]), OTHER, "first.example");
    call(&mut place, "+15557770001");
    place.wait(Duration::from_secs(12));
    let sent = place.town.reports.first().map(|report| (report.from.clone(), report.to.clone()));
    assert_eq!(sent, Some(("18325550100".to_owned(), "99#5557770001".to_owned())));
    place.call_in(first, "16665550001".to_owned(), "18325550100", "hangup after 200ms");
    place.wait(Duration::from_secs(12));
    let admitted = place.town.records.iter().find_map(|record| match &record.fact {
        Fact::Admitted(admission) => Some((admission.from.clone(), admission.to.clone())),
        _ => None,
    });
    assert_eq!(admitted, Some(("+16665550001".to_owned(), "+18325550100".to_owned())));
}

#[test]
fn every_failed_attempt_is_written_down_with_its_trunk_and_why() {
    let (mut place, _) = place(&two_trunks(|_, _| {}), &[(1, "reject 503")]);
    let sid = call(&mut place, "+15557770001");
    place.wait(Duration::from_secs(6));
    let failed: Vec<_> = place
        .town
        .records
        .iter()
        .filter(|record| record.sid == sid)
        .filter_map(|record| match &record.fact {
            Fact::AttemptFailed { trunk, sip_status, .. } => Some((trunk.as_str(), *sip_status)),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [("first", Some(503))]);
    assert_eq!(tried(&place, sid), ["first", "second"]);
}

#[test]
fn a_final_code_of_a_trunk_ends_the_call_and_rests_it_all_the_same() {
    let config = two_trunks(|first, _| first.route.final_codes = vec![503]);
    let (mut place, _) = place(&config, &[(1, "reject 503 retry 20s")]);
    assert_eq!(dialled(&mut place, "+15557770001"), ["first"]);
    assert_eq!(dialled(&mut place, "+15557770002"), ["second"], "it rests");
}

#[test]
fn a_trunk_that_failed_is_asked_when_it_has_rested_and_comes_back_once_it_answers() {
    let (mut place, first) = place(&two_trunks(|_, _| {}), &[(1, "reject 500")]);
    assert_eq!(dialled(&mut place, "+15557770001"), ["first", "second"]);
    assert_eq!(dialled(&mut place, "+15557770002"), ["second"], "a 500 rests it");
    place.wait(Duration::from_secs(25));
    assert_eq!(dialled(&mut place, "+15557770003"), ["first", "second"], "it has answered an OPTIONS");
    let state = |place: &Place| match place.network.node(place.switch) {
        Host::Switch(switch) => switch.trunks(place.network.now()),
        _ => Vec::new(),
    };
    assert!(state(&place)[0].rests_until.is_some());
    // From here on nobody is there: it has answered an OPTIONS before, so its silence keeps it at rest.
    place.network.unplug(first, true);
    place.wait(Duration::from_secs(60));
    assert_eq!(dialled(&mut place, "+15557770004"), ["second"], "it does not answer an OPTIONS");
    place.network.unplug(first, false);
    place.wait(Duration::from_secs(90));
    assert_eq!(dialled(&mut place, "+15557770005"), ["first", "second"], "it answers again");
}

#[test]
fn a_full_trunk_is_passed_over_or_waited_for_as_it_says() {
    for (when_full, expected) in [(WhenFull::Next, "second"), (WhenFull::Wait, "first")] {
        let config = two_trunks(|first, _| {
            first.max_cps = 1;
            first.route.when_full = when_full;
        });
        let (mut place, _) = place(&config, &[(1, "busy")]);
        let sids = ["+15557770001", "+15557770002"].map(|to| call(&mut place, to));
        place.wait(Duration::from_secs(6));
        assert_eq!(sids.map(|sid| tried(&place, sid)), [vec!["first"], vec![expected]], "{when_full:?}");
    }
}

#[test]
fn a_group_is_asked_for_by_its_name_and_no_other_trunk_takes_the_call() {
    let config = two_trunks(|_, second| second.route.group = Some("abroad".parse().expect("a name")));
    let (mut place, _) = place(&config, &[(1, "busy")]);
    let now = place.network.now();
    let mut order = order(0, &mut place.rng, now);
    order.trunk = Some("abroad".to_owned());
    let sid = place.call(order);
    place.wait(Duration::from_secs(3));
    assert_eq!(tried(&place, sid), ["second"]);
}

/// Calls a second of either trunk in one scene.
fn rates(rng: &mut Rng) -> [u32; 2] {
    [1 + rng.below(4) as u32, 1 + rng.below(6) as u32]
}

fn limited([first, second]: [u32; 2], when_full: WhenFull) -> switch::Config {
    two_trunks(|one, two| {
        (one.max_cps, two.max_cps) = (first, second);
        one.route.when_full = when_full;
    })
}

/// Bursts over two trunks, the first of which fails now and then; the switch dies and comes back, the trunks are taken away
/// and given back, their limits change. What each carrier saw, by its own clock.
fn scene(seed: u64) -> Vec<(u32, Vec<u64>)> {
    let mut rng = Rng::from_u64(seed ^ 0x7a7e);
    let (mut limits, when_full) = (rates(&mut rng), if rng.chance(0.5) { WhenFull::Next } else { WhenFull::Wait });
    let mut most = limits;
    let config = limited(limits, when_full);
    let mut place = Place::new(seed, JITTER, &config);
    let fails = [(3, "busy"), (1, "reject 503 retry 1s"), (1, "reject 500"), (1, "timeout")];
    let first = place.carrier(meets(OTHER, &fails), OTHER, "first.example");
    let second = place.carrier(meets(CARRIER, &[(3, "busy"), (1, "reject 503 retry 1s")]), CARRIER, "trunk.example");
    let carriers = [first, second];
    for step in 0..8 {
        for nth in 0..rng.below(7) {
            call(&mut place, &format!("+1555{:07}", step * 10 + nth));
        }
        place.network.run_for(Duration::from_millis(rng.below(900)));
        match rng.below(6) {
            0 => {
                let config = switch::Config { succeeds: true, ..limited(limits, when_full) };
                let switch = Switch::new(&config, rng.fork(), place.network.now()).expect("a switch");
                place.network.restart(place.switch, Host::Switch(Box::new(switch)));
            }
            1 => {
                limits = rates(&mut rng);
                most = [most[0].max(limits[0]), most[1].max(limits[1])];
                provision(&mut place, &limited(limits, when_full));
            }
            2 => {
                let mut gone = limited(limits, when_full);
                gone.provisioning.trunks.remove(rng.below(2) as usize);
                provision(&mut place, &gone);
                provision(&mut place, &limited(limits, when_full));
            }
            _ => {}
        }
    }
    place.network.run_for(Duration::from_secs(120));
    let mut seen = |carrier| {
        let told = place.network.reports(carrier).into_iter();
        let at = |(_, told)| match told {
            Told::Report(report) => Some(report.times.invited.mono),
            _ => None,
        };
        told.filter_map(at).collect()
    };
    carriers.map(&mut seen).into_iter().zip(most).map(|(at, most)| (most, at)).collect()
}

fn provision(place: &mut Place, config: &switch::Config) {
    let provisioned = Provisioned::new(config.provisioning.clone()).expect("what can be");
    place.command(Command::Provision(std::sync::Arc::new(provisioned)));
}

#[test]
fn no_carrier_sees_more_calls_a_second_than_its_trunk_takes() {
    let seeds = std::env::var("SIM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let (mut calls, mut full) = (0, 0);
    for seed in 0..seeds {
        for (nth, (most, mut at)) in scene(seed).into_iter().enumerate() {
            at.sort_unstable();
            calls += at.len();
            for (from, begins) in at.iter().enumerate() {
                let within = at[from..].iter().take_while(|at| **at < begins + 1_000_000_000).count();
                assert!(
                    within <= most as usize,
                    "seed {seed}: trunk {nth} saw {within} calls in a second, and takes {most}"
                );
                full += usize::from(within == most as usize);
            }
        }
    }
    assert!(full > calls / 10, "{full} of {calls} calls began a second that was full: the law is hardly tried");
    println!("{seeds} seeds, {calls} calls, {full} of them at the head of a full second");
}
