//! The bodies of the fuzz targets `answer`, `twiml` and `flow`: any text as a program, any caller in front of it.
//! Compiled with the crate, so that a change of the interface breaks here and not in a directory that no build visits.

use crate::answer::is_key;
use crate::simulate::{MAX_CALL, MAX_LINES, Reply, Step, TRANSFER_ENDS, simulate};
use crate::{
    Answer, BridgeEnd, BridgeId, BridgeStatus, CallContext, ConferenceEnd, ConferenceId, FetchFault, FetchId, Flow,
    Input, ListenId, Output, PlayId, Program, RecordId, Recording, ReferEnd, ReferId, Response, twiml,
};
use base::{Now, millis};
use std::sync::Arc;

/// Inputs after which a caller who only listens must have reached the end, or a wait that only the end of the call
/// ends.
const MAX_INPUTS: usize = 200_000;

/// Reads `data` as JSON up to the first zero byte, and as a caller's behaviour after it. Asserts that what is accepted
/// is written back canonically, and that the machine always ends or waits for a named input.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let (text, caller) = split(data);
    let Ok(value) = serde_json::from_slice(text) else { return };
    let Ok(answer) = Answer::parse(&value) else { return };
    assert_eq!(serde_json::to_value(&answer).map(|written| Answer::parse(&written)).ok(), Some(Ok(answer.clone())));
    Caller::new(answer, Vec::new(), None).listen(caller);
}

/// Reads `data` as a TwiML document up to the first zero byte, and as a caller's behaviour after it. Whatever the
/// document asks for answers with the document itself.
#[doc(hidden)]
pub fn fuzz_twiml(data: &[u8]) {
    let (text, caller) = split(data);
    let Ok(text) = std::str::from_utf8(text) else { return };
    if twiml::compile(text, None).is_err() {
        return;
    }
    let Ok(answer) = Answer::parse(&serde_json::json!({ "url": "https://a.example/ivr" })) else { return };
    Caller::new(answer, text.as_bytes().to_vec(), None).listen(caller);
}

/// Reads `data` as a flow up to the first zero byte, and as a caller's behaviour after it. Every flow that it runs is
/// the flow itself. A scripted caller tries it too: whatever he does, the simulation ends, and time does not go back.
#[doc(hidden)]
pub fn fuzz_flow(data: &[u8]) {
    let (text, caller) = split(data);
    let Ok(value) = serde_json::from_slice(text) else { return };
    let Ok(flow) = Flow::parse(&value) else { return };
    let Ok(answer) = Answer::parse(&serde_json::json!({ "flow": "self" })) else { return };
    let flow = Arc::new(flow);
    let script: Vec<Step> = caller.iter().map(|byte| step(*byte)).collect();
    let lines = simulate(&flow, &script, CallContext::default(), &|_| Some(flow.clone()), Now::default());
    assert!(lines.len() <= MAX_LINES + MAX_BURST, "{} lines", lines.len());
    assert!(lines.is_sorted_by_key(|line| line.at_ms), "time goes back");
    Caller::new(answer, br#"{"a":[1,{"b":"c"}]}"#.to_vec(), Some(flow)).listen(caller);
}

/// Lines that one thing which happens may make after the last that a transcript has room for.
const MAX_BURST: usize = 2_000;

fn step(byte: u8) -> Step {
    match byte {
        0x00..=0x7f if is_key(char::from(byte)) => Step::Press(char::from(byte).to_string()),
        0x00..=0x1f => Step::Hangup,
        0x20..=0x7f => Step::Speak("yes please".to_owned()),
        0x80..=0xaf => Step::WaitS(u32::from(byte & 0x3f)),
        0xb0..=0xcf => Step::RecordS(u32::from(byte & 0x1f)),
        0xd0..=0xe7 => Step::Transfer(TRANSFER_ENDS[usize::from(byte & 3)]),
        0xe8..=0xff => {
            let status = [None, Some(200), Some(301), Some(500)][usize::from(byte & 3)];
            Step::Http(Reply { status, body: r#"{"a":[1,{"b":"c"}]}"#.to_owned() })
        }
    }
}

fn split(data: &[u8]) -> (&[u8], &[u8]) {
    data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()))
}

/// What the machine has asked for and waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Play(PlayId, u32),
    Bridge(BridgeId),
    Record(RecordId),
    Conference(ConferenceId),
    Refer(ReferId),
    Fetch(FetchId),
    Flow(FetchId),
    Answer,
}

