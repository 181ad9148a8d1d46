//! What is asked of a leg or of a call beside its program: keys and documents before it is joined, credentials, who is told
//! of its progress, and who has answered it; on virtual time.

use crate::hosts::{CARRIER, GOOD, carrier_config, switch_config, words};
use crate::laws;
use crate::place::{Place, Town, rule};
use crate::programs::likeness;
use carrier_sim::{CallReport, CarrierConfig, Outcome};
use serde_json::{Value, json};
use std::time::Duration;
use switch::{Asked, Brought, CallSid, Command, Fact, Heard, MachineDetection, Originate, Status, Utterance, Wishes};

const A: &str = "+15557770001";
const B: &str = "+15557770002";

fn place(answer: &Value, rules: &[(&str, &str)]) -> (Place, carrier_sim::virtual_network::HostId) {
    let config =
        CarrierConfig { keeps_captures: true, by_number: rules.iter().map(rule).collect(), ..carrier_config(CARRIER) };
    let mut place = Place::new(1, GOOD, &switch_config(&[("+18325550100", answer.clone())]));
    let carrier = place.carrier(config, CARRIER, "trunk.example");
    (place, carrier)
}

/// A caller to our number, which `answer`s so; whoever is called meets the rules; and what a document that is asked for
/// says.
fn run(answer: &Value, rules: &[(&str, &str)], caller: &str, document: Option<&str>) -> Town {
    let (mut place, carrier) = place(answer, rules);
    place.call_in(carrier, "+16665550001".to_owned(), "+18325550100", caller);
    place.wait(Duration::from_secs(2));
    if let Some(document) = document {
        bring(&mut place, document);
    }
    finish(place)
}

/// Answers the first request for a document.
fn bring(place: &mut Place, document: &str) {
    let asked = place.town.errands.iter().find_map(|errand| match &errand.asked {
        Asked::Fetch { fetch, .. } => Some((errand.sid, *fetch)),
        _ => None,
    });
    let (sid, fetch) = asked.expect("a document is asked for");
    let body = document.as_bytes().to_vec();
    let response = ivr::Response { status: 200, content_type: "text/xml".to_owned(), location: None, body };
    let brought = Box::new(Brought::Response { fetch, result: Ok(response) });
    place.command(Command::Brought { sid, brought });
}

fn finish(place: Place) -> Town {
    let town = place.finish(Duration::from_secs(30));
    laws::check(&town, 1);
    town
}

fn report<'a>(town: &'a Town, to: &str) -> &'a CallReport {
    town.reports.iter().find(|report| report.to == to).unwrap_or_else(|| panic!("{to} was not called"))
}

fn caller(town: &Town) -> &CallReport {
    report(town, "+18325550100")
}

/// The requests that tell somebody at this path, each by its parameters.
fn told(town: &Town, path: &str) -> Vec<Vec<(String, String)>> {
    town.told(path)
}

fn value<'a>(params: &'a [(String, String)], name: &str) -> Option<&'a str> {
    params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn words_heard(report: &CallReport) -> f64 {
    likeness(&report.capture.as_ref().expect("what was heard").pcm(), words().samples())
}

#[test]
fn keys_for_the_called_are_pressed_after_its_answer_and_before_it_is_joined() {
    let answer = json!({"bridge": {"to": A, "send_digits": "w12w3"}});
    let town = run(&answer, &[(A, "answer 100ms, say words, wait 20s")], "hangup after 5s", None);
    assert_eq!(report(&town, A).digits, "123");
    let answered = |report: &CallReport| report.times.answered.expect("an answer").mono;
    let later_ms = (answered(caller(&town)) - answered(report(&town, A))) / 1_000_000;
    assert!((1_500..2_500).contains(&later_ms), "the caller is joined when the keys are pressed: {later_ms} ms later");
    assert!(words_heard(caller(&town)) < 0.3, "what was said before is not heard");
}

#[test]
fn a_target_with_credentials_of_its_own_answers_a_challenge_by_those() {
    for (password, status) in [("secret", Status::Completed), ("wrong", Status::Failed)] {
        let answer = json!({"bridge": {"to": A, "username": "us", "password": password}});
        let town = run(&answer, &[(A, "answer 100ms, hangup after 2s")], "wait 10s", None);
        let leg = town.records.iter().find_map(|record| match &record.fact {
            Fact::Ended(cdr) if cdr.parent.is_some() => Some(cdr.status),
            _ => None,
        });
        assert_eq!(leg, Some(status), "{password}");
    }
}

