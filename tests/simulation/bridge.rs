//! Calls that are joined with others: what the caller, the called and the books see of each flow.

use crate::laws;
use crate::place::{Town, one_call_in};
use carrier_sim::{CallReport, Direction, Outcome};
use serde_json::{Value, json};
use switch::{Cdr, Fact, Status};

const A: &str = "+15557770001";
const B: &str = "+15557770002";

fn run(answer: Value, rules: &[(&str, &str)], caller: &str) -> Town {
    let town = one_call_in(answer, rules, caller);
    laws::check(&town, 1);
    town
}

/// What the caller's side saw.
fn caller(town: &Town) -> &CallReport {
    town.reports.iter().find(|report| report.direction == Direction::FromCarrier).expect("the caller's report")
}

/// What the one at this number saw.
fn called<'a>(town: &'a Town, number: &str) -> &'a CallReport {
    let own = |report: &&CallReport| report.direction == Direction::ToCarrier && report.to == number;
    town.reports.iter().find(own).unwrap_or_else(|| panic!("{number} was not called"))
}

fn heard(report: &CallReport) -> Vec<(&str, bool)> {
    report.heard.iter().map(|heard| (heard.prompt.as_str(), heard.exact)).collect()
}

/// The CDRs: the caller's, then those of its legs in order.
fn cdrs(town: &Town) -> Vec<&Cdr> {
    let ended = town.records.iter().filter_map(|record| match &record.fact {
        Fact::Ended(cdr) => Some(&**cdr),
        _ => None,
    });
    let mut cdrs: Vec<&Cdr> = ended.collect();
    cdrs.sort_by_key(|cdr| (cdr.parent.is_some(), cdr.to.clone()));
    cdrs
}

#[test]
fn the_caller_and_who_answers_hear_each_other() {
    let town = run(
        json!({ "bridge": A }),
        &[(A, "ring 100ms, answer 300ms, say words, hangup after 4s")],
        "say words, wait 20s",
    );
    assert_eq!((heard(caller(&town)), heard(called(&town, A))), (vec![("words", true)], vec![("words", true)]));
    let cdrs = cdrs(&town);
    let (whole, leg) = (cdrs[0], cdrs[1]);
    assert_eq!((whole.status, leg.status), (Status::Completed, Status::Completed));
    assert_eq!((leg.parent, leg.from.as_str(), leg.to.as_str()), (Some(whole.sid), "+16665550001", A));
    assert!(whole.billable_ms.abs_diff(leg.billable_ms) < 200, "{} and {}", whole.billable_ms, leg.billable_ms);
    assert!(caller(&town).times.ringing.is_some());
}

#[test]
fn the_caller_is_not_answered_before_the_called_is_and_hears_the_called_ones_own_refusal() {
    for (script, status) in
        [("ring 50ms, busy 200ms", 486), ("decline 100ms", 603), ("not found", 404), ("overloaded", 500)]
    {
        let town = run(json!({ "bridge": A }), &[(A, script)], "wait 20s");
        assert_eq!((caller(&town).status, &caller(&town).outcome), (Some(status), &Outcome::Refused), "{script}");
        assert_eq!(cdrs(&town)[0].billable_ms, 0);
    }
}

#[test]
fn one_after_the_other_until_one_answers() {
    let answer = json!({ "bridge": [A, B], "mode": "sequential" });
    let rules = [(A, "ring 50ms, busy 200ms"), (B, "answer 100ms, say words, wait 20s")];
    let town = run(answer, &rules, "hangup after 3s");
    assert_eq!((caller(&town).status, heard(caller(&town))), (Some(200), vec![("words", true)]));
    assert_eq!(called(&town, A).status, Some(486));
    assert!(called(&town, B).times.invited.mono >= called(&town, A).times.ended.mono);
}

#[test]
fn all_ring_the_first_has_the_call_and_the_other_is_told_that_it_was_answered_elsewhere() {
    let rules = [(A, "ring 50ms, answer 2s"), (B, "ring 50ms, answer 600ms, wait 20s")];
    let town = run(json!({ "bridge": [A, B] }), &rules, "hangup after 3s");
    assert_eq!((&called(&town, A).outcome, called(&town, A).status), (&Outcome::Canceled, Some(487)));
    assert_eq!((&called(&town, B).outcome, called(&town, B).status), (&Outcome::EndedByPeer, Some(200)));
    let lost = cdrs(&town)[1];
    assert_eq!((lost.status, lost.cause.reason.as_str()), (Status::Canceled, "another one answered"));
}

