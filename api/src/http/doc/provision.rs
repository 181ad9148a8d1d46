//! What requests send of tenants, trunks, numbers, users and keys.

use super::requests::E164;
use crate::registry::{MAX_LIMIT, MAX_REQUESTS_PER_MINUTE};
use serde_json::{Map, Value, json};

/// All of them: what makes one, and what changes it, of which nothing must be given.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        (
            "TenantRequest",
            made("name", &name(), &[], tenant(), json!({ "name": "acme", "sip_domain": "acme.example.com" })),
        ),
        ("TenantChange", changed(tenant(), json!({ "trunk_access": false }))),
        (
            "TrunkRequest",
            made("name", &name(), &["uri"], trunk(), json!({ "name": "second", "uri": "sip:sbc.example.com" })),
        ),
        ("TrunkChange", changed(nullable(trunk()), json!({ "max_cps": 10 }))),
        (
            "NumberRequest",
            made(
                "number",
                &number_name(),
                &[],
                number(),
                json!({ "number": "+18325550123", "answer": { "play": "welcome" } }),
            ),
        ),
        ("NumberChange", changed(number(), json!({ "answer": { "play": "goodbye" } }))),
        (
            "UserRequest",
            made("name", &user_name(), &["password"], user(), json!({ "name": "carol", "password": "correct horse" })),
        ),
        ("UserChange", changed(nullable(user()), json!({ "password": "battery staple" }))),
        ("KeyRequest", made("scope", &scope(), &[], key(), json!({ "scope": "calls", "name": "billing" }))),
        ("KeyChange", {
            let mut fields = key();
            fields["scope"] = scope();
            changed(nullable(fields), json!({ "name": "billing" }))
        }),
    ]
}

/// The same fields, each of which may be null: it is as good as none, and changes nothing.
fn nullable(mut fields: Value) -> Value {
    for field in fields.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(kind) = field.get_mut("type").filter(|kind| kind.is_string()) {
            *kind = json!([kind.clone(), "null"]);
        }
        if let Some(words) = field.get_mut("enum").and_then(Value::as_array_mut)
            && !words.contains(&Value::Null)
        {
            words.push(Value::Null);
        }
    }
    fields
}

fn made(id: &str, of_id: &Value, required: &[&str], fields: Value, example: Value) -> Value {
    let mut schema = changed(fields, example);
    schema["properties"][id] = of_id.clone();
    schema["required"] = std::iter::once(id).chain(required.iter().copied()).collect();
    schema
}

fn changed(fields: Value, example: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": fields, "examples": [example] })
}

fn name() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$" })
}

fn number_name() -> Value {
    json!({
        "type": "string", "pattern": format!(r"{E164}|^[A-Za-z0-9\-_.!~*'()&=$,;][A-Za-z0-9+\-_.!~*'()&=$,;]{{0,63}}$"),
        "description": "E.164, or any SIP user part: \"menu\", \"1001\".",
    })
}

fn user_name() -> Value {
    json!({ "type": "string", "pattern": r"^[A-Za-z0-9\-_.!~*'()+=$,]{1,64}$" })
}

fn scope() -> Value {
    json!({ "enum": ["read", "calls", "admin", "operator"], "description": "What it may do; each includes those before it." })
}

fn requests_per_minute() -> Value {
    whole(1, MAX_REQUESTS_PER_MINUTE)
}

fn whole(least: u64, most: u64) -> Value {
    json!({ "type": ["integer", "null"], "minimum": least, "maximum": most })
}

fn flag(unsaid: bool) -> Value {
    json!({ "type": ["boolean", "null"], "default": unsaid })
}

fn tenant() -> Value {
    json!({
        "trunk_access": flag(true),
        "sip_domain": { "type": ["string", "null"], "pattern": "^[A-Za-z0-9.-]{1,253}$" },
        "api_requests_per_minute": requests_per_minute(),
        "limits": {
            "type": ["object", "null"],
            "description": "How much of everything it may have; what is not named is not limited. Days are UTC.",
            "additionalProperties": false,
            "properties": limits(),
        },
    })
}

fn limits() -> Value {
    let list = |example: &str, description: &str| {
        json!({
            "type": ["array", "null"], "items": { "type": "string" }, "maxItems": carrier::MAX_ENTRIES,
            "examples": [[example]], "description": description,
        })
    };
    json!({
        "concurrent_calls": whole(0, MAX_LIMIT),
        "calls_per_second": whole(0, MAX_LIMIT),
        "minutes_per_day": whole(0, MAX_LIMIT),
        "spend_per_day": {
            "type": ["number", "string", "null"], "minimum": 0, "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})?$",
            "description": "By the rate deck, in its currency: 25, or \"12.50\".",
        },
        "countries": list("+1", "Where calls may go: DE, or +49. Without it: +1."),
        "premium_ranges": list("+1900", "Ranges that are open whatever they cost."),
    })
}

