//! A flow that runs: which state it is in, and what its variables hold. It does nothing by itself: it says which verb
//! comes next, and is told what the verb has brought.

use super::Flow;
use super::spoken::chosen;
use super::states::{Asking, Edge, Heard, Is, Sent, State, Test};
use super::template::{Scope, Template, lookup};
use crate::answer::{
    Bridge, CallFlow, Conference, ConferenceOptions, Gather, RINGBACK, Record, Sound, Target, Then, Verb,
};
use crate::context::CallContext;
use crate::http::{Body, FetchFault, HttpRequest, Response, cut, link};
use crate::limits::{MAX_BODY, MAX_SAY, MAX_TARGET_ADDRESS, MAX_WORD};
use crate::program::{Outcome, Pace};
use base::Now;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a flow does next.
pub(crate) enum Move {
    /// This verb; its end comes back by [`Running::take`], or by the next question what to do.
    Verb(Box<Verb>),
    /// This exchange; its end comes back by [`Running::take`].
    Http(HttpRequest),
    /// Nothing more.
    Over,
    /// It cannot go on, for this reason.
    Broken(String),
}

/// A flow between two states.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    flow: Arc<Flow>,
    variables: BTreeMap<String, Value>,
    place: Place,
    /// The sounds of this state that are still to be heard.
    sounds: VecDeque<Sound>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// This state is to be begun.
    Before(Edge),
    /// This state has begun, and what it has brought is not known yet.
    In(usize),
}

impl Running {
    pub(crate) fn new(flow: Arc<Flow>, with: BTreeMap<String, String>) -> Self {
        let given = flow.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
        let variables = given.chain(with).map(|(name, value)| (name, Value::from(value))).collect();
        let place = Place::Before(Some(flow.start));
        Self { flow, variables, place, sounds: VecDeque::new() }
    }

    /// What it does next; each state that it begins is counted.
    pub(crate) fn next(&mut self, call: &CallContext, pace: &mut Pace, now: Now) -> Move {
        if let Some(sound) = self.sounds.pop_front() {
            return Move::Verb(Box::new(Verb::Hear(sound)));
        }
        if let Place::In(_) = self.place {
            // Sounds, a conference and a flow bring nothing that it must be told.
            self.take(&Outcome::Done);
        }
        let flow = self.flow.clone();
        while let Place::Before(Some(at)) = self.place {
            let Some(state) = flow.states.get(at) else { break };
            if let Err(why) = pace.enter(state.reaches_others()) {
                let name = cut(flow.names.get(at).map(String::as_str).unwrap_or_default(), 40);
                return Move::Broken(format!("the flow goes round in a circle at the state {name:?}: {why}"));
            }
            self.place = Place::In(at);
            if let Some(step) = self.begin(state, call, now) {
                return step;
            }
        }
        Move::Over
    }

