//! The schema of a flow: one for each kind of state ([`ivr::Flow`]), with its words and their bounds.
//!
//! It takes all that the parser takes. What no schema can say (that a state, a variable or a prompt is there, what a time
//! zone is called) it leaves to the parser. Lengths that the parser counts in octets are counted in characters here.
//!
//! There is no `discriminator`: OpenAPI's is the value of one property, and what a state does is said by which word it
//! has. Each kind requires its own word and takes none of another's, so that never two of them fit.

use super::program::{KEYS, PROMPT, address, flag, repeat, whole};
use ivr::limits::{
    DEFAULT_RING_S, DEFAULT_TIMEOUT_S, MAX_ATTEMPTS, MAX_BRANCHES, MAX_FLOW, MAX_GATHER_DIGITS, MAX_HURRIED_ERRANDS,
    MAX_HURRIED_STATES, MAX_PAUSE_S, MAX_PHRASES, MAX_PROMPT_NAME, MAX_PROMPTS, MAX_RING_S, MAX_SAY, MAX_STATES,
    MAX_TALK_S, MAX_TARGETS, MAX_TIMEOUT_S, MAX_VALUE, MAX_VARIABLES, MAX_WORD,
};
use serde_json::{Map, Value, json};

/// The name of a variable.
const VARIABLE: &str = "^[A-Za-z0-9_]{1,64}$";

/// A time of day.
const TIME: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";

/// Days of the week.
const DAYS: &str = "^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?$";

/// Seconds that a web request may take at most, and where it does not say, and those of a recording that does not.
const HTTP_S: (u32, u32) = (15, 10);
const RECORD_S: u32 = 120;

/// What a state says beside the word of its kind, and which of it it must.
type Options = (Value, &'static [&'static str]);

/// All of them, by the names that `#/components/schemas/` has them under.
pub(super) fn schemas() -> Vec<(String, Value)> {
    let mut all = vec![
        ("FlowDocument".to_owned(), document()),
        ("FlowSound".to_owned(), sound()),
        ("FlowTest".to_owned(), json!({ "description": "A question about a variable.", "oneOf": tests() })),
        ("FlowSpan".to_owned(), span()),
    ];
    let kinds: Vec<(&str, Value)> =
        kinds().into_iter().map(|(word, what, of, options)| (word, state(word, what, of, options))).collect();
    let named = |word: &str| format!("Flow{}{}State", word[..1].to_uppercase(), &word[1..]);
    let each = kinds.iter().map(|(word, _)| json!({ "$ref": format!("#/components/schemas/{}", named(word)) }));
    let one = json!({
        "description": "A state. It does one thing, and the word that stands for it says which.",
        "oneOf": each.collect::<Vec<_>>(),
    });
    all.push(("FlowState".to_owned(), one));
    all.extend(kinds.into_iter().map(|(word, schema)| (named(word), schema)));
    all
}

