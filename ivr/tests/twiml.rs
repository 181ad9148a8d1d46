//! The corpus: every document of `twiml/`, a caller in front of it, and exactly what must be asked for.
//!
//! A file is a document and a comment behind it. The comment's first words say how the document comes to run (`start`:
//! the call is answered; `early`: it is not; `inline`: the document stands in the program; `fallback`: with a fallback
//! URL; `quirk`: an empty recording falls through; `screening`, `waiting`). Each line after `>` is something that the
//! world does, the others are what the machine must ask for then, in order. The last line is what it waits for at the
//! end: `wake` at a time in milliseconds, `waits` for something else, or `done`. The document's URL is
//! `https://example.com/ivr`, and its own fetch has the number 1.

use base::{Now, millis};
use ivr::{
    Action, Answer, BridgeEnd, BridgeId, BridgeStatus, CallContext, ConferenceEnd, ConferenceId, Fetch, FetchFault,
    FetchId, Input, Link, ListenId, Method, Output, PlayId, Program, Quirks, RecordId, Recording, ReferEnd, ReferId,
    Response,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

const URL: &str = "https://example.com/ivr";

/// A file of the corpus.
struct Case {
    document: String,
    mode: String,
    /// What the world does, and what must be asked for then.
    steps: Vec<(String, Vec<String>)>,
    last: String,
}

fn read(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).expect("a file");
    let (document, script) = text.rsplit_once("\n<!-- ").expect("a script behind the document");
    let script = script.trim_end().strip_suffix("-->").expect("the end of a comment").trim_end();
    let (mode, lines) = script.split_once('\n').unwrap_or((script, ""));
    let mut steps = vec![("begin".to_owned(), Vec::new())];
    for line in lines.lines() {
        match line.strip_prefix("> ") {
            Some(action) => steps.push((action.to_owned(), Vec::new())),
            None => steps.last_mut().expect("a step").1.push(line.to_owned()),
        }
    }
    let last = steps.last_mut().and_then(|(_, lines)| lines.pop()).expect("what it waits for at the end");
    Case { document: document.to_owned(), mode: mode.trim().to_owned(), steps, last }
}

/// A machine, its time, and when it wants to be woken.
struct Stage {
    program: Program,
    now: Now,
    wake: Option<u64>,
    said: Vec<String>,
}

fn context(mode: &str) -> CallContext {
    CallContext {
        call_sid: "CA1".to_owned(),
        account_sid: "AC1".to_owned(),
        from: "+15550000001".to_owned(),
        to: "+15550000002".to_owned(),
        quirks: Quirks { empty_recording_falls_through: mode == "quirk" },
        ..CallContext::default()
    }
}

fn program(case: &Case) -> Program {
    let words = match case.mode.as_str() {
        "inline" => json!({ "twiml": case.document }),
        "fallback" => {
            json!({ "url": URL, "fallback_url": "https://example.com/oops", "fallback_method": "GET" })
        }
        _ => json!({ "url": URL }),
    };
    let link = Link::Url(URL.parse().expect("a URL"));
    let fetch = Fetch { action: Action { link, method: Method::Post }, fallback: None };
    match case.mode.as_str() {
        "screening" => Program::screening(fetch, context(&case.mode)),
        "waiting" => Program::waiting(fetch, context(&case.mode)),
        _ => Program::with_context(Answer::parse(&words).expect("a program"), context(&case.mode)),
    }
}

impl Stage {
    fn begin(case: &Case) -> Self {
        let mut stage = Self { program: program(case), now: Now::default(), wake: None, said: Vec::new() };
        stage.give(if case.mode == "early" { Input::Early } else { Input::Start });
        if case.mode != "inline" {
            let ringing = if case.mode == "early" { " CallStatus=ringing" } else { "" };
            assert_eq!(stage.said, [format!("fetch 1 POST {URL}{ringing}")]);
            stage.said.clear();
            let response = document(200, "text/xml", &case.document);
            stage.give(Input::Fetched { fetch: FetchId(1), result: Ok(response) });
        }
        stage
    }

    fn give(&mut self, input: Input) {
        self.program.handle(input, self.now);
        loop {
            match self.program.poll() {
                Output::Timeout(at) => break self.wake = at,
                output => self.said.push(output.to_string()),
            }
        }
    }

    fn state(&self) -> String {
        match (self.program.is_done(), self.wake) {
            (true, _) => "done".to_owned(),
            (false, at) => Output::Timeout(at).to_string(),
        }
    }

