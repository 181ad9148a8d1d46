//! A conference under the API's hand, on virtual time: who hears whom while members are muted, deaf and held, what all
//! hear, what is recorded, and who leaves. And a recording that outlives the one who began it.

use crate::hosts::{CARRIER, GOOD, Order, ringback, switch_config, words};
use crate::laws;
use crate::place::{Place, Town};
use base::Now;
use carrier_sim::{CallReport, CarrierConfig};
use serde_json::{Value, json};
use std::time::Duration;
use switch::{CallSid, Command, Fact, MemberChange, RoomOrder, Steer};

const SPEECH: &str =
    "wait 1500ms, say words, wait 1500ms, say words, wait 1500ms, say words, wait 1500ms, say words, wait 30s";

struct Conference {
    place: Place,
    began: Now,
    calls: Vec<CallSid>,
    sid: String,
}

/// A conference of three; the first of them speaks half a second in every two.
fn conference(answer: &Value) -> Conference {
    let config = CarrierConfig { keeps_captures: true, ..crate::hosts::carrier_config(CARRIER) };
    let mut place = Place::new(1, GOOD, &switch_config(&[("+18325550100", answer.clone())]));
    let carrier = place.carrier(config, CARRIER, "trunk.example");
    for (nth, script) in [SPEECH, "wait 30s", "wait 30s"].into_iter().enumerate() {
        place.call_in(carrier, format!("+1666555000{nth}"), "+18325550100", script);
        place.wait(Duration::from_millis(100));
    }
    let joined = place.town.records.iter().filter_map(|record| match &record.fact {
        Fact::Joined { conference, .. } => Some((record.sid, conference.clone())),
        _ => None,
    });
    let joined: Vec<(CallSid, String)> = joined.collect();
    let began = place.network.now();
    assert_eq!(joined.len(), 3, "three are in it by now");
    Conference { place, began, sid: joined[0].1.clone(), calls: joined.into_iter().map(|(call, _)| call).collect() }
}

impl Conference {
    /// Lets time pass until so long after its beginning.
    fn at(&mut self, ms: u64) {
        let until = self.began.mono + ms * 1_000_000;
        let now = self.place.network.now().mono;
        self.place.wait(Duration::from_nanos(until - now));
    }

    fn command(&mut self, command: Command) {
        self.place.network.command(self.place.switch, Order::Switch(command));
    }

    fn member(&mut self, nth: usize, change: MemberChange) {
        let (sid, steer) = (self.calls[nth], Box::new(Steer::Member(change)));
        self.command(Command::Steer { sid, steer });
    }

    fn order(&mut self, order: RoomOrder) {
        let command = Command::Confer { tenant: "default".to_owned(), conference: self.sid.clone(), order };
        self.command(command);
    }

    fn finish(self) -> Town {
        let town = self.place.finish(Duration::from_secs(10));
        laws::check(&town, 1);
        town
    }
}

fn caller(town: &Town, nth: usize) -> &CallReport {
    let from = format!("+1666555000{nth}");
    town.reports.iter().find(|report| report.from == from).expect("the caller's report")
}

/// How alike what was said is to the best place for it between these milliseconds of what was heard.
fn likeness(heard: &[i16], between_ms: (usize, usize), said: &[i16]) -> f64 {
    let end = (between_ms.1 * 8).min(heard.len());
    let heard = &heard[(between_ms.0 * 8).min(end)..end];
    let energy = |samples: &[i16]| samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>();
    let at = |from: usize| {
        let part = &heard[from..from + said.len()];
        let product: f64 = part.iter().zip(said).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        product / (energy(part) * energy(said)).sqrt().max(1.0)
    };
    (0..heard.len().saturating_sub(said.len())).map(at).fold(0.0, f64::max)
}

