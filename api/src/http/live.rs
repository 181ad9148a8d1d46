//! `POST /v1/calls/{sid}/{play,say,stop,gather,digits,hold,mute,record,transfer,bridge}`: what is done to a live call.
//!
//! Each is answered 202 with the call once the switch has been told; what comes of it are events. What the call's state
//! forbids is a 409 that names the state, as far as its records tell it; where the state changes on the way, the call
//! gets a `warning` event instead.
//!
//! `play`, `say` and `gather` take the verb of that name as `answer` has it. They are heard at once: the verb of the
//! program that sounds is over, a gather that runs is asked again afterwards, and then the program goes on. Over a bridge,
//! a conference or a recording of the program only `play` and `say` are heard, and that goes on.

use super::auth::Caller;
use super::calls::find;
use super::fields::Fields;
use super::problem::Problem;
use super::resource::CallResource;
use super::{Api, App, json};
use crate::keys::Scope;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ivr::Answer;
use serde_json::{Map, Value, json};
use switch::{CallSid, CallView, Command, RecordOrder, Status, Steer};

/// The longest recording that can be asked for, in seconds: a day.
const MAX_RECORD_S: u64 = 86_400;

type Body = Map<String, Value>;

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident => $read:expr;)*) => {$(
        $(#[$doc])*
        pub(super) async fn $name(
            State(app): Api,
            caller: Caller,
            Path(sid): Path<String>,
            request: Request,
        ) -> Result<Response, Problem> {
            steer(app, caller, sid, request, $read).await
        }
    )*};
}

routes! {
    /// Plays a prompt: `{"play": "welcome", "loop": 1}`.
    play => |body, _| heard("play", body);
    /// Speaks: `{"say": "Hello", "voice": …, "language": …}`.
    say => |body, _| heard("say", body);
    /// Asks: `{"gather": "menu", "max_digits": 1, "on": { … }}`.
    gather => asks;
    /// Stops what is heard: `{}`.
    stop => |body, _| Fields::of(body, &[], &[]).map(|_| Asked::Steer(Steer::Stop));
    /// Presses keys for the far end: `{"digits": "12w3#"}`.
    digits => |body, _| keys(body);
    /// Holds: `{"hold": true}` or `{"hold": false}`.
    hold => |body, _| holds(body);
    /// Silences a direction: `{"mute": "inbound"}`, `"outbound"`, `"both"` or `"none"`.
    mute => |body, _| mutes(body);
    /// Records: `{"record": "start"}`, `"stop"`, `"pause"` or `"resume"`.
    record => records;
    /// Transfers: `{"transfer": "+15557654321"}`, to a user, a SIP URI or, attended, the sid of a live call.
    transfer => transfers;
    /// Joins with another live call, or whom it calls: `{"bridge": "CA…"}`.
    bridge => |body, _| bridges(body);
}

/// What a body asks for.
enum Asked {
    Steer(Steer),
    /// Takes the place of the program that runs.
    Program(Answer),
}

async fn steer(
    app: App,
    caller: Caller,
    sid: String,
    request: Request,
    read: impl FnOnce(Body, &CallView) -> Result<Asked, Problem>,
) -> Result<Response, Problem> {
    caller.may(Scope::Calls)?;
    let body = json::object(request).await?;
    let view = find(&app, &caller, &sid).await?;
    is_answered(&view)?;
    let command = match read(body, &view)? {
        Asked::Steer(Steer::Attend { with }) => {
            other(&app, &caller, &view, with, "transfer").await?;
            Command::Steer { sid: view.sid, steer: Box::new(Steer::Attend { with }) }
        }
        Asked::Steer(steer) => {
            if let Steer::Interject(answer) = &steer {
                app.inner.prompts.ensure(answer.prompts()).await?;
            }
            Command::Steer { sid: view.sid, steer: Box::new(steer) }
        }
        Asked::Program(answer) => {
            for with in named_calls(&answer) {
                other(&app, &caller, &view, with, "bridge").await?;
            }
            app.inner.prompts.ensure(answer.prompts()).await?;
            Command::Replace { sid: view.sid, answer }
        }
    };
    app.inner.commander.send(command).await?;
    let view = app.inner.ledger.live().get(view.sid).unwrap_or(view);
    Ok((StatusCode::ACCEPTED, Json(CallResource::from(&view))).into_response())
}

