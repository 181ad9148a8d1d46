//! What the API does to live calls, on virtual time: what each end heard, and what the books say.

use crate::hosts::{CARRIER, GOOD, carrier_config, switch_config, words};
use crate::laws;
use crate::place::{Place, Town, rule};
use crate::programs::likeness;
use carrier_sim::{CallReport, CarrierConfig};
use serde_json::{Value, json};
use std::time::Duration;
use switch::{CallSid, Cdr, Command, Fact, Originate, RecordOrder, Status, Steer};

const A: &str = "+15557770001";
const B: &str = "+15557770002";
const C: &str = "+15557770003";

/// A switch and a carrier behind which these numbers do so.
fn place(rules: &[(&str, &str)]) -> Place {
    let config =
        CarrierConfig { keeps_captures: true, by_number: rules.iter().map(rule).collect(), ..carrier_config(CARRIER) };
    let mut place = Place::new(1, GOOD, &switch_config(&[("+18325550100", json!({ "hangup": true }))]));
    place.carrier(config, CARRIER, "trunk.example");
    place
}

fn call(place: &mut Place, to: &str, answer: &Value) -> CallSid {
    let now = place.network.now();
    let order = Originate {
        to: to.parse().expect("a number"),
        answer: ivr::Answer::parse(answer).expect("an answer"),
        timeout: Duration::from_secs(10),
        max_duration: Duration::from_secs(40),
        ..crate::place::order(0, &mut place.rng, now)
    };
    place.call(order)
}

fn steer(place: &mut Place, sid: CallSid, steer: Steer) {
    place.command(Command::Steer { sid, steer: Box::new(steer) });
}

fn interject(place: &mut Place, sid: CallSid, answer: &Value) {
    steer(place, sid, Steer::Interject(ivr::Answer::parse(answer).expect("an answer")));
}

fn wait(place: &mut Place, ms: u64) {
    place.wait(Duration::from_millis(ms));
}

fn finish(place: Place) -> Town {
    let town = place.finish(Duration::from_secs(45));
    laws::check(&town, 1);
    town
}

fn report<'a>(town: &'a Town, to: &str) -> &'a CallReport {
    town.reports.iter().find(|report| report.to == to).unwrap_or_else(|| panic!("{to} was not called"))
}

fn facts(town: &Town, sid: CallSid) -> Vec<&Fact> {
    town.records.iter().filter(|record| record.sid == sid).map(|record| &record.fact).collect()
}

fn cdr(town: &Town, sid: CallSid) -> &Cdr {
    let ended = facts(town, sid).into_iter().find_map(|fact| match fact {
        Fact::Ended(cdr) => Some(&**cdr),
        _ => None,
    });
    ended.expect("a CDR")
}

fn warnings(town: &Town, sid: CallSid) -> Vec<String> {
    let message = |fact: &'_ &Fact| match fact {
        Fact::Warning { message, .. } => Some(message.clone()),
        _ => None,
    };
    facts(town, sid).iter().filter_map(message).collect()
}

/// How much of what this far end heard, between these milliseconds of its own hearing, was the words.
fn words_heard(report: &CallReport) -> f64 {
    likeness(&report.capture.as_ref().expect("what was heard").pcm(), words().samples())
}

/// The leg that this call's program has made.
fn leg_of(town: &Town, boss: CallSid) -> CallSid {
    let leg = town.records.iter().find(|record| match &record.fact {
        Fact::Admitted(admission) => admission.parent == Some(boss),
        _ => false,
    });
    leg.expect("a leg").sid
}

#[test]
fn what_the_api_plays_is_heard_in_between_and_the_program_goes_on() {
    let mut place = place(&[(A, "answer 100ms, wait 30s")]);
    let sid = call(&mut place, A, &json!([{"play": "ringback", "loop": 0}, {"play": "words"}]));
    wait(&mut place, 3_000);
    interject(&mut place, sid, &json!([{"play": "words"}, {"play": "words"}]));
    let town = finish(place);
    // What begins in the middle of a ringing is not told from it by ear: the first of the three is in the books alone.
    let heard: Vec<_> = report(&town, A).heard.iter().map(|heard| heard.prompt.as_str()).collect();
    assert!(heard.ends_with(&["words", "words"]) && heard[0] == "ringback", "{heard:?}");
    let whole = |fact: &&&Fact| matches!(fact, Fact::Played { prompt, finished: true } if prompt == "words");
    assert_eq!(facts(&town, sid).iter().filter(whole).count(), 3);
    assert_eq!(cdr(&town, sid).cause.reason, "the program ended");
}