#[test]
fn the_called_hears_its_screening_and_is_joined_at_its_end() {
    let answer = json!({"bridge": {"to": A, "screen_url": "https://app.example/screen"}});
    let rules = [(A, "answer 100ms, wait 6s, say words, hangup after 9s")];
    let document = "<Response><Play>prompt:words</Play></Response>";
    let town = run(&answer, &rules, "wait 20s", Some(document));
    assert!(words_heard(report(&town, A)) > 0.9, "the document");
    assert!(words_heard(caller(&town)) > 0.9, "and then the caller hears the called");
    let request = town.errands.iter().find_map(|errand| match &errand.asked {
        Asked::Fetch { request, .. } => Some(request.params().to_vec()),
        _ => None,
    });
    let request = request.expect("a request");
    assert_eq!((value(&request, "Direction"), value(&request, "To")), (Some("outbound-dial"), Some(A)));
    assert!(value(&request, "ParentCallSid").is_some());
}

#[test]
fn a_called_who_does_not_pass_its_screening_is_not_joined_and_the_program_goes_on() {
    let answer = json!([{"bridge": {"to": A, "screen_url": "https://app.example/screen"}}, {"play": "words"}]);
    let town = run(&answer, &[(A, "answer 100ms, wait 20s")], "wait 20s", Some("<Response><Hangup/></Response>"));
    assert_eq!(report(&town, A).outcome, Outcome::EndedByPeer);
    assert!(words_heard(caller(&town)) > 0.9);
    assert!(!town.records.iter().any(|record| matches!(record.fact, Fact::Bridged { .. })));
}

#[test]
fn a_leg_is_told_of_in_the_order_of_its_progress_and_what_nobody_asked_for_counts() {
    let callback = |events: Value| json!({"bridge": {"to": A, "timeout_s": 9, "status_callback": "https://app.example/leg", "status_callback_events": events}});
    let all = callback(json!(["initiated", "ringing", "answered", "completed"]));
    let town = run(&all, &[(A, "ring 100ms, answer 500ms, hangup after 2500ms")], "wait 20s", None);
    let seen = |town: &Town| -> Vec<String> {
        let of = |params: &Vec<(String, String)>| {
            let [status, number] = ["CallStatus", "SequenceNumber"].map(|name| value(params, name).unwrap_or_default());
            format!("{status} {number}")
        };
        told(town, "/leg").iter().map(of).collect()
    };
    assert_eq!(seen(&town), ["initiated 0", "ringing 1", "in-progress 2", "completed 3"]);
    let last = told(&town, "/leg").pop().expect("the last");
    assert_eq!((value(&last, "CallDuration"), value(&last, "Duration")), (Some("3"), Some("1")));
    assert_eq!(value(&last, "Direction"), Some("outbound-dial"));
    let busy = run(&callback(json!(["completed"])), &[(A, "ring 50ms, busy 200ms")], "wait 20s", None);
    assert_eq!(seen(&busy), ["busy 2"]);
    let last = told(&busy, "/leg").pop().expect("the last");
    assert_eq!((value(&last, "SipResponseCode"), value(&last, "CallDuration")), (Some("486"), Some("0")));
}

/// One call of the API, with these wishes.
fn call(script: &str, answer: &Value, wishes: Wishes) -> (Town, CallSid) {
    let (mut place, _) = place(&json!({"hangup": true}), &[(B, script)]);
    let now = place.network.now();
    let order = Originate {
        to: B.parse().expect("a number"),
        answer: ivr::Answer::parse(answer).expect("an answer"),
        timeout: Duration::from_secs(10),
        max_duration: Duration::from_secs(20),
        wishes,
        ..crate::place::order(0, &mut place.rng, now)
    };
    let sid = place.call(order);
    (finish(place), sid)
}

fn callback(path: &str, events: &[&str]) -> Option<ivr::Callback> {
    let url = format!("https://app.example{path}").parse().expect("a URL");
    let events = events.iter().map(|event| (*event).to_owned()).collect();
    Some(ivr::Callback { url, method: ivr::Method::Post, events })
}

