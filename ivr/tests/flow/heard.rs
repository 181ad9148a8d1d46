//! What a caller of a flow hears, presses and says, and where that leads.

use crate::{errors, flow, menu, run, run_at};
use base::Now;
use serde_json::{Value, json};

#[test]
fn a_menu_asks_again_and_gives_up() {
    assert_eq!(
        run(&menu(), json!([{ "press": "9" }])),
        [
            "0 say 1 \"Welcome to the shop.\"",
            "0 > press 9",
            "0 stop 1",
            "0 got \"9\" MaxDigits 1",
            "0 say 2 \"That is no choice.\"",
            // 18 letters, 60 ms each.
            "1 say 3 \"Welcome to the shop.\"",
            "2 play 4 menu",
            "9 got \"\" NoInput 1",
            "9 say 5 \"Welcome to the shop.\"",
            "10 play 6 menu",
            "17 got \"\" NoInput 2",
            "17 hangup",
        ]
    );
}

#[test]
fn what_was_entered_and_what_a_server_says_lead_on() {
    let script = json!([
        { "press": "2" }, { "press": "12" }, { "wait_s": 1 }, { "press": "34" },
        { "http": { "status": 200, "body": "{\"balance\": 17, \"in\": [\"euros\"]}" } },
    ]);
    assert_eq!(
        run(&menu(), script)[4..],
        [
            "0 say 2 \"Your number?\"",
            "0 > press 12",
            "0 stop 2",
            "1 > press 34",
            "1 got \"1234\" MaxDigits 1",
            "1 fetch 2 GET https://bank.example/balance/1234",
            "1 > the server answers: 200",
            "1 say 3 \"1 2 3 4 has 17 euros.\"",
            "2 hangup",
        ]
    );
}

#[test]
fn a_server_that_fails_has_a_branch_of_its_own() {
    let said = |reply: Value| {
        let lines = run(&menu(), json!([{ "press": "2" }, { "press": "7#" }, { "http": reply }]));
        lines.into_iter().find(|line| line.contains("say 3")).expect("something is said")
    };
    assert_eq!(said(json!({ "status": 404 })), "0 say 3 \"There is no 7.\"");
    assert_eq!(said(json!({ "status": 500 })), "0 say 3 \"It does not work now.\"");
    assert_eq!(said(json!({ "status": null })), "0 say 3 \"It does not work now.\"");
    assert_eq!(said(json!({ "status": 200, "body": "x".repeat(65_537) })), "0 say 3 \"It does not work now.\"");
    assert_eq!(said(json!({ "status": 200, "body": "{\"balance\": 5000}" })), "0 say 3 \"Welcome to the club.\"");
}

#[test]
fn what_a_caller_enters_cannot_leave_its_place_in_a_url() {
    let flow = flow(json!({ "start": "a", "states": {
        "a": { "collect": true, "into": "x", "finish_on": "", "max_digits": 3, "next": "b" },
        "b": { "http": "https://a.example/{{x}}/z?q={{from}}", "form": { "entered": "{{x}}" }, "next": "c" },
        "c": { "hangup": true } } }));
    let lines = run(&flow, json!([{ "press": "#*1" }]));
    assert_eq!(lines[2], "0 fetch 2 POST https://a.example/%23*1/z?q=%2B15550000001 entered=#*1");
}

#[test]
fn hours_are_those_of_the_place() {
    let flow = flow(json!({ "start": "h", "zone": "America/New_York", "states": {
        "h": { "hours": [{ "days": "mon-fri", "from": "09:00", "to": "17:00" }], "except": ["2026-01-01"],
               "open": "in", "closed": "out" },
        "in": { "play": "open" }, "out": { "play": "closed" } } }));
    // Milliseconds since 1970 of 2026-01-05T13:59:59Z (a Monday), 14:00:00Z, and 2026-01-01T15:00:00Z.
    for (wall, prompt) in [(1_767_621_599_000, "closed"), (1_767_621_600_000, "open"), (1_767_279_600_000, "closed")] {
        assert_eq!(run_at(&flow, json!([]), Now::new(0, wall))[0], format!("0 play 1 {prompt}"));
    }
}

