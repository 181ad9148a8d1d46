//! A flow before a scripted caller, on virtual time: what the caller would hear, without a call.

use crate::program::{BridgeEnd, BridgeStatus, ConferenceEnd, Recording, ReferEnd};
use crate::{Answer, CallContext, FetchFault, FetchId, Flow, Input, ListenId, Output, PlayId, Program, Response, Verb};
use base::{Now, millis, secs};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Lines of one transcript. After them the simulation ends, and says so.
pub const MAX_LINES: usize = 2_000;

/// Steps of one script. A longer one is refused.
pub const MAX_SCRIPT: usize = 500;

/// How long a simulated call may last: four hours, in nanoseconds. Then it ends, and the transcript says so.
const MAX_CALL: u64 = secs(4 * 3_600);

/// What the caller, or the world, does next.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Presses these keys, at once, when keys are next waited for.
    Press(String),
    /// Says this, when speech is next listened to, and is understood.
    Speak(String),
    /// Does nothing for so many seconds.
    WaitS(u32),
    /// Hangs up.
    Hangup(bool),
    /// How the next web request is answered. Without it, 200 with an empty body.
    Http(Reply),
    /// How the next transfer ends. Without it, it is answered and lasts 30 seconds.
    Transfer(BridgeStatus),
    /// How many seconds the next recording has. Without it, 5.
    RecordS(u32),
}

/// How a web request is answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// Its status; none: there is no response.
    pub status: Option<u16>,
    /// Its body.
    #[serde(default)]
    pub body: String,
}

/// One line of a transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Milliseconds since the beginning of the call.
    pub at_ms: u64,
    /// What the flow does, as [`Output`] is written; or what the caller does, after `> `.
    pub text: String,
}

/// Runs `flow` before a caller who does what `script` says, in order. `flows` finds a flow by its name. `now` is when the
/// call begins: the time of day is taken from it.
#[must_use]
pub fn simulate(
    flow: &Arc<Flow>,
    script: &[Step],
    call: CallContext,
    flows: &dyn Fn(&str) -> Option<Arc<Flow>>,
    now: Now,
) -> Vec<Line> {
    let verb = Verb::Flow(crate::CallFlow { name: SELF.to_owned(), with: std::collections::BTreeMap::new() });
    let program = Program::with_context(Answer::of(vec![verb]), call);
    let script = script.iter().take(MAX_SCRIPT).cloned().collect();
    let mut stage = Stage {
        program,
        begun: now,
        now,
        wake: None,
        idle: None,
        waits: Waits::Nothing,
        listens: None,
        script,
        lines: Vec::new(),
    };
    stage.run(flow, flows);
    stage.lines
}

/// The name under which the flow itself is looked for.
const SELF: &str = "simulated";

/// What the machine has asked for and waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Waits {
    Nothing,
    /// The end of a sound, which comes then (monotonic nanoseconds); none: it goes on for ever.
    Sound(PlayId, Option<u64>),
    Input(Box<Input>, u64),
    Flow(FetchId, String),
    Http(FetchId),
}

struct Stage {
    program: Program,
    begun: Now,
    now: Now,
    wake: Option<u64>,
    /// Until when the caller does nothing (monotonic nanoseconds).
    idle: Option<u64>,
    waits: Waits,
    /// Who listens to speech.
    listens: Option<ListenId>,
    script: VecDeque<Step>,
    lines: Vec<Line>,
}

impl Stage {
    fn run(&mut self, flow: &Arc<Flow>, flows: &dyn Fn(&str) -> Option<Arc<Flow>>) {
        self.give(Input::Start);
        while !self.program.is_done() {
            if self.lines.len() >= MAX_LINES || self.now.since(self.begun).as_nanos() > u128::from(MAX_CALL) {
                return self.line("> the simulation ends here".to_owned());
            }
            if !self.step(flow, flows) {
                return self.line("> nothing more happens".to_owned());
            }
        }
    }