    fn act(&mut self, action: &str) {
        let (verb, rest) = action.split_once(' ').unwrap_or((action, ""));
        let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let id = first.parse::<u32>().unwrap_or_default();
        match verb {
            "early" => self.give(Input::Early),
            "start" => self.give(Input::Start),
            "gone" => self.give(Input::Ended),
            "ends" => self.give(Input::PlayEnded { play: PlayId(id) }),
            "press" => rest.chars().for_each(|key| self.give(Input::Digit(key))),
            "at" => self.sleep(rest.parse().expect("milliseconds")),
            "recording" => self.give(Input::RecordStarted { record: RecordId(id), recording: recording("0 none") }),
            "recorded" => self.give(Input::RecordEnded { record: RecordId(id), recording: recording(more) }),
            "bridged" => self.give(Input::BridgeAnswered { bridge: BridgeId(id) }),
            "parted" => self.give(Input::BridgeEnded { bridge: BridgeId(id), end: parted(more) }),
            "left" => self.give(Input::ConferenceEnded { conference: ConferenceId(id), end: ConferenceEnd::default() }),
            "referred" => {
                let mut codes = more.split(' ').map(|code| code.parse().ok());
                let end = ReferEnd { sip_status: codes.next().flatten(), notify_status: codes.next().flatten() };
                self.give(Input::ReferEnded { refer: ReferId(id), end });
            }
            "speaks" => self.give(Input::SpeechStarted { listen: ListenId(id) }),
            "partial" => {
                let (stable, unstable) = more.split_once('|').expect("two parts");
                let (stable, unstable) = (stable.to_owned(), unstable.to_owned());
                self.give(Input::SpeechPartial { listen: ListenId(id), stable, unstable });
            }
            "said" => {
                let (sure, text) = more.split_once(' ').expect("how sure, and the words");
                let result =
                    Input::SpeechResult { listen: ListenId(id), text: text.to_owned(), confidence: sure.parse().ok() };
                self.give(result);
            }
            "nothing" => {
                self.give(Input::SpeechResult { listen: ListenId(id), text: String::new(), confidence: None });
            }
            "circle" => self.circle(id),
            _ => self.give(Input::Fetched { fetch: FetchId(id), result: fetched(verb, more) }),
        }
    }

    /// The same document again, so many times; only what follows the last is looked at.
    fn circle(&mut self, times: u32) {
        for nth in 2..2 + times {
            let response = document(200, "text/xml", "<Response><Redirect/></Response>");
            self.give(Input::Fetched { fetch: FetchId(nth), result: Ok(response) });
            assert_eq!(std::mem::take(&mut self.said), [format!("fetch {} POST {URL}", nth + 1)]);
        }
    }

    fn sleep(&mut self, ms: u64) {
        let end = millis(ms);
        while let Some(at) = self.wake.filter(|at| *at <= end && !self.program.is_done()) {
            self.now = Now::new(at.max(self.now.mono), at.max(self.now.mono) / 1_000_000);
            self.give(Input::Timeout);
        }
        self.now = Now::new(end, ms);
    }
}

fn document(status: u16, content_type: &str, body: &str) -> Response {
    Response { status, content_type: content_type.to_owned(), location: None, body: body.as_bytes().to_vec() }
}

fn recording(words: &str) -> Recording {
    let (seconds, url) = words.split_once(' ').unwrap_or((words, ""));
    let url = (url != "none").then(|| "https://api.example.com/RE1".parse().expect("a URL"));
    let duration_s = seconds.parse().expect("seconds");
    Recording { sid: "RE1".to_owned(), url, duration_s, channels: 1, started_ms: 0, error: None }
}

fn parted(words: &str) -> BridgeEnd {
    let mut end = BridgeEnd::default();
    for word in words.split(' ') {
        match word.split_once('=').unwrap_or((word, "")) {
            ("completed", _) => end.status = BridgeStatus::Completed,
            ("busy", _) => end.status = BridgeStatus::Busy,
            ("no-answer", _) => end.status = BridgeStatus::NoAnswer,
            ("failed", _) => end.status = BridgeStatus::Failed,
            ("canceled", _) => end.status = BridgeStatus::Canceled,
            ("sid", sid) => end.sid = Some(sid.to_owned()),
            ("duration", seconds) => end.duration_s = seconds.parse().ok(),
            ("sip", status) => end.sip_status = status.parse().ok(),
            ("bridged", _) => end.bridged = true,
            ("recording", _) => end.recording = Some(recording("4")),
            other => assert_eq!(other, ("", ""), "is no end of a bridge"),
        }
    }
    end
}

