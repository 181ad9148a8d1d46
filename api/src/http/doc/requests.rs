//! What requests send: schemas with the bounds that the code keeps.

use super::{flow, program};
use crate::http::json::MAX_BODY;
use crate::http::originate::{DEFAULT_MAX_DURATION_S, DEFAULT_TIMEOUT_S, MAX_DURATION_S, MAX_METADATA, MAX_TIMEOUT_S};
use crate::http::steering::MAX_RECORD_S;
use crate::webhooks::{EVENTS, MAX_URL, USUAL};
use ivr::limits::{MAX_GATHER_DIGITS, MAX_TRANSCRIPT};
use ivr::simulate::{MAX_SCRIPT, MAX_STEP_S, TRANSFER_ENDS};
use serde_json::{Map, Value, json};

/// An E.164 number ([`carrier::Number`]).
pub(super) const E164: &str = r"^\+[1-9][0-9]{7,14}$";

/// All of them, by the names that `#/components/schemas/` has them under.
pub(super) fn schemas() -> Map<String, Value> {
    let all = [
        ("CallRequest", call()),
        ("CallChange", change()),
        ("PlayRequest", program::one("play", &json!({ "play": "welcome" }))),
        ("SayRequest", program::one("say", &json!({ "say": "One moment, please." }))),
        ("GatherRequest", program::one("gather", &json!({ "gather": "menu", "max_digits": 1 }))),
        ("StopRequest", plain(&json!({}), &[], &json!({}))),
        ("DigitsRequest", digits()),
        ("HoldRequest", plain(&json!({ "hold": { "type": "boolean" } }), &["hold"], &json!({ "hold": true }))),
        ("MuteRequest", mute()),
        ("RecordRequest", record()),
        ("TransferRequest", transfer()),
        ("BridgeRequest", program::one("bridge", &json!({ "bridge": "+15557654321" }))),
        ("ConferenceChange", conference()),
        ("ParticipantChange", participant()),
        ("RotateRequest", rotate()),
        ("RouteRequest", route()),
        ("SimulateRequest", simulate()),
    ];
    let all = all.into_iter().chain(super::provision::schemas()).map(|(name, schema)| (name.to_owned(), schema));
    let all = all.chain(flow::schemas());
    all.chain(program::schemas().into_iter().map(|(name, schema)| (name.to_owned(), schema))).collect()
}

fn call() -> Value {
    json!({
        "type": "object",
        "description": "A call to be made. A field that is null is as good as none.",
        "required": ["from", "to", "answer"],
        "additionalProperties": false,
        "properties": {
            "from": { "type": "string", "pattern": E164, "description": "A number of this tenant: what the called sees." },
            "to": { "type": "string", "pattern": E164, "description": "Whom to call." },
            "answer": { "$ref": "#/components/schemas/Program" },
            "trunk": { "type": ["string", "null"], "description": "A trunk or a group of trunks by name: no other takes the call. Without it, any may." },
            "timeout_s": {
                "type": ["integer", "null"], "minimum": 1, "maximum": MAX_TIMEOUT_S, "default": DEFAULT_TIMEOUT_S,
                "description": "Seconds that it may ring.",
            },
            "max_duration_s": {
                "type": ["integer", "null"], "minimum": 1, "maximum": MAX_DURATION_S, "default": DEFAULT_MAX_DURATION_S,
                "description": "Seconds that it may last once answered.",
            },
            "metadata": {
                "type": ["object", "null"],
                "description": format!("Your own words, given back with the call: at most {MAX_METADATA} octets as JSON."),
            },
            "status_callback": {
                "type": ["string", "null"], "format": "uri", "maxLength": MAX_URL, "pattern": "^https?://",
                "description": "Where its events are delivered, by Standard Webhooks.",
            },
            "status_callback_events": {
                "type": ["array", "null"], "items": { "type": "string", "examples": EVENTS }, "minItems": 1, "default": [USUAL],
                "description": "Which events; only beside `status_callback`. A call that runs `url` or `twiml` is told of in \
                                Twilio's form: initiated, ringing, answered, completed (the default).",
            },
            "record": {
                "enum": [true, false, 1, 2, null],
                "description": "Recorded from the answer on: in one channel (true, 1), or each side in its own (2).",
            },
            "machine_detection": {
                "anyOf": [{ "enum": ["enable", "detect_message_end", null] }, machine()],
                "description": "Who has answered is found out before the program begins, or meanwhile (`async`).",
            },
        },
        "dependentRequired": { "status_callback_events": ["status_callback"] },
        "examples": [{ "from": "+18325550100", "to": "+15557654321", "answer": { "play": "welcome" } }],
    })
}