#[test]
fn what_is_heard_is_stopped_and_the_next_verb_begins() {
    let mut place = place(&[(A, "answer 100ms, wait 30s")]);
    let sid = call(&mut place, A, &json!([{"play": "ringback", "loop": 0}, {"play": "words"}]));
    wait(&mut place, 3_000);
    steer(&mut place, sid, Steer::Stop);
    let town = finish(place);
    assert!(words_heard(report(&town, A)) > 0.9, "{:?}", facts(&town, sid));
    let stopped = |fact: &&Fact| matches!(fact, Fact::Played { prompt, finished: false } if prompt == "ringback");
    assert_eq!(facts(&town, sid).iter().filter(|fact| stopped(fact)).count(), 1);
}

#[test]
fn keys_of_the_api_reach_the_far_end_in_order() {
    let mut place = place(&[(A, "answer 100ms, wait 30s")]);
    let sid = call(&mut place, A, &json!({"echo": true}));
    wait(&mut place, 2_000);
    steer(&mut place, sid, Steer::Digits("12w3".to_owned()));
    steer(&mut place, sid, Steer::Digits("#4".to_owned()));
    wait(&mut place, 4_000);
    place.end(sid, switch::EndAs::Completed);
    let town = finish(place);
    assert_eq!(report(&town, A).digits, "123#4");
    assert!(facts(&town, sid).contains(&&Fact::Pressed { digits: "12w3".to_owned() }));
}

/// Two live calls, joined by the first one's program; the second speaks at 4 s and, where nothing keeps it from it, is heard.
fn joined(place: &mut Place) -> [CallSid; 2] {
    let b = call(place, B, &json!({"play": "ringback", "loop": 0}));
    let a = call(place, A, &json!({"play": "ringback", "loop": 0}));
    wait(place, 1_500);
    let bridge = json!([{"bridge": b.to_string()}, {"play": "ringback"}]);
    let answer = ivr::Answer::parse(&bridge).expect("an answer");
    place.command(Command::Replace { sid: a, answer });
    wait(place, 1_500);
    [a, b]
}

const RULES: [(&str, &str); 2] =
    [(A, "answer 100ms, wait 30s"), (B, "answer 100ms, wait 4s, say words, hangup after 6s")];

#[test]
fn two_live_calls_are_joined_and_when_one_goes_the_other_ones_program_goes_on() {
    let mut place = place(&RULES);
    let [a, b] = joined(&mut place);
    let town = finish(place);
    assert!(words_heard(report(&town, A)) > 0.9);
    assert!(
        facts(&town, a).contains(&&Fact::Bridged { with: b }) && facts(&town, b).contains(&&Fact::Bridged { with: a })
    );
    assert_eq!(
        (cdr(&town, a).cause.reason.as_str(), cdr(&town, b).cause.reason.as_str()),
        ("the program ended", "the far end hung up")
    );
    assert_eq!(warnings(&town, a), [""; 0]);
}

#[test]
fn a_live_call_of_nobody_or_of_itself_is_not_joined() {
    for other in ["CA00000000000000000000000000000001", "itself"] {
        let mut place = place(&RULES);
        let a = call(&mut place, A, &json!({"play": "ringback", "loop": 0}));
        wait(&mut place, 1_000);
        let other = if other == "itself" { a.to_string() } else { other.to_owned() };
        let answer = ivr::Answer::parse(&json!([{"bridge": other}, {"play": "words"}])).expect("an answer");
        place.command(Command::Replace { sid: a, answer });
        let town = finish(place);
        assert!(words_heard(report(&town, A)) > 0.9, "{:?}", facts(&town, a));
    }
}