fn is_answered(view: &CallView) -> Result<(), Problem> {
    match view.status {
        Status::InProgress => Ok(()),
        status if status.is_final() => {
            Err(Problem::conflict("call_ended", format!("the call has ended: {}", status.as_str())))
        }
        status => {
            let detail = format!("the call is {}: this can be done once it is in-progress", status.as_str());
            Err(Problem::conflict("call_not_answered", detail))
        }
    }
}

/// Another live call, which this one can be joined with.
async fn other(app: &App, caller: &Caller, view: &CallView, with: CallSid, field: &'static str) -> Result<(), Problem> {
    let conflict = |code, detail: String| Err(Problem::conflict(code, detail).at(field));
    let other = find(app, caller, &with.to_string()).await.map_err(|problem| problem.at(field))?;
    if with == view.sid {
        return Err(Problem::bad("invalid_value", "a call is not joined with itself: name another one").at(field));
    }
    if view.engaged.with == Some(with) {
        return conflict("calls_joined", "the two calls are joined with each other already".to_owned());
    }
    match other.status {
        Status::InProgress => Ok(()),
        status => conflict("other_call_not_answered", format!("the other call is {}", status.as_str())),
    }
}

/// The live calls that a program's first bridge names.
fn named_calls(answer: &Answer) -> Vec<CallSid> {
    let targets = match answer.verbs() {
        [ivr::Verb::Bridge(bridge), ..] => bridge.targets.as_slice(),
        _ => &[],
    };
    targets.iter().filter_map(|target| target.to.parse().ok()).collect()
}

/// The one verb of a body, by its name.
fn verb(word: &'static str, body: Body) -> Result<Answer, Problem> {
    if !body.contains_key(word) {
        let detail = format!("`{word}` is missing: the body is the verb, as in `answer`");
        return Err(Problem::bad("missing_field", detail).at(word));
    }
    Answer::parse(&Value::Object(body)).map_err(|error| {
        let path = error.path.strip_prefix("answer.").unwrap_or(&error.path).to_owned();
        Problem::bad("invalid_value", error.message).at(path)
    })
}

fn heard(word: &'static str, body: Body) -> Result<Asked, Problem> {
    verb(word, body).map(|answer| Asked::Steer(Steer::Interject(answer)))
}

fn asks(body: Body, view: &CallView) -> Result<Asked, Problem> {
    let answer = verb("gather", body)?;
    let joined = view.engaged.with.map(|with| format!("it is joined with {with}"));
    let busy =
        joined.or_else(|| view.engaged.conference.as_ref().map(|room| format!("it is in the conference {room}")));
    match busy {
        None => Ok(Asked::Steer(Steer::Interject(answer))),
        Some(state) => Err(Problem::conflict("call_joined", format!("nothing can be asked now: {state}"))),
    }
}

fn keys(body: Body) -> Result<Asked, Problem> {
    let keys = Fields::of(body, &["digits"], &[])?.text("digits")?;
    if ivr::are_sent(&keys) {
        return Ok(Asked::Steer(Steer::Digits(keys)));
    }
    let detail = format!(
        "1 to {} of 0-9 * # A-D, with w for half a second of silence and W for a whole one",
        ivr::limits::MAX_SENT_DIGITS
    );
    Err(Problem::bad("invalid_value", detail).at("digits"))
}

fn holds(body: Body) -> Result<Asked, Problem> {
    match Fields::of(body, &["hold"], &[])?.required("hold")? {
        Value::Bool(on) => Ok(Asked::Steer(Steer::Hold(on))),
        _ => Err(Problem::bad("invalid_value", "`hold` is true or false").at("hold")),
    }
}

fn mutes(body: Body) -> Result<Asked, Problem> {
    let word = Fields::of(body, &["mute"], &[])?.text("mute")?;
    let (inbound, outbound) = match word.as_str() {
        "inbound" => (true, false),
        "outbound" => (false, true),
        "both" => (true, true),
        "none" => (false, false),
        _ => {
            let detail = "`mute` is \"inbound\" (nobody hears the far end), \"outbound\" (it hears nothing), \"both\" or \"none\"";
            return Err(Problem::bad("invalid_value", detail).at("mute"));
        }
    };
    Ok(Asked::Steer(Steer::Mute { inbound, outbound }))
}

