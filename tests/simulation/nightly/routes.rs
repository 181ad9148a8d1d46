//! The first route fails in each of its ways and the next one is tried in time, while whoever calls gets one final answer;
//! a route that failed rests; and a user's own answer is never asked for again elsewhere (FAULTS row 5).

use crate::hosts::{CARRIER, SHUFFLED, carrier_config, switch_config, trunk};
use crate::place::{Place, Town, order};
use carrier_sim::virtual_network::HostId;
use carrier_sim::{Direction, Script};
use serde_json::json;
use std::time::Duration;
use switch::{CallSid, Fact, Record};

/// What the first route does, and what becomes of the call.
struct Kind {
    uri: &'static str,
    script: &'static str,
    then: Then,
}

enum Then {
    /// The next route is tried, at most so long after the INVITE; the first one then rests for so long, and longer where
    /// it is not back: where it answers no OPTIONS.
    Next { within: Duration, rests: Option<Duration>, back: bool },
    /// The caller hears this, and nobody else is asked.
    Own(u16),
}

/// A failure that is said is acted on within 100 ms, and the way there and back.
const SAID: Duration = Duration::from_millis(100 + 4 * 30);
/// One that is not said is waited for (`try_timeout_ms`).
const UNSAID: Duration = Duration::from_millis(4_100);
/// Where no Retry-After says otherwise.
const REST: Duration = Duration::from_secs(30);

const FIRST: [u8; 4] = [10, 0, 1, 1];
const KINDS: [Kind; 13] = [
    next("sip:first.example", "reject 503 retry 7s", SAID, Some(Duration::from_secs(7))),
    next("sip:first.example", "reject 503", SAID, Some(REST)),
    next("sip:first.example", "ring 20ms, reject 503 retry 3s", SAID, Some(Duration::from_secs(3))),
    next("sip:first.example", "reject 500", SAID, Some(REST)),
    // It says something of one number, and nothing of the next.
    next("sip:first.example", "timeout", SAID, None),
    next("sip:first.example", "silent", UNSAID, Some(REST)),
    // The host is there, and nobody listens: ICMP says so.
    gone("sip:first.example:5999"),
    // The name has no address.
    gone("sip:gone.example"),
    own("busy", 486),
    own("not found", 404),
    own("decline", 603),
    own("unavailable", 480),
    own("ring 20ms, busy 50ms", 486),
];

const fn next(uri: &'static str, script: &'static str, within: Duration, rests: Option<Duration>) -> Kind {
    Kind { uri, script, then: Then::Next { within, rests, back: true } }
}

const fn gone(uri: &'static str) -> Kind {
    Kind { uri, script: "answer", then: Then::Next { within: SAID, rests: Some(REST), back: false } }
}

const fn own(script: &'static str, status: u16) -> Kind {
    Kind { uri: "sip:first.example", script, then: Then::Own(status) }
}

/// The number that calls on for whoever calls it.
const ON: &str = "+18325550100";
const CALLED: &str = "+15557770001";
/// The least calls of one scene.
const SCENE: u32 = 3;

pub fn run(seed: u64, calls: u32) -> Vec<Town> {
    let scenes = 0..calls.div_ceil(SCENE).max(2);
    scenes.map(|nth| scene(seed + u64::from(nth), &KINDS[nth as usize % KINDS.len()])).collect()
}

