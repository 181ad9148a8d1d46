//! A call as the switch drives it: the machine is told what has happened when it happens, and what it asks for comes to an
//! end in its time. Made from what [`Input`] and [`Output`] say that a driver owes, and from what [`Step`] says of the
//! caller and the world; nothing of the simulator is in it.

use crate::flows::{ASKS_KEYS, PATIENCE_S};
use base::{Now, millis, secs};
use ivr::simulate::Step;
use ivr::{
    Answer, Bridge, BridgeEnd, BridgeId, BridgeStatus, CallContext, ConferenceEnd, FetchFault, Flow, Input, ListenId,
    Mode, Output, PlayId, Program, RecordId, RecordOptions, Recording, Response,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// After so many lines, or so long a call (monotonic nanoseconds), it has gone further than a simulation may.
const ENOUGH: (usize, u64) = (5_000, secs(5 * 3_600));

/// What comes to an end, and what the machine is told then.
#[derive(Clone, Debug)]
enum End {
    Play(PlayId),
    Record { record: RecordId, options: RecordOptions, began: u64, speaks: u64 },
    Bridge { bridge: BridgeId, status: BridgeStatus },
    Told(Input),
}

/// How a call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The machine is done.
    Done,
    /// Something is heard for ever, and nobody does anything.
    Nothing,
    /// It goes on and on.
    Enough,
}

/// A call, and the caller in it.
pub struct Live {
    program: Program,
    flow: Arc<Flow>,
    begun: Now,
    now: Now,
    /// What will have ended, and when (monotonic nanoseconds); none: never.
    agenda: Vec<(Option<u64>, End)>,
    /// When the machine is to be woken, and how long before that it has asked for it (monotonic nanoseconds).
    wake: Option<(u64, u64)>,
    /// A sound of a question that takes keys is heard.
    asks: bool,
    listens: Option<ListenId>,
    script: VecDeque<Step>,
    /// Until when the caller does nothing, or speaks (monotonic nanoseconds).
    busy: u64,
    /// What the machine has asked for and the caller has done, each with its millisecond.
    lines: Vec<(u64, String)>,
}

impl Live {
    /// A call that is answered at once, or (`early`) once the machine asks for that: what was asked for and done, and how it
    /// has ended.
    pub fn call(
        flow: &Arc<Flow>,
        script: &[Step],
        context: CallContext,
        now: Now,
        early: bool,
    ) -> (Vec<(u64, String)>, Over) {
        let answer = Answer::parse(&serde_json::json!({ "flow": "self" })).expect("a program");
        let mut live = Self {
            program: Program::with_context(answer, context),
            flow: flow.clone(),
            begun: now,
            now,
            agenda: Vec::new(),
            wake: None,
            asks: false,
            listens: None,
            script: script.iter().cloned().collect(),
            busy: now.mono,
            lines: Vec::new(),
        };
        live.tell(if early { Input::Early } else { Input::Start });
        let over = live.run();
        (live.lines, over)
    }

    fn run(&mut self) -> Over {
        while !self.program.is_done() {
            if self.lines.len() > ENOUGH.0 || self.now.mono - self.begun.mono > ENOUGH.1 {
                return Over::Enough;
            }
            let due = self.agenda.iter().filter_map(|(at, _)| *at).chain(self.wake.map(|(at, _)| at)).min();
            match due {
                Some(at) if at <= self.now.mono.max(self.busy) => self.pass(at),
                _ if self.busy > self.now.mono => self.go_to(self.busy),
                _ if self.acts() => {}
                Some(at) => self.pass(at),
                None => return Over::Nothing,
            }
        }
        Over::Done
    }

    fn go_to(&mut self, at: u64) {
        self.now = self.now.plus(Duration::from_nanos(at.saturating_sub(self.now.mono)));
    }

    /// Time passes to what is due then.
    fn pass(&mut self, at: u64) {
        self.go_to(at);
        // One that comes early is ignored.
        self.tell(Input::Timeout);
        if let Some(nth) = self.agenda.iter().position(|(end, _)| end.is_some_and(|end| end <= self.now.mono)) {
            let (_, end) = self.agenda.remove(nth);
            self.ended(end, true);
        }
    }