    /// Begins a state; none where it is over already.
    fn begin(&mut self, state: &State, call: &CallContext, now: Now) -> Option<Move> {
        let scope = Scope { variables: &self.variables, call };
        let verb = match state {
            State::Hear { sounds, next } => {
                self.sounds = sounds.iter().map(|heard| heard.filled(&scope)).collect();
                match self.sounds.pop_front() {
                    Some(sound) => Verb::Hear(sound),
                    None => return self.go(*next),
                }
            }
            State::Menu { ask, .. } | State::Collect { ask, .. } => Verb::Gather(Box::new(Gather {
                prompts: ask.prompts.iter().map(|heard| heard.filled(&scope)).collect(),
                max_digits: ask.max_digits,
                timeout_s: ask.timeout_s,
                finish_on: ask.finish_on,
                attempts: ask.attempts,
                keys: ask.input.0,
                speech: ask.input.1.clone(),
                then: Then::Flow,
                ..Gather::default()
            })),
            State::Set { values, next } => {
                let filled: Vec<_> = values.iter().map(|(name, text)| (name.clone(), text.text(&scope))).collect();
                filled.into_iter().for_each(|(name, value)| self.set(&name, Value::from(value)));
                return self.go(*next);
            }
            State::Branch { tests, otherwise } => {
                let found = tests.iter().find(|(test, _)| test.holds(&scope));
                let to = found.map_or(*otherwise, |(_, next)| *next);
                return self.go(to);
            }
            State::Hours { hours, open, closed } => {
                let to = if hours.is_open(now) { *open } else { *closed };
                return self.go(to);
            }
            State::Http { ask, .. } => {
                return Some(request(ask, &scope).map_or_else(Move::Broken, Move::Http));
            }
            State::Transfer { to, call: calling, .. } => {
                let targets: Vec<Target> = to
                    .iter()
                    .map(|to| to.text(&scope))
                    .filter(|to| is_address(to))
                    .map(|to| Target::new(to, calling.timeout_s))
                    .collect();
                let ringback = RINGBACK.parse().ok().filter(|_| !targets.is_empty());
                let Some(ringback) = ringback else {
                    let to = self.after(state, &Outcome::Bridged(failed()));
                    return self.go(to);
                };
                Verb::Bridge(Box::new(Bridge {
                    targets,
                    mode: calling.mode,
                    caller_id: calling.caller_id.as_ref().map(|id| id.text(&scope)).filter(|id| is_address(id)),
                    ringback,
                    time_limit_s: None,
                    hangup_on_star: false,
                    answer_on_bridge: true,
                    record: None,
                    then: Then::Flow,
                    on_refer: None,
                }))
            }
            State::Record { options, finish_on, .. } => Verb::Record(Box::new(Record {
                options: options.clone(),
                finish_on: finish_on.clone(),
                then: Then::Flow,
                callback: None,
            })),
            State::Conference { room, .. } => Verb::Conference(Box::new(Conference {
                room: cut(&room.text(&scope), MAX_WORD).to_owned(),
                options: ConferenceOptions::default(),
                time_limit_s: None,
                hangup_on_star: false,
                then: Then::Flow,
            })),
            State::Flow { name, with, .. } => Verb::Flow(CallFlow {
                name: name.clone(),
                with: with.iter().map(|(name, text)| (name.clone(), text.text(&scope))).collect(),
            }),
            State::Hangup => Verb::Hangup,
        };
        Some(Move::Verb(Box::new(verb)))
    }

    /// To another state, without having waited.
    fn go(&mut self, to: Edge) -> Option<Move> {
        self.place = Place::Before(to);
        None
    }

    fn set(&mut self, name: &str, value: Value) {
        self.variables.insert(name.to_owned(), value);
    }

    /// What the state that has begun has brought: where it leads.
    pub(crate) fn take(&mut self, outcome: &Outcome) {
        let Place::In(at) = self.place else { return };
        let flow = self.flow.clone();
        let Some(state) = flow.states.get(at) else { return };
        let next = self.after(state, outcome);
        self.place = Place::Before(next);
    }

    fn after(&mut self, state: &State, outcome: &Outcome) -> Edge {
        match (state, outcome) {
            (State::Menu { on, words, none, other, .. }, Outcome::Gathered { digits, speech, .. }) => {
                let said = speech.as_ref().filter(|_| digits.is_empty()).map(|(text, _)| text.as_str());
                let entered = said.map_or(digits.as_str(), |text| chosen(text, words, on).unwrap_or(text));
                self.set("entered", Value::from(entered));
                if entered.is_empty() { *none } else { on.get(entered).copied().unwrap_or(*other) }
            }
            (State::Collect { into, next, none, .. }, Outcome::Gathered { digits, speech, .. }) => {
                // What was said, where keys were not pressed.
                let said = speech.as_ref().map_or("", |(words, _)| words.as_str());
                let entered = if digits.is_empty() { said } else { digits.as_str() };
                self.set("entered", Value::from(entered));
                self.set(into, Value::from(entered));
                if entered.is_empty() { *none } else { *next }
            }
            (State::Http { into, on, next, .. }, Outcome::Fetched(result)) => {
                self.fetched(into.as_deref(), result);
                answered(on, result).unwrap_or(*next)
            }
            (State::Transfer { on, next, .. }, Outcome::Bridged(end)) => {
                let status = end.status.as_str();
                self.set("transfer_status", Value::from(status));
                on.get(status).or_else(|| on.get("other")).copied().unwrap_or(*next)
            }
            (State::Record { next, empty, .. }, Outcome::Recorded { recording, .. }) => {
                let url = recording.url.as_ref().map(|url| url.as_str()).unwrap_or_default();
                self.set("recording_url", Value::from(url));
                self.set("recording_sid", Value::from(recording.sid.as_str()));
                self.set("recording_seconds", Value::from(recording.duration_s));
                if recording.duration_s == 0 { *empty } else { *next }
            }
            (state, _) => plain_next(state),
        }
    }