#[test]
fn a_far_end_that_we_hold_is_asked_not_to_be_heard_and_hears_nobody_until_it_is_taken_back() {
    for taken_back in [false, true] {
        let mut place = place(&RULES);
        let [a, b] = joined(&mut place);
        steer(&mut place, a, Steer::Hold(true));
        wait(&mut place, 500);
        if taken_back {
            steer(&mut place, a, Steer::Hold(false));
            steer(&mut place, a, Steer::Hold(false));
        }
        let town = finish(place);
        let offers = facts(&town, a).into_iter().filter(|fact| match fact {
            Fact::Message { sent: true, line, retransmission: false, .. } => line.starts_with("INVITE "),
            _ => false,
        });
        // The first INVITE is challenged.
        assert_eq!(offers.count(), if taken_back { 4 } else { 3 });
        let heard = words_heard(report(&town, A));
        assert!((heard > 0.9) == taken_back, "{heard}");
        assert_eq!(facts(&town, a).contains(&&Fact::TakenOffHold), taken_back);
        assert!(facts(&town, a).contains(&&Fact::PutOnHold) && !facts(&town, b).contains(&&Fact::PutOnHold));
    }
}

#[test]
fn a_direction_that_is_muted_carries_nothing_but_keys() {
    let cases = [(None, true), (Some((true, false)), true), (Some((false, true)), false)];
    for (mute_of_b, heard) in cases {
        let mut place = place(&RULES);
        let [a, b] = joined(&mut place);
        // Whoever hears nothing, and whom nobody hears: the same words do not come.
        match mute_of_b {
            None => {}
            Some((true, _)) => steer(&mut place, b, Steer::Mute { inbound: false, outbound: true }),
            Some(_) => steer(&mut place, b, Steer::Mute { inbound: true, outbound: false }),
        }
        let town = finish(place);
        let alike = words_heard(report(&town, A));
        assert!((alike > 0.9) == heard, "{mute_of_b:?}: {alike}");
        let muted = facts(&town, b).iter().filter(|fact| matches!(fact, Fact::Muted { .. })).count();
        assert_eq!(muted, usize::from(mute_of_b.is_some()));
        assert!(!facts(&town, a).iter().any(|fact| matches!(fact, Fact::Muted { .. })));
    }
}

#[test]
fn who_is_muted_outbound_hears_silence_in_place_of_prompts_which_go_on() {
    let mut place = place(&[(A, "answer 100ms, wait 30s")]);
    let sid = call(&mut place, A, &json!([{"play": "ringback"}, {"play": "words"}]));
    wait(&mut place, 500);
    steer(&mut place, sid, Steer::Mute { inbound: false, outbound: true });
    let town = finish(place);
    assert!(words_heard(report(&town, A)) < 0.3);
    let whole = |fact: &&Fact| matches!(fact, Fact::Played { finished: true, .. });
    assert_eq!(facts(&town, sid).iter().filter(|fact| whole(fact)).count(), 2);
}

#[test]
fn a_recording_of_the_api_leaves_out_what_is_said_while_it_is_paused() {
    let mut place = place(&[(A, "answer 100ms, wait 30s")]);
    let sid = call(&mut place, A, &json!({"play": "ringback", "loop": 0}));
    wait(&mut place, 1_000);
    steer(&mut place, sid, Steer::Record(RecordOrder::Start { dual: true, beep: false, max_s: None }));
    wait(&mut place, 1_000);
    steer(&mut place, sid, Steer::Record(RecordOrder::Pause(None)));
    wait(&mut place, 3_000);
    steer(&mut place, sid, Steer::Record(RecordOrder::Resume(None)));
    wait(&mut place, 1_000);
    steer(&mut place, sid, Steer::Record(RecordOrder::Stop(None)));
    wait(&mut place, 500);
    steer(&mut place, sid, Steer::Record(RecordOrder::Stop(None)));
    place.end(sid, switch::EndAs::Completed);
    let town = finish(place);
    let recorded = facts(&town, sid).into_iter().find_map(|fact| match fact {
        Fact::Recorded { duration_ms, channels, reason, .. } => Some((*duration_ms, *channels, reason.as_str())),
        _ => None,
    });
    let Some((duration_ms, 2, "stopped")) = recorded else { panic!("{recorded:?}") };
    assert!(duration_ms.abs_diff(2_000) <= 60, "{duration_ms}");
    let of = |wanted: fn(&Fact) -> bool| facts(&town, sid).into_iter().filter(|fact| wanted(fact)).count();
    assert_eq!(of(|fact| matches!(fact, Fact::RecordingPaused { .. })), 1);
    assert_eq!(of(|fact| matches!(fact, Fact::RecordingResumed { .. })), 1);
    assert_eq!(warnings(&town, sid).len(), 1, "the second stop had nothing to stop");
    assert_eq!(cdr(&town, sid).recordings.len(), 1);
}