fn number() -> Value {
    json!({
        "tenant": { "type": ["string", "null"], "description": "Whose; only an operator gives a number to another." },
        "answer": { "anyOf": [{ "$ref": "#/components/schemas/Program" }, { "type": "null" }] },
    })
}

fn password() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[ -~]+$", "writeOnly": true })
}

fn user() -> Value {
    json!({ "password": password() })
}

fn key() -> Value {
    json!({
        "name": { "type": ["string", "null"], "maxLength": 64, "pattern": "^[ -~]*$" },
        "api_requests_per_minute": requests_per_minute(),
    })
}

/// What a trunk is chosen by and how it writes numbers.
fn routing() -> Value {
    let prefix = r"^\+[0-9]{1,15}$";
    let text = |description: &str| json!({ "type": ["string", "null"], "maxLength": 16, "pattern": "^[0-9+*#]*$", "description": description });
    json!({
        "group": {
            "type": ["string", "null"], "pattern": "^[A-Za-z0-9_.-]{1,64}$",
            "description": "A call may ask for the group instead of a trunk.",
        },
        "priority": {
            "type": ["integer", "null"], "minimum": 0, "maximum": u16::MAX, "default": carrier::DEFAULT_PRIORITY,
            "description": "Of trunks whose prefix is as long and whose cost is the same, the least is tried first.",
        },
        "weight": {
            "type": ["integer", "null"], "minimum": 0, "maximum": u16::MAX, "default": 0,
            "description": "Its share among its equals. 0: after those that have one, in the order of the file.",
        },
        "prefixes": {
            "type": ["array", "null"], "items": { "type": "string", "pattern": prefix }, "minItems": 1,
            "maxItems": carrier::MAX_PREFIXES, "description": "How numbers begin that it takes; without them it takes all.",
        },
        "costs": {
            "type": ["object", "null"], "propertyNames": { "pattern": prefix }, "maxProperties": carrier::MAX_PREFIXES,
            "additionalProperties": {
                "type": ["number", "string"], "minimum": 0, "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})?$",
            },
            "examples": [{ "+1": "0.0085" }],
            "description": "What a minute costs, by how numbers begin: the cheapest is tried first.",
        },
        "when_full": {
            "enum": ["next", "wait", null], "default": "next",
            "description": "What becomes of a call while it has no permit: the next trunk, or it waits for this one.",
        },
        "final_codes": {
            "type": ["array", "null"], "items": { "type": "integer", "minimum": 300, "maximum": 699 }, "maxItems": 400,
            "description": "Final responses after which no other trunk is tried.",
        },
        "number_form": {
            "enum": ["e164", "digits", "national", null], "default": "e164",
            "description": "How it writes numbers: +18325550100, 18325550100, or as they are dialled in its country.",
        },
        "country": {
            "type": ["string", "null"], "pattern": "^[1-9][0-9]{0,2}$", "description": "Of the national form: \"49\".",
        },
        "national_prefix": text("Of the national form: before a number of that country. 0 where nothing is said."),
        "international_prefix": text("Of the national form: before another country's code. 00 where nothing is said."),
        "strip": text("Taken from the front of a called number, where it stands there."),
        "prepend": text("Put before a called number then."),
    })
}

fn trunk() -> Value {
    let networks =
        || json!({ "type": ["array", "null"], "items": { "type": "string" }, "minItems": 1, "maxItems": 1000 });
    let fields = json!({
        "profile": { "enum": ["twilio", "generic", null], "default": "generic" },
        "uri": { "type": "string", "pattern": "^sips?:", "description": "sip: or sips: and a host, without a user." },
        "username": { "type": ["string", "null"], "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$" },
        "password": password(),
        "account_sid": { "type": ["string", "null"], "pattern": "^AC[0-9a-fA-F]{32}$" },
        "max_cps": whole(1, carrier::MAX_CPS.into()),
        "max_calls": whole(1, 1_000_000),
        "try_timeout_ms": whole(500, 32_000),
        "options_s": whole(0, 86_400),
        "register": flag(false),
        "register_expires_s": whole(60, 86_400),
        "accept_from": networks(),
        "media_from": networks(),
        "srtp": flag(false),
        "pass_identity": flag(false),
        "codecs": {
            "type": ["array", "null"], "items": { "enum": carrier::AudioCodec::ALL.map(|codec| codec.name()) },
            "minItems": 1, "maxItems": 4,
            "description": "The best first. Without them G.711 is offered, and whatever we speak is taken.",
        },
    });
    let mut fields: Map<String, Value> = fields.as_object().cloned().unwrap_or_default();
    fields.extend(routing().as_object().cloned().unwrap_or_default());
    fields.into()
}