#[test]
fn a_call_is_recorded_from_its_answer_on_where_that_is_wanted() {
    let (town, _) = call(
        "answer 500ms, wait 20s",
        &json!([{"play": "words"}, {"pause": 2}]),
        Wishes { record: Some(true), ..Wishes::default() },
    );
    let recorded = town.records.iter().find_map(|record| match &record.fact {
        Fact::Recorded { duration_ms, channels, reason, .. } => Some((*duration_ms, *channels, reason.as_str())),
        _ => None,
    });
    let Some((duration_ms, 2, "hangup")) = recorded else { panic!("{recorded:?}") };
    assert!(duration_ms.abs_diff(2_500) < 200, "{duration_ms}");
}

/// Who has answered this script, when, and when the program's prompt began: milliseconds from the answer.
fn answered_by(script: &str, how: MachineDetection) -> (String, u64, u64) {
    let wishes = Wishes { machine: Some(how), ..Wishes::default() };
    let (town, _) = call(script, &json!([{"play": "words"}, {"pause": 9}]), wishes);
    let at = |wanted: fn(&Fact) -> bool| town.records.iter().find(|record| wanted(&record.fact)).expect("a record").at;
    let answered = at(|fact| matches!(fact, Fact::Answered { .. }));
    let who = town.records.iter().find_map(|record| match &record.fact {
        Fact::AnsweredBy { answered_by, took_ms } => Some((answered_by.clone(), *took_ms)),
        _ => None,
    });
    let (who, took_ms) = who.expect("a decision");
    (who, took_ms, at(|fact| matches!(fact, Fact::Playing { .. })) - answered)
}

#[test]
fn a_person_says_a_word_and_the_program_begins_when_that_is_decided() {
    let (who, took_ms, began_ms) = answered_by("answer 100ms, say words, wait 30s", MachineDetection::default());
    assert_eq!(who, "human");
    assert!((1_000..2_500).contains(&took_ms) && began_ms.abs_diff(took_ms) < 100, "{took_ms}, {began_ms}");
}

#[test]
fn a_machine_talks_on() {
    let (who, took_ms, _) = answered_by("answer 100ms, say words loop, wait 30s", MachineDetection::default());
    assert_eq!(who, "machine_start");
    assert!((2_000..4_000).contains(&took_ms), "{took_ms}");
}

#[test]
fn a_machines_greeting_is_waited_out_to_its_beep_or_to_the_limit() {
    let how = MachineDetection { until_end: true, limit: Duration::from_secs(8), ..MachineDetection::default() };
    let beeps = "answer 100ms, say words loop, wait 4s, say ringback, wait 30s";
    let (who, took_ms, began_ms) = answered_by(beeps, how.clone());
    assert_eq!(who, "machine_end_beep");
    assert!((4_000..7_000).contains(&took_ms) && began_ms.abs_diff(took_ms) < 100, "{took_ms}, {began_ms}");
    let (who, took_ms, _) = answered_by("answer 100ms, say words loop, wait 30s", how);
    assert_eq!((who.as_str(), took_ms), ("machine_end_other", 8_000));
}

#[test]
fn who_says_nothing_is_nobody_known() {
    let how = MachineDetection { limit: Duration::from_secs(3), ..MachineDetection::default() };
    let (who, took_ms, _) = answered_by("answer 100ms, wait 30s", how);
    assert_eq!(who, "unknown");
    assert!(took_ms <= 3_000, "{took_ms}");
}

#[test]
fn a_detection_that_nobody_waits_for_is_told_to_a_callback_while_the_program_runs() {
    let machine = MachineDetection { waits: false, callback: callback("/amd", &[]), ..MachineDetection::default() };
    let wishes = Wishes { machine: Some(machine), ..Wishes::default() };
    let (town, sid) = call("answer 100ms, say words loop, wait 30s", &json!([{"play": "words"}, {"pause": 5}]), wishes);
    let told = told(&town, "/amd");
    let [params] = &told[..] else { panic!("{told:?}") };
    assert_eq!(
        (value(params, "AnsweredBy"), value(params, "CallSid")),
        (Some("machine_start"), Some(sid.to_string().as_str()))
    );
    let at = |wanted: fn(&Fact) -> bool| town.records.iter().find(|record| wanted(&record.fact)).expect("a record").at;
    assert!(at(|fact| matches!(fact, Fact::Playing { .. })) < at(|fact| matches!(fact, Fact::AnsweredBy { .. })));
}