fn fetched(verb: &str, words: &str) -> Result<Response, FetchFault> {
    let (first, rest) = words.split_once(' ').unwrap_or((words, ""));
    match (verb, first) {
        ("fetched", status) => {
            let (kind, body) = rest.split_once(' ').unwrap_or((rest, ""));
            Ok(document(status.parse().expect("a status"), kind, body))
        }
        ("moved", status) => {
            Ok(Response { location: Some(rest.to_owned()), ..document(status.parse().expect("a status"), "", "") })
        }
        ("big", size) => {
            let padding = size.parse::<usize>().expect("bytes") - "<Response></Response>".len();
            Ok(document(200, "text/xml", &format!("<Response>{}</Response>", " ".repeat(padding))))
        }
        ("fault", "connect") => Err(FetchFault::Connect("refused".to_owned())),
        ("fault", "timeout") => Err(FetchFault::Timeout),
        ("fault", "protocol") => Err(FetchFault::Protocol("broken".to_owned())),
        ("fault", "refused") => Err(FetchFault::Refused("private".to_owned())),
        other => Err(FetchFault::Protocol(format!("{other:?} is nothing that happens"))),
    }
}

/// Runs a case; what is not as it must be, if anything.
fn check(case: &Case) -> Result<(), String> {
    let mut stage = Stage::begin(case);
    for (action, expected) in &case.steps {
        if action != "begin" {
            stage.act(action);
        }
        let said = std::mem::take(&mut stage.said);
        if said != *expected {
            return Err(format!("after {action:?}\n  must say {expected:#?}\n  and says {said:#?}"));
        }
    }
    match stage.state() {
        state if state == case.last => Ok(()),
        state => Err(format!("at the end must be {:?} and is {state:?}", case.last)),
    }
}