fn document() -> Value {
    json!({
        "type": "object",
        "description": format!(
            "A flow: at most {MAX_FLOW} octets and {MAX_STATES} states. It is checked whole when it is stored, and every \
             mistake is told at once (`invalid_flow`). States that lead back to themselves need a second of the caller's, or \
             something he enters, on the way (`warnings`): a call ends with an error after {MAX_HURRIED_STATES} states in a \
             row without it, or {MAX_HURRIED_ERRANDS} of those that reach others."
        ),
        "required": ["start", "states"],
        "additionalProperties": false,
        "properties": {
            "start": edge("The state that it begins with; null: it is over at once."),
            "states": {
                "type": "object", "minProperties": 1, "maxProperties": MAX_STATES,
                "propertyNames": { "minLength": 1, "maxLength": MAX_WORD },
                "additionalProperties": { "$ref": "#/components/schemas/FlowState" },
            },
            "variables": {
                "type": "object", "maxProperties": MAX_VARIABLES, "propertyNames": { "pattern": VARIABLE },
                "additionalProperties": { "type": "string", "maxLength": MAX_VALUE },
                "description": "Those that it begins with. A text names one as {{name}}, or {{name|digits}} to have it read \
                                digit by digit.",
            },
            "zone": zone("Whose time of day it is; UTC, where nothing is said."),
            "description": { "description": "What it is for. It is kept, and means nothing else." },
        },
        "examples": [
            { "start": "hello", "states": { "hello": { "say": "Hello", "next": "end" }, "end": { "hangup": true } } },
            {
                "start": "hours", "zone": "Europe/Berlin",
                "states": {
                    "hours": {
                        "hours": [{ "days": "mon-fri", "from": "09:00", "to": "17:00" }], "open": "menu", "closed": "message",
                    },
                    "menu": {
                        "menu": [{ "say": "Sales: one. Your order: two." }], "attempts": 2,
                        "on": { "1": "sales", "2": "order", "none": "message", "other": "menu" },
                    },
                    "sales": { "transfer": ["alice", "bob"], "timeout_s": 20, "on": { "completed": null, "other": "message" } },
                    "order": { "collect": [{ "say": "Its number?" }], "into": "order", "next": "look", "none": "message" },
                    "look": {
                        "http": "https://shop.example/orders/{{order}}", "method": "GET", "into": "found",
                        "on": { "200": "tell", "other": "message" },
                    },
                    "tell": { "say": "It is {{found.status}}." },
                    "message": { "flow": "voicemail", "with": { "box": "sales" } },
                },
            },
        ],
    })
}

/// Every kind of state: its word, what it does, the word's argument, and what else it says.
fn kinds() -> Vec<(&'static str, &'static str, Value, Options)> {
    vec![
        ("play", "A prompt or a sound file.", played(), heard(json!({ "loop": repeat() }))),
        ("say", "Something is said.", spoken(), (with_next(voiced()), &[])),
        ("pause", "Silence, in seconds.", whole(1, MAX_PAUSE_S), heard(json!({}))),
        ("hear", "Sounds, one after the other.", sounds(), heard(json!({}))),
        ("menu", "A question whose answer is one of its choices.", asked(), menu()),
        ("collect", "A question whose answer is kept.", asked(), collect()),
        ("set", "Variables.", named(&json!({ "pattern": VARIABLE })), (with_next(json!({})), &[])),
        ("branch", "The first test that holds.", some(1, MAX_BRANCHES, "FlowTest"), branch()),
        ("hours", "The time of day: whether one of these is now.", some(0, MAX_BRANCHES, "FlowSpan"), hours()),
        ("http", "A web request.", url(), http()),
        ("transfer", "Others are called, and the caller is joined with the one who answers.", called(), transfer()),
        ("record", "A message.", just_true(), record()),
        ("conference", "A conference, by its name.", text(), (with_next(json!({})), &[])),
        ("flow", "Another flow, in this one.", flow_name(), (with_next(json!({ "with": named(&json!({})) })), &[])),
        ("hangup", "The end of the call.", just_true(), (json!({}), &[])),
    ]
}

fn state(word: &str, what: &str, argument: Value, (options, required): Options) -> Value {
    let mut properties = Map::from_iter([(word.to_owned(), argument)]);
    properties.extend(options.as_object().cloned().unwrap_or_default());
    let required: Vec<&str> = std::iter::once(word).chain(required.iter().copied()).collect();
    let mut state = table(properties.into(), &required);
    state["title"] = word.into();
    state["description"] = what.into();
    match word {
        "menu" => state["dependentRequired"] = json!({ "words": ["input"] }),
        "http" => state["not"] = json!({ "required": ["form", "json"] }),
        _ => {}
    }
    state
}

fn table(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

/// Where something leads.
fn edge(what: &str) -> Value {
    json!({ "type": ["string", "null"], "maxLength": MAX_WORD, "description": what })
}

fn next() -> Value {
    edge("The state that follows; null or nothing: the flow is over.")
}

fn with_next(mut options: Value) -> Value {
    options["next"] = next();
    options
}

/// A text with variables in it.
fn text() -> Value {
    json!({ "type": "string", "maxLength": MAX_VALUE, "examples": ["Hello {{from}}"] })
}

/// Texts with variables in them, by names.
fn named(names: &Value) -> Value {
    json!({ "type": "object", "maxProperties": MAX_VARIABLES, "propertyNames": names, "additionalProperties": text() })
}

fn some(least: usize, most: usize, of: &str) -> Value {
    let items = json!({ "$ref": format!("#/components/schemas/{of}") });
    json!({ "type": "array", "minItems": least, "maxItems": most, "items": items })
}

fn just_true() -> Value {
    json!({ "const": true })
}

fn flow_name() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]+$", "maxLength": MAX_WORD })
}

