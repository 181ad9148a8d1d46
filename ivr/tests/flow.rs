//! What a flow may say, what each mistake is answered with, and what a caller of one hears.

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
fn a_transfer_that_fails_leads_to_voicemail_and_its_message_is_told_of() {
    let script = json!([{ "press": "1" }, { "transfer": "busy" }, { "record_s": 12 }, { "wait_s": 60 }]);
    let lines = run(&menu(), script);
    assert_eq!(
        lines[4..],
        [
            "0 bridge 1 +15551234567(20) alice(20) answer-on-bridge",
            "1 > the transfer ends: busy",
            "1 say 2 \"All are busy.\"",
            // 13 letters.
            "1 flow 2 voicemail",
            "1 say 3 \"Leave word for the shop.\"",
            "3 record 1 silence=5 max=180 beep trim",
            // Twelve seconds of speech, five of silence.
            "20 > the recording ends: 12 s",
            "20 say 4 \"Thank you. Your message has been left. Goodbye.\"",
            "23 hangup",
        ]
    );
}

fn mailbox() -> Arc<Flow> {
    flow(json!({ "start": "a", "states": {
        "a": { "flow": "voicemail", "with": { "box": "bob", "notify": "https://a.example/new?x=1" } } } }))
}

#[test]
fn a_message_is_told_of_also_when_the_caller_hangs_up() {
    let lines = run(&mailbox(), json!([{ "record_s": 9 }, { "wait_s": 3 }, { "hangup": true }]));
    assert_eq!(lines[2], "7 record 1 silence=5 max=180 beep trim");
    // Whoever hangs up has recorded what lies before it, silence and all.
    assert_eq!(lines[3..5], ["19 > hang up", "19 > the recording ends: 12 s"]);
    assert!(lines[5].starts_with("19 fetch 3 POST https://a.example/new?x=1 "), "{lines:?}");
    for told in ["box=bob", "from=+15550000001", "call_sid=CA1", "recording_seconds=12"] {
        assert!(lines[5].contains(told), "{lines:?}");
    }
    assert_eq!(lines[6..], ["19 > the server answers: 200"]);
}

#[test]
fn a_caller_who_says_nothing_has_left_no_message() {
    for script in [json!([]), json!([{ "record_s": 0 }]), json!([{ "wait_s": 600 }])] {
        let lines = run(&mailbox(), script);
        assert_eq!(lines[2], "7 record 1 silence=5 max=180 beep trim");
        assert_eq!(lines[3], "12 > the recording ends: 0 s");
        assert!(lines[4].contains("No message was recorded"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains("fetch")), "{lines:?}");
        assert!(lines.last().is_some_and(|line| line.ends_with(" hangup")), "{lines:?}");
    }
}

/// (its options, the script, how it ends)
#[test]
fn a_recording_ends_by_silence_its_length_a_key_and_the_caller_as_a_live_one_does() {
    let table = [
        (json!({ "timeout_s": 4, "trim": false }), json!([{ "record_s": 3 }]), "7 > the recording ends: 7 s"),
        (json!({ "timeout_s": 4 }), json!([{ "record_s": 3 }]), "7 > the recording ends: 3 s"),
        // Silence that it does not end by is part of it, and so is what was said until its greatest length.
        (json!({ "timeout_s": 0, "max_s": 20 }), json!([{ "record_s": 3 }]), "20 > the recording ends: 20 s"),
        (json!({ "max_s": 6 }), json!([{ "record_s": 30 }]), "6 > the recording ends: 6 s"),
        (json!({ "max_s": 2 }), json!([]), "2 > the recording ends: 2 s"),
        (json!({}), json!([{ "record_s": 3 }, { "press": "#" }]), "3 > the recording ends: 3 s"),
        (json!({ "finish_on": "1" }), json!([{ "record_s": 3 }, { "press": "#" }]), "8 > the recording ends: 3 s"),
        (json!({}), json!([{ "wait_s": 2 }, { "hangup": true }]), "2 > the recording ends: 2 s"),
    ];
    for (options, script, ends) in table {
        let mut state = json!({ "record": true });
        state.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let lines = run(&flow(json!({ "start": "r", "states": { "r": state } })), script.clone());
        assert!(lines.iter().any(|line| line == ends), "{options} {script}: {lines:?}, not {ends:?}");
    }
}