    /// One thing happens; false where nothing can.
    fn step(&mut self, flow: &Arc<Flow>, flows: &dyn Fn(&str) -> Option<Arc<Flow>>) -> bool {
        match std::mem::replace(&mut self.waits, Waits::Nothing) {
            Waits::Flow(fetch, name) => {
                // Only the call's own first verb asks for it: no flow is named so by whoever uploads one.
                let found = if name == SELF && fetch == FetchId(1) { Some(flow.clone()) } else { flows(&name) };
                self.give(Input::FlowFound { fetch, flow: found });
                true
            }
            Waits::Http(fetch) => {
                let result = self.reply();
                self.give(Input::Fetched { fetch, result });
                true
            }
            waits => {
                self.waits = waits;
                match self.idle {
                    Some(until) => self.idle_until(until),
                    None => self.caller() || self.time(),
                }
            }
        }
    }

    /// The caller does nothing until then; what happens by itself does.
    fn idle_until(&mut self, until: u64) -> bool {
        if self.next_event().is_some_and(|at| at <= until) {
            return self.time();
        }
        self.advance_to(until);
        self.idle = None;
        true
    }

    /// The caller does the next thing, if this is the moment for it.
    fn caller(&mut self) -> bool {
        match self.script.front() {
            Some(Step::Press(keys)) if self.program.takes_keys() => {
                let keys: Vec<char> = keys.chars().collect();
                self.script.pop_front();
                self.line(format!("> press {}", keys.iter().collect::<String>()));
                keys.into_iter().for_each(|key| self.give(Input::Digit(key)));
                true
            }
            Some(Step::Speak(_)) if self.listens.is_some() => {
                if let (Some(listen), Some(Step::Speak(text))) = (self.listens.take(), self.script.pop_front()) {
                    self.line(format!("> say {text}"));
                    self.give(Input::SpeechStarted { listen });
                    self.give(Input::SpeechResult { listen, text, confidence: None });
                }
                true
            }
            Some(Step::WaitS(seconds)) => {
                self.idle = Some(self.now.mono.saturating_add(secs((*seconds).into())));
                self.script.pop_front();
                true
            }
            Some(Step::Hangup(_)) => {
                self.script.clear();
                self.line("> hang up".to_owned());
                let recorded = matches!(&self.waits, Waits::Input(input, _) if matches!(**input, Input::RecordEnded { .. } | Input::BridgeEnded { .. }));
                self.give(Input::Ended);
                if recorded {
                    self.time();
                }
                true
            }
            // Nobody has asked for it: the next question comes to it.
            Some(Step::Http(_) | Step::Transfer(_) | Step::RecordS(_) | Step::Press(_) | Step::Speak(_)) | None => {
                false
            }
        }
    }

    fn next_event(&self) -> Option<u64> {
        let sound = match &self.waits {
            Waits::Sound(_, end) => *end,
            Waits::Input(_, at) => Some(*at),
            _ => None,
        };
        [sound, self.wake].into_iter().flatten().min()
    }

    /// Time passes to the next thing that happens by itself.
    fn time(&mut self) -> bool {
        let Some(at) = self.next_event() else { return false };
        self.advance_to(at);
        match std::mem::replace(&mut self.waits, Waits::Nothing) {
            Waits::Sound(play, Some(end)) if end <= self.now.mono => self.give(Input::PlayEnded { play }),
            Waits::Input(input, end) if end <= self.now.mono => {
                if let Input::BridgeEnded { end, .. } = input.as_ref() {
                    self.line(format!("> the transfer ends: {}", end.status.as_str()));
                }
                self.give(*input);
            }
            waits => {
                self.waits = waits;
                self.give(Input::Timeout);
            }
        }
        true
    }

    fn advance_to(&mut self, mono: u64) {
        let by = mono.saturating_sub(self.now.mono);
        self.now = self.now.plus(std::time::Duration::from_nanos(by));
    }

    fn reply(&mut self) -> Result<Response, FetchFault> {
        let reply = match self.take(|step| matches!(step, Step::Http(_))) {
            Some(Step::Http(reply)) => reply,
            _ => Reply { status: Some(200), body: String::new() },
        };
        let shown = reply.status.map_or_else(|| "no response".to_owned(), |status| status.to_string());
        self.line(format!("> the server answers: {shown}"));
        match reply.status {
            Some(status) => Ok(Response { status, body: reply.body.into_bytes(), ..Response::default() }),
            None => Err(FetchFault::Protocol("simulated".to_owned())),
        }
    }

