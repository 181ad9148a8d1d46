//! Gather, Record and Dial before every kind of bad web server, and documents at and beyond their limits.

use base::{Now, millis};
use ivr::limits::{MAX_BODY, MAX_VERBS, MAX_WARNINGS, MAX_XML_DEPTH};
use ivr::twiml::compile;
use ivr::{
    Answer, BridgeEnd, BridgeId, CallContext, FetchFault, FetchId, Input, Output, PlayId, Program, RecordId, Recording,
    Response,
};
use serde_json::json;

const SORRY: &str = "say 1 \"We are sorry. An application error has occurred. Goodbye.\"";

/// A document that asks for `https://example.com/next` when its one verb is over, and what ends the verb.
fn verbs() -> [(&'static str, Input); 3] {
    let recorded = Input::RecordEnded { record: RecordId(1), recording: Recording::default() };
    let parted = Input::BridgeEnded { bridge: BridgeId(1), end: BridgeEnd::default() };
    [
        ("<Gather numDigits='1' action='https://example.com/next'/>", Input::Digit('1')),
        ("<Record action='https://example.com/next'/>", recorded),
        ("<Dial action='https://example.com/next'>+15551234567</Dial>", parted),
    ]
}

struct Stage {
    program: Program,
    now: Now,
    wake: Option<u64>,
}

impl Stage {
    /// Runs a verb to its end, and stands before its request.
    fn after(verb: &str, end: Input) -> Self {
        let words = json!({ "twiml": format!("<Response>{verb}<Say>unreachable</Say></Response>") });
        let program = Program::with_context(Answer::parse(&words).expect("a program"), CallContext::default());
        let mut stage = Self { program, now: Now::default(), wake: None };
        stage.give(Input::Start);
        let said = stage.give(end);
        assert!(said.last().is_some_and(|line| line.starts_with("fetch 1 POST https://example.com/next")), "{said:?}");
        stage
    }

    fn give(&mut self, input: Input) -> Vec<String> {
        self.program.handle(input, self.now);
        let mut said = Vec::new();
        loop {
            match self.program.poll() {
                Output::Timeout(at) => break self.wake = at,
                output => said.push(output.to_string()),
            }
        }
        said
    }

    fn fetched(&mut self, fetch: u32, result: Result<Response, FetchFault>) -> Vec<String> {
        self.give(Input::Fetched { fetch: FetchId(fetch), result })
    }
}

fn response(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Result<Response, FetchFault> {
    Ok(Response { status, content_type: content_type.to_owned(), location: None, body: body.into() })
}

#[test]
fn every_verb_meets_every_bad_server_alike() {
    let long = vec![b' '; MAX_BODY + 1];
    let table: Vec<(&str, Result<Response, FetchFault>, &str)> = vec![
        ("slow", Err(FetchFault::Timeout), "warning 11205"),
        ("broken", Err(FetchFault::Protocol("eof".to_owned())), "warning 11200"),
        ("refused by policy", Err(FetchFault::Refused("private".to_owned())), "warning 11200"),
        ("an error", response(500, "text/xml", "<Response/>"), "warning 11200"),
        ("redirecting nowhere", response(302, "text/html", ""), "warning 11200"),
        ("wrong content type", response(200, "image/png", "x"), "warning 12300"),
        ("no content type", response(200, "", "x"), "warning 12300"),
        ("too long", response(200, "text/xml", long), "warning 11750"),
        ("invalid XML", response(200, "text/xml", "<Response><Say></Response>"), "warning 12100"),
        ("no UTF-8", response(200, "text/xml", vec![b'<', 0xff]), "warning 12100"),
    ];
    for (verb, end) in verbs() {
        for (name, result, warning) in &table {
            let mut stage = Stage::after(verb, end.clone());
            let said = stage.fetched(1, result.clone());
            assert!(said.len() == 2 && said[0].starts_with(warning) && said[1] == SORRY, "{verb}, {name}: {said:?}");
            assert_eq!(stage.give(Input::PlayEnded { play: PlayId(1) }), ["hangup"], "{verb}, {name}");
        }
    }
}

#[test]
fn a_dead_server_is_tried_once_more_and_a_moved_document_is_found() {
    for (verb, end) in verbs() {
        let mut stage = Stage::after(verb, end.clone());
        let again = stage.fetched(1, Err(FetchFault::Connect("refused".to_owned())));
        assert!(again.len() == 1 && again[0].starts_with("fetch 2 POST https://example.com/next"), "{again:?}");
        let gone = stage.fetched(2, Err(FetchFault::Connect("refused".to_owned())));
        assert_eq!((gone.len(), gone[1].as_str()), (2, SORRY));

        let mut stage = Stage::after(verb, end);
        let moved = Response { status: 301, location: Some("/there".to_owned()), ..Response::default() };
        assert_eq!(stage.fetched(1, Ok(moved)), ["fetch 2 GET https://example.com/there"]);
        assert_eq!(stage.fetched(2, response(200, "text/xml", "<Response><Say>Hi</Say></Response>")), ["say 1 \"Hi\""]);
    }
}

#[test]
fn a_server_that_is_never_heard_of_fails_in_its_time() {
    for (verb, end) in verbs() {
        let mut stage = Stage::after(verb, end);
        assert_eq!(stage.wake, Some(millis(20_000)));
        stage.now = Now::new(millis(20_000), 20_000);
        assert_eq!(stage.give(Input::Timeout)[1], SORRY);
    }
}

#[test]
fn a_caller_who_goes_while_the_server_thinks_is_asked_nothing_more() {
    for (verb, end) in verbs() {
        let mut stage = Stage::after(verb, end);
        assert!(stage.give(Input::Ended).is_empty() && stage.program.is_done());
        assert!(stage.fetched(1, response(200, "text/xml", "<Response><Say>Hi</Say></Response>")).is_empty());
    }
}

/// (document, line, column, what the message must say)
#[test]
fn a_document_that_is_none_says_where() {
    for (text, line, column, says) in [
        ("no xml", 1, 1, "unknown token"),
        ("<Response>\n  <Say>Hi</Say\n</Response>", 3, 1, "expected '>' not '<'"),
        ("<Response>\n<Say>a</Play></Response>", 2, 7, "expected 'Say' tag, not 'Play'"),
        ("<Response><Say>&nbsp;</Say></Response>", 1, 16, "unknown entity reference 'nbsp'"),
        ("<Response><Say a='1' a='2'/></Response>", 1, 22, "attribute 'a' is already defined"),
        ("<response/>", 1, 1, "the outermost element is `Response`, not `response`"),
        ("<Response/><Response/>", 1, 12, "unknown token"),
        ("<!DOCTYPE Response SYSTEM 'http://evil.example/x.dtd'><Response/>", 1, 1, "leave <!DOCTYPE …> out"),
    ] {
        let error = compile(text, None).expect_err(text);
        assert!(error.message.contains(says), "{text:?}: {error}");
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
    }
}

#[test]
fn entities_are_never_expanded() {
    let bomb =
        "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><Response><Say>&b;</Say></Response>";
    assert!(compile(bomb, None).expect_err("taken").message.contains("DOCTYPE"));
}

#[test]
fn keeps_the_limits_of_a_document() {
    let says = |n: usize| format!("<Response>{}</Response>", "<Say>a</Say>".repeat(n));
    assert_eq!(compile(&says(MAX_VERBS), None).expect("fits").verbs.len(), MAX_VERBS);
    assert!(compile(&says(MAX_VERBS + 1), None).expect_err("too many").message.contains("at most 256 verbs"));
    let wrong = format!("<Response>{}</Response>", "<Dance/>".repeat(MAX_WARNINGS + 8));
    let warnings = compile(&wrong, None).expect("warns").warnings;
    assert_eq!((warnings.len(), warnings[MAX_WARNINGS].message.as_str()), (MAX_WARNINGS + 1, "and 8 more"));
    assert!(compile(&" ".repeat(MAX_BODY + 1), None).is_ok_and(|document| document.verbs.is_empty()));
    let long = format!("<Response>{}</Response>", " ".repeat(MAX_BODY));
    assert!(compile(&long, None).expect_err("too long").message.contains("at most 65536 bytes"));
}

#[test]
fn a_deep_document_is_refused_and_overflows_nothing() {
    let nested = |depth: usize| format!("<Response>{}{}</Response>", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(compile(&nested(MAX_XML_DEPTH - 3), None).is_ok());
    assert!(compile(&nested(MAX_XML_DEPTH), None).is_err());
    let deepest = nested((MAX_BODY - 30) / 7);
    assert!(compile(&deepest, None).is_err());
    let open = "<a>".repeat(MAX_BODY / 3 - 10);
    assert!(compile(&open, None).is_err());
}

#[test]
fn a_say_that_is_too_long_is_cut() {
    let long = "x".repeat(5_000);
    let words = json!({ "twiml": format!("<Response><Say>{long}</Say></Response>") });
    let program = Program::new(Answer::parse(&words).expect("a program"));
    let mut stage = Stage { program, now: Now::default(), wake: None };
    let said = stage.give(Input::Start);
    assert!(said[0].contains("at most 4096 characters"), "{}", said[0]);
    assert_eq!(said[1], format!("say 1 {:?}", "x".repeat(4_096)));
}