fn change() -> Value {
    json!({
        "description": "What is to become of a call: ended, or given another program.",
        "oneOf": [
            {
                "type": "object",
                "required": ["status"],
                "additionalProperties": false,
                "properties": { "status": { "enum": ["completed", "canceled"] } },
            },
            {
                "type": "object",
                "required": ["answer"],
                "additionalProperties": false,
                "properties": { "answer": { "$ref": "#/components/schemas/Program" } },
            },
        ],
        "examples": [{ "status": "completed" }, { "answer": { "play": "goodbye" } }],
    })
}

fn conference() -> Value {
    let one = |name: &str, schema: Value| {
        json!({
            "type": "object", "additionalProperties": false, "required": [name], "properties": { name: schema },
        })
    };
    json!({
        "description": "One thing that is to happen in a conference.",
        "oneOf": [
            one("announce", json!({ "type": "string", "description": "A prompt that everybody hears." })),
            one("record", json!({ "type": "boolean", "description": "A recording begins, or ends." })),
            one("status", json!({ "enum": ["completed"], "description": "Everybody is taken out." })),
        ],
        "examples": [{ "announce": "welcome" }, { "record": true }, { "status": "completed" }],
    })
}

fn participant() -> Value {
    let flag = |what: &str| json!({ "type": "boolean", "description": what });
    let fields = json!({
        "muted": flag("Nobody hears it."),
        "deaf": flag("It hears nobody."),
        "held": flag("Both, with music."),
    });
    let mut all = plain(&fields, &[], &json!({ "muted": true }));
    all["minProperties"] = 1.into();
    all
}

fn machine() -> Value {
    let whole = |least: u32, most: u32| json!({ "type": ["integer", "null"], "minimum": least, "maximum": most });
    json!({
        "type": "object", "additionalProperties": false, "required": ["mode"],
        "properties": {
            "mode": { "enum": ["enable", "detect_message_end"] },
            "async": { "type": ["boolean", "null"], "default": false },
            "timeout_s": whole(3, 60),
            "speech_threshold_ms": whole(1_000, 6_000),
            "speech_end_threshold_ms": whole(500, 5_000),
            "silence_timeout_ms": whole(2_000, 10_000),
            "callback": { "type": ["string", "null"], "format": "uri", "pattern": "^https?://", "maxLength": MAX_URL },
        },
    })
}

/// An object with these properties and no other.
fn plain(properties: &Value, required: &[&str], example: &Value) -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": required, "properties": properties,
        "examples": [example],
    })
}

fn digits() -> Value {
    let keys = json!({
        "type": "string", "pattern": "^[0-9*#A-DwW]+$", "maxLength": ivr::limits::MAX_SENT_DIGITS,
        "description": "Keys; w is half a second of silence, W a whole one.",
    });
    plain(&json!({ "digits": keys }), &["digits"], &json!({ "digits": "12w3#" }))
}

fn mute() -> Value {
    let word = json!({
        "enum": ["inbound", "outbound", "both", "none"],
        "description": "inbound: nobody hears the far end; outbound: it hears nothing.",
    });
    plain(&json!({ "mute": word }), &["mute"], &json!({ "mute": "inbound" }))
}

fn record() -> Value {
    let properties = json!({
        "record": { "enum": ["start", "stop", "pause", "resume"] },
        "channels": { "type": ["integer", "null"], "minimum": 1, "maximum": 2, "default": 1, "description": "With `start`." },
        "beep": { "type": ["boolean", "null"], "default": false, "description": "With `start`." },
        "max_s": { "type": ["integer", "null"], "minimum": 1, "maximum": MAX_RECORD_S, "description": "With `start`." },
        "recording": { "type": ["string", "null"], "description": "Which one of those that this route has begun; all, where it is not said. Not with `start`." },
    });
    plain(&properties, &["record"], &json!({ "record": "start", "channels": 2 }))
}