#[test]
fn an_attended_transfer_joins_the_one_that_a_call_talks_to_with_another_live_call() {
    let rules = [
        (A, "answer 100ms, wait 5s, say words, wait 30s"),
        (B, "answer 100ms, wait 30s"),
        (C, "answer 100ms, wait 30s"),
    ];
    let mut place = place(&rules);
    let a = call(&mut place, A, &json!([{"bridge": B}, {"play": "words"}]));
    let c = call(&mut place, C, &json!({"play": "ringback", "loop": 0}));
    wait(&mut place, 2_000);
    let leg = leg_of(&place.town, a);
    steer(&mut place, leg, Steer::Attend { with: c });
    wait(&mut place, 8_000);
    place.end(c, switch::EndAs::Completed);
    let town = finish(place);
    assert_eq!(cdr(&town, leg).cause.reason, "transferred");
    assert!(words_heard(report(&town, C)) > 0.9 && words_heard(report(&town, B)) < 0.3);
    assert!(
        facts(&town, a).contains(&&Fact::Bridged { with: c }) && facts(&town, c).contains(&&Fact::Bridged { with: a })
    );
    // The one who was transferred goes on with its program when the other one has gone.
    assert_eq!(cdr(&town, a).cause.reason, "the program ended");
    assert!(words_heard(report(&town, A)) > 0.9, "{:?}", facts(&town, a));
}

#[test]
fn a_call_that_talks_to_nobody_is_not_transferred_to_another() {
    let mut place = place(&RULES);
    let b = call(&mut place, B, &json!({"play": "ringback", "loop": 0}));
    let a = call(&mut place, A, &json!({"play": "ringback", "loop": 0}));
    wait(&mut place, 1_500);
    steer(&mut place, a, Steer::Attend { with: b });
    wait(&mut place, 500);
    place.end(a, switch::EndAs::Completed);
    let town = finish(place);
    assert_eq!(warnings(&town, a).len(), 1);
    assert!(cdr(&town, b).billable_ms > 5_000, "{:?}", cdr(&town, b));
}

#[test]
fn a_leg_can_be_spoken_to_while_it_talks_and_the_other_end_does_not_hear_it() {
    let rules = [(A, "answer 100ms, wait 30s"), (B, "answer 100ms, hangup after 8s")];
    let mut place = place(&rules);
    let a = call(&mut place, A, &json!({"bridge": B}));
    wait(&mut place, 2_000);
    let leg = leg_of(&place.town, a);
    interject(&mut place, leg, &json!({"play": "words"}));
    let town = finish(place);
    assert!(words_heard(report(&town, B)) > 0.9 && words_heard(report(&town, A)) < 0.3);
    assert_eq!(warnings(&town, leg), [""; 0]);
}

#[test]
fn a_call_that_rings_is_not_steered_and_says_so() {
    let mut place = place(&[(A, "ring 50ms, answer 3s, hangup after 1s")]);
    let sid = call(&mut place, A, &json!({"echo": true}));
    wait(&mut place, 1_000);
    steer(&mut place, sid, Steer::Digits("1".to_owned()));
    let town = finish(place);
    assert_eq!((warnings(&town, sid).len(), report(&town, A).digits.as_str()), (1, ""));
    assert_eq!(cdr(&town, sid).status, Status::Completed);
}