    /// The next step of the script, where it is one of these.
    fn take(&mut self, is: impl Fn(&Step) -> bool) -> Option<Step> {
        self.script.front().is_some_and(is).then(|| self.script.pop_front()).flatten()
    }

    fn line(&mut self, text: String) {
        let at_ms = u64::try_from(self.now.since(self.begun).as_millis()).unwrap_or(u64::MAX);
        self.lines.push(Line { at_ms, text });
    }

    fn give(&mut self, input: Input) {
        self.program.handle(input, self.now);
        loop {
            match self.program.poll() {
                Output::Timeout(at) => break self.wake = at,
                output => self.asked(&output),
            }
        }
    }

    fn asked(&mut self, output: &Output) {
        if !matches!(output, Output::Flow { name, fetch: FetchId(1) } if name == SELF) {
            self.line(output.to_string());
        }
        match output {
            Output::Listen { listen, .. } => self.listens = Some(*listen),
            Output::StopListen { .. } => self.listens = None,
            _ => {}
        }
        let mono = self.now.mono;
        let later = |seconds: u64| mono.saturating_add(secs(seconds));
        self.waits = match output {
            Output::Play { play, repeat, .. } | Output::PlayUrl { play, repeat, .. } => {
                Waits::Sound(*play, lasts(3_000, *repeat).map(|long| self.now.mono.saturating_add(long)))
            }
            Output::Say { play, say } => {
                let long = lasts(60 * say.text.chars().count() as u64, say.repeat);
                Waits::Sound(*play, long.map(|long| self.now.mono.saturating_add(long)))
            }
            Output::SendDigits { play, keys } => {
                let long = millis(200 * keys.len() as u64);
                Waits::Sound(*play, Some(self.now.mono.saturating_add(long)))
            }
            Output::StopPlay { .. } => Waits::Nothing,
            Output::Record { record, .. } => {
                let seconds = match self.take(|step| matches!(step, Step::RecordS(_))) {
                    Some(Step::RecordS(seconds)) => seconds,
                    _ => 5,
                };
                let recording = Recording {
                    sid: "RE00000000000000000000000000000000".to_owned(),
                    duration_s: seconds,
                    channels: 1,
                    started_ms: self.now.wall,
                    ..Recording::default()
                };
                let at = self.now.mono.saturating_add(secs(seconds.into()));
                Waits::Input(Box::new(Input::RecordEnded { record: *record, recording }), at)
            }
            Output::StopRecord { .. } | Output::Unbridge { .. } | Output::LeaveConference { .. } => {
                match std::mem::replace(&mut self.waits, Waits::Nothing) {
                    Waits::Input(input, _) => Waits::Input(input, self.now.mono),
                    other => other,
                }
            }
            Output::Bridge { bridge, .. } => {
                let status = match self.take(|step| matches!(step, Step::Transfer(_))) {
                    Some(Step::Transfer(status)) => status,
                    _ => BridgeStatus::Completed,
                };
                let bridged = status == BridgeStatus::Completed;
                let end = BridgeEnd { status, bridged, duration_s: bridged.then_some(30), ..BridgeEnd::default() };
                Waits::Input(Box::new(Input::BridgeEnded { bridge: *bridge, end }), later(30))
            }
            Output::Conference { conference, .. } => {
                let end = ConferenceEnd::default();
                Waits::Input(Box::new(Input::ConferenceEnded { conference: *conference, end }), later(60))
            }
            Output::Refer { refer, .. } => {
                let end = ReferEnd { sip_status: Some(202), notify_status: Some(200) };
                Waits::Input(Box::new(Input::ReferEnded { refer: *refer, end }), later(1))
            }
            Output::Fetch { fetch, .. } => Waits::Http(*fetch),
            Output::Flow { fetch, name } => Waits::Flow(*fetch, name.clone()),
            _ => return,
        };
    }
}

/// How long a sound of so many milliseconds is heard, in nanoseconds; none: for ever.
fn lasts(ms: u64, repeat: u32) -> Option<u64> {
    (repeat > 0).then(|| millis(ms.max(500)).saturating_mul(repeat.into()))
}
