//! Random programs before random callers: nothing panics, everything ends, and what is written reads back.

use ivr::{Answer, fuzz};
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
