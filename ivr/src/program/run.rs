//! One verb after the other: what each begins, and where its end leads.

use super::ends::{Outcome, Recording};
use super::gather::{Collecting, Step};
use super::io::{ListenId, Output, RecordId};
use super::sounding::Sounding;
use super::talk::Talking;
use super::{Frame, Life, Next, Program, Role, State};
use crate::answer::{Action, CallFlow, Callback, Gather, Sound, Then, Verb};
use crate::callbacks;
use crate::flow::{Move, Running};
use crate::http::{HttpRequest, Params};
use crate::limits::{MAX_FLOW_DEPTH, MAX_STEPS};
use base::Now;
use std::sync::Arc;

/// What a caller hears whose application has failed (TWILIO.md §3.4).
const APPLICATION_ERROR: &str = "We are sorry. An application error has occurred. Goodbye.";

/// What a call that is not answered does with this verb.
pub(super) fn next_of(verb: &Verb) -> Next {
    match verb {
        Verb::Hangup => Next::End,
        Verb::Bridge(bridge) if bridge.answer_on_bridge => Next::Bridge,
        Verb::Fetch(_) | Verb::Twiml(_) | Verb::Flow(_) | Verb::Reject { .. } => Next::Early,
        _ => Next::Heard,
    }
}

/// True for a verb that a call must be answered for (TWILIO.md §4.3, 10, 14, 15).
fn needs_an_answer(verb: &Verb) -> bool {
    match verb {
        Verb::Hear(Sound::Pause { .. }) => false,
        Verb::Bridge(bridge) => !bridge.answer_on_bridge,
        Verb::Hear(_) | Verb::Gather(_) | Verb::Record(_) | Verb::Conference(_) | Verb::Refer(_) | Verb::Echo => true,
        Verb::Fetch(_) | Verb::Twiml(_) | Verb::Flow(_) | Verb::Reject { .. } | Verb::Hangup => false,
    }
}

impl Program {
    /// Runs verbs until one of them waits.
    pub(super) fn advance(&mut self, now: Now) -> State {
        loop {
            let Some(frame) = self.frames.last_mut() else { return self.end_of_program(now) };
            let verb = match frame {
                Frame::Verbs(verbs) => verbs.next(),
                Frame::Flow(flow) => match flow.next(&self.call, &mut self.pace, now) {
                    Move::Over => None,
                    Move::Verb(verb) => Some(*verb),
                    Move::Http(request) => return self.fetch_for_flow(request, now),
                    Move::Broken(why) => return self.application_error(11200, &why, now),
                },
            };
            let state = match verb {
                None => {
                    self.frames.pop();
                    None
                }
                Some(verb) => self.run(verb, now),
            };
            if let Some(state) = state {
                return state;
            }
        }
    }

    pub(super) fn run_or_advance(&mut self, verb: Verb, now: Now) -> State {
        self.run(verb, now).unwrap_or_else(|| self.advance(now))
    }