#[test]
fn when_all_fail_the_caller_hears_the_best_of_the_refusals() {
    let rules = [(A, "overloaded"), (B, "ring 50ms, busy 400ms")];
    let town = run(json!({ "bridge": [A, B] }), &rules, "wait 20s");
    assert_eq!(caller(&town).status, Some(486));
    let rules = [(A, "decline 300ms"), (B, "ring 50ms, busy 100ms")];
    assert_eq!(caller(&run(json!({ "bridge": [A, B] }), &rules, "wait 20s")).status, Some(603));
}

#[test]
fn a_caller_who_gives_up_leaves_nobody_ringing() {
    let rules = [(A, "ring only"), (B, "ring only")];
    let town = run(json!({ "bridge": [A, B] }), &rules, "cancel after 2s");
    assert_eq!(caller(&town).outcome, Outcome::Canceled);
    for number in [A, B] {
        assert_eq!((&called(&town, number).outcome, called(&town, number).status), (&Outcome::Canceled, Some(487)));
    }
    assert!(cdrs(&town).iter().all(|cdr| cdr.status == Status::Canceled));
}

#[test]
fn early_media_reaches_the_caller_before_anybody_answers() {
    let town = run(json!({ "bridge": A }), &[(A, "early ringback, answer 3s, wait 20s")], "hangup after 5s");
    let caller = caller(&town);
    assert!(caller.times.early_media < caller.times.answered && caller.times.early_media.is_some());
    assert!(heard(caller).contains(&("ringback", true)), "{:?}", heard(caller));
}

#[test]
fn a_fork_that_has_ended_is_no_news_for_a_caller_who_has_not_asked_for_it() {
    for (script, rings) in [("progress 199, answer 1s", false), ("progress 182, answer 1s", true)] {
        let town = run(json!({ "bridge": A }), &[(A, &format!("{script}, hangup after 2s"))], "wait 20s");
        let told = town.records.iter().any(|record| matches!(record.fact, Fact::Ringing { .. }));
        assert_eq!((told, cdrs(&town)[0].status), (rings, Status::Completed), "RFC 6228: {script}");
    }
}

#[test]
fn where_nobody_answers_the_program_goes_on_and_only_then_is_the_caller_answered() {
    let answer = json!([{ "bridge": A, "timeout_s": 2 }, { "play": "words" }]);
    let town = run(answer, &[(A, "ring only")], "wait 20s");
    assert_eq!((caller(&town).status, heard(caller(&town))), (Some(200), vec![("words", true)]));
    let cdrs = cdrs(&town);
    assert_eq!((cdrs[0].status, cdrs[1].status), (Status::Completed, Status::NoAnswer));
    assert!(cdrs[0].billable_ms < 1_000, "{}", cdrs[0].billable_ms);
}

#[test]
fn a_caller_who_was_answered_hears_ringing_and_goes_on_after_the_other_has_gone() {
    let answer = json!([{ "play": "words" }, { "bridge": A }, { "play": "words" }]);
    let rules = [(A, "ring 100ms, answer 2500ms, hangup after 1s")];
    let town = run(answer, &rules, "wait 20s");
    let heard = heard(caller(&town));
    assert_eq!(heard.first(), Some(&("words", true)));
    assert_eq!(heard.iter().filter(|heard| **heard == ("ringback", true)).count(), 2, "{heard:?}");
    assert_eq!(heard.last(), Some(&("words", true)));
}

#[test]
fn who_holds_without_music_is_not_hung_up_for_being_silent() {
    // Whoever is silent for ten seconds and does not hold is.
    let rules = [(A, "answer 100ms, no rtp, hold after 1s, resume after 40s, hangup after 45s")];
    let town = run(json!({ "bridge": A }), &rules, "wait 60s");
    let of = |fact: &Fact| town.records.iter().filter(|record| record.fact == *fact).count();
    assert_eq!((of(&Fact::Held), of(&Fact::Resumed)), (1, 1));
    assert!(cdrs(&town).iter().all(|cdr| cdr.billable_ms > 44_000), "{:?}", cdrs(&town));
}

#[test]
fn a_hold_reaches_the_other_end_and_so_does_its_end() {
    let rules = [(A, "answer 100ms, hold after 1s, resume after 3s, hangup after 5s")];
    let town = run(json!({ "bridge": A }), &rules, "wait 20s");
    let caller_sid = cdrs(&town)[0].sid;
    let reinvites = town.records.iter().filter(|record| match &record.fact {
        Fact::Message { sent: true, line, cseq, retransmission: false, .. } => {
            record.sid == caller_sid && line.starts_with("INVITE ") && cseq.ends_with("INVITE")
        }
        _ => false,
    });
    assert_eq!(reinvites.count(), 2);
    let of = |fact: &Fact| town.records.iter().filter(|record| record.fact == *fact).count();
    assert_eq!((of(&Fact::Held), of(&Fact::Resumed)), (1, 1));
}
