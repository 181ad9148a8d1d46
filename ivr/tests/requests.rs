//! What a document's owner is sent, parameter by parameter (TWILIO.md §3).

use base::{Now, secs};
use ivr::callbacks::{self, CallEvent, ConferenceEvent, FinalStatus, Member, Progress};
use ivr::{Answer, CallContext, Callback, Direction, Input, Method, Output, Params, Program, Recording, Response};
use serde_json::json;

fn context() -> CallContext {
    CallContext {
        call_sid: "CA00000000000000000000000000000001".to_owned(),
        account_sid: "AC00000000000000000000000000000001".to_owned(),
        from: "+15550000001".to_owned(),
        to: "+15550000002".to_owned(),
        direction: Direction::OutboundApi,
        ..CallContext::default()
    }
}

fn pairs(params: &[(String, String)]) -> Vec<(&str, &str)> {
    params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The next exchange that is asked for.
fn next_request(program: &mut Program) -> ivr::HttpRequest {
    let found = std::iter::repeat_with(|| program.poll()).find_map(|output| match output {
        Output::Fetch { request, .. } | Output::Callback { request } => Some(Some(request)),
        Output::Timeout(_) => Some(None),
        _ => None,
    });
    found.flatten().expect("an exchange")
}

#[test]
fn the_first_request_says_who_calls_whom() {
    let answer = Answer::parse(&json!({ "url": "https://example.com/ivr" })).unwrap();
    let mut program = Program::with_context(answer, context());
    program.handle(Input::Start, Now::default());
    let request = next_request(&mut program);
    let said = pairs(request.params());
    assert_eq!(
        said[..9],
        [
            ("CallSid", "CA00000000000000000000000000000001"),
            ("AccountSid", "AC00000000000000000000000000000001"),
            ("From", "+15550000001"),
            ("To", "+15550000002"),
            ("Caller", "+15550000001"),
            ("Called", "+15550000002"),
            ("CallStatus", "in-progress"),
            ("ApiVersion", "2010-04-01"),
            ("Direction", "outbound-api"),
        ]
    );
    let places = &said[9..];
    assert_eq!((places.len(), places[0], places[15]), (16, ("FromCity", ""), ("CalledCountry", "")));
}

#[test]
fn what_more_is_known_is_told_and_once() {
    let context = CallContext {
        direction: Direction::Inbound,
        forwarded_from: Some("+15550000003".to_owned()),
        caller_name: Some("BOB".to_owned()),
        parent_call_sid: Some("CA2".to_owned()),
        extra: vec![("FromCity".to_owned(), "BERLIN".to_owned()), ("SipCallId".to_owned(), "x@y".to_owned())],
        ..context()
    };
    let params = context.params("ringing");
    let value = |name: &str| -> Vec<&str> {
        params.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    };
    for (name, expected) in [
        ("Direction", "inbound"),
        ("CallStatus", "ringing"),
        ("ForwardedFrom", "+15550000003"),
        ("CallerName", "BOB"),
        ("ParentCallSid", "CA2"),
        ("FromCity", "BERLIN"),
        ("ToCity", ""),
        ("SipCallId", "x@y"),
    ] {
        assert_eq!(value(name), [expected], "{name}");
    }
    assert_eq!(value("StirVerstat"), [""; 0]);
}

#[test]
fn a_retry_has_the_token_of_its_first_and_the_next_request_another() {
    let answer = Answer::parse(&json!({ "url": "https://example.com/ivr" })).unwrap();
    let mut program = Program::with_context(answer, context());
    program.handle(Input::Start, Now::default());
    let first = next_request(&mut program);
    let fault = Err(ivr::FetchFault::Connect("refused".to_owned()));
    program.handle(Input::Fetched { fetch: ivr::FetchId(1), result: fault }, Now::default());
    let again = next_request(&mut program);
    assert_eq!(first, again);
    let body = b"<Response><Redirect>next</Redirect></Response>".to_vec();
    let result = Ok(Response { status: 200, content_type: "text/xml".to_owned(), location: None, body });
    program.handle(Input::Fetched { fetch: ivr::FetchId(2), result }, Now::default());
    assert_ne!(next_request(&mut program).token, first.token);
}

#[test]
fn a_forms_signature_covers_its_parameters() {
    let answer = Answer::parse(&json!({ "url": "https://example.com/ivr#rc=2" })).unwrap();
    let mut program = Program::with_context(answer, context());
    program.handle(Input::Start, Now::default());
    let request = next_request(&mut program);
    let expected = ivr::signature("token", "https://example.com/ivr", request.params());
    assert_eq!(request.signature("token"), expected);
    assert_ne!(expected, ivr::signature("token", "https://example.com/ivr", &[]));
}

fn event(progress: Progress, sequence: u32) -> CallEvent {
    // 2018-03-25T09:53:19Z
    CallEvent { progress, at_ms: 1_521_971_599_000, sequence, sip_status: None, recording: None }
}

/// What a status callback says beside who calls whom.
fn own(params: &Params) -> Vec<(&str, &str)> {
    pairs(params).into_iter().skip(9).filter(|(_, value)| !value.is_empty()).collect()
}

#[test]
fn a_call_in_progress_tells_its_status_and_time() {
    for (progress, status, name) in [
        (Progress::Initiated, "initiated", "initiated"),
        (Progress::Ringing, "ringing", "ringing"),
        (Progress::Answered, "in-progress", "answered"),
    ] {
        let params = callbacks::status(&context(), &event(progress, 1));
        assert!(pairs(&params).contains(&("CallStatus", status)));
        assert_eq!(progress.event(), name);
        assert_eq!(
            own(&params),
            [
                ("Timestamp", "Sun, 25 Mar 2018 09:53:19 +0000"),
                ("SequenceNumber", "1"),
                ("CallbackSource", "call-progress-events"),
            ]
        );
    }
}

#[test]
fn an_ended_call_tells_its_seconds_and_its_minutes_rounded_up() {
    for (seconds, minutes) in [(0, "0"), (1, "1"), (60, "1"), (61, "2")] {
        let progress = Progress::Completed { status: FinalStatus::Completed, duration_s: seconds };
        let params = callbacks::status(&context(), &event(progress, 3));
        assert_eq!(own(&params)[..2], [("CallDuration", seconds.to_string().as_str()), ("Duration", minutes)]);
    }
}

#[test]
fn a_busy_call_is_told_under_completed_with_its_sip_status() {
    let progress = Progress::Completed { status: FinalStatus::Busy, duration_s: 0 };
    let params = callbacks::status(&context(), &CallEvent { sip_status: Some(486), ..event(progress, 2) });
    assert_eq!(progress.event(), "completed");
    let all = pairs(&params);
    for expected in [("CallStatus", "busy"), ("CallDuration", "0"), ("SequenceNumber", "2"), ("SipResponseCode", "486")]
    {
        assert!(all.contains(&expected), "{expected:?}");
    }
}

#[test]
fn a_recorded_call_tells_of_its_recording() {
    let recording = Recording {
        sid: "RE1".to_owned(),
        url: "https://api.example.com/RE1".parse().ok(),
        duration_s: 8,
        channels: 2,
        started_ms: 1_521_971_599_000,
        error: None,
    };
    let progress = Progress::Completed { status: FinalStatus::Completed, duration_s: 9 };
    let event = CallEvent { recording: Some(recording.clone()), ..event(progress, 3) };
    let params = callbacks::status(&context(), &event);
    assert_eq!(
        own(&params)[5..],
        [("RecordingUrl", "https://api.example.com/RE1"), ("RecordingSid", "RE1"), ("RecordingDuration", "8")]
    );
    let own = callbacks::recording(&context(), &recording, "completed", "DialVerb");
    assert_eq!(
        pairs(&own)[2..],
        [
            ("RecordingSid", "RE1"),
            ("RecordingUrl", "https://api.example.com/RE1"),
            ("RecordingStatus", "completed"),
            ("RecordingDuration", "8"),
            ("RecordingChannels", "2"),
            ("RecordingSource", "DialVerb"),
            ("RecordingStartTime", "Sun, 25 Mar 2018 09:53:19 +0000"),
            ("RecordingTrack", "both"),
            ("ErrorCode", "0"),
        ]
    );
}

#[test]
fn a_conference_tells_of_its_members() {
    let member = Member { call_sid: "CA1".to_owned(), label: Some("bob".to_owned()), muted: true, ..Member::default() };
    let event = ConferenceEvent {
        name: "participant-join".to_owned(),
        conference_sid: "CF1".to_owned(),
        friendly_name: "Room".to_owned(),
        sequence: 2,
        at_ms: 1_521_971_599_000,
        member: Some(member),
        extra: vec![("ReasonParticipantLeft".to_owned(), "participant_hung_up".to_owned())],
    };
    assert_eq!(
        pairs(&callbacks::conference("AC1", &event)),
        [
            ("ConferenceSid", "CF1"),
            ("FriendlyName", "Room"),
            ("AccountSid", "AC1"),
            ("SequenceNumber", "2"),
            ("Timestamp", "Sun, 25 Mar 2018 09:53:19 +0000"),
            ("StatusCallbackEvent", "participant-join"),
            ("CallSid", "CA1"),
            ("Muted", "true"),
            ("Hold", "false"),
            ("Coaching", "false"),
            ("StartConferenceOnEnter", "false"),
            ("EndConferenceOnExit", "false"),
            ("ParticipantLabel", "bob"),
            ("ReasonParticipantLeft", "participant_hung_up"),
        ]
    );
}

#[test]
fn a_callback_is_a_request_by_its_own_method() {
    let callback = Callback {
        url: "https://example.com/status".parse().unwrap(),
        method: Method::Get,
        events: vec!["completed".to_owned()],
    };
    let params = callbacks::status(&context(), &event(Progress::Ringing, 1));
    let request = callbacks::request(&callback, params, 7);
    assert_eq!((request.method, request.token), (Method::Get, 7));
    assert!(request.target().as_str().contains("CallStatus=ringing"));
}

#[test]
fn a_thousand_documents_are_enough_for_a_call() {
    let answer = Answer::parse(&json!({ "url": "https://example.com/ivr" })).unwrap();
    let mut program = Program::with_context(answer, context());
    let mut now = Now::default();
    program.handle(Input::Start, now);
    let mut fetched = 0;
    while !program.is_done() {
        let mut wake = None;
        let mut fetch = None;
        let mut play = None;
        loop {
            match program.poll() {
                Output::Fetch { fetch: id, .. } => fetch = Some(id),
                Output::Say { play: id, .. } => play = Some(id),
                Output::Timeout(at) => break wake = at.or(wake),
                _ => {}
            }
        }
        if let Some(fetch) = fetch {
            fetched += 1;
            let body = b"<Response><Pause length=\"2\"/><Redirect/></Response>".to_vec();
            let result = Ok(Response { status: 200, content_type: "text/xml".to_owned(), location: None, body });
            program.handle(Input::Fetched { fetch, result }, now);
        } else if let Some(play) = play {
            program.handle(Input::PlayEnded { play }, now);
        } else if let Some(at) = wake {
            now.mono = at;
            program.handle(Input::Timeout, now);
        }
    }
    assert_eq!(fetched, 1_000);
    assert_eq!(now.mono, secs(2_000));
}
