//! The schema of a flow, held against the parser: it takes whatever the parser takes, and refuses what it can.

use base::Rng;
use ivr::Flow;
use regex::Regex;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

/// Changed flows that are tried, and how many of them the parser must have taken for the test to say something.
const CASES: usize = 6_000;
const TAKEN: usize = 500;

/// Words of a schema that only tell.
const ANNOTATIONS: [&str; 6] = ["description", "title", "default", "examples", "deprecated", "format"];

/// Whether a value is what a schema of the document says (JSON Schema 2020-12, as far as the schema of a flow goes).
fn fits(schema: &Value, value: &Value) -> bool {
    schema.as_object().expect("a schema is a table").iter().all(|(word, said)| keeps(word, said, schema, value))
}

fn keeps(word: &str, said: &Value, schema: &Value, value: &Value) -> bool {
    let count = |n: Option<usize>, within: fn(usize, usize) -> bool| n.is_none_or(|n| within(n, whole(said)));
    let (table, items, text) = (value.as_object(), value.as_array(), value.as_str());
    let (keys, len, long) = (table.map(Map::len), items.map(Vec::len), text.map(|text| text.chars().count()));
    let each = |said: &Value, of: &[Value]| of.iter().all(|value| fits(said, value));
    let list = || said.as_array().expect("a list").iter();
    let has = |table: &Map<String, Value>, names: &Value| {
        names.as_array().expect("names").iter().all(|name| table.contains_key(name.as_str().expect("a name")))
    };
    match word {
        "$ref" => fits(named(said), value),
        "type" => said.as_array().map_or_else(|| is(said, value), |types| types.iter().any(|one| is(one, value))),
        "enum" => list().any(|one| one == value),
        "const" => said == value,
        "anyOf" => list().any(|one| fits(one, value)),
        "oneOf" => list().filter(|one| fits(one, value)).count() == 1,
        "not" => !fits(said, value),
        "required" => table.is_none_or(|table| has(table, said)),
        "properties" => known(said, table).all(|(schema, value)| fits(schema, value)),
        "additionalProperties" => {
            let none = Map::new();
            let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
            let mut others = table.into_iter().flatten().filter(|(name, _)| !known.contains_key(*name));
            others.all(|(_, value)| said != &Value::Bool(false) && fits(said, value))
        }
        "propertyNames" => table.into_iter().flatten().all(|(name, _)| fits(said, &json!(name))),
        "dependentRequired" => known(said, table).all(|(needs, _)| table.is_none_or(|table| has(table, needs))),
        "items" => items.is_none_or(|items| each(said, items)),
        "minProperties" => count(keys, |n, least| n >= least),
        "maxProperties" => count(keys, |n, most| n <= most),
        "minItems" => count(len, |n, least| n >= least),
        "maxItems" => count(len, |n, most| n <= most),
        "minLength" => count(long, |n, least| n >= least),
        "maxLength" => count(long, |n, most| n <= most),
        "pattern" => text.is_none_or(|text| matches(said.as_str().expect("a pattern"), text)),
        "minimum" => value.as_f64().is_none_or(|n| n >= said.as_f64().expect("a number")),
        "maximum" => value.as_f64().is_none_or(|n| n <= said.as_f64().expect("a number")),
        other => {
            assert!(ANNOTATIONS.contains(&other), "this check does not know `{other}`: teach it");
            true
        }
    }
}

/// Whether a text is of a pattern; each is compiled once.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap();
    compiled.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap()).is_match(text)
}

fn whole(said: &Value) -> usize {
    usize::try_from(said.as_u64().expect("a whole number")).unwrap()
}

fn named(reference: &Value) -> &'static Value {
    let place = reference.as_str().and_then(|place| place.strip_prefix('#')).expect("a place in the document");
    api::document().pointer(place).expect("something is there")
}