    fn fetched(&mut self, into: Option<&str>, result: &Result<Response, FetchFault>) {
        let status = result.as_ref().map(|response| response.status).unwrap_or_default();
        self.set("http_status", Value::from(status));
        if let (Some(into), Ok(response)) = (into, result)
            && response.body.len() <= MAX_BODY
        {
            let text = || Value::from(String::from_utf8_lossy(&response.body));
            let value = serde_json::from_slice(&response.body).unwrap_or_else(|_| text());
            self.set(into, value);
        }
    }
}

/// Where a state leads whose verb has brought something else than it should.
fn plain_next(state: &State) -> Edge {
    match state {
        State::Hear { next, .. }
        | State::Collect { next, .. }
        | State::Set { next, .. }
        | State::Http { next, .. }
        | State::Transfer { next, .. }
        | State::Record { next, .. }
        | State::Conference { next, .. }
        | State::Flow { next, .. } => *next,
        State::Menu { none, .. } => *none,
        State::Branch { otherwise, .. } => *otherwise,
        State::Hours { closed, .. } => *closed,
        State::Hangup => None,
    }
}

/// Where the result of a web request leads: its status, then its class, then `other`.
fn answered(on: &BTreeMap<String, Edge>, result: &Result<Response, FetchFault>) -> Option<Edge> {
    let exact = match result {
        Ok(response) if response.body.len() <= MAX_BODY => {
            let class = format!("{}xx", response.status / 100);
            on.get(&response.status.to_string()).or_else(|| on.get(&class))
        }
        _ => on.get("failed"),
    };
    exact.or_else(|| on.get("other")).copied()
}

fn failed() -> crate::BridgeEnd {
    crate::BridgeEnd { status: crate::BridgeStatus::Failed, ..crate::BridgeEnd::default() }
}

/// True for what may be called; a variable may hold anything.
fn is_address(text: &str) -> bool {
    let speaks = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | ',');
    !text.is_empty() && text.len() <= MAX_TARGET_ADDRESS && text.chars().all(speaks)
}

fn request(ask: &Asking, scope: &Scope<'_>) -> Result<HttpRequest, String> {
    let url = link(&ask.url.url(scope), None)?;
    let fill = |pairs: &[(String, Template)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| (name.clone(), text.text(scope))).collect()
    };
    let body = match &ask.body {
        Sent::Form(pairs) => Body::Form(fill(pairs)),
        Sent::Json(pairs) => {
            let table: Map<String, Value> =
                fill(pairs).into_iter().map(|(name, text)| (name, Value::from(text))).collect();
            Body::Json(Value::from(table).to_string())
        }
    };
    let mut request = HttpRequest::new(url, ask.method, Vec::new(), 0);
    request.body = body;
    request.timeouts.total_ms = request.timeouts.total_ms.min(ask.timeout_s.saturating_mul(1_000));
    Ok(request)
}

impl Heard {
    fn filled(&self, scope: &Scope<'_>) -> Sound {
        match (&self.sound, &self.words) {
            (Sound::Say(say), Some(words)) => {
                let text = cut(&words.text(scope), MAX_SAY).to_owned();
                Sound::Say(crate::Say { text, ..say.clone() })
            }
            (sound, _) => sound.clone(),
        }
    }
}

impl Test {
    fn holds(&self, scope: &Scope<'_>) -> bool {
        let value = lookup(&self.path, scope);
        let number = || value.trim().parse::<f64>().ok();
        match &self.is {
            Is::Equal(text) => value == text.text(scope),
            Is::In(texts) => texts.contains(&value),
            Is::Begins(text) => value.starts_with(text),
            Is::Empty(is) => value.is_empty() == *is,
            Is::Less(than) => number().is_some_and(|number| number < *than),
            Is::Greater(than) => number().is_some_and(|number| number > *than),
        }
    }
}
