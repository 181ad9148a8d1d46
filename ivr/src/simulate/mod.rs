//! A flow before a scripted caller, on virtual time: what the caller would hear, without a call.
//!
//! It drives the machine that a live call drives ([`Program`]), and does nothing that a flow decides. What is its own is
//! the rim: how long a sound is heard, when a recording is silent, how a transfer ends (`world`), and what the caller does
//! (`script`). What is due at an instant comes before what the caller does at it.

mod script;
mod world;

pub use script::{MAX_SCRIPT, MAX_STEP_S, Reply, Step, TRANSFER_ENDS};

use crate::program::BridgeStatus;
use crate::{Answer, CallContext, FetchFault, FetchId, Flow, Input, ListenId, Output, Program, Response, Verb};
use base::{Now, secs};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use world::Going;

/// Lines of one transcript. After them the simulation ends, and says so.
pub const MAX_LINES: usize = 2_000;

/// How long a simulated call may last: four hours, in nanoseconds. Then it ends, and the transcript says so.
pub(crate) const MAX_CALL: u64 = secs(MAX_STEP_S as u64);

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
        going: Going::Nothing,
        told: VecDeque::new(),
        listens: None,
        script,
        lines: Vec::new(),
    };
    stage.run(flow, flows);
    stage.lines
}

/// The name under which the flow itself is looked for.
const SELF: &str = "simulated";

struct Stage {
    program: Program,
    begun: Now,
    now: Now,
    wake: Option<u64>,
    /// Until when the caller does nothing, or speaks (monotonic nanoseconds).
    idle: Option<u64>,
    going: Going,
    /// What the machine is told at once of what it has asked for.
    told: VecDeque<Input>,
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
        match std::mem::take(&mut self.going) {
            Going::Flow(fetch, name) => {
                // Only the call's own first verb asks for it: no flow is named so by whoever uploads one.
                let found = if name == SELF && fetch == FetchId(1) { Some(flow.clone()) } else { flows(&name) };
                self.give(Input::FlowFound { fetch, flow: found });
                true
            }
            Going::Http(fetch) => {
                let result = self.reply();
                self.give(Input::Fetched { fetch, result });
                true
            }
            going => {
                self.going = going;
                match self.idle {
                    _ if self.next_event().is_some_and(|at| at <= self.now.mono) => self.time(),
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
            Some(Step::Hangup) => {
                self.hang_up();
                true
            }
            // Nobody has asked for it: the next question comes to it.
            Some(Step::Http(_) | Step::Transfer(_) | Step::RecordS(_) | Step::Press(_) | Step::Speak(_)) | None => {
                false
            }
        }
    }

    /// The call ends, and with it what the caller did with others: the machine hears of that after it, as a live one does.
    fn hang_up(&mut self) {
        self.script.retain(|step| matches!(step, Step::Http(_)));
        self.line("> hang up".to_owned());
        let going = std::mem::take(&mut self.going);
        self.give(Input::Ended);
        if going.is_reported() {
            self.end(going);
        }
    }

    /// When something next happens by itself (monotonic nanoseconds).
    fn next_event(&self) -> Option<u64> {
        [self.going.end(), self.wake].into_iter().flatten().min()
    }

    /// Time passes to the next thing that happens by itself.
    fn time(&mut self) -> bool {
        let Some(at) = self.next_event() else { return false };
        self.advance_to(at);
        if self.going.end().is_some_and(|end| end <= self.now.mono) {
            let going = std::mem::take(&mut self.going);
            self.end(going);
        } else {
            self.give(Input::Timeout);
        }
        true
    }

    /// What went on is over, and the machine is told.
    fn end(&mut self, going: Going) {
        if let Some(input) = self.over(going) {
            self.give(input);
        }
    }

    /// What went on is over: the line that says so, and what the machine is to be told.
    fn over(&mut self, going: Going) -> Option<Input> {
        let (line, input) = going.over(self.now)?;
        if let Some(line) = line {
            self.line(format!("> {line}"));
        }
        Some(input)
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
        self.told.push_back(input);
        while let Some(input) = self.told.pop_front() {
            self.program.handle(input, self.now);
            loop {
                match self.program.poll() {
                    Output::Timeout(at) => break self.wake = at,
                    output => self.asked(&output),
                }
            }
        }
    }

    fn asked(&mut self, output: &Output) {
        if !matches!(output, Output::Flow { name, fetch: FetchId(1) } if name == SELF) {
            self.line(output.to_string());
        }
        let now = self.now;
        self.going = match output {
            Output::Listen { listen, .. } => return self.listens = Some(*listen),
            Output::StopListen { .. } => return self.listens = None,
            Output::Play { play, repeat, .. } | Output::PlayUrl { play, repeat, .. } => {
                Going::sound(*play, world::FILE_MS, *repeat, now)
            }
            Output::Say { play, say } => {
                Going::sound(*play, world::LETTER_MS * say.text.chars().count() as u64, say.repeat, now)
            }
            Output::SendDigits { play, keys } => Going::sound(*play, world::KEY_MS * keys.len() as u64, 1, now),
            Output::StopPlay { .. } => Going::Nothing,
            Output::Record { record, options } => {
                let speaks = self.speaks(options.max_s);
                self.told.push_back(Input::RecordStarted { record: *record, recording: world::tape(now) });
                Going::Tape { record: *record, options: options.clone(), began: now, speaks }
            }
            Output::StopRecord { .. } | Output::Unbridge { .. } | Output::LeaveConference { .. } => {
                let going = std::mem::take(&mut self.going);
                let input = self.over(going);
                return self.told.extend(input);
            }
            Output::Bridge { bridge, with } => {
                let status = match self.take(|step| matches!(step, Step::Transfer(_))) {
                    Some(Step::Transfer(status)) => status,
                    _ => BridgeStatus::Completed,
                };
                if status == BridgeStatus::Completed {
                    self.told.push_back(Input::BridgeAnswered { bridge: *bridge });
                }
                Going::transfer(*bridge, with, status, now)
            }
            Output::Conference { conference, .. } => Going::conference(*conference, now),
            Output::Refer { refer, .. } => Going::refer(*refer, now),
            Output::Fetch { fetch, .. } => Going::Http(*fetch),
            Output::Flow { fetch, name } => Going::Flow(*fetch, name.clone()),
            _ => return,
        };
    }

    /// For how many nanoseconds the caller speaks into a recording that has at most so many seconds; he does nothing else
    /// meanwhile, nor before a wait is over that it fell into.
    fn speaks(&mut self, max_s: u32) -> u64 {
        let Some(Step::RecordS(seconds)) = self.take(|step| matches!(step, Step::RecordS(_))) else { return 0 };
        let speaks = secs(seconds.min(max_s).into());
        self.idle = self.idle.max(Some(self.now.mono.saturating_add(speaks)));
        speaks
    }
}