#[test]
fn a_collect_hears_what_is_said_and_keeps_it() {
    let asks = |input: &str| {
        flow(json!({
            "start": "city",
            "states": {
                "city": { "collect": [{ "say": "Which city?" }], "into": "city", "input": input, "language": "en-GB",
                          "hints": "Leeds,York", "next": "told", "none": "bye" },
                "told": { "say": "{{city}} it is.", "next": "bye" },
                "bye": { "hangup": true }
            }
        }))
    };
    let lines = run(&asks("both"), json!([{ "speak": "York" }]));
    let listens = lines.iter().find(|line| line.contains("listen")).expect("it listens");
    assert!(listens.contains("en-GB") && listens.contains("Leeds,York"), "{listens}");
    assert!(lines.iter().any(|line| line.ends_with("\"York it is.\"")), "{lines:#?}");
    // Keys count beside it; where only speech is listened to, they do not.
    let lines = run(&asks("both"), json!([{ "press": "12#" }]));
    assert!(lines.iter().any(|line| line.ends_with("\"12 it is.\"")), "{lines:#?}");
    let lines = run(&asks("speech"), json!([{ "press": "12#" }]));
    assert!(!lines.iter().any(|line| line.contains("it is")), "{lines:#?}");
    let wrong = errors(json!({ "start": "a", "states": { "a": { "collect": true, "into": "x", "input": "voice" } } }));
    assert_eq!(
        wrong,
        [("flow.states.a.collect.input".to_owned(), "`keys`, `speech` or `both`; found \"voice\"".to_owned())]
    );
}

#[test]
fn a_menu_is_answered_by_what_is_said() {
    let menu = |input: &str| {
        flow(json!({ "start": "menu", "states": {
            "menu": { "menu": [{ "say": "Sales or support?" }], "input": input, "language": "en-GB", "timeout_s": 3,
                      "on": { "1": "sales", "2": "support", "none": "bye", "other": "again" },
                      "words": { "1": ["sales", "buy something"], "2": ["support", "sales support", "it's broken"] } },
            "sales": { "say": "Sales.", "next": "bye" },
            "support": { "say": "Support, for {{entered}}.", "next": "bye" },
            "again": { "say": "Not {{entered}}.", "next": "bye" },
            "bye": { "hangup": true }
        } }))
    };
    let told = |input: &str, step: Value| {
        let lines = run(&menu(input), json!([step]));
        let listens = lines.iter().find(|line| line.contains(" listen ")).expect("it listens");
        assert!(listens.contains("en-GB") && listens.contains("sales,buy something,support"), "{listens}");
        let told = lines.iter().rev().find(|line| line.contains(" say "));
        told.map(|line| line.split_once(" say ").expect("found by it").1[2..].to_owned()).expect("something is said")
    };
    for (said, wanted) in [
        ("Sales, please!", "\"Sales.\""),
        ("I would like to BUY something", "\"Sales.\""),
        ("Its broken.", "\"Support, for 2.\""),
        // The longer of two phrases, and the key's own name.
        ("the sales support", "\"Support, for 2.\""),
        ("2", "\"Support, for 2.\""),
        // Both, neither, and a part of a word.
        ("support or sales", "\"Not support or sales.\""),
        ("the weather", "\"Not the weather.\""),
        ("supporters", "\"Not supporters.\""),
    ] {
        assert_eq!(told("both", json!({ "speak": said })), wanted, "{said}");
    }
    assert_eq!(told("both", json!({ "press": "2" })), "\"Support, for 2.\"");
    // Where only speech is listened to, a key says nothing; and who says nothing has chosen nothing.
    assert_eq!(told("speech", json!({ "press": "2" })), "\"Sales or support?\"");
    assert_eq!(told("speech", json!({ "speak": "sales" })), "\"Sales.\"");
}