#[test]
fn a_wait_lasts_though_the_caller_speaks_into_a_recording_meanwhile() {
    let flow = flow(json!({ "start": "p", "states": { "p": { "pause": 1, "next": "r" }, "r": { "record": true } } }));
    let lines = run(&flow, json!([{ "wait_s": 4 }, { "record_s": 1 }, { "press": "#" }]));
    assert_eq!(lines[1..], ["4 > press #", "4 stop-record 1", "4 > the recording ends: 3 s", "4 hangup"]);
}

#[test]
fn a_transfer_rings_for_its_time_and_is_canceled_by_a_caller_who_hangs_up() {
    let calls = flow(json!({ "start": "t", "states": {
        "t": { "transfer": ["alice", "bob"], "mode": "sequential", "timeout_s": 12, "next": "tell" },
        "tell": { "http": "https://a.example/{{transfer_status}}" } } }));
    let told = |script: Value| -> Vec<String> {
        let lines = run(&calls, script);
        lines.into_iter().filter(|line| line.contains("transfer ends") || line.contains("fetch")).collect()
    };
    for (script, second, status) in [
        (json!([]), 30, "completed"),
        (json!([{ "transfer": "no-answer" }]), 24, "no-answer"),
        (json!([{ "transfer": "failed" }]), 1, "failed"),
        (json!([{ "transfer": "no-answer" }, { "wait_s": 5 }, { "hangup": true }]), 5, "canceled"),
        (json!([{ "wait_s": 5 }, { "hangup": true }]), 5, "completed"),
    ] {
        let lines = told(script.clone());
        assert_eq!(lines[0], format!("{second} > the transfer ends: {status}"), "{script}");
        assert!(lines[1].contains(&format!("https://a.example/{status}")), "{script}: {lines:?}");
    }
}

#[test]
fn a_web_server_answers_by_the_script_also_when_the_caller_has_gone() {
    let asks = flow(json!({ "start": "r", "states": {
        "r": { "record": true, "next": "h" },
        "h": { "http": "https://a.example/x", "on": { "500": "again" } },
        "again": { "http": "https://b.example/y" } } }));
    let lines =
        run(&asks, json!([{ "wait_s": 1 }, { "hangup": true }, { "press": "1" }, { "http": { "status": 500 } }]));
    assert!(lines.iter().any(|line| line == "1 > the server answers: 500"), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("b.example")), "{lines:?}");
}

