//! What a flow may say, what each mistake is answered with, and what a caller of one hears.

mod circles;
mod document;
mod heard;
mod mistakes;
mod others;

use base::Now;
use ivr::simulate::Step;
use ivr::{CallContext, Flow, VOICEMAIL, simulate};
use serde_json::{Value, json};
use std::sync::Arc;

fn flow(value: Value) -> Arc<Flow> {
    Arc::new(Flow::parse(&value).expect("a valid flow"))
}

fn errors(value: Value) -> Vec<(String, String)> {
    let wrong = Flow::parse(&value).expect_err("accepted");
    wrong.into_iter().map(|error| (error.path, error.message)).collect()
}

fn context() -> CallContext {
    CallContext {
        call_sid: "CA1".to_owned(),
        from: "+15550000001".to_owned(),
        to: "+15550000002".to_owned(),
        ..CallContext::default()
    }
}

/// Runs a flow; each line with its second.
fn run_at(flow: &Arc<Flow>, script: Value, now: Now) -> Vec<String> {
    let steps = script.as_array().expect("a script").iter();
    let script: Vec<Step> = steps.map(|step| Step::parse(step).expect("a step")).collect();
    let voicemail = self::flow(serde_json::from_str(VOICEMAIL).expect("JSON"));
    let flows = |name: &str| (name == "voicemail").then(|| voicemail.clone());
    let lines = simulate(flow, &script, context(), &flows, now);
    lines.into_iter().map(|line| format!("{} {}", line.at_ms / 1_000, line.text)).collect()
}

fn run(flow: &Arc<Flow>, script: Value) -> Vec<String> {
    run_at(flow, script, Now::default())
}

fn menu() -> Arc<Flow> {
    flow(json!({
        "start": "menu",
        "variables": { "shop": "the shop" },
        "states": {
            "menu": {
                "menu": [{ "say": "Welcome to {{shop}}." }, "menu"], "attempts": 2, "timeout_s": 4,
                "on": { "1": "sales", "2": "pin", "none": "bye", "other": "wrong" }
            },
            "wrong": { "say": "That is no choice.", "next": "menu" },
            "sales": { "transfer": ["+15551234567", "alice"], "timeout_s": 20,
                       "on": { "completed": "bye", "busy": "busy", "other": "message" } },
            "busy": { "say": "All are busy.", "next": "message" },
            "message": { "flow": "voicemail", "with": { "box": "sales", "greeting": "Leave word for {{shop}}." }, "next": "bye" },
            "pin": { "collect": [{ "say": "Your number?" }], "into": "pin", "max_digits": 4, "next": "check", "none": "bye" },
            "check": { "http": "https://bank.example/balance/{{pin}}", "method": "GET", "into": "reply",
                       "on": { "200": "rich", "404": "unknown", "failed": "sorry", "other": "sorry" } },
            "rich": { "branch": [{ "var": "reply.balance", "greater": 1000, "next": "very rich" }], "else": "tell" },
            "very rich": { "set": { "shop": "the club" }, "next": "menu" },
            "tell": { "say": "{{pin|digits}} has {{reply.balance}} {{reply.in.0}}.", "next": "bye" },
            "unknown": { "say": "There is no {{pin}}.", "next": "pin" },
            "sorry": { "say": "It does not work now.", "next": "bye" },
            "bye": { "hangup": true }
        }
    }))
}
