//! What is known of a flow without running it, and the one that comes with the product.

use crate::{flow, menu, run};
use ivr::VOICEMAIL;
use serde_json::{Value, json};

#[test]
fn a_version_is_the_content_and_not_its_order() {
    let one = json!({ "start": "a", "states": { "a": { "hangup": true }, "b": { "play": "x" } } });
    let text = r#"{ "states": { "b": { "play": "x" }, "a": { "hangup": true } }, "start": "a" }"#;
    let other: Value = serde_json::from_str(text).unwrap();
    assert_eq!(flow(one.clone()).version(), flow(other).version());
    let changed = json!({ "start": "a", "states": { "a": { "hangup": true }, "b": { "play": "y" } } });
    assert_ne!(flow(one).version(), flow(changed).version());
}

#[test]
fn names_its_prompts_and_the_flows_that_it_runs() {
    let flow = menu();
    assert_eq!((flow.prompts(), flow.flows()), (vec!["menu"], vec!["voicemail"]));
}

#[test]
fn the_shipped_voicemail_is_a_valid_flow() {
    let voicemail = flow(serde_json::from_str(VOICEMAIL).expect("JSON"));
    assert!(voicemail.prompts().is_empty());
    let lines = run(&voicemail, json!([{ "press": "#" }]));
    assert!(lines[0].contains("Please leave a message after the tone"), "{lines:?}");
    assert_eq!(lines[2..4], ["7 > press #", "7 stop-record 1"]);
}