/// Two routes, and three or four calls: one that finds the first route well, one while that rests, one from outside when
/// it has rested, and one more.
fn scene(seed: u64, kind: &Kind) -> Town {
    let mut config = switch_config(&[(ON, json!([{"bridge": CALLED}]))]);
    config.provisioning.trunks = vec![trunk("first", kind.uri, &[]), trunk("second", "sip:trunk.example", &[CARRIER])];
    let mut place = Place::new(seed, SHUFFLED, &config);
    let mut first = carrier_config(FIRST);
    (first.mix, first.by_number) = (Vec::new(), Vec::new());
    first.script = kind.script.parse::<Script>().expect(kind.script);
    place.carrier(first, FIRST, "first.example");
    let mut second = carrier_config(CARRIER);
    (second.mix, second.by_number) = (Vec::new(), Vec::new());
    second.script = "answer 50ms, hangup after 300ms".parse().expect("a script");
    let second = place.carrier(second, CARRIER, "trunk.example");
    let rests = match kind.then {
        Then::Next { rests, .. } => rests,
        Then::Own(_) => None,
    };
    for (nth, from_outside) in [false, true].into_iter().enumerate() {
        let sid = one_call(&mut place, second, nth as u32, from_outside);
        check(seed, kind, nth > 0, &dialled(&place, sid));
        if nth == 0 && rests.is_some_and(|rest| rest > Duration::from_secs(6)) {
            let sid = one_call(&mut place, second, 2, false);
            assert_eq!(names(&dialled(&place, sid)), ["second"], "seed {seed}: {}: it does not rest", kind.script);
        }
        place.wait(rests.unwrap_or_default());
    }
    let sid = one_call(&mut place, second, 3, false);
    check(seed, kind, true, &dialled(&place, sid));
    let town = place.finish(Duration::from_secs(12));
    let outside: Vec<_> = town.reports.iter().filter(|report| report.direction == Direction::FromCarrier).collect();
    let status = match kind.then {
        Then::Next { .. } => 200,
        Then::Own(status) => status,
    };
    assert_eq!(
        outside.iter().map(|report| report.status).collect::<Vec<_>>(),
        [Some(status)],
        "seed {seed}: {}",
        kind.script
    );
    town
}

/// A call, by the API or from outside, until it has had its first answer; whose legs it is that go over trunks.
fn one_call(place: &mut Place, carrier: HostId, nth: u32, from_outside: bool) -> CallSid {
    let seen = place.town.records.len();
    if from_outside {
        place.call_in(carrier, format!("+1666{nth:07}"), ON, "wait 1s");
    } else {
        let now = place.network.now();
        let mut order = order(3, &mut place.rng, now);
        order.to = format!("+1555{nth:07}").parse().expect("a number");
        place.call(order);
    }
    place.wait(UNSAID + Duration::from_secs(1));
    let dialing = place.town.records[seen..].iter().find(|record| matches!(record.fact, Fact::Dialing { .. }));
    dialing.expect("an INVITE").sid
}

fn dialled(place: &Place, sid: CallSid) -> Vec<Record> {
    place.town.records.iter().filter(|record| record.sid == sid).cloned().collect()
}

/// The trunks that were tried, in order.
fn names(records: &[Record]) -> Vec<&'static str> {
    let name = |record: &'_ Record| match &record.fact {
        Fact::Dialing { trunk, .. } if trunk == "first" => Some("first"),
        Fact::Dialing { .. } => Some("second"),
        _ => None,
    };
    records.iter().filter_map(name).collect()
}

/// `rested`: the first route has failed before, and rested.
fn check(seed: u64, kind: &Kind, rested: bool, records: &[Record]) {
    let tried = names(records);
    let (uri, script) = (kind.uri, kind.script);
    match kind.then {
        Then::Own(_) => assert_eq!(tried, ["first"], "seed {seed}: {script}: somebody was asked again"),
        Then::Next { back: false, .. } if rested => {
            assert_eq!(tried, ["second"], "seed {seed}: {uri}: who is not back was asked");
        }
        Then::Next { within, .. } => {
            assert_eq!(tried, ["first", "second"], "seed {seed}: {uri} {script}: {records:#?}");
            let at: Vec<u64> = records
                .iter()
                .filter(|record| matches!(record.fact, Fact::Dialing { .. }))
                .map(|record| record.at)
                .collect();
            let took = Duration::from_millis(at[1] - at[0]);
            assert!(took <= within, "seed {seed}: {uri} {script}: {took:?} until the next route");
        }
    }
}