/// What is said of the properties that a table has, each with its value.
fn known<'a>(said: &'a Value, table: Option<&'a Map<String, Value>>) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let said = said.as_object().expect("a table").iter();
    said.filter_map(move |(name, said)| Some((said, table?.get(name)?)))
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("the name of a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "number" => value.is_number(),
        other => panic!("there is no type {other}"),
    }
}

fn schema() -> &'static Value {
    named(&json!("#/components/schemas/FlowDocument"))
}

/// A flow with a state of every kind, and all that it may say.
fn everything() -> Value {
    let keys = json!({ "max_digits": 3, "timeout_s": 4, "finish_on": "*", "attempts": 2, "input": "both",
        "language": "en-GB", "hints": "one,two" });
    let asks = |own: Value| {
        let mut state = keys.clone();
        state.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        state
    };
    json!({
        "start": "play", "zone": "Europe/Berlin", "description": "All of it.", "variables": { "base": "https://a.example" },
        "states": {
            "play": { "play": "welcome", "loop": 0, "next": "file" },
            "file": { "play": "https://a.example/a.wav", "loop": 2, "next": "say", "voice": 1, "language": null },
            "say": { "say": "Hello {{from|digits}}", "voice": "alice", "language": "en-GB", "loop": 1, "next": "pause" },
            "pause": { "pause": 1, "next": "hear" },
            "hear": { "hear": ["a", { "play": "b", "loop": 3 }, { "say": "c", "voice": null }, { "pause": 2 }], "next": "menu" },
            "menu": asks(json!({ "menu": "menu", "on": { "1": "collect", "2#": null, "none": "play", "other": "menu" },
                "words": { "1": ["yes", "yes please"], "2#": "no" } })),
            "collect": asks(json!({ "collect": [{ "say": "Your number?" }], "into": "pin", "next": "set", "none": "menu" })),
            "set": { "set": { "pin": "{{pin}}", "n": "" }, "next": "branch" },
            "branch": { "branch": [
                { "var": "pin", "equals": "{{n}}", "next": "hours" }, { "var": "reply.a.0", "in": ["1", "2"], "next": null },
                { "var": "pin", "begins": "1" }, { "var": "pin", "empty": false, "next": "say" },
                { "var": "n", "less": 2.5, "next": "say" }, { "var": "n", "greater": -1, "next": "say" }], "else": "hours" },
            "hours": { "hours": [{ "days": "mon-fri", "from": "09:00", "to": "17:30" }, { "from": "22:00", "to": "24:00" }],
                "zone": "+02:00", "except": ["2026-12-25"], "open": "get", "closed": "post" },
            "get": { "http": "https://a.example/{{pin}}", "method": "GET", "form": { "a": "{{pin}}" }, "timeout_s": 5,
                "into": "reply", "on": { "200": "post", "4xx": "say", "failed": null, "other": "say" }, "next": "say" },
            "post": { "http": "{{base}}/x", "json": { "a b": "{{pin}}" }, "next": "transfer" },
            "transfer": { "transfer": ["+15551234567", "{{pin}}", "sip:bob@example.com"], "timeout_s": 20, "mode": "sequential",
                "caller_id": "{{to}}", "on": { "busy": "record", "no-answer": "record", "other": "say" }, "next": "one" },
            "one": { "transfer": "alice", "next": "record" },
            "record": { "record": true, "timeout_s": 0, "max_s": 60, "finish_on": "#*", "beep": false, "trim": true,
                "next": "conference", "empty": "say" },
            "conference": { "conference": "room {{pin}}", "next": "flow" },
            "flow": { "flow": "voicemail", "with": { "box": "{{pin}}", "any name": "x" }, "next": "hangup" },
            "hangup": { "hangup": true },
        }
    })
}

/// What lies in a folder of the repository, as text.
fn files(folder: &str, ends: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_str().unwrap().ends_with(ends))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