#[test]
fn who_is_muted_is_not_heard_who_is_deaf_hears_nothing_and_all_hear_an_announcement() {
    let mut room = conference(&json!([{"conference": "team", "beep": false, "wait": "silence"}]));
    // The first says `words` at about 1.6, 3.6, 5.6 and 7.6 seconds.
    room.at(2_600);
    room.member(0, MemberChange { muted: Some(true), ..MemberChange::default() });
    room.at(4_600);
    room.member(0, MemberChange { muted: Some(false), ..MemberChange::default() });
    room.member(1, MemberChange { deaf: Some(true), ..MemberChange::default() });
    room.at(6_600);
    room.member(1, MemberChange { deaf: Some(false), ..MemberChange::default() });
    room.member(2, MemberChange { held: Some(true), ..MemberChange::default() });
    room.at(8_600);
    room.member(2, MemberChange { held: Some(false), ..MemberChange::default() });
    room.order(RoomOrder::Record(true));
    room.at(8_800);
    room.order(RoomOrder::Announce("ringback".to_owned()));
    room.at(10_800);
    room.order(RoomOrder::Record(false));
    room.at(11_000);
    let (sid, steer) = (room.calls[2], Box::new(Steer::LeaveRoom));
    room.command(Command::Steer { sid, steer });
    room.at(12_000);
    room.order(RoomOrder::End);
    let town = room.finish();
    let (said, ring) = (words(), ringback());
    let heard: Vec<Vec<i16>> =
        (0..3).map(|nth| caller(&town, nth).capture.as_ref().expect("what was heard").pcm()).collect();
    let spoken = [(1_200, 2_600), (3_200, 4_600), (5_200, 6_600), (7_200, 8_600)];
    let by = |nth: usize| spoken.map(|between| likeness(&heard[nth], between, said.samples()) > 0.7);
    assert_eq!(by(0), [false; 4], "nobody hears themselves");
    assert_eq!(by(1), [true, false, false, true], "not the muted one, nor while deaf");
    assert_eq!(by(2), [true, false, true, false], "not the muted one, nor while on hold");
    for heard in &heard {
        let alike = likeness(heard, (8_700, 10_800), &ring.samples()[..4_000]);
        assert!(alike > 0.7, "all hear what is announced: {alike}");
    }
    let file: Vec<i16> = town.recorded[0].iter().step_by(2).copied().collect();
    let alike = likeness(&file, (0, file.len() / 8), &ring.samples()[..4_000]);
    assert!(alike > 0.7, "and so does the recording, at twice the rate: {alike}");
    let member: Vec<(bool, bool, bool)> = town
        .records
        .iter()
        .filter_map(|record| match record.fact {
            Fact::Member { muted, deaf, held, .. } => Some((muted, deaf, held)),
            _ => None,
        })
        .collect();
    assert_eq!(
        member,
        [
            (true, false, false),
            (false, false, false),
            (false, true, false),
            (false, false, false),
            (false, false, true),
            (false, false, false)
        ]
    );
    let ended = |nth: usize| caller(&town, nth).times.ended.mono;
    assert!(
        ended(2) + 500_000_000 < ended(0) && ended(0).abs_diff(ended(1)) < 500_000_000,
        "one is taken out, then all"
    );
}

#[test]
fn a_recording_of_a_conference_goes_on_when_the_one_who_began_it_leaves() {
    let mut room = conference(&json!([{"conference": "team", "beep": false, "wait": "silence"}]));
    room.order(RoomOrder::Record(true));
    room.at(1_000);
    let (sid, steer) = (room.calls[0], Box::new(Steer::LeaveRoom));
    room.command(Command::Steer { sid, steer });
    room.at(4_000);
    room.order(RoomOrder::Record(false));
    room.at(5_000);
    room.order(RoomOrder::End);
    let second = room.calls[1];
    let town = room.finish();
    let ends: Vec<(CallSid, u64, &str)> = town
        .records
        .iter()
        .filter_map(|record| match &record.fact {
            Fact::Recorded { duration_ms, reason, .. } => Some((record.sid, *duration_ms, reason.as_str())),
            _ => None,
        })
        .collect();
    let [(owner, duration_ms, "stopped")] = ends[..] else { panic!("{ends:?}") };
    assert_eq!(owner, second, "the oldest of those who stay has it");
    assert!((3_800..4_300).contains(&duration_ms), "{duration_ms} ms");
    assert_eq!(town.recorded.len(), 1, "one file");
}