fn transfer() -> Value {
    let properties = json!({
        "transfer": { "type": "string", "description": "A number, a user or a SIP URI; or the sid of a live call, with which the one that this call is joined with is joined then." },
        "by": { "enum": ["bridge", "refer", null], "description": "We call, and join both; or the far end calls (RFC 3515)." },
        "timeout_s": { "type": ["integer", "null"], "minimum": 1, "maximum": ivr::limits::MAX_RING_S },
        "caller_id": { "type": ["string", "null"] },
    });
    plain(&properties, &["transfer"], &json!({ "transfer": "+15557654321" }))
}

fn route() -> Value {
    let properties = json!({
        "to": { "type": "string", "pattern": E164, "description": "Whom a call would be to." },
        "from": { "type": ["string", "null"], "pattern": E164, "description": "Its caller ID: whether it may be shown." },
        "trunk": { "type": ["string", "null"], "description": "The trunk or the group of trunks that it would ask for." },
    });
    plain(&properties, &["to"], &json!({ "to": "+15557654321", "from": "+18325550100" }))
}

fn rotate() -> Value {
    json!({
        "type": "object",
        "required": ["what"],
        "additionalProperties": false,
        "properties": { "what": { "enum": ["auth_token", "webhook_secret"] } },
        "examples": [{ "what": "webhook_secret" }],
    })
}

fn simulate() -> Value {
    let number = json!({ "type": ["string", "null"] });
    json!({
        "type": "object",
        "description": format!("A caller for a flow that nobody calls; the whole body has at most {MAX_BODY} octets."),
        "additionalProperties": false,
        "properties": {
            "from": number,
            "to": number,
            "script": {
                "type": ["array", "null"], "maxItems": MAX_SCRIPT,
                "description": "What the caller, or the world, does, in this order.",
                "items": { "oneOf": [
                    step("press", &json!({
                        "type": "string", "pattern": "^[0-9*#A-D]+$", "maxLength": MAX_GATHER_DIGITS,
                        "description": "At once, when keys are next waited for.",
                    })),
                    step("speak", &json!({
                        "type": "string", "maxLength": MAX_TRANSCRIPT,
                        "description": "When speech is next listened to; empty: it is not understood.",
                    })),
                    step("wait_s", &seconds("The caller does nothing.")),
                    step("hangup", &json!({
                        "const": true, "description": "Of the steps after it only the answers of web servers count.",
                    })),
                    step("record_s", &seconds(
                        "The caller speaks into the next recording; without it he says nothing. What he still waits for goes \
                         on meanwhile. It ends as a live one does: by silence, its greatest length, a key or the end of the call.",
                    )),
                    step("transfer", &json!({
                        "enum": TRANSFER_ENDS.map(ivr::BridgeStatus::as_str),
                        "description": "How the next one ends: completed (the default) after 30 seconds, no-answer when it \
                                        has rung for its time, the others after one.",
                    })),
                    step("http", &json!({
                        "description": "How the next web request is answered; without it, 200 with an empty body.",
                        "oneOf": [
                            {
                                "type": "object", "required": ["status"], "additionalProperties": false,
                                "properties": {
                                    "status": { "type": "integer", "minimum": 200, "maximum": 599 },
                                    "body": { "type": "string" },
                                },
                            },
                            {
                                "type": "object", "additionalProperties": false,
                                "description": "There is no response.",
                                "properties": { "status": { "type": "null" } },
                            },
                        ],
                    })),
                ] },
            },
        },
        "examples": [{ "script": [{ "press": "1" }, { "hangup": true }] }],
    })
}

fn seconds(what: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": MAX_STEP_S, "description": format!("Seconds. {what}") })
}

fn step(word: &str, schema: &Value) -> Value {
    json!({ "type": "object", "required": [word], "additionalProperties": false, "properties": { word: schema } })
}