/// (a step that is wrong, what it must say)
#[test]
fn says_what_to_write_instead_of_a_wrong_step() {
    let table = [
        (json!("hangup"), "a step is a table such as"),
        (json!({}), "a step does one thing"),
        (json!({ "press": "1", "hangup": true }), "a step does one thing"),
        (json!({ "pres": "1" }), "did you mean `press`?"),
        (json!({ "sleep": 1 }), "write one of press, speak"),
        (json!({ "press": "xyz" }), "keys of 0-9 * # A-D"),
        (json!({ "press": "" }), "1 to 64 keys"),
        (json!({ "press": "1".repeat(65) }), "1 to 64 keys"),
        (json!({ "press": 1 }), "found 1"),
        (json!({ "speak": true }), "found true"),
        (json!({ "speak": "a".repeat(8_193) }), "at most 8192 bytes"),
        (json!({ "wait_s": -1 }), "from 0 to 14400"),
        (json!({ "wait_s": 14_401 }), "from 0 to 14400"),
        (json!({ "wait_s": "1" }), "a whole number of seconds"),
        (json!({ "record_s": 1.5 }), "found 1.5"),
        (json!({ "hangup": false }), "write { \"hangup\": true }"),
        (json!({ "hangup": null }), "found null"),
        (json!({ "transfer": "canceled" }), "by a caller who hangs up"),
        (json!({ "transfer": "sleepy" }), "one of completed, busy, no-answer, failed"),
        (json!({ "http": 200 }), "such as { \"status\": 200"),
        (json!({ "http": { "status": 99 } }), "from 200 to 599"),
        (json!({ "http": { "status": 700 } }), "from 200 to 599"),
        (json!({ "http": { "stats": 200 } }), "`stats` means nothing here"),
        (json!({ "http": { "status": 200, "body": {} } }), "`body` is a text"),
        (json!({ "http": { "body": "x" } }), "a body comes with a status"),
    ];
    for (step, says) in table {
        let why = Step::parse(&step).expect_err("accepted");
        assert!(why.contains(says), "{step}: {why:?}, not {says:?}");
    }
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
fn a_flow_that_goes_round_in_a_circle_is_ended() {
    let flow = flow(json!({ "start": "a", "states": {
        "a": { "set": { "x": "1" }, "next": "b" }, "b": { "set": { "x": "2" }, "next": "a" } } }));
    let lines = run(&flow, json!([]));
    assert!(lines[0].contains("200 states in a row without a second of the caller"), "{lines:?}");
    assert!(lines[1].contains("An application error has occurred"), "{lines:?}");
    assert_eq!(lines[2], "3 hangup");
}

#[test]
fn flows_that_call_one_another_for_ever_are_ended() {
    let deep = flow(json!({ "start": "a", "states": { "a": { "flow": "self" } } }));
    let found = deep.clone();
    let lines = simulate(&deep, &[], context(), &|_| Some(found.clone()), Now::default());
    assert!(lines.iter().any(|line| line.text.contains("at most 8 deep")), "{lines:?}");
    let missing = simulate(&deep, &[], context(), &|_| None, Now::default());
    assert!(missing.iter().any(|line| line.text.contains("there is no flow \"self\"")), "{missing:?}");
}

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
fn tells_everything_that_is_wrong_at_once() {
    let found = errors(json!({
        "start": "mneu", "zone": "Mars", "colour": 1,
        "variables": { "a b": "x", "n": 1 },
        "states": {
            "menu": { "menu": "menu", "on": { "1": "slaes", "x": "menu", "12": "menu" }, "max_digits": 1 },
            "sales": { "say": "{{nmae}}", "nxt": "menu" },
            "two": { "say": "a", "play": "b" },
            "none": {},
            "net": { "http": "https://{{from}}/x", "method": "PUT", "on": { "600": "menu" } },
        }
    }));
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    for path in [
        "flow.colour",
        "flow.zone",
        "flow.variables.a b",
        "flow.variables.n",
        "flow.start",
        "flow.states.menu.on.1",
        "flow.states.menu.on.x",
        "flow.states.menu.on.12",
        "flow.states.sales.nxt",
        "flow.states.sales.say",
        "flow.states.two",
        "flow.states.none",
        "flow.states.net.http",
        "flow.states.net.method",
        "flow.states.net.on.600",
    ] {
        assert!(paths.contains(&path), "{path} is not among {paths:#?}");
    }
    let says = |path: &str| found.iter().find(|(found, _)| found == path).map(|(_, message)| message.as_str()).unwrap();
    assert!(says("flow.start").contains("did you mean `menu`?"));
    assert!(says("flow.states.menu.on.1").contains("did you mean `sales`?"));
    assert!(says("flow.states.sales.nxt").contains("did you mean `next`?"));
    assert!(says("flow.states.net.http").contains("scheme and host written out"));
}

/// (state, path within it, what the message must say)
#[test]
fn says_what_to_write_instead() {
    let table: Vec<(Value, &str, &str)> = vec![
        (json!(7), "", "a state is a table"),
        (json!({ "mneu": true }), "", "did you mean `menu`?"),
        (json!({ "say": "{{x" }), ".say", "without `}}`"),
        (json!({ "say": "{{from|loud}}" }), ".say", "there is `digits`"),
        (json!({ "play": "../x" }), ".play", "'/'"),
        (json!({ "pause": 0 }), ".pause", "from 1 to 3600"),
        (json!({ "hear": "a" }), ".hear", "an array of sounds"),
        (json!({ "menu": true }), ".on", "a menu leads somewhere"),
        (json!({ "menu": true, "on": { "#": "s" } }), ".on.#", "set `finish_on`"),
        (json!({ "menu": true, "on": { "1": 5 } }), ".on.1", "the name of a state; found 5"),
        (json!({ "menu": true, "on": { "1": "s" }, "timeout_s": 0 }), ".menu.timeout_s", "from 1 to 120"),
        (json!({ "collect": true }), ".into", "keeps what is entered"),
        (json!({ "collect": true, "into": "a-b" }), ".into", "A-Z a-z 0-9 _"),
        (json!({ "set": { "x": 1 } }), ".set.x", "a text such as"),
        (json!({ "branch": [] }), ".branch", "1 to 64 tests"),
        (json!({ "branch": [{ "var": "nope", "equals": "1" }] }), ".branch[0].var", "there is no variable `nope`"),
        (json!({ "branch": [{ "var": "from" }] }), ".branch[0]", "one comparison of"),
        (json!({ "branch": [{ "var": "from", "less": "a" }] }), ".branch[0].less", "found \"a\""),
        (json!({ "hours": [{ "from": "9", "to": "17:00" }] }), ".hours[0].from", "a time such as"),
        (json!({ "hours": [{ "days": "mo", "from": "09:00", "to": "24:00" }] }), ".hours[0].days", "mon, tue"),
        (json!({ "hours": [{ "from": "+9:00", "to": "17:00" }] }), ".hours[0].from", "a time such as"),
        (json!({ "hours": vec![json!({ "from": "09:00", "to": "17:00" }); 65] }), ".hours", "at most 64 times"),
        (json!({ "hours": [], "except": ["soon"] }), ".except", "2026-12-25"),
        (json!({ "hours": [], "zone": "Nowhere" }), ".zone", "Europe/Berlin"),
        (json!({ "http": "/x" }), ".http", "scheme and host"),
        (json!({ "http": "https://a.example", "json": {}, "form": {} }), "", "not both"),
        (json!({ "http": "https://a.example", "json": {}, "method": "GET" }), ".json", "a GET carries no body"),
        (json!({ "http": "https://a.example", "on": { "0200": "s" } }), ".on.0200", "never happens here"),
        (json!({ "http": "https://a.example", "timeout_s": 16 }), ".timeout_s", "from 1 to 15"),
        (json!({ "transfer": [] }), ".transfer", "1 to 16 targets"),
        (json!({ "transfer": "a b" }), ".transfer", "a SIP URI"),
        (json!({ "transfer": "a", "on": { "sleepy": "s" } }), ".on.sleepy", "never happens here"),
        (json!({ "record": true, "finish_on": "x" }), ".finish_on", "keys of"),
        (json!({ "record": false }), ".record", "write true"),
        (json!({ "flow": "a b" }), ".flow", "the name of a flow"),
        (json!({ "hangup": 1 }), ".hangup", "write true"),
    ];
    for (state, place, says) in table {
        let found = errors(json!({ "start": "s", "states": { "s": state.clone() } }));
        let path = format!("flow.states.s{place}");
        let message = found.iter().find(|(found, _)| *found == path).map(|(_, message)| message);
        assert!(message.is_some_and(|message| message.contains(says)), "{state}: {found:?}, not {says:?} at {path}");
    }
    for (value, path) in [
        (json!([]), "flow"),
        (json!({}), "flow.states"),
        (json!({ "states": { "s": { "hangup": true } } }), "flow.start"),
        (json!({ "start": "s", "states": [] }), "flow.states"),
    ] {
        assert!(errors(value.clone()).iter().any(|(found, _)| found == path), "{value}");
    }
}

#[test]
fn keeps_its_limits() {
    let states = |n: usize| -> Value {
        let states: serde_json::Map<_, _> = (0..n).map(|i| (format!("s{i}"), json!({ "hangup": true }))).collect();
        json!({ "start": "s0", "states": states })
    };
    assert!(Flow::parse(&states(500)).is_ok());
    assert!(errors(states(501))[0].1.contains("at most 500 states"));
    let wrong: serde_json::Map<_, _> = (0..150).map(|i| (format!("s{i}"), json!({ "say": 1 }))).collect();
    let found = errors(json!({ "start": "s0", "states": wrong }));
    assert_eq!((found.len(), found[100].1.as_str()), (101, "and 50 more"));
}

#[test]
fn the_shipped_voicemail_is_a_valid_flow() {
    let voicemail = flow(serde_json::from_str(VOICEMAIL).expect("JSON"));
    assert!(voicemail.prompts().is_empty());
    let lines = run(&voicemail, json!([{ "press": "#" }]));
    assert!(lines[0].contains("Please leave a message after the tone"), "{lines:?}");
    assert_eq!(lines[2..4], ["7 > press #", "7 stop-record 1"]);
}

#[test]
fn a_flow_that_asks_for_ever_is_ended_with_the_call_and_after_it() {
    let asks = flow(json!({ "start": "r", "states": {
        "r": { "record": true, "next": "h" },
        "h": { "http": "https://a.example/x", "on": { "other": "h" } } } }));
    let afterwards = run(&asks, json!([{ "wait_s": 1 }, { "hangup": true }]));
    assert_eq!(afterwards.iter().filter(|line| line.contains("fetch")).count(), 10);
    assert!(afterwards.last().is_some_and(|line| line.contains("at most 10 requests when the caller has gone")));
    let live = run(&asks, json!([]));
    assert_eq!(live.iter().filter(|line| line.contains("fetch")).count(), 20);
    let error = live.iter().find(|line| line.contains("warning 11200")).expect("the record says why");
    assert!(error.contains("at the state \"h\"") && error.contains("put a `pause`"), "{error}");
    assert!(live.last().is_some_and(|line| line.ends_with("hangup")));
}

#[test]
fn a_flow_that_redials_whoever_is_gone_at_once_is_ended() {
    let redials = flow(json!({ "start": "t", "variables": { "who": "" },
        "states": { "t": { "transfer": "{{who}}", "next": "t" } } }));
    let lines = run(&redials, json!([]));
    assert!(lines[0].contains("20 requests, transfers and flows in a row"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("3 hangup"));
}

#[test]
fn a_second_of_the_callers_or_a_key_lets_a_flow_go_round() {
    let polls = |wait: Value| {
        let states = json!({ "h": { "http": "https://a.example/x", "next": "wait" }, "wait": wait });
        let lines = run(&flow(json!({ "start": "h", "states": states })), json!([{ "press": "1".repeat(64) }]));
        assert!(lines.iter().all(|line| !line.contains("warning")), "{lines:?}");
        lines.iter().filter(|line| line.contains("fetch")).count()
    };
    assert!(polls(json!({ "pause": 1, "next": "h" })) > 500, "it is heard for as long as the simulation lasts");
    // As many keys as are typed ahead ask at once, and then nobody presses one.
    let asked = polls(json!({ "menu": "m", "on": { "1": "h", "none": null } }));
    assert_eq!(asked, 65);
}

#[test]
fn warns_of_states_that_lead_back_to_themselves() {
    let warned = |states: Value| -> Vec<(String, String)> {
        let flow = flow(json!({ "start": "a", "states": states }));
        flow.warnings().iter().map(|warning| (warning.path.clone(), warning.message.clone())).collect()
    };
    let itself = warned(json!({ "a": { "http": "https://a.example/x", "on": { "failed": "a" }, "next": "b" },
        "b": { "hangup": true } }));
    assert_eq!(itself.len(), 1);
    assert_eq!(itself[0].0, "flow.states.a");
    assert!(itself[0].1.starts_with("leads back to itself (by `a`)"), "{itself:?}");
    assert!(itself[0].1.contains("put a `pause`"), "{itself:?}");
    // A longer one is told once, by its shortest way; the start may lead into it.
    let longer = warned(json!({ "a": { "set": { "x": "1" }, "next": "b" },
        "b": { "http": "https://a.example/x", "next": "c" },
        "c": { "branch": [{ "var": "http_status", "equals": "200", "next": "d" }], "else": "b" },
        "d": { "hours": [{ "from": "09:00", "to": "17:00" }], "open": "b", "closed": "e" }, "e": { "say": "Bye." } }));
    let paths: Vec<&str> = longer.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["flow.states.b", "flow.states.d"]);
    assert!(longer[0].1.contains("(by `b`, `c`)") && longer[1].1.contains("(by `d`, `b`, `c`)"), "{longer:?}");
    // Whoever hears something on the way is not hurried.
    assert_eq!(
        warned(json!({ "a": { "http": "https://a.example/x", "next": "b" }, "b": { "pause": 1, "next": "a" } })),
        []
    );
    assert!(menu().warnings().is_empty());
    assert!(flow(serde_json::from_str(VOICEMAIL).expect("JSON")).warnings().is_empty());
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

#[test]
fn says_what_is_wrong_with_the_words_of_a_menu() {
    let menu = |extra: Value| {
        let mut state = json!({ "menu": true, "on": { "1": "s", "2": "s" } });
        state.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        errors(json!({ "start": "s", "states": { "s": state } }))
    };
    for (extra, place, says) in [
        (json!({ "words": { "1": "a" } }), ".words", "where `input` is \"speech\" or \"both\""),
        (json!({ "input": "both" }), ".words", "what is said for each choice"),
        (json!({ "input": "both", "words": {} }), ".words", "what is said for each choice"),
        (json!({ "input": "both", "words": { "3": "a" } }), ".words.3", "`on` has no choice `3`"),
        (json!({ "input": "both", "words": { "1": [] } }), ".words.1", "1 to 16 texts"),
        (json!({ "input": "both", "words": { "1": "?!" } }), ".words.1", "with a word in it"),
        (json!({ "input": "both", "words": { "1": 1 } }), ".words.1", "with a word in it"),
        (json!({ "input": "both", "words": { "1": "Yes", "2": "yes!" } }), ".words.2", "is said for `1` already"),
        (json!({ "input": "speech", "words": { "1": "a" } }), ".on.2", "give it `words`"),
        (json!({ "input": "voice" }), ".menu.input", "`keys`, `speech` or `both`"),
    ] {
        let found = menu(extra.clone());
        let path = format!("flow.states.s{place}");
        let message = found.iter().find(|(found, _)| *found == path).map(|(_, message)| message);
        assert!(message.is_some_and(|message| message.contains(says)), "{extra}: {found:?}, not {says:?} at {path}");
    }
}