/// The flows that the product, its examples, its guides and its description bring.
fn shipped() -> Vec<Value> {
    let mut texts = [files("ivr/flows", ".json"), files("examples", ".json")].concat();
    for guide in [files("docs", ".md"), files(".", ".md")].concat() {
        texts.extend(guide.split("```").skip(1).step_by(2).map(|code| code.trim_start_matches("json").to_owned()));
    }
    let read = texts.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let mut flows: Vec<Value> = read.filter(|value| value.get("states").is_some()).collect();
    flows.extend(schema()["examples"].as_array().unwrap().iter().cloned());
    flows
}

#[test]
fn every_flow_that_the_repository_shows_fits_it() {
    let shipped = shipped();
    assert!(shipped.len() >= 4, "{} flows are found", shipped.len());
    for flow in shipped.into_iter().chain([everything()]) {
        assert!(fits(schema(), &flow), "{flow:#}");
        assert!(Flow::parse(&flow).is_ok(), "{:?}: {flow:#}", Flow::parse(&flow));
    }
}

#[test]
fn there_is_a_schema_for_each_kind_of_state_and_the_flow_of_everything_has_them_all() {
    let kinds = named(&json!("#/components/schemas/FlowState"))["oneOf"].as_array().unwrap();
    let (mut words, all) = (Vec::new(), everything());
    for kind in kinds.iter().map(|kind| named(&kind["$ref"])) {
        let word = kind["title"].as_str().unwrap();
        assert_eq!((&kind["required"][0], &kind["additionalProperties"]), (&json!(word), &json!(false)));
        let with = all["states"].as_object().unwrap().values().filter(|state| state.get(word).is_some());
        let said: Vec<&String> = with.flat_map(|state| state.as_object().unwrap().keys()).collect();
        for (option, of) in kind["properties"].as_object().unwrap() {
            assert!(of["deprecated"] == true || said.contains(&option), "`{option}` of `{word}` is tried by nothing");
        }
        words.push(word);
    }
    // The parser names all that it knows.
    let nothing = Flow::parse(&json!({ "start": "s", "states": { "s": {} } })).unwrap_err();
    let known = nothing[0].message.split_once("write one of ").unwrap().1;
    assert_eq!(words.join(", "), known);
}

/// (a state, or a whole flow) that is wrong
#[test]
fn what_is_wrong_is_refused_by_the_schema_and_by_the_parser() {
    let states = [
        json!(null),
        json!({}),
        json!({ "sya": "Hello" }),
        json!({ "say": "a", "play": "b" }),
        json!({ "say": "" }),
        json!({ "say": "a", "loop": 1_001 }),
        json!({ "say": "a", "next": 1 }),
        json!({ "say": "a", "nxt": "s" }),
        json!({ "play": "../x" }),
        json!({ "pause": 0 }),
        json!({ "hear": [{ "gather": true }] }),
        json!({ "menu": true }),
        json!({ "menu": true, "on": { "x": "s" } }),
        json!({ "menu": true, "on": { "1": "s" }, "attempts": 11 }),
        json!({ "menu": true, "on": { "1": "s" }, "words": { "1": "a" } }),
        json!({ "menu": true, "on": { "1": "s" }, "input": "voice" }),
        json!({ "collect": true }),
        json!({ "collect": true, "into": "a-b" }),
        json!({ "set": { "x": 1 } }),
        json!({ "branch": [] }),
        json!({ "branch": [{ "var": "from" }] }),
        json!({ "branch": [{ "var": "from", "less": 1, "greater": 2 }] }),
        json!({ "hours": [{ "from": "9", "to": "17:00" }] }),
        json!({ "hours": [{ "days": "monday", "from": "09:00", "to": "17:00" }] }),
        json!({ "http": "/x" }),
        json!({ "http": "https://a.example", "json": {}, "form": {} }),
        json!({ "http": "https://a.example", "on": { "600": "s" } }),
        json!({ "http": "https://a.example", "method": "PUT" }),
        json!({ "transfer": [] }),
        json!({ "transfer": "a b" }),
        json!({ "transfer": "a", "on": { "sleepy": "s" } }),
        json!({ "record": false }),
        json!({ "record": true, "finish_on": "x" }),
        json!({ "conference": 1 }),
        json!({ "flow": "a b" }),
        json!({ "hangup": 1 }),
        json!({ "hangup": true, "next": "s" }),
    ];
    let flows = [json!([]), json!({}), json!({ "start": "s" }), json!({ "start": "s", "states": {} })];
    let flows =
        flows.into_iter().chain(states.into_iter().map(|state| json!({ "start": "s", "states": { "s": state } })));
    let more = [json!({ "zone": 1 }), json!({ "colour": "red" }), json!({ "variables": { "a b": "x" } })];
    let more = more.into_iter().map(|more| {
        let mut flow = json!({ "start": "s", "states": { "s": { "hangup": true } } });
        flow.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        flow
    });
    for flow in flows.chain(more) {
        assert!(Flow::parse(&flow).is_err(), "the parser takes {flow}");
        assert!(!fits(schema(), &flow), "the schema takes {flow}");
    }
}