fn zone(what: &str) -> Value {
    json!({ "type": "string", "description": what, "examples": ["Europe/Berlin", "+02:00"] })
}

fn word() -> Value {
    json!({ "type": ["string", "null"], "minLength": 1, "maxLength": MAX_WORD })
}

fn number(most: u32, unsaid: u32) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": most, "default": unsaid })
}

fn played() -> Value {
    json!({ "anyOf": [
        { "type": "string", "pattern": PROMPT, "maxLength": MAX_PROMPT_NAME, "description": "A prompt by its name." },
        { "type": "string", "format": "uri", "pattern": "^https?://", "description": "A sound file." },
    ] })
}

fn spoken() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": MAX_SAY, "examples": ["Hello {{from}}"] })
}

fn voiced() -> Value {
    json!({ "voice": word(), "language": word(), "loop": repeat() })
}

/// The options of a state that is heard. Those that only another kind of it has are let through, and mean nothing.
fn heard(own: Value) -> Options {
    let nothing = || json!({ "deprecated": true, "description": "It means nothing here." });
    let mut options = json!({ "loop": nothing(), "voice": nothing(), "language": nothing(), "next": next() });
    for (word, schema) in own.as_object().into_iter().flatten() {
        options[word] = schema.clone();
    }
    (options, &[])
}

fn sound() -> Value {
    json!({ "description": "Something to be heard.", "anyOf": [
        played(),
        table(json!({ "play": played(), "loop": repeat() }), &["play"]),
        table(json!({ "say": spoken(), "voice": word(), "language": word(), "loop": repeat() }), &["say"]),
        table(json!({ "pause": whole(1, MAX_PAUSE_S) }), &["pause"]),
    ] })
}

fn sounds() -> Value {
    some(0, MAX_PROMPTS, "FlowSound")
}

fn asked() -> Value {
    json!({
        "description": "What is heard meanwhile; true: nothing.",
        "anyOf": [just_true(), played(), sounds()],
    })
}

fn asks() -> Value {
    json!({
        "max_digits": whole(1, MAX_GATHER_DIGITS),
        "timeout_s": number(MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S),
        "finish_on": {
            "type": "string", "pattern": "^[0-9*#A-D]?$", "default": "#", "description": "The key that ends it; empty: none.",
        },
        "attempts": number(MAX_ATTEMPTS, 1),
        "input": { "enum": ["keys", "speech", "both"], "default": "keys" },
        "language": word(),
        "hints": word(),
    })
}

fn menu() -> Options {
    let phrase = json!({ "type": "string", "minLength": 1, "maxLength": MAX_WORD });
    let mut options = asks();
    options["on"] = on(&format!("^({KEYS}|none|other)$"), "Where each choice leads.");
    options["on"]["minProperties"] = 1.into();
    options["words"] = json!({
        "type": "object", "minProperties": 1, "propertyNames": { "pattern": format!("^{KEYS}$") },
        "additionalProperties": {
            "anyOf": [phrase, { "type": "array", "minItems": 1, "maxItems": MAX_PHRASES, "items": phrase }],
        },
        "description": "What may be said for each choice; beside `input`, where that is `speech` or `both`.",
    });
    (options, &["on"])
}

/// `on`: where what has happened leads.
fn on(happens: &str, what: &str) -> Value {
    json!({
        "type": "object", "maxProperties": MAX_BRANCHES, "propertyNames": { "pattern": happens },
        "additionalProperties": edge("The state that follows; null: the flow is over."), "description": what,
    })
}