#[test]
fn the_action_of_a_dial_is_told_of_its_leg_whether_it_was_answered_or_not() {
    for (script, status, code) in
        [("answer 100ms, hangup after 3s", "completed", "200"), ("ring 100ms, busy", "busy", "486")]
    {
        let document = format!(
            "<Response><Dial record=\"record-from-answer\" action=\"https://app.example/dialled\">{A}</Dial></Response>"
        );
        let town = run(&json!([{ "twiml": document }]), &[(A, script)], "hangup after 8s", None);
        let request = town.errands.iter().find_map(|errand| match &errand.asked {
            Asked::Fetch { request, .. } => Some(request.params().to_vec()),
            _ => None,
        });
        let request = request.expect("the action is asked for");
        let leg = town.records.iter().find_map(|record| match &record.fact {
            Fact::Ended(cdr) if cdr.parent.is_some() => Some(cdr.clone()),
            _ => None,
        });
        let leg = leg.expect("the leg's books");
        assert_eq!(
            (value(&request, "DialCallStatus"), value(&request, "DialSipResponseCode")),
            (Some(status), Some(code))
        );
        assert_eq!(value(&request, "DialCallSid"), Some(leg.sid.to_string().as_str()));
        assert_eq!(value(&request, "DialSipCallId"), leg.sip_call_ids.last().map(String::as_str));
        let recorded = value(&request, "RecordingUrl").is_some_and(|url| url.contains("/v1/recordings/RE"));
        assert_eq!(recorded, status == "completed", "{request:?}");
    }
}

#[test]
fn a_leg_shows_its_callers_number_or_one_of_ours_and_no_other() {
    let (own, ours, strange) = ("+16665550001", "+18325550100", "+19995550123");
    for (shown, seen) in [("", Some(own)), (own, Some(own)), (ours, Some(ours)), (strange, None)] {
        let document = format!("<Response><Dial callerId=\"{shown}\">{A}</Dial><Play>prompt:words</Play></Response>");
        let town = run(&json!([{ "twiml": document }]), &[(A, "answer 100ms, hangup after 2s")], "wait 20s", None);
        let called = town.reports.iter().find(|report| report.to == A);
        assert_eq!(called.map(|report| report.from.as_str()), seen, "callerId={shown:?}");
        assert!(words_heard(caller(&town)) > 0.9, "the document goes on");
    }
}

#[test]
fn who_has_answered_a_leg_is_told_while_both_talk() {
    let document = format!(
        "<Response><Dial><Number machineDetection=\"Enable\" amdStatusCallback=\"https://app.example/amd\" \
         statusCallback=\"https://app.example/leg\">{A}</Number></Dial></Response>"
    );
    let rules = [(A, "answer 100ms, say words loop, wait 6s, hangup after 8s")];
    let town = run(&json!([{ "twiml": document }]), &rules, "wait 20s", None);
    let amd = told(&town, "/amd");
    let [params] = &amd[..] else { panic!("{amd:?}") };
    let leg = town.records.iter().find_map(|record| match &record.fact {
        Fact::Ended(cdr) if cdr.parent.is_some() => Some(record.sid.to_string()),
        _ => None,
    });
    assert_eq!((value(params, "AnsweredBy"), value(params, "CallSid")), (Some("machine_start"), leg.as_deref()));
    let at = |wanted: fn(&Fact) -> bool| town.records.iter().find(|record| wanted(&record.fact)).expect("a record").at;
    assert!(at(|fact| matches!(fact, Fact::Bridged { .. })) < at(|fact| matches!(fact, Fact::AnsweredBy { .. })));
    assert!(words_heard(caller(&town)) > 0.9, "nobody waits for it");
    let last = told(&town, "/leg").pop().expect("the leg's end");
    assert_eq!((value(&last, "CallStatus"), value(&last, "AnsweredBy")), (Some("completed"), Some("machine_start")));
}

