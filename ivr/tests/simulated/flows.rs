//! Random flows, all of them valid, and callers for them.
//!
//! Before each state stands one that adds its number to the variable `trail`, and the others tell of it: what a call has
//! gone through is in what it says. A sound is named by whom it is for ([`ASKS_KEYS`], [`ASKS_SPEECH`], [`TELLS`]), and a
//! silence can be told by its length ([`PATIENCE_S`]): no output says that keys are waited for.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// Letters that the name or the text of a sound begins with: of a question that takes keys, of one that does not, of what
/// asks nothing.
pub const ASKS_KEYS: char = 'k';
const ASKS_SPEECH: char = 's';
const TELLS: char = 't';

/// Seconds that a question which takes keys waits for one, and that it is silent for while it asks.
pub const PATIENCE_S: [u64; 4] = [3, 4, 5, 7];

/// States of a flow, without those that keep the trail.
const STATES: usize = 6;

/// A flow whose states lead anywhere, also back.
pub fn flow() -> impl Strategy<Value = Value> {
    prop::collection::vec((any::<[u8; 4]>(), state()), STATES).prop_map(|states| {
        let mut all = Map::new();
        for (nth, (to, mut state)) in states.into_iter().enumerate() {
            lead(&mut state, &mut to.iter().cycle().map(|to| usize::from(*to) % (2 * STATES + 1)));
            let own = name(&state, nth);
            // It begins anew with the first state, or a flow that goes round would tell longer and longer stories.
            let before = if nth == 0 { "" } else { "{{trail}}" };
            all.insert(nth.to_string(), json!({ "set": { "trail": format!("{before}{nth} ") }, "next": own }));
            all.insert(own, state);
        }
        json!({ "start": "0", "variables": { "trail": "", "v": "", "reply": "" }, "states": all })
    })
}

fn name(state: &Value, nth: usize) -> String {
    let kinds = ["menu", "collect", "branch", "hours", "http", "transfer", "record", "conference", "flow", "hangup"];
    let kind = kinds.into_iter().find(|kind| state.get(kind).is_some()).unwrap_or("heard");
    format!("{kind} {nth}")
}

/// Puts a state, or the end of the flow, in the place of each edge, which [`state`] has left as a question mark.
fn lead(value: &mut Value, to: &mut impl Iterator<Item = usize>) {
    match value {
        Value::String(text) if text == "?" => {
            let to = to.next().unwrap_or_default();
            *value = if to < 2 * STATES { json!((to % STATES).to_string()) } else { Value::Null };
        }
        Value::Array(items) => items.iter_mut().for_each(|item| lead(item, to)),
        Value::Object(table) => table.values_mut().for_each(|item| lead(item, to)),
        _ => {}
    }
}

fn state() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => heard(),
        12 => question(),
        4 => decision(),
        8 => errand(),
        1 => Just(json!({ "hangup": true })),
    ]
}

fn heard() -> impl Strategy<Value = Value> {
    let once = prop_oneof![12 => 1u32..3, 1 => Just(0)];
    prop_oneof![
        2 => Just(json!({ "say": format!("{TELLS} {{{{trail}}}}{{{{entered}}}} {{{{recording_seconds}}}}"), "next": "?" })),
        1 => (once, any::<bool>()).prop_map(|(repeat, url)| json!({ "play": sound(TELLS, url), "loop": repeat, "next": "?" })),
        1 => (1u32..3).prop_map(|seconds| json!({ "pause": seconds, "next": "?" })),
        1 => (1u32..3).prop_map(|seconds| json!({ "hear": [
            { "play": sound(TELLS, false) }, { "pause": seconds }, { "say": format!("{TELLS} {{{{v|digits}}}}"), "loop": 2 }],
            "next": "?" })),
    ]
}

fn sound(whom: char, url: bool) -> String {
    if url { format!("https://a.example/{whom}.wav") } else { whom.to_string() }
}

fn question() -> impl Strategy<Value = Value> {
    let input = select(vec!["keys", "keys", "both", "speech"]);
    let finish = select(vec!["#", "#", "", "*"]);
    (any::<bool>(), input, finish, 1u32..4, 1u32..4, 3u32..6, 0usize..4).prop_map(
        |(menu, input, finish_on, max_digits, attempts, patience, prompts)| {
            let whom = if input == "speech" { ASKS_SPEECH } else { ASKS_KEYS };
            let mut state = json!({ "max_digits": max_digits, "attempts": attempts, "input": input,
                "finish_on": finish_on, "timeout_s": if input == "speech" { 6 } else { patience } });
            let asks = match prompts {
                0 => json!(true),
                1 => json!(sound(whom, false)),
                2 if whom == ASKS_KEYS => {
                    json!([{ "say": format!("{whom} {{{{trail}}}}") }, { "pause": 7 }, { "play": sound(whom, true) }])
                }
                _ => json!([{ "play": sound(whom, false), "loop": 2 }, { "say": format!("{whom} {{{{entered}}}}") }]),
            };
            let own = if menu {
                if input != "keys" {
                    state["words"] = json!({ "1": ["yes", "yes please"], "2": "no" });
                }
                json!({ "menu": asks, "on": { "1": "?", "2": "?", "none": "?", "other": "?" } })
            } else {
                json!({ "collect": asks, "into": "v", "next": "?", "none": "?" })
            };
            if let Some((state, own)) = state.as_object_mut().zip(own.as_object()) {
                state.extend(own.clone());
            }
            state
        },
    )
}