#[test]
fn a_coach_is_heard_by_the_one_it_coaches_and_by_nobody_else() {
    let mut room = conference(&json!([{"conference": "team", "beep": false, "wait": "silence"}]));
    let pupil = room.calls[1];
    let document = format!(
        "<Response><Dial><Conference beep=\"false\" waitUrl=\"\" coach=\"{pupil}\">team</Conference></Dial></Response>"
    );
    let answer = ivr::Answer::parse(&json!([{ "twiml": document }])).expect("a document");
    let sid = room.calls[0];
    room.command(Command::Replace { sid, answer });
    room.at(12_000);
    room.order(RoomOrder::End);
    let town = room.finish();
    let said = words();
    let alike = [0, 1, 2].map(|nth| {
        let heard = caller(&town, nth).capture.as_ref().expect("what was heard").pcm();
        likeness(&heard, (1_000, 10_000), said.samples())
    });
    assert!(alike[0] < 0.3 && alike[1] > 0.7 && alike[2] < 0.3, "{alike:?}");
    let coached = town.records.iter().any(|record| match &record.fact {
        Fact::Member { coaches, .. } => *coaches == Some(pupil),
        _ => false,
    });
    assert!(coached, "the records say whom it coaches");
}

/// What those were told who asked for a conference's events, in order.
fn minutes(town: &Town) -> Vec<Vec<(String, String)>> {
    town.told("/conf")
}

fn value<'a>(params: &'a [(String, String)], name: &str) -> &'a str {
    params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
}

/// A conference whose members all name somebody to be told, each of these events.
fn told(events: &str) -> Conference {
    let document = format!(
        "<Response><Dial><Conference beep=\"false\" waitUrl=\"\" participantLabel=\"bob\" \
         statusCallback=\"https://app.example/conf\" statusCallbackEvent=\"{events}\">team</Conference></Dial></Response>"
    );
    conference(&json!([{ "twiml": document }]))
}

#[test]
fn who_asks_for_it_is_told_of_a_conference_once_and_in_order() {
    let mut room = told("start end join leave mute hold");
    room.at(2_000);
    room.member(1, MemberChange { muted: Some(true), ..MemberChange::default() });
    room.at(3_000);
    room.member(1, MemberChange { muted: Some(false), held: Some(true), ..MemberChange::default() });
    room.at(4_000);
    room.member(1, MemberChange { held: Some(false), ..MemberChange::default() });
    room.at(5_000);
    let (calls, sid) = (room.calls.clone(), room.sid.clone());
    room.order(RoomOrder::End);
    let town = room.finish();
    let minutes = minutes(&town);
    let seen: Vec<(&str, &str)> =
        minutes.iter().map(|one| (value(one, "StatusCallbackEvent"), value(one, "CallSid"))).collect();
    let [first, second, third] = [0, 1, 2].map(|nth| calls[nth].to_string());
    let wanted = [
        ("participant-join", first.as_str()),
        ("participant-join", &second),
        ("conference-start", ""),
        ("participant-join", &third),
        ("participant-mute", &second),
        ("participant-unmute", &second),
        ("participant-hold", &second),
        ("participant-unhold", &second),
        ("participant-leave", &first),
        ("participant-leave", &second),
        ("participant-leave", &third),
        ("conference-end", ""),
    ];
    assert_eq!(seen, wanted);
    for (nth, one) in minutes.iter().enumerate() {
        assert_eq!(value(one, "SequenceNumber"), (nth + 1).to_string());
        assert_eq!((value(one, "ConferenceSid"), value(one, "FriendlyName")), (sid.as_str(), "team"));
    }
    assert_eq!((value(&minutes[4], "Muted"), value(&minutes[4], "ParticipantLabel")), ("true", "bob"));
    let end = minutes.last().expect("the end");
    assert_eq!(value(end, "ReasonConferenceEnded"), "conference-ended-via-api");
    assert_eq!(value(end, "CallSidEndingConference"), first);
}

#[test]
fn of_a_conference_only_what_was_asked_for_is_told_and_the_rest_counts() {
    let mut room = told("leave end");
    room.at(2_000);
    let calls = room.calls.clone();
    for (nth, call) in [2, 0, 1].into_iter().enumerate() {
        let sid = room.calls[call];
        room.command(Command::End { sid, how: switch::EndAs::Completed });
        room.at(3_000 + 1_000 * nth as u64);
    }
    let town = room.finish();
    let minutes = minutes(&town);
    let seen: Vec<(&str, &str)> =
        minutes.iter().map(|one| (value(one, "StatusCallbackEvent"), value(one, "SequenceNumber"))).collect();
    let leave = "participant-leave";
    assert_eq!(seen, [(leave, "5"), (leave, "6"), (leave, "7"), ("conference-end", "8")]);
    let end = minutes.last().expect("the end");
    assert_eq!(value(end, "ReasonConferenceEnded"), "last-participant-left");
    assert_eq!(value(end, "CallSidEndingConference"), calls[1].to_string());
}