/// A driver and a caller in one: what plays, what time it is, and when the machine is to be woken.
struct Caller {
    program: Program,
    now: Now,
    pending: Option<Pending>,
    listening: u32,
    echoing: bool,
    wake: Option<u64>,
    over: bool,
    gone: bool,
    body: Vec<u8>,
    flow: Option<Arc<Flow>>,
}

impl Caller {
    fn new(answer: Answer, body: Vec<u8>, flow: Option<Arc<Flow>>) -> Self {
        Self {
            program: Program::with_context(answer, CallContext::default()),
            now: Now::default(),
            pending: None,
            listening: 0,
            echoing: false,
            wake: None,
            over: false,
            gone: false,
            body,
            flow,
        }
    }

    fn listen(mut self, behaviour: &[u8]) {
        let early = behaviour.get(1).is_some_and(|byte| byte & 1 == 1);
        self.give(if early { Input::Early } else { Input::Start });
        for byte in behaviour {
            self.act(*byte);
        }
        for _ in 0..MAX_INPUTS {
            match (self.pending, self.wake) {
                _ if self.program.is_done() => break,
                // A menu may be asked again and again of a caller who does nothing: the limit of the call ends it.
                _ if self.now.mono > MAX_CALL && !self.gone => self.give(Input::Ended),
                (Some(Pending::Play(_, 0)), None) => self.give(Input::Ended),
                (Some(pending), _) => self.report(pending, 0),
                (None, Some(at)) => self.sleep_until(at),
                (None, None) => {
                    assert!(self.echoing, "waits for nothing that could come");
                    self.give(Input::Ended);
                }
            }
        }
        assert!(self.program.is_done(), "never ends");
    }

    fn act(&mut self, byte: u8) {
        match byte {
            0x00..=0x7f => self.give(Input::Digit(char::from(byte))),
            0x80..=0xbf => self.sleep_until(self.now.mono.saturating_add(millis(100) * u64::from(byte & 0x3f))),
            0xc0..=0xcf => self.give(Input::PlayEnded { play: PlayId(u32::from(byte & 0x0f)) }),
            0xd0..=0xe7 => {
                if let Some(pending) = self.pending {
                    self.report(pending, byte);
                }
            }
            0xe8..=0xeb => self.give(Input::SpeechStarted { listen: ListenId(self.listening) }),
            0xec..=0xef => {
                let text = if byte == 0xec { String::new() } else { "yes please".to_owned() };
                self.give(Input::SpeechResult { listen: ListenId(self.listening), text, confidence: Some(900) });
            }
            0xf0..=0xf3 => self.give(Input::BridgeAnswered { bridge: BridgeId(u32::from(byte & 3)) }),
            0xf4..=0xfa => self.give(Input::Timeout),
            0xfb..=0xfc => self.give(Input::Early),
            0xfd..=0xfe => self.give(Input::Start),
            0xff => self.give(Input::Ended),
        }
    }

    /// What was asked for comes to an end, in one of its ways.
    fn report(&mut self, pending: Pending, way: u8) {
        self.pending = None;
        self.give(match pending {
            Pending::Play(play, _) => Input::PlayEnded { play },
            Pending::Bridge(bridge) => {
                let status = if way & 1 == 0 { BridgeStatus::Completed } else { BridgeStatus::Busy };
                Input::BridgeEnded { bridge, end: BridgeEnd { status, ..BridgeEnd::default() } }
            }
            Pending::Record(record) => {
                let recording = Recording { duration_s: u32::from(way & 7), ..Recording::default() };
                Input::RecordEnded { record, recording }
            }
            Pending::Conference(conference) => Input::ConferenceEnded { conference, end: ConferenceEnd::default() },
            Pending::Refer(refer) => Input::ReferEnded { refer, end: ReferEnd::default() },
            Pending::Fetch(fetch) => Input::Fetched { fetch, result: self.response(way) },
            Pending::Flow(fetch) => Input::FlowFound { fetch, flow: self.flow.clone().filter(|_| way & 7 != 7) },
            Pending::Answer => Input::Start,
        });
    }