#[test]
fn every_document_of_the_corpus_runs_as_it_must() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twiml");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    let mut wrong = Vec::new();
    for path in &paths {
        if let Err(why) = check(&read(path)) {
            wrong.push(format!("{}: {why}", path.file_name().unwrap_or_default().to_string_lossy()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), paths.len(), wrong.join("\n"));
    assert!(paths.len() >= 120, "the corpus has {} documents", paths.len());
}

/// The mistakes that implementers make (TWILIO.md §4.3, by their numbers; 18 to 20 are of verbs that are not built), and the
/// documents that show that none of them is made here.
const MISTAKES: &[(u32, &[&str])] = &[
    (
        1,
        &[
            "gather-nothing-entered-goes-on",
            "gather-nothing-entered-tells-where-it-is-asked-to",
            "gather-finish-key-first-enters-nothing",
        ],
    ),
    (
        2,
        &[
            "gather-patience-begins-after-all-prompts",
            "gather-patience-begins-anew-with-each-key",
            "gather-first-key-stops-all-prompts",
        ],
    ),
    (3, &["gather-without-a-finish-key-takes-hash-as-data", "gather-has-one-finish-key-only", "record-ended-by-a-key"]),
    (4, &["gather-takes-what-was-typed-ahead", "gather-two-prompts-before-a-key-in-the-first"]),
    (
        5,
        &[
            "gather-without-an-action-asks-for-its-own-document",
            "record-without-an-action-asks-for-its-own-document",
            "dial-without-an-action-falls-through-when-nobody-answers",
            "refer-and-fall-through",
        ],
    ),
    (6, &["dial-with-an-action-never-falls-through"]),
    (7, &["dial-caller-hangs-up-in-the-conversation"]),
    (8, &["dial-at-most-ten", "conference-stands-alone", "dial-several-at-once"]),
    (9, &["screening-ends-and-both-are-joined", "screening-hangs-up-and-they-are-not", "screening-calls-nobody"]),
    (10, &["dial-answers-the-call-at-once", "dial-answers-the-call-on-its-bridge"]),
    (
        11,
        &[
            "dial-time-limit-counts-from-the-answer",
            "dial-star-hangs-up-on-the-called",
            "dial-star-means-nothing-unless-it-is-said",
        ],
    ),
    (12, &["dial-shows-another-caller"]),
    (13, &["record-nothing-is-told-all-the-same", "record-nothing-falls-through-where-that-is-the-quirk"]),
    (14, &["reject-as-busy", "reject-as-rejected", "reject-after-an-answer-hangs-up"]),
    (
        15,
        &[
            "pause-before-an-answer-delays-it",
            "redirect-does-not-answer",
            "say-answers-the-call",
            "play-answers-the-call",
            "gather-answers-the-call",
            "record-answers-the-call",
        ],
    ),
    (16, &["hangup-ends-the-document", "redirect-to-itself", "redirect-to-another-document"]),
    (17, &["conference-goes-on-with-the-next-verb", "conference-waits-in-silence"]),
    (21, &["number-is-screened-and-told-of"]),
    (22, &["dial-a-number-in-plain-text"]),
    (23, &["booleans-in-whatever-case", "gather-timeout-of-nothing", "say-with-a-loop-that-is-no-number"]),
];

/// What may happen to a gather, a recording and a dial, and the documents that show it of each.
const MATRIX: &[(&str, [&str; 3])] = &[
    (
        "a digit on the last millisecond",
        [
            "gather-key-in-the-last-millisecond",
            "record-key-in-the-last-millisecond",
            "dial-star-in-the-last-millisecond",
        ],
    ),
    ("two keys in one packet time", ["gather-two-keys-at-once", "record-two-keys-at-once", "dial-two-stars-at-once"]),
    (
        "a hang-up during a prompt",
        ["gather-hang-up-in-its-prompt", "record-hang-up-is-told", "dial-caller-hangs-up-while-it-rings"],
    ),
    (
        "a hang-up during another prompt",
        [
            "gather-hang-up-in-its-second-prompt",
            "record-hang-up-and-the-recorder-says-nothing",
            "dial-caller-hangs-up-in-the-conversation",
        ],
    ),
    (
        "a hang-up while it waits",
        [
            "gather-hang-up-while-it-listens",
            "record-without-an-action-and-a-hang-up-tells-its-own-document",
            "dial-caller-hangs-up-and-nobody-reports",
        ],
    ),
    ("a slow webhook", ["gather-action-is-slow", "record-action-is-slow", "dial-action-is-slow"]),
    ("one that never answers", ["gather-action-is-silent", "record-action-is-silent", "dial-action-is-silent"]),
    ("a dead one", ["gather-action-is-dead", "record-action-is-dead", "dial-action-is-dead"]),
    ("one that redirects", ["gather-action-has-moved", "record-action-has-moved", "dial-action-has-moved"]),
    (
        "one that redirects with the form",
        [
            "gather-action-has-moved-with-its-form",
            "record-action-has-moved-with-its-form",
            "dial-action-has-moved-with-its-form",
        ],
    ),
    (
        "the wrong content type",
        ["gather-action-is-of-another-type", "record-action-is-of-another-type", "dial-action-is-of-another-type"],
    ),
    ("a body over 64 KB", ["gather-action-is-too-long", "record-action-is-too-long", "dial-action-is-too-long"]),
    ("invalid XML", ["gather-action-is-no-xml", "record-action-is-no-xml", "dial-action-is-no-xml"]),
];

#[test]
fn each_mistake_of_implementers_and_each_mishap_of_the_three_verbs_has_its_documents() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twiml");
    let named = MISTAKES.iter().flat_map(|(_, names)| *names).chain(MATRIX.iter().flat_map(|(_, names)| names));
    let missing: Vec<&&str> = named.filter(|name| !folder.join(format!("{name}.xml")).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What the documents of the corpus write: `Gather numDigits`.
fn written() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twiml");
    let mut written = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let Case { document, .. } = read(&entry.expect("a file").path());
        let Ok(tree) = roxmltree::Document::parse(&document) else { continue };
        for node in tree.descendants().filter(roxmltree::Node::is_element) {
            let name = node.tag_name().name();
            written.extend(node.attributes().map(|attribute| format!("{name} {}", attribute.name())));
        }
    }
    written
}

#[test]
fn every_attribute_of_the_vocabulary_is_in_a_document_of_the_corpus() {
    let written = written();
    let words = ivr::twiml::vocabulary().map(|(element, attribute)| format!("{element} {attribute}"));
    let missing: Vec<String> = words.filter(|word| !written.contains(word)).collect();
    assert!(missing.is_empty(), "no document of ivr/tests/twiml writes {missing:#?}");
}