    /// Begins a verb; none where the next may follow at once.
    fn run(&mut self, verb: Verb, now: Now) -> Option<State> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Some(self.application_error(11200, &format!("a call runs at most {MAX_STEPS} verbs"), now));
        }
        if self.life == Life::Gone {
            return self.run_without_a_caller(verb, now);
        }
        if self.life == Life::Ringing && needs_an_answer(&verb) {
            self.out.push(Output::Answer);
            return Some(State::Answering(Box::new(verb)));
        }
        Some(match verb {
            Verb::Hear(sound) => State::Sounding(Sounding::begin(&sound, now, &mut self.out)),
            Verb::Gather(gather) => match Collecting::begin(gather, &mut self.typed, now, &mut self.out) {
                Step::More(gather) => State::Gathering(gather),
                Step::Over { gather, outcome, .. } => return self.gathered(*gather, outcome, now),
            },
            Verb::Record(record) => State::Talking(Talking::record(record, now, &mut self.out)),
            Verb::Bridge(_) | Verb::Conference(_) if self.role != Role::Call => {
                self.out.warn(13201, "Dial is not allowed here: it is left out");
                return None;
            }
            Verb::Bridge(bridge) => State::Talking(Talking::bridge(*bridge, &mut self.out)),
            Verb::Conference(room) => State::Talking(Talking::conference(&room, now, &mut self.out)),
            Verb::Refer(refer) => State::Talking(Talking::refer(refer, now, &mut self.out)),
            Verb::Fetch(fetch) => self.fetch(*fetch, now),
            Verb::Twiml(inline) => self.begin_inline(&inline, now),
            Verb::Flow(flow) => self.find_flow(flow, now),
            Verb::Reject { status } => self.reject(status),
            Verb::Echo => {
                self.out.push(Output::Echo(true));
                State::Echoing
            }
            Verb::Hangup => self.hang_up(),
        })
    }

    /// What a flow still does for a call that is gone: it looks for another flow, and nothing that needs a caller.
    fn run_without_a_caller(&mut self, verb: Verb, now: Now) -> Option<State> {
        match verb {
            Verb::Flow(flow) => Some(self.find_flow(flow, now)),
            _ => {
                self.frames.clear();
                Some(State::Done)
            }
        }
    }

    pub(super) fn follow(&mut self, step: Step, now: Now) -> State {
        match step {
            Step::More(gather) => State::Gathering(gather),
            Step::Over { gather, outcome, reason } => {
                self.typed.gather_over(reason, now);
                self.gathered(*gather, outcome, now).unwrap_or_else(|| self.advance(now))
            }
        }
    }

    /// A gather is over: the flow, the document or the branch that it leads to.
    fn gathered(&mut self, gather: Gather, outcome: Outcome, now: Now) -> Option<State> {
        let empty = outcome.is_empty();
        if !empty {
            self.pace.anew();
        }
        match gather.then {
            Then::Ask(_) if empty && !gather.asks_when_empty => {
                let branch = gather.on.take("", false);
                self.enter(branch)
            }
            Then::Next => {
                let (digits, said) = match outcome {
                    Outcome::Gathered { digits, speech, .. } => (digits, speech.is_some()),
                    _ => (String::new(), false),
                };
                let branch = gather.on.take(&digits, said);
                self.enter(branch)
            }
            then => Some(self.over(then, &outcome, now)),
        }
    }

    fn enter(&mut self, branch: Option<Vec<Verb>>) -> Option<State> {
        self.frames.extend(branch.map(|verbs| Frame::Verbs(verbs.into_iter())));
        None
    }

    /// True where somebody is told of its end also when the caller has gone.
    pub(super) fn is_owed(&self, talking: &Talking) -> bool {
        let told = talking.recording().is_some_and(|record| record.callback.is_some());
        told || talking.then != Then::Next
    }

    pub(super) fn talk_over(&mut self, talking: Talking, outcome: Outcome, now: Now) -> State {
        let mut then = talking.then.clone();
        if let (Some(record), Outcome::Recorded { recording, .. }) = (talking.recording(), &outcome) {
            if let Some(callback) = record.callback.clone() {
                let kept = recording.url.is_some() && recording.error.is_none();
                self.tell_of_recording(&callback, recording, if kept { "completed" } else { "absent" });
            }
            if self.call.quirks.empty_recording_falls_through && recording.duration_s == 0 && then != Then::Flow {
                then = Then::Next;
            }
        }
        self.over(then, &outcome, now)
    }

    /// A verb is over, and leads there.
    fn over(&mut self, then: Then, outcome: &Outcome, now: Now) -> State {
        match then {
            Then::Next if self.life == Life::Gone => {
                self.frames.clear();
                State::Done
            }
            Then::Next => self.advance(now),
            Then::Flow => {
                self.tell_flow(outcome);
                self.advance(now)
            }
            Then::Ask(action) if self.life == Life::Gone => self.ask_in_vain(&action, outcome),
            Then::Ask(action) => self.ask(&action, outcome.params(), now),
        }
    }

    /// Tells the innermost flow, which has been waiting for it.
    pub(super) fn tell_flow(&mut self, outcome: &Outcome) {
        let flow = self.frames.iter_mut().rev().find_map(|frame| match frame {
            Frame::Flow(flow) => Some(flow),
            // What was put in between, and is over, may lie above it.
            Frame::Verbs(_) => None,
        });
        if let Some(flow) = flow {
            flow.take(outcome);
        }
    }

    /// The caller has gone: the document is asked for all the same, and cannot be run (TWILIO.md §4.3, 7).
    fn ask_in_vain(&mut self, action: &Action, outcome: &Outcome) -> State {
        self.frames.clear();
        if let Ok(Some(url)) = self.documents.resolve(&action.link) {
            let params = self.params(outcome.params());
            let request = HttpRequest::new(url, action.method, params, self.out.token());
            self.out.push(Output::Callback { request });
        }
        State::Done
    }

    pub(super) fn record_started(&mut self, talking: &Talking, record: RecordId, recording: &Recording) {
        let callback = talking.recording().filter(|_| talking.is_recording(record)).and_then(|r| r.callback.clone());
        if let Some(callback) = callback {
            self.tell_of_recording(&callback, recording, "in-progress");
        }
    }

    fn tell_of_recording(&mut self, callback: &Callback, recording: &Recording, event: &str) {
        if callback.events.iter().any(|wanted| wanted == event) {
            let token = self.out.token();
            let request = self.of_recording(callback, recording, event, token);
            self.out.push(Output::Tell { event: format!("recording-{event}"), request });
        }
    }

    fn of_recording(&self, callback: &Callback, recording: &Recording, event: &str, token: u32) -> HttpRequest {
        let params = callbacks::recording(&self.call, recording, event, "RecordVerb");
        HttpRequest::new(callback.url.clone(), callback.method, params, token)
    }

    /// What somebody is to be told once the recording that runs is whole; none where nobody is. The driver keeps it for the
    /// case that the process dies first.
    #[must_use]
    pub fn promised(&self, record: RecordId, recording: &Recording) -> Option<HttpRequest> {
        let State::Talking(talking) = &self.state else { return None };
        let callback = talking.recording().filter(|_| talking.is_recording(record))?.callback.as_ref()?;
        let wanted = callback.events.iter().any(|event| event == "completed");
        wanted.then(|| self.of_recording(callback, recording, "completed", 0))
    }

    pub(super) fn tell_partial(&mut self, gather: &Collecting, listen: ListenId, stable: &str, unstable: String) {
        let Some(action) = gather.hears(listen).and_then(|g| g.speech.as_ref()).and_then(|s| s.partial.clone()) else {
            return;
        };
        let Ok(Some(url)) = self.documents.resolve(&action.link) else { return };
        let own =
            vec![("StableSpeechResult".to_owned(), stable.to_owned()), ("UnstableSpeechResult".to_owned(), unstable)];
        let params = self.params(own);
        let request = HttpRequest::new(url, action.method, params, self.out.token());
        self.out.push(Output::Callback { request });
    }

    /// What every request says of the call, and then what this one says.
    pub(super) fn params(&self, own: Params) -> Params {
        let status = match self.life {
            Life::Ringing => "ringing",
            Life::Answered => "in-progress",
            Life::Gone => "completed",
        };
        let mut params = self.call.params(status);
        params.extend(own);
        params
    }

    /// A flow was found, or not.
    pub(super) fn begin_flow(&mut self, asked: CallFlow, flow: Option<Arc<crate::flow::Flow>>, now: Now) -> State {
        let Some(flow) = flow else {
            return self.application_error(11200, &format!("there is no flow {:?}", asked.name), now);
        };
        let depth = self.frames.iter().filter(|frame| matches!(frame, Frame::Flow(_))).count();
        if depth >= MAX_FLOW_DEPTH {
            let why = format!("flows call one another at most {MAX_FLOW_DEPTH} deep");
            return self.application_error(11200, &why, now);
        }
        self.frames.push(Frame::Flow(Box::new(Running::new(flow, asked.with))));
        self.advance(now)
    }

    /// The caller is told that the application has failed, and the call ends.
    pub(super) fn application_error(&mut self, code: u32, why: &str, now: Now) -> State {
        self.out.warn(code, why);
        self.frames.clear();
        if self.life == Life::Gone || self.steps > MAX_STEPS {
            return if self.life == Life::Gone { State::Done } else { self.hang_up() };
        }
        self.role = Role::Call;
        self.frames.push(Frame::Verbs(vec![Verb::Hear(Sound::words(APPLICATION_ERROR)), Verb::Hangup].into_iter()));
        self.advance(now)
    }

    fn end_of_program(&mut self, now: Now) -> State {
        if self.life == Life::Gone {
            return State::Done;
        }
        match self.role.clone() {
            Role::Call => self.hang_up(),
            Role::Screening => {
                self.out.push(Output::Join);
                State::Done
            }
            Role::Waiting(fetch) => self.fetch(*fetch, now),
        }
    }

    /// Not taken, as long as it is not answered; ended where it is.
    fn reject(&mut self, status: u16) -> State {
        if self.life != Life::Ringing {
            return self.hang_up();
        }
        self.frames.clear();
        self.out.push(Output::Reject { status });
        State::Done
    }

    fn hang_up(&mut self) -> State {
        self.frames.clear();
        self.out.push(Output::Hangup);
        State::Done
    }
}