#[test]
fn who_waits_for_a_conference_hears_its_document_until_another_one_comes() {
    let document = "<Response><Dial><Conference beep=\"false\" waitUrl=\"https://app.example/wait\">team</Conference>\
                    </Dial></Response>";
    let (mut place, carrier) = place(&json!([{ "twiml": document }]), &[]);
    let comes = |place: &mut Place, nth: u8, script: &str| {
        place.call_in(carrier, format!("+1666555000{nth}"), "+18325550100", script);
        place.wait(Duration::from_secs(2));
    };
    comes(&mut place, 1, "hangup after 12s");
    bring(&mut place, "<Response><Play loop=\"0\">prompt:words</Play></Response>");
    place.wait(Duration::from_secs(2));
    comes(&mut place, 2, "hangup after 4s");
    let town = finish(place);
    let at = |wanted: fn(&Fact) -> bool| -> Vec<(CallSid, u64)> {
        town.records.iter().filter(|record| wanted(&record.fact)).map(|record| (record.sid, record.at)).collect()
    };
    let joined = at(|fact| matches!(fact, Fact::Joined { .. }));
    let stopped = at(|fact| matches!(fact, Fact::Played { prompt, finished: false } if prompt == "words"));
    assert_eq!((joined.len(), stopped.len()), (2, 1));
    assert!(stopped[0].0 == joined[0].0 && stopped[0].1.abs_diff(joined[1].1) < 100, "{joined:?}, {stopped:?}");
    assert!(words_heard(town.reports.iter().find(|report| report.from.ends_with('1')).expect("the first")) > 0.9);
    let asked = town.errands.iter().filter(|errand| matches!(errand.asked, Asked::Fetch { .. })).count();
    assert_eq!(asked, 1, "who comes second does not wait");
}

/// A caller who says the words after three seconds, into a gather that asks without end; and what a recogniser makes of
/// them.
fn speaks_into_a_gather(attributes: &str, understood: Result<Heard, String>) -> (Town, Utterance) {
    let document = format!(
        "<Response><Gather input=\"speech\" timeout=\"2\" speechTimeout=\"1\" {attributes}>\
         <Play loop=\"0\">prompt:ringback</Play></Gather><Play>prompt:words</Play></Response>"
    );
    let (mut place, carrier) = place(&json!([{ "twiml": document }]), &[]);
    place.call_in(carrier, "+16665550001".to_owned(), "+18325550100", "wait 3s, say words, hangup after 25s");
    place.wait(Duration::from_secs(12));
    let asked = place.town.errands.iter().find_map(|errand| match &errand.asked {
        Asked::WriteDown { listen, utterance } => Some((errand.sid, *listen, (**utterance).clone())),
        _ => None,
    });
    let (sid, listen, utterance) = asked.expect("what was said is to be written down");
    place.command(Command::Brought { sid, brought: Box::new(Brought::WrittenDown { listen, result: understood }) });
    (finish(place), utterance)
}

/// When the gather's prompt was stopped, in milliseconds from its beginning.
fn stopped_after_ms(town: &Town) -> u64 {
    let stopped = town
        .records
        .iter()
        .find(|record| matches!(&record.fact, Fact::Played { prompt, finished: false } if prompt == "ringback"));
    let began = town.records.iter().find(|record| matches!(record.fact, Fact::Playing { .. })).expect("a prompt");
    stopped.expect("the prompt is stopped").at - began.at
}

#[test]
fn who_speaks_into_a_gather_that_listens_stops_its_prompt_and_is_understood() {
    let understood = Heard { text: "yes please".to_owned(), confidence: Some(870) };
    let attributes = "action=\"https://app.example/said\" language=\"en-GB\" hints=\"yes,no\"";
    let (town, utterance) = speaks_into_a_gather(attributes, Ok(understood));
    assert!((2_900..3_600).contains(&stopped_after_ms(&town)), "{}", stopped_after_ms(&town));
    let wav = hound::WavReader::new(utterance.wav.as_slice()).expect("a WAV file");
    assert_eq!((wav.spec().sample_rate, wav.spec().channels), (8_000, 1));
    let said: Vec<i16> = wav.into_samples().map(|sample| sample.expect("a sample")).collect();
    assert!(likeness(&said, words().samples()) > 0.9, "all of what was said is in it");
    let longer_ms = (said.len() - words().samples().len()) / 8;
    assert!((1_000..2_000).contains(&longer_ms), "with the silence that ended it, and little else: {longer_ms} ms");
    assert_eq!((utterance.language.as_str(), utterance.hints.as_str()), ("en-GB", "yes,no"));
    let request = town.errands.iter().find_map(|errand| match &errand.asked {
        Asked::Fetch { request, .. } => Some(request.params().to_vec()),
        _ => None,
    });
    let request = request.expect("the action is asked for");
    assert_eq!((value(&request, "SpeechResult"), value(&request, "Confidence")), (Some("yes please"), Some("0.870")));
}