    fn response(&self, way: u8) -> Result<Response, FetchFault> {
        let xml = |status: u16, content_type: &str| {
            Ok(Response { status, content_type: content_type.to_owned(), location: None, body: self.body.clone() })
        };
        match way & 0x0f {
            1 => Err(FetchFault::Timeout),
            2 => Err(FetchFault::Connect("refused".to_owned())),
            3 => xml(500, "text/xml"),
            4 => xml(200, "text/plain"),
            5 => xml(200, "application/octet-stream"),
            6 => Ok(Response { status: 302, location: Some("/next#rc=5".to_owned()), ..Response::default() }),
            7 => Ok(Response { status: 204, ..Response::default() }),
            8 => xml(200, "audio/wav"),
            _ => xml(200, "text/xml; charset=utf-8"),
        }
    }

    fn sleep_until(&mut self, at: u64) {
        self.now.mono = self.now.mono.max(at);
        if self.wake.is_some_and(|wake| wake <= self.now.mono) {
            self.give(Input::Timeout);
        }
    }

    fn give(&mut self, input: Input) {
        if let (Input::PlayEnded { play }, Some(Pending::Play(current, _))) = (&input, self.pending)
            && *play == current
        {
            self.pending = None;
        }
        self.gone |= input == Input::Ended;
        self.program.handle(input, self.now);
        loop {
            let output = self.program.poll();
            if let Output::Timeout(at) = output {
                break self.wake = at;
            }
            assert!(!self.over, "asks for {output:?} after the end");
            assert!(!self.gone || is_owed(&output), "asks for {output:?} after the caller has gone");
            self.take(output);
        }
        if self.program.is_done() {
            self.pending = None;
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Play { play, repeat, .. } | Output::PlayUrl { play, repeat, .. } => {
                self.pending = Some(Pending::Play(play, repeat));
            }
            Output::Say { play, say } => self.pending = Some(Pending::Play(play, say.repeat)),
            Output::SendDigits { play, .. } => self.pending = Some(Pending::Play(play, 1)),
            Output::StopPlay { play } => {
                self.pending = self.pending.filter(|p| !matches!(p, Pending::Play(current, _) if *current == play));
            }
            Output::Record { record, .. } => self.pending = Some(Pending::Record(record)),
            Output::Bridge { bridge, .. } => self.pending = Some(Pending::Bridge(bridge)),
            Output::Conference { conference, .. } => self.pending = Some(Pending::Conference(conference)),
            Output::Refer { refer, .. } => self.pending = Some(Pending::Refer(refer)),
            Output::Fetch { fetch, .. } => self.pending = Some(Pending::Fetch(fetch)),
            Output::Flow { fetch, .. } => self.pending = Some(Pending::Flow(fetch)),
            Output::Answer => self.pending = Some(Pending::Answer),
            Output::Listen { listen, .. } => self.listening = listen.0,
            Output::Echo(on) => self.echoing = on,
            Output::Hangup | Output::Reject { .. } | Output::Join => self.over = true,
            Output::StopListen { .. }
            | Output::StopRecord { .. }
            | Output::Unbridge { .. }
            | Output::LeaveConference { .. }
            | Output::Callback { .. }
            | Output::Tell { .. }
            | Output::Warning(_)
            | Output::Gathered(_)
            | Output::Timeout(_) => {}
        }
    }
}

/// What may be asked for when the caller has gone.
fn is_owed(output: &Output) -> bool {
    matches!(
        output,
        Output::Callback { .. } | Output::Tell { .. } | Output::Fetch { .. } | Output::Flow { .. } | Output::Warning(_)
    )
}
