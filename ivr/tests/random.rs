//! Random programs before random callers: nothing panics, everything ends, and what is written reads back.

use ivr::{Answer, fuzz, fuzz_flow, fuzz_twiml};
use proptest::prelude::*;
use serde_json::{Value, json};

fn verb() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => ("[a-z]{1,4}", 0u32..4).prop_map(|(name, repeat)| json!({ "play": name, "loop": repeat })),
        1 => prop::collection::vec("[a-z]{1,4}|[+]1[0-9]{10}", 1..4).prop_map(|called| json!({ "bridge": called })),
        1 => Just(json!({ "echo": true })),
        1 => Just(json!({ "hangup": true })),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        let branches = prop::collection::btree_map(
            prop_oneof!["[0-9*A-D]{1,3}", Just("none".to_owned()), Just("other".to_owned())],
            prop::collection::vec(inner, 0..3),
            0..4,
        );
        let prompt = prop_oneof![Just(json!(true)), "[a-z]{1,4}".prop_map(|name| json!(name))];
        (prompt, 3u32..6, 1u32..120, prop_oneof![Just("#"), Just("")], 1u32..4, branches).prop_map(
            |(prompt, max_digits, timeout_s, finish_on, attempts, on)| {
                json!({ "gather": prompt, "max_digits": max_digits, "timeout_s": timeout_s, "finish_on": finish_on,
                        "attempts": attempts, "on": on })
            },
        )
    })
}

/// Verbs of TwiML, with attributes that may be wrong.
fn element() -> impl Strategy<Value = String> {
    let number = prop_oneof![Just(String::new()), (0u32..5).prop_map(|n| n.to_string()), Just("x".to_owned())];
    let sound = prop_oneof![
        Just("<Say>Hello</Say>".to_owned()),
        Just("<Play loop='0'>a.wav</Play>".to_owned()),
        number.clone().prop_map(|n| format!("<Pause length='{n}'/>")),
        number.clone().prop_map(|n| format!("<Play digits='w{n}'/>")),
    ];
    let action =
        prop_oneof![Just(""), Just("action='/next'"), Just("action='tel:1'"), Just("actionOnEmptyResult='true'")];
    let input = prop_oneof![Just("dtmf"), Just("speech"), Just("dtmf speech")];
    prop_oneof![
        3 => sound.clone(),
        3 => (prop::collection::vec(sound, 0..3), number.clone(), action.clone(), input).prop_map(|(sounds, n, action, input)| {
            format!("<Gather numDigits='{n}' timeout='{n}' {action} input='{input}'>{}</Gather>", sounds.concat())
        }),
        1 => (number.clone(), action.clone()).prop_map(|(n, action)| format!("<Record maxLength='{n}' {action}/>")),
        1 => (number, action.clone()).prop_map(|(n, action)| {
            format!("<Dial timeLimit='{n}' hangupOnStar='true' {action}><Number url='/s'>+1555</Number></Dial>")
        }),
        1 => action.prop_map(|action| format!("<Dial {action} hangupOnStar='true'><Conference>r</Conference></Dial>")),
        1 => prop::sample::select(vec![
            "<Redirect/>", "<Redirect method='GET'>/x#rc=2&amp;rp=all</Redirect>", "<Hangup/>", "<Reject/>",
            "<Refer action='/r'><Sip>sip:a@b</Sip></Refer>", "<Enqueue>q</Enqueue>", "<Bogus/>", "text",
        ]).prop_map(str::to_owned),
    ]
}

/// States that lead to one another.
fn states() -> impl Strategy<Value = Value> {
    let to = prop::sample::select(vec!["s0", "s1", "s2", "s3"]);
    let state = (to.clone(), to.clone(), 0usize..11).prop_map(|(a, b, kind)| match kind {
        0 => json!({ "say": "{{from}} {{v|digits}}", "next": a }),
        1 => json!({ "menu": ["m", { "say": "x" }], "on": { "1": a, "12": b, "none": a, "other": b }, "attempts": 2,
                     "input": "both", "words": { "1": ["yes", "yes please"] } }),
        2 => json!({ "collect": true, "into": "v", "max_digits": 3, "next": a, "none": b }),
        3 => json!({ "set": { "v": "{{entered}}" }, "next": a }),
        4 => json!({ "branch": [{ "var": "v.a.0", "greater": 0, "next": a }], "else": b }),
        5 => json!({ "http": "https://a.example/{{v}}", "into": "v", "on": { "2xx": a, "failed": b, "other": a } }),
        6 => json!({ "transfer": ["{{v}}", "alice"], "on": { "busy": a, "other": b } }),
        7 => json!({ "record": true, "next": a, "empty": b }),
        8 => json!({ "conference": "{{v}}", "next": a }),
        9 => json!({ "flow": "self", "with": { "v": "1" }, "next": a }),
        _ => json!({ "hours": [{ "from": "00:00", "to": "12:00" }], "open": a, "closed": b }),
    });
    prop::collection::vec(state, 4).prop_map(|states| {
        let states: serde_json::Map<_, _> = states.into_iter().enumerate().map(|(i, s)| (format!("s{i}"), s)).collect();
        json!({ "start": "s0", "variables": { "v": "" }, "states": states })
    })
}

/// Mostly keys of a telephone, then every other thing that [`fuzz`] knows a byte for.
fn behaviour() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(b"0123456789*#ABCD".to_vec());
    prop::collection::vec(prop_oneof![3 => key, 2 => 0x80u8..0xe0, 1 => 0xe0u8..0xfe, 1 => any::<u8>()], 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_program_ends_whatever_its_caller_does(
        program in prop::collection::vec(verb(), 1..6).prop_map(Value::from),
        behaviour in behaviour(),
    ) {
        prop_assert!(Answer::parse(&program).is_ok(), "{:?}", Answer::parse(&program));
        let mut data = serde_json::to_vec(&program).unwrap();
        data.push(0);
        data.extend(behaviour);
        fuzz(&data);
    }

    #[test]
    fn writing_and_reading_gives_the_same_program(program in prop::collection::vec(verb(), 1..6).prop_map(Value::from)) {
        let answer = Answer::parse(&program).unwrap();
        let written = serde_json::to_value(&answer).unwrap();
        let read = Answer::parse(&written).unwrap();
        prop_assert_eq!(&read, &answer);
        prop_assert_eq!(serde_json::to_value(read).unwrap(), written);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in r#"[\[\]{}",:a-z0-9_.#* ]{0,60}"#) {
        fuzz(text.as_bytes());
    }

}

proptest! {
    // A flow may go round until it has run as many states as a call may: fewer cases do.
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_document_ends_whatever_its_caller_and_its_server_do(
        elements in prop::collection::vec(element(), 0..6),
        behaviour in behaviour(),
    ) {
        let mut data = format!("<Response>{}</Response>", elements.concat()).into_bytes();
        data.push(0);
        data.extend(behaviour);
        fuzz_twiml(&data);
    }

    #[test]
    fn any_flow_ends_whatever_its_caller_and_its_servers_do(flow in states(), behaviour in behaviour()) {
        prop_assert!(ivr::Flow::parse(&flow).is_ok(), "{:?}", ivr::Flow::parse(&flow));
        let mut data = serde_json::to_vec(&flow).unwrap();
        data.push(0);
        data.extend(behaviour);
        fuzz_flow(&data);
    }
}