fn collect() -> Options {
    let mut options = with_next(asks());
    options["into"] = into("The variable that keeps what is entered.");
    options["none"] = edge("The state that follows where nothing is entered.");
    (options, &["into"])
}

fn into(what: &str) -> Value {
    json!({ "type": "string", "pattern": VARIABLE, "description": what })
}

fn tests() -> Vec<Value> {
    let texts = json!({ "type": "array", "maxItems": MAX_BRANCHES, "items": { "type": "string" } });
    let each = [
        ("equals", text()),
        ("in", texts),
        ("begins", json!({ "type": "string" })),
        ("empty", json!({ "type": "boolean" })),
        ("less", json!({ "type": "number" })),
        ("greater", json!({ "type": "number" })),
    ];
    let variable = json!({ "type": "string", "minLength": 1, "examples": ["pin", "reply.balance"] });
    let test =
        |(word, with): (&str, Value)| table(json!({ "var": variable, word: with, "next": next() }), &["var", word]);
    each.into_iter().map(test).collect()
}

fn branch() -> Options {
    (json!({ "else": edge("The state that follows where no test holds.") }), &[])
}

fn span() -> Value {
    let to = json!({ "anyOf": [{ "type": "string", "pattern": TIME }, { "const": "24:00" }] });
    let properties = json!({
        "days": { "type": "string", "pattern": DAYS, "default": "mon-sun" },
        "from": { "type": "string", "pattern": TIME },
        "to": to,
    });
    let mut span = table(properties, &["from", "to"]);
    span["description"] = "From one time to another; where the second is not later, it is on the next day.".into();
    span
}

fn hours() -> Options {
    let options = json!({
        "open": edge("The state that follows then."),
        "closed": edge("The state that follows at any other time."),
        "zone": zone("Whose time of day it is; the flow's, where nothing is said."),
        "except": {
            "type": "array", "maxItems": 366, "items": { "type": "string", "format": "date" },
            "description": "Days that are closed.",
        },
    });
    (options, &[])
}

fn url() -> Value {
    json!({
        "type": "string", "pattern": r"^(https?://[^/?#]|\{\{)", "maxLength": MAX_VALUE,
        "description": "Its scheme and host are written out, or it begins with a variable that only `variables` sets.",
        "examples": ["https://example.com/{{pin}}"],
    })
}

fn http() -> Options {
    let (most, unsaid) = HTTP_S;
    let options = with_next(json!({
        "method": { "enum": ["GET", "POST"], "default": "POST" },
        "form": named(&json!({})),
        "json": named(&json!({})),
        "timeout_s": number(most, unsaid),
        "into": into("The variable that keeps the response."),
        "on": on("^([2-5][0-9][0-9]|[2-5]xx|failed|other)$", "Where the response leads: its status, then its class."),
    }));
    (options, &[])
}

fn called() -> Value {
    let variable = json!({ "type": "string", "pattern": r"\{\{", "maxLength": MAX_VALUE });
    let one = json!({ "anyOf": [address(), variable] });
    json!({ "anyOf": [one, { "type": "array", "minItems": 1, "maxItems": MAX_TARGETS, "items": one }] })
}

fn transfer() -> Options {
    let options = with_next(json!({
        "timeout_s": number(MAX_RING_S, DEFAULT_RING_S),
        "mode": { "enum": ["simultaneous", "sequential"], "default": "simultaneous" },
        "caller_id": text(),
        "on": on("^(completed|busy|no-answer|failed|canceled|other)$", "Where its end leads."),
    }));
    (options, &[])
}

fn record() -> Options {
    let options = with_next(json!({
        "timeout_s": {
            "type": "integer", "minimum": 0, "maximum": MAX_TIMEOUT_S, "default": DEFAULT_TIMEOUT_S,
            "description": "Seconds of silence that end it; 0: none do.",
        },
        "max_s": number(MAX_TALK_S, RECORD_S),
        "finish_on": { "type": "string", "pattern": "^[0-9*#A-D]{0,16}$", "default": "1234567890*#" },
        "beep": flag(true),
        "trim": flag(true),
        "empty": edge("The state that follows where nothing was recorded; where it is not said, `next`."),
    }));
    (options, &[])
}
