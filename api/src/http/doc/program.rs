//! The schema of a program: the words of `answer` ([`ivr::Answer`]) with their bounds.

use super::requests::E164;
use ivr::limits::{
    DEFAULT_RECORD_S, DEFAULT_RING_S, DEFAULT_TIMEOUT_S, MAX_ATTEMPTS, MAX_BODY, MAX_BRANCHES, MAX_GATHER_DIGITS,
    MAX_LOOP, MAX_MEMBERS, MAX_PAUSE_S, MAX_PROMPTS, MAX_RING_S, MAX_SAY, MAX_TALK_S, MAX_TARGET_ADDRESS, MAX_TARGETS,
    MAX_TIMEOUT_S, MAX_URL, MAX_VARIABLES, MAX_VERBS, MAX_WORD,
};
use serde_json::{Map, Value, json};

/// A prompt's name ([`ivr::PromptName`]).
pub(super) const PROMPT: &str = r"^[A-Za-z0-9_-](\.?[A-Za-z0-9_-])*\.?$";

/// Keys of a telephone.
pub(super) const KEYS: &str = "[0-9*#A-D]+";

/// A program, a verb, and what a verb may hold.
pub(super) fn schemas() -> [(&'static str, Value); 4] {
    let verb = json!({ "$ref": "#/components/schemas/Verb" });
    let program = json!({
        "description": format!("A verb, or verbs in a row: at most {MAX_VERBS}, nested ones included."),
        "oneOf": [{ "type": "array", "minItems": 1, "maxItems": MAX_VERBS, "items": verb }, verb],
        "examples": [{ "play": "welcome" }, [{ "gather": "menu", "max_digits": 1, "on": { "1": { "hangup": true } } }]],
    });
    [("Program", program), ("Verb", json!({ "oneOf": verbs() })), ("Sound", sound()), ("Target", target())]
}

/// One verb by itself, as a body.
pub(super) fn one(name: &str, example: &Value) -> Value {
    let own = |verb: &Value| verb["title"] == name;
    let mut verb = verbs().into_iter().find(own).unwrap_or_default();
    verb["examples"] = json!([example]);
    verb
}

fn verbs() -> Vec<Value> {
    let just_true = || json!({ "const": true });
    vec![
        verb("play", played(), &json!({ "loop": repeat() })),
        verb("say", spoken(), &voiced()),
        verb("pause", whole(1, MAX_PAUSE_S), &json!({})),
        verb("gather", gathered(), &gather()),
        verb("record", just_true(), &record()),
        verb("bridge", bridged(), &bridge()),
        verb("conference", word(), &conference()),
        verb("refer", address(), &then()),
        verb("reject", rejected(), &json!({})),
        verb("url", url(), &document()),
        verb("redirect", url(), &document()),
        verb("twiml", json!({ "type": "string", "maxLength": MAX_BODY }), &fallback()),
        verb("flow", json!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]+$", "maxLength": MAX_WORD }), &flow()),
        verb("echo", just_true(), &json!({})),
        verb("hangup", just_true(), &json!({})),
    ]
}

/// A table of one verb and its options.
fn verb(name: &str, argument: Value, options: &Value) -> Value {
    let mut properties = Map::from_iter([(name.to_owned(), argument)]);
    properties.extend(options.as_object().cloned().unwrap_or_default());
    json!({
        "type": "object", "title": name, "required": [name], "additionalProperties": false, "properties": properties,
    })
}

pub(super) fn whole(least: u32, most: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

pub(super) fn flag(unsaid: bool) -> Value {
    json!({ "type": "boolean", "default": unsaid })
}

fn word() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": MAX_WORD })
}

pub(super) fn address() -> Value {
    json!({
        "type": "string", "pattern": r#"^[!#-+\--;=?-~]+$"#, "maxLength": MAX_TARGET_ADDRESS,
        "description": "A number, the name of a registered user, or a SIP URI.",
        "examples": ["+15557654321", "alice", "sip:bob@example.com"],
    })
}

fn url() -> Value {
    json!({ "type": "string", "format": "uri", "pattern": "^https?://", "maxLength": MAX_URL })
}

fn method() -> Value {
    json!({ "enum": ["GET", "POST"], "default": "POST" })
}

pub(super) fn repeat() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": MAX_LOOP, "default": 1, "description": "How often; 0: for ever." })
}

fn then() -> Value {
    json!({ "action": url(), "method": method() })
}

fn fallback() -> Value {
    json!({ "fallback_url": url(), "fallback_method": method() })
}

fn document() -> Value {
    json!({ "method": method(), "fallback_url": url(), "fallback_method": method() })
}

/// `options` and what is asked for when the verb is over.
fn and_then(mut options: Value) -> Value {
    options["action"] = url();
    options["method"] = method();
    options
}

fn played() -> Value {
    json!({ "anyOf": [{ "type": "string", "pattern": PROMPT, "maxLength": ivr::limits::MAX_PROMPT_NAME }, url()] })
}

fn spoken() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": MAX_SAY })
}