fn decision() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({ "set": { "trail": "", "v": "{{entered}}{{reply.a.0}}" }, "next": "?" })),
        Just(json!({ "branch": [{ "var": "recording_seconds", "greater": 4, "next": "?" },
            { "var": "entered", "in": ["1", "yes"], "next": "?" },
            { "var": "transfer_status", "equals": "busy", "next": "?" }, { "var": "v", "empty": true, "next": "?" },
            { "var": "http_status", "begins": "5", "next": "?" }], "else": "?" })),
        (0u32..24, select(vec!["UTC", "+02:00"])).prop_map(|(hour, zone)| json!({
            "hours": [{ "from": format!("{hour:02}:00"), "to": format!("{:02}:30", (hour + 11) % 24) }],
            "zone": zone, "open": "?", "closed": "?" })),
    ]
}

fn errand() -> impl Strategy<Value = Value> {
    prop_oneof![
        (select(vec!["GET", "POST"]), 1u32..4).prop_map(|(method, timeout_s)| json!({
            "http": "https://a.example/{{entered}}", "method": method, "timeout_s": timeout_s, "into": "reply",
            "form": { "trail": "{{trail}}" }, "on": { "404": "?", "2xx": "?", "failed": "?" }, "next": "?" })),
        (select(vec!["simultaneous", "sequential"]), 5u32..20).prop_map(|(mode, timeout_s)| json!({
            "transfer": ["+15550000009", "{{v}}", "alice"], "mode": mode, "timeout_s": timeout_s,
            "on": { "busy": "?", "completed": "?", "other": "?" } })),
        // Nobody, where nothing was entered.
        Just(json!({ "transfer": "{{v}}", "next": "?" })),
        (0u32..4, 1u32..9, any::<bool>(), select(vec!["", "#", "1234567890*#"])).prop_map(
            |(silence, max_s, trim, keys)| json!({ "record": true, "timeout_s": silence, "max_s": max_s, "trim": trim,
                "finish_on": keys, "next": "?", "empty": "?" })
        ),
        Just(json!({ "conference": "room {{v}}", "next": "?" })),
        select(vec!["self", "self", "self", "self", "none"])
            .prop_map(|name| json!({ "flow": name, "with": { "trail": "{{trail}}in " }, "next": "?" })),
    ]
}

/// What a caller and the world do, in the words of a script. A step that nobody asks for holds up those behind it: most
/// callers press keys, and half of them hang up at last.
pub fn script() -> impl Strategy<Value = Value> {
    let steps = |step: BoxedStrategy<Value>| prop::collection::vec(step, 0..12);
    let and = |other: BoxedStrategy<Value>| prop_oneof![4 => act(), 1 => other].boxed();
    let done = prop_oneof![
        2 => steps(act()),
        2 => steps(prop_oneof![act(), speak()].boxed()),
        3 => steps(prop_oneof![2 => act(), 1 => record()].boxed()),
        2 => steps(and(others())),
        1 => steps(and(prop_oneof![speak(), record(), others()].boxed())),
    ];
    (done, any::<bool>(), prop::collection::vec(others(), 0..3)).prop_map(|(mut steps, hangs_up, after)| {
        if hangs_up {
            steps.push(json!({ "hangup": true }));
            steps.extend(after);
        }
        Value::from(steps)
    })
}

fn act() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => prop_oneof!["[0-9*#]{1,4}", "[12]#?"].prop_map(|keys| json!({ "press": keys })),
        2 => prop_oneof![9 => 0u32..12, 1 => 0u32..900].prop_map(|seconds| json!({ "wait_s": seconds })),
    ]
    .boxed()
}

fn speak() -> BoxedStrategy<Value> {
    select(vec!["yes please", "no", "what?", ""]).prop_map(|text| json!({ "speak": text })).boxed()
}

fn record() -> BoxedStrategy<Value> {
    (0u32..12).prop_map(|seconds| json!({ "record_s": seconds })).boxed()
}

fn others() -> BoxedStrategy<Value> {
    let bodies = select(vec!["", r#"{"a":["7"]}"#, "words"]);
    prop_oneof![
        (select(vec![200u16, 204, 404, 500]), bodies)
            .prop_map(|(status, body)| json!({ "http": { "status": status, "body": body } })),
        Just(json!({ "http": { "status": null } })),
        select(vec!["completed", "busy", "no-answer", "failed"]).prop_map(|how| json!({ "transfer": how })),
    ]
    .boxed()
}