/// A flow changed in one to three places: a value put in the place of another, a word taken away, or one added.
fn changed(rng: &mut Rng, flow: &Value, values: &[Value], words: &[String]) -> Value {
    let mut flow = flow.clone();
    for _ in 0..=rng.below(3) {
        let place = nth(rng, &places(&flow));
        let value = nth(rng, values);
        let Some(found) = flow.pointer_mut(&place) else { continue };
        match (rng.below(3), &mut *found) {
            (0, Value::Object(table)) => drop(table.insert(nth(rng, words), value)),
            (1, Value::Object(table)) => {
                let keys: Vec<String> = table.keys().cloned().collect();
                if !keys.is_empty() {
                    table.remove(&nth(rng, &keys));
                }
            }
            (0 | 1, Value::Array(items)) => items.push(value),
            _ => *found = value,
        }
    }
    flow
}

fn nth<T: Clone>(rng: &mut Rng, of: &[T]) -> T {
    of[usize::try_from(rng.below(of.len() as u64)).unwrap()].clone()
}

/// Every place in a document but its root, as a pointer.
fn places(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(table) => table.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(nth, value)| (nth.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let below = |(name, value): (String, &Value)| {
        let name = name.replace('~', "~0").replace('/', "~1");
        let inner: Vec<String> = places(value).into_iter().map(|rest| format!("/{name}{rest}")).collect();
        std::iter::once(format!("/{name}")).chain(inner).collect::<Vec<_>>()
    };
    children.into_iter().flat_map(below).collect()
}

#[test]
fn whatever_the_parser_takes_the_schema_takes() {
    let whole = everything();
    let mut values: Vec<Value> = places(&whole).iter().filter_map(|place| whole.pointer(place)).cloned().collect();
    values.extend([0, 1, 2, 5, 64, 65, 600, 3_600].map(Value::from));
    values.extend(
        ["", "a", "12", "#", "none", "{{from}}", "00:00", "mon", "http://a", "speech", "keys"].map(Value::from),
    );
    values.extend([json!(null), json!(true), json!(false), json!([]), json!({}), json!(1.5), json!("x".repeat(257))]);
    let mut words: Vec<String> =
        places(&whole).iter().filter_map(|place| Some(place.rsplit('/').next()?.to_owned())).collect();
    words.extend(
        ["loop", "voice", "language", "words", "1", "*", "500", "5xx", "failed", "completed"].map(str::to_owned),
    );
    let (mut rng, mut taken) = (Rng::from_u64(20_261_129), 0);
    for case in 0..CASES {
        let flow = changed(&mut rng, &whole, &values, &words);
        if flow != whole && Flow::parse(&flow).is_ok() {
            taken += 1;
            assert!(fits(schema(), &flow), "case {case}: the parser takes it, the schema does not: {flow:#}");
        }
    }
    assert!(taken >= TAKEN, "the parser has taken {taken} of {CASES}");
}