fn voiced() -> Value {
    json!({ "voice": word(), "language": word(), "loop": repeat() })
}

fn sound() -> Value {
    json!({ "description": "Something to be heard.", "anyOf": [
        played(),
        verb("play", played(), &json!({ "loop": repeat() })),
        verb("say", spoken(), &voiced()),
        verb("pause", whole(1, MAX_PAUSE_S), &json!({})),
    ] })
}

fn gathered() -> Value {
    let sounds = json!({ "type": "array", "maxItems": MAX_PROMPTS, "items": { "$ref": "#/components/schemas/Sound" } });
    json!({ "description": "What is heard meanwhile.", "anyOf": [{ "const": true }, played(), sounds] })
}

fn gather() -> Value {
    and_then(json!({
        "loop": repeat(),
        "max_digits": whole(1, MAX_GATHER_DIGITS),
        "timeout_s": { "type": "integer", "minimum": 1, "maximum": MAX_TIMEOUT_S, "default": DEFAULT_TIMEOUT_S },
        "finish_on": { "type": "string", "pattern": "^[0-9*#A-D]?$", "default": "#" },
        "attempts": { "type": "integer", "minimum": 1, "maximum": MAX_ATTEMPTS, "default": 1 },
        "on": {
            "type": "object", "maxProperties": MAX_BRANCHES,
            "description": "What is run next, by the digits entered, `none` or `other`.",
            "propertyNames": { "pattern": format!("^({KEYS}|none|other)$") },
            "additionalProperties": { "$ref": "#/components/schemas/Program" },
        },
        "input": { "enum": ["keys", "speech", "both"], "default": "keys" },
        "language": word(),
        "hints": word(),
        "action_on_empty": flag(false),
    }))
}

fn record() -> Value {
    and_then(json!({
        "timeout_s": {
            "type": "integer", "minimum": 0, "maximum": MAX_TIMEOUT_S, "default": DEFAULT_TIMEOUT_S,
            "description": "Seconds of silence that end it; 0: none do.",
        },
        "max_s": { "type": "integer", "minimum": 1, "maximum": MAX_TALK_S, "default": DEFAULT_RECORD_S },
        "finish_on": { "type": "string", "pattern": "^[0-9*#A-D]{0,16}$", "default": "1234567890*#" },
        "beep": flag(true),
        "trim": flag(true),
        "callback": url(),
    }))
}

fn target() -> Value {
    json!({ "anyOf": [address(), {
        "type": "object", "required": ["to"], "additionalProperties": false,
        "properties": {
            "to": address(), "timeout_s": whole(1, MAX_RING_S),
            "send_digits": { "type": "string", "pattern": "^[0-9*#A-DwW]+$", "maxLength": ivr::limits::MAX_SENT_DIGITS },
            "screen_url": url(), "status_callback": url(),
            "status_callback_events": {
                "type": "array", "minItems": 1, "items": { "enum": ["initiated", "ringing", "answered", "completed"] },
            },
            "username": word(), "password": word(),
            "headers": { "type": "object", "additionalProperties": { "type": "string", "maxLength": MAX_WORD } },
        },
    }] })
}

fn bridged() -> Value {
    let one = json!({ "$ref": "#/components/schemas/Target" });
    json!({ "anyOf": [one, { "type": "array", "minItems": 1, "maxItems": MAX_TARGETS, "items": one }] })
}

fn bridge() -> Value {
    and_then(json!({
        "mode": { "enum": ["simultaneous", "sequential"], "default": "simultaneous" },
        "timeout_s": { "type": "integer", "minimum": 1, "maximum": MAX_RING_S, "default": DEFAULT_RING_S },
        "caller_id": { "anyOf": [{ "type": "string", "pattern": E164 }, address()] },
        "ringback": { "type": "string", "pattern": PROMPT, "maxLength": ivr::limits::MAX_PROMPT_NAME },
        "time_limit_s": whole(1, MAX_TALK_S),
        "hangup_on_star": flag(false),
        "answer_on_bridge": flag(true),
        "recorded": flag(false),
    }))
}

fn conference() -> Value {
    and_then(json!({
        "muted": flag(false),
        "beep": { "enum": [true, false, "on_enter", "on_exit"], "default": true },
        "start_on_enter": flag(true),
        "end_on_exit": flag(false),
        "wait": { "enum": ["music", "silence"], "default": "music" },
        "max_members": { "type": "integer", "minimum": 2, "maximum": MAX_MEMBERS, "default": MAX_MEMBERS },
        "recorded": flag(false),
        "label": word(),
        "time_limit_s": whole(1, MAX_TALK_S),
        "hangup_on_star": flag(false),
    }))
}

fn rejected() -> Value {
    json!({ "anyOf": [{ "const": true }, { "enum": ["busy", "rejected"] }, whole(400, 699)] })
}

fn flow() -> Value {
    let texts =
        json!({ "type": "object", "maxProperties": MAX_VARIABLES, "additionalProperties": { "type": "string" } });
    json!({ "with": texts })
}