    /// The caller does the next thing, if this is the moment for it.
    fn acts(&mut self) -> bool {
        match self.script.front().cloned() {
            Some(Step::Press(keys)) if self.takes_keys() => {
                self.script.pop_front();
                self.line(format!("> press {keys}"));
                keys.chars().for_each(|key| self.tell(Input::Digit(key)));
            }
            Some(Step::Speak(text)) if self.listens.is_some() => {
                self.script.pop_front();
                self.line(format!("> say {text}"));
                let listen = self.listens.take().expect("somebody listens");
                self.tell(Input::SpeechStarted { listen });
                self.tell(Input::SpeechResult { listen, text, confidence: Some(900) });
            }
            Some(Step::WaitS(seconds)) => {
                self.script.pop_front();
                self.busy = self.now.mono + secs(seconds.into());
            }
            Some(Step::Hangup) => {
                self.script.retain(|step| matches!(step, Step::Http(_)));
                self.line("> hang up".to_owned());
                let going = std::mem::take(&mut self.agenda);
                self.tell(Input::Ended);
                // What was with others is told of after it; nobody hears a sound to its end.
                for (_, end) in going.into_iter().filter(|(_, end)| !matches!(end, End::Play(_))) {
                    self.ended(end, false);
                }
            }
            _ => return false,
        }
        true
    }

    /// Keys are waited for by a recording, and by a question that sounds or is silent.
    fn takes_keys(&self) -> bool {
        let records = self.agenda.iter().any(|(_, end)| matches!(end, End::Record { .. }));
        let others = self.agenda.iter().any(|(_, end)| !matches!(end, End::Record { .. }));
        let silent = !others && self.wake.is_some_and(|(_, long)| PATIENCE_S.iter().any(|s| secs(*s) == long));
        records || self.asks || silent
    }

    /// Something is over, in its time or with the call.
    fn ended(&mut self, end: End, in_time: bool) {
        let input = match end {
            End::Play(play) => {
                self.asks = false;
                Input::PlayEnded { play }
            }
            End::Record { record, options, began, speaks } => {
                let lasted = self.now.mono - began;
                let by_silence = options.silence_s > 0 && lasted >= speaks + secs(options.silence_s.into());
                let whole = if by_silence && options.trim { speaks } else { lasted } / secs(1);
                let recording = Recording { duration_s: u32::try_from(whole).expect("short"), ..tape(self.now) };
                Input::RecordEnded { record, recording }
            }
            End::Bridge { bridge, status } => {
                let status = if in_time || status == BridgeStatus::Completed { status } else { BridgeStatus::Canceled };
                Input::BridgeEnded { bridge, end: BridgeEnd { status, ..BridgeEnd::default() } }
            }
            End::Told(input) => input,
        };
        self.tell(input);
    }

    /// Tells the machine, and does what it asks for.
    fn tell(&mut self, input: Input) {
        self.program.handle(input, self.now);
        loop {
            match self.program.poll() {
                Output::Timeout(None) => break self.wake = None,
                Output::Timeout(Some(at)) => {
                    if self.wake.is_none_or(|(before, _)| before != at) {
                        self.wake = Some((at, at.saturating_sub(self.now.mono)));
                    }
                    break;
                }
                output => self.obey(output),
            }
        }
    }