#[test]
fn speech_that_nobody_understands_is_warned_of_and_the_document_goes_on() {
    for understood in [Err("the recogniser answers 500".to_owned()), Ok(Heard::default())] {
        let warns = understood.is_err();
        let (town, _) = speaks_into_a_gather("", understood);
        let warned = town.records.iter().any(
            |record| matches!(&record.fact, Fact::Warning { message, .. } if message.contains("the recogniser answers 500")),
        );
        assert_eq!(warned, warns);
        assert!(words_heard(caller(&town)) > 0.9, "nothing was understood: the document goes on");
        assert!(
            !town.errands.iter().any(|errand| matches!(errand.asked, Asked::Fetch { .. })),
            "the action is not asked for"
        );
    }
}

#[test]
fn speech_of_no_use_tells_its_action_where_that_is_wanted() {
    let attributes = "action=\"https://app.example/said\" actionOnEmptyResult=\"true\"";
    let (town, _) = speaks_into_a_gather(attributes, Ok(Heard::default()));
    let asked = town.errands.iter().filter(|errand| matches!(errand.asked, Asked::Fetch { .. })).count();
    assert_eq!(asked, 1);
}

#[test]
fn a_long_silence_before_the_words_is_not_sent_along() {
    let document = "<Response><Gather input=\"speech\" timeout=\"2\" speechTimeout=\"1\">\
                    <Play loop=\"0\">prompt:ringback</Play></Gather></Response>";
    let (mut place, carrier) = place(&json!([{ "twiml": document }]), &[]);
    // The silence is taken in pieces of thirty seconds; one ends as the words begin.
    let scripts = ["wait 29800ms, say words, hangup after 85s", "wait 70s, say words, hangup after 85s"];
    for (nth, script) in scripts.iter().enumerate() {
        place.call_in(carrier, format!("+1666555000{nth}"), "+18325550100", script);
    }
    place.wait(Duration::from_secs(90));
    let utterances: Vec<_> = place
        .town
        .errands
        .iter()
        .filter_map(|errand| match &errand.asked {
            Asked::WriteDown { utterance, .. } => Some(utterance.wav.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(utterances.len(), scripts.len());
    for wav in utterances {
        let wav = hound::WavReader::new(wav.as_slice()).expect("a WAV file");
        let said: Vec<i16> = wav.into_samples().map(|sample| sample.expect("a sample")).collect();
        assert!(likeness(&said, words().samples()) > 0.9, "all of what was said is in it");
        assert!(said.len() < words().samples().len() + 2 * 8_000, "{} samples", said.len());
    }
    laws::check(&place.finish(Duration::from_secs(90)), 1);
}

#[test]
fn of_a_recording_what_cannot_be_had_is_warned_of() {
    let warned = |attributes: &str| {
        let document = format!("<Response><Dial {attributes}>+15557770001</Dial></Response>");
        let town = run(
            &json!([{ "twiml": document }]),
            &[("+15557770001", "answer 100ms, wait 20s")],
            "hangup after 5s",
            None,
        );
        let warning = |record: &switch::Record| match &record.fact {
            Fact::Warning { message, .. } => Some(message.clone()),
            _ => None,
        };
        town.records.iter().filter_map(warning).collect::<Vec<_>>()
    };
    assert_eq!(warned("record=\"record-from-answer\" recordingTrack=\"inbound\""), Vec::<String>::new());
    let said = warned("record=\"record-from-ringing\" recordingTrack=\"outbound\"");
    assert!(said.len() == 2 && said[0].contains("from its answer on") && said[1].contains("both"), "{said:?}");
}