fn records(body: Body, view: &CallView) -> Result<Asked, Problem> {
    let mut fields = Fields::of(body, &["record", "channels", "beep", "max_s", "recording"], &[])?;
    let word = fields.text("record")?;
    if word == "start" {
        return starts(fields);
    }
    let recording = fields.optional_text("recording")?;
    let order = match word.as_str() {
        "stop" => RecordOrder::Stop(recording.clone()),
        "pause" => RecordOrder::Pause(recording.clone()),
        "resume" => RecordOrder::Resume(recording.clone()),
        _ => {
            let detail = "`record` is \"start\", \"stop\", \"pause\" or \"resume\"";
            return Err(Problem::bad("invalid_value", detail).at("record"));
        }
    };
    let running = &view.engaged.recordings;
    if !running.iter().any(|sid| recording.as_ref().is_none_or(|meant| meant == sid)) {
        let detail = "the call is not being recorded, or not by that recording";
        return Err(Problem::conflict("not_recording", detail));
    }
    Ok(Asked::Steer(Steer::Record(order)))
}

fn starts(mut fields: Fields) -> Result<Asked, Problem> {
    let dual = fields.whole("channels", 1..=2, 1)? == 2;
    let beep = match fields.take("beep") {
        None => false,
        Some(Value::Bool(beep)) => beep,
        Some(_) => return Err(Problem::bad("invalid_value", "`beep` is true or false").at("beep")),
    };
    let max_s = match fields.take("max_s") {
        None => None,
        Some(value) => match value.as_u64().filter(|seconds| (1..=MAX_RECORD_S).contains(seconds)) {
            Some(seconds) => u32::try_from(seconds).ok(),
            None => {
                let detail = format!("`max_s` is a whole number from 1 to {MAX_RECORD_S}");
                return Err(Problem::bad("invalid_value", detail).at("max_s"));
            }
        },
    };
    if fields.take("recording").is_some() {
        let detail = "`recording` names one that runs; one that starts gets its sid by the event `recording`";
        return Err(Problem::bad("invalid_value", detail).at("recording"));
    }
    Ok(Asked::Steer(Steer::Record(RecordOrder::Start { dual, beep, max_s })))
}

fn transfers(body: Body, view: &CallView) -> Result<Asked, Problem> {
    let mut fields = Fields::of(body, &["transfer", "by", "timeout_s", "caller_id"], &[])?;
    let to = fields.text("transfer")?;
    let by = fields.optional_text("by")?;
    if let Ok(with) = to.parse::<CallSid>() {
        return match (view.engaged.with, by.as_deref()) {
            (_, Some(_)) => {
                Err(Problem::bad("invalid_value", "`by` is for a transfer to somebody who is called; leave it out")
                    .at("by"))
            }
            (None, None) => {
                Err(Problem::conflict("call_not_joined", "the call is joined with nobody who could be transferred"))
            }
            (Some(_), None) => Ok(Asked::Steer(Steer::Attend { with })),
        };
    }
    match by.as_deref() {
        Some("refer") => verb("refer", json_object(json!({ "refer": to })))
            .map_err(|problem| problem.at("transfer"))
            .map(|_| Asked::Steer(Steer::Refer(to))),
        None | Some("bridge") => {
            let mut verb_of = json_object(json!({ "bridge": to }));
            for option in ["timeout_s", "caller_id"] {
                verb_of.extend(fields.take(option).map(|value| (option.to_owned(), value)));
            }
            verb("bridge", verb_of).map_err(|problem| problem.at("transfer")).map(Asked::Program)
        }
        Some(_) => {
            let detail = "`by` is \"bridge\" (we call, and join both) or \"refer\" (the far end calls)";
            Err(Problem::bad("invalid_value", detail).at("by"))
        }
    }
}

fn json_object(value: Value) -> Body {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn bridges(body: Body) -> Result<Asked, Problem> {
    verb("bridge", body).map(Asked::Program)
}