    fn obey(&mut self, output: Output) {
        // The flow itself is looked for under another name, and a simulated call is answered from its beginning.
        if !matches!(output, Output::Flow { fetch: ivr::FetchId(1), .. } | Output::Answer) {
            self.line(output.to_string());
        }
        match output {
            Output::Answer => self.at_once(Input::Start),
            Output::Play { play, prompt, repeat } => self.sounds(play, prompt.as_str(), 3_000, repeat),
            Output::PlayUrl { play, url, repeat } => {
                self.sounds(play, url.path().trim_start_matches('/'), 3_000, repeat);
            }
            Output::Say { play, say } => self.sounds(play, &say.text, 60 * say.text.chars().count() as u64, say.repeat),
            Output::StopPlay { play } => {
                self.asks = false;
                self.agenda.retain(|(_, end)| !matches!(end, End::Play(playing) if *playing == play));
                // The media engine says of a stopped sound, too, that it is over.
                self.at_once(Input::PlayEnded { play });
            }
            Output::Listen { listen, .. } => self.listens = Some(listen),
            Output::StopListen { .. } => self.listens = None,
            Output::Record { record, options } => self.records(record, options),
            Output::StopRecord { .. } => {
                let tape = self.agenda.iter().position(|(_, end)| matches!(end, End::Record { .. }));
                let (_, tape) = self.agenda.remove(tape.expect("a recording"));
                self.ended(tape, false);
            }
            Output::Bridge { bridge, with } => self.bridges(bridge, &with),
            Output::Conference { conference, .. } => {
                let input = Input::ConferenceEnded { conference, end: ConferenceEnd::default() };
                self.comes(secs(60), End::Told(input));
            }
            Output::Fetch { fetch, .. } => {
                let (status, body) = match self.next_of(|step| matches!(step, Step::Http(_))) {
                    Some(Step::Http(reply)) => (reply.status, reply.body),
                    _ => (Some(200), String::new()),
                };
                let response = |status| Response { status, body: body.into_bytes(), ..Response::default() };
                self.at_once(Input::Fetched { fetch, result: status.map(response).ok_or(FetchFault::Timeout) });
            }
            Output::Flow { fetch, name } => {
                let flow = (name == "self").then(|| self.flow.clone());
                self.at_once(Input::FlowFound { fetch, flow });
            }
            // The rest are facts, or nothing that a flow asks for: then what it waits for does not come.
            _ => {}
        }
    }

    fn sounds(&mut self, play: PlayId, what: &str, ms: u64, repeat: u32) {
        self.asks = what.starts_with(ASKS_KEYS);
        let long = millis(ms.max(500)) * u64::from(repeat);
        self.agenda.push(((repeat > 0).then_some(self.now.mono + long), End::Play(play)));
    }

    /// It ends by silence or its greatest length, whichever comes first.
    fn records(&mut self, record: RecordId, options: RecordOptions) {
        let speaks = match self.next_of(|step| matches!(step, Step::RecordS(_))) {
            Some(Step::RecordS(seconds)) => secs(seconds.min(options.max_s).into()),
            _ => 0,
        };
        // Whoever waits goes on waiting when he has spoken.
        self.busy = self.busy.max(self.now.mono + speaks);
        let longest = secs(options.max_s.into());
        let silent = speaks + secs(options.silence_s.into());
        let lasts = if options.silence_s > 0 { silent.min(longest) } else { longest };
        let began = self.now.mono;
        self.comes(lasts, End::Record { record, options, began, speaks });
        self.at_once(Input::RecordStarted { record, recording: tape(self.now) });
    }

    fn bridges(&mut self, bridge: BridgeId, with: &Bridge) {
        let status = match self.next_of(|step| matches!(step, Step::Transfer(_))) {
            Some(Step::Transfer(status)) => status,
            _ => BridgeStatus::Completed,
        };
        let rings = with.targets.iter().map(|target| u64::from(target.timeout_s));
        let rings = if with.mode == Mode::Sequential { rings.sum() } else { rings.max().unwrap_or_default() };
        let lasts = match status {
            BridgeStatus::Completed => 30,
            BridgeStatus::NoAnswer => rings,
            _ => 1,
        };
        self.comes(secs(lasts), End::Bridge { bridge, status });
        if status == BridgeStatus::Completed {
            // Whoever was not answered yet is, when the called answers.
            self.at_once(Input::BridgeAnswered { bridge });
            self.at_once(Input::Start);
        }
    }

    fn next_of(&mut self, is: impl Fn(&Step) -> bool) -> Option<Step> {
        self.script.pop_front_if(|step| is(step))
    }

    fn at_once(&mut self, input: Input) {
        self.comes(0, End::Told(input));
    }

    fn comes(&mut self, after: u64, end: End) {
        self.agenda.push((Some(self.now.mono + after), end));
    }

    fn line(&mut self, text: String) {
        self.lines.push(((self.now.mono - self.begun.mono) / millis(1), text));
    }
}

fn tape(now: Now) -> Recording {
    Recording {
        sid: "RE00000000000000000000000000000000".to_owned(),
        channels: 1,
        started_ms: now.wall,
        ..Recording::default()
    }
}
