//! Programs that do more than play: recordings, conferences, documents; on virtual time, with what each end heard.

use crate::hosts::words;
use crate::laws;
use crate::place::{Town, calls_in};
use carrier_sim::CallReport;
use serde_json::{Value, json};
use switch::{Cdr, Fact, Status};

fn run(answer: Value, calls: &[(u64, &str)]) -> Town {
    let town = calls_in(answer, calls);
    laws::check(&town, 1);
    town
}

/// What the caller with this number saw.
fn caller(town: &Town, nth: usize) -> &CallReport {
    let from = format!("+1666555000{nth}");
    town.reports.iter().find(|report| report.from == from).expect("the caller's report")
}

fn facts<'a, T>(town: &'a Town, of: impl Fn(&'a Fact) -> Option<T>) -> Vec<T> {
    town.records.iter().filter_map(|record| of(&record.fact)).collect()
}

fn cdrs(town: &Town) -> Vec<&Cdr> {
    facts(town, |fact| match fact {
        Fact::Ended(cdr) => Some(&**cdr),
        _ => None,
    })
}

/// How alike two stretches of sound are, 1 where they are the same but for their level, at the best place for the second
/// within the first.
pub fn likeness(heard: &[i16], said: &[i16]) -> f64 {
    let energy = |samples: &[i16]| samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>();
    let at = |from: usize| {
        let part = &heard[from..from + said.len()];
        let product: f64 = part.iter().zip(said).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        product / (energy(part) * energy(said)).sqrt().max(1.0)
    };
    let places = (heard.len() + 1).saturating_sub(said.len());
    (0..places).map(at).fold(0.0, f64::max)
}

#[test]
fn a_message_is_recorded_until_the_caller_falls_silent_and_its_books_name_it() {
    let answer =
        json!([{"record": true, "timeout_s": 2, "max_s": 30, "beep": false, "trim": false}, {"play": "words"}]);
    let town = run(answer, &[(0, "say words, wait 8s")]);
    let ends = facts(&town, |fact| match fact {
        Fact::Recorded { recording, duration_ms, reason, channels, .. } => {
            Some((recording.clone(), *duration_ms, reason.as_str(), *channels))
        }
        _ => None,
    });
    let [(recording, duration_ms, "silence", 1)] = &ends[..] else { panic!("{ends:?}") };
    assert!((2_000..4_000).contains(duration_ms), "{duration_ms} ms");
    assert!(recording.starts_with("RE") && recording.len() == 34, "{recording}");
    assert_eq!(cdrs(&town)[0].recordings, std::slice::from_ref(recording));
    let likeness = likeness(&town.recorded[0], words().samples());
    assert!(likeness > 0.9, "what was said is in the file: {likeness}");
    // The program went on.
    assert!(facts(&town, |fact| matches!(fact, Fact::Played { finished: true, .. }).then_some(())).len() == 1);
}

#[test]
fn a_caller_who_hangs_up_while_being_recorded_leaves_a_whole_file_and_one_cdr() {
    let town = run(json!([{"record": true, "beep": false}]), &[(0, "say words, hangup after 3s")]);
    let reasons = facts(&town, |fact| match fact {
        Fact::Recorded { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    assert_eq!((reasons, cdrs(&town).len()), (vec!["hangup"], 1));
    assert_eq!(cdrs(&town)[0].recordings.len(), 1);
}

#[test]
fn members_of_a_conference_hear_the_others_and_not_themselves() {
    let answer = json!([{"conference": "team", "beep": false, "wait": "silence"}]);
    let calls = [(0, "wait 2s, say words, hangup after 5s"), (500, "hangup after 7s"), (900, "hangup after 6s")];
    let town = run(answer, &calls);
    let alike = [0, 1, 2].map(|nth| {
        let capture = caller(&town, nth).capture.as_ref().expect("what was heard");
        likeness(&capture.pcm(), words().samples())
    });
    // Two codecs and a mixer at twice the rate lie between them.
    assert!(alike[0] < 0.3 && alike[1] > 0.8 && alike[2] > 0.8, "{alike:?}");
    let rooms = facts(&town, |fact| match fact {
        Fact::Joined { conference, name } => Some((conference.clone(), name.as_str())),
        _ => None,
    });
    assert_eq!(rooms.len(), 3);
    assert!(rooms.iter().all(|room| *room == rooms[0] && room.1 == "team"), "{rooms:?}");
    let left = facts(&town, |fact| matches!(fact, Fact::Left { .. }).then_some(()));
    assert_eq!(left.len(), 3);
}

#[test]
fn who_is_in_a_conference_hears_another_one_come() {
    let answer = json!([{"conference": "team", "wait": "silence"}]);
    let beep = media::tone(switch::BEEP_TONE).expect("a tone");
    let heard_by_the_first = |calls: &[(u64, &str)]| {
        let town = run(answer.clone(), calls);
        likeness(&caller(&town, 0).capture.as_ref().expect("what was heard").pcm()[8_000..], beep.samples())
    };
    let (alone, with_another) = (
        heard_by_the_first(&[(0, "hangup after 4s")]),
        heard_by_the_first(&[(0, "hangup after 4s"), (1_500, "hangup after 5s")]),
    );
    assert!(alone < 0.3 && with_another > 0.8, "{alone} alone, {with_another} with another");
}

#[test]
fn whoever_a_conference_depends_on_takes_it_along() {
    let answer = json!([{"conference": "team", "end_on_exit": true, "beep": false}, {"play": "words"}]);
    let town = run(answer, &[(0, "hangup after 3s"), (200, "wait 20s")]);
    // Who stays is let go from the room, and its program goes on.
    assert_eq!(caller(&town, 1).heard.iter().filter(|heard| heard.prompt == "words").count(), 1);
}

#[test]
fn a_document_that_rejects_is_never_answered() {
    for (reason, status) in [("rejected", 404), ("busy", 486)] {
        let document = format!("<Response><Reject reason=\"{reason}\"/></Response>");
        let town = run(json!([{ "twiml": document }]), &[(0, "wait 5s")]);
        assert_eq!(caller(&town, 0).status, Some(status), "{reason}");
        assert_eq!(cdrs(&town)[0].billable_ms, 0);
    }
}

#[test]
fn a_document_in_the_call_is_played_and_its_keys_lead_on() {
    let document = "<Response><Gather numDigits=\"1\" timeout=\"3\" action=\"http://127.0.0.1/never\">\
                    <Play>prompt:words</Play></Gather><Play>prompt:words</Play></Response>";
    let town = run(json!([{ "twiml": document }]), &[(0, "wait 12s")]);
    // Nobody presses a key: after the gather, the document goes on.
    assert_eq!(caller(&town, 0).heard.len(), 2, "{:?}", caller(&town, 0));
    assert_eq!(cdrs(&town)[0].status, Status::Completed);
}

#[test]
fn a_word_that_is_not_there_yet_warns_and_the_call_goes_on() {
    let document = "<Response><Enqueue>support</Enqueue><Play>prompt:words</Play></Response>";
    let town = run(json!([{ "twiml": document }]), &[(0, "wait 6s")]);
    let warnings = facts(&town, |fact| match fact {
        Fact::Warning { message, .. } => Some(message.as_str()),
        _ => None,
    });
    assert!(warnings.iter().any(|warning| warning.contains("Enqueue")), "{warnings:?}");
    assert_eq!(caller(&town, 0).heard.len(), 1);
}
