//! The language: what each phrase means, what is refused, and that writing undoes reading.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Script {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> ScriptError {
    text.parse::<Script>().expect_err(text)
}

const fn then(ms: u64) -> When {
    When::Then(Duration::from_millis(ms))
}

const fn after(ms: u64) -> When {
    When::After(Duration::from_millis(ms))
}

#[test]
fn the_whole_call_in_one_line() {
    let script =
        read("challenge, ring 200ms, early ringback, answer 500ms, say hello, press 1 after 2s, hangup after 8s");
    assert_eq!(script.challenge, Some(true));
    assert_eq!(
        script.before,
        [
            Step { when: then(200), act: Before::Ring },
            Step { when: then(0), act: Before::Early(Some("ringback".parse().unwrap())) },
        ]
    );
    assert_eq!(script.finally, Finally::Answer(then(500)));
    assert_eq!(
        script.during,
        [
            Step { when: then(0), act: During::Say { prompt: "hello".parse().unwrap(), repeat: false } },
            Step { when: after(2000), act: During::Press("1".parse().unwrap()) },
            Step { when: after(8000), act: During::Hangup },
        ]
    );
    assert_eq!(script.prompts().map(PromptName::as_str).collect::<Vec<_>>(), ["ringback", "hello"]);
}

#[test]
fn each_refusal_has_its_code() {
    let code = |text: &str| match read(text).finally {
        Finally::Reject { status, .. } => status.code(),
        other => panic!("{text}: {other:?}"),
    };
    let words = ["busy", "not found", "timeout", "unavailable", "overloaded", "decline", "reject 488 1s"];
    assert_eq!(words.map(code), [486, 404, 408, 480, 503, 603, 488]);
    let retry_after = Some(Duration::from_secs(5));
    assert_eq!(
        read("overloaded retry 5s after 10ms"),
        Script::ending(Finally::Reject { when: after(10), status: Status::SERVICE_UNAVAILABLE, retry_after })
    );
}

#[test]
fn never_and_silent_differ() {
    assert_eq!(read("silent"), Script::ending(Finally::Silent));
    assert_eq!(read("trying only"), Script::ending(Finally::Never));
    let ringing = read("ring only");
    assert_eq!((ringing.before.len(), ringing.finally), (1, Finally::Never));
}

#[test]
fn a_late_200_rings_until_it_is_cancelled() {
    let script = read("ring, late 200 after cancel 30ms");
    assert_eq!(script.on_cancel, OnCancel::Answer(Duration::from_millis(30)));
    assert_eq!(script.finally, Finally::Never);
    assert_eq!(read("answer 5s, late 200 after cancel").finally, Finally::Answer(then(5000)));
}

#[test]
fn a_conversation_without_answer_is_answered_at_once() {
    let script = read("answer then no rtp");
    assert!(!script.sends_rtp);
    assert_eq!(read("say menu loop").finally, Finally::Answer(When::AT_ONCE));
    assert_eq!(read("cancel after 3s").cancel_after, Some(Duration::from_secs(3)));
    assert_eq!(read("wait 1.25s").during, [Step { when: then(1250), act: During::Wait }]);
}

#[test]
fn nonsense_is_refused_by_name() {
    assert_eq!(refused(" ,; "), ScriptError::Empty);
    assert_eq!(refused("anwser"), ScriptError::Unknown("anwser".into()));
    assert_eq!(refused("no bye"), ScriptError::Unknown("no bye".into()));
    assert!(matches!(refused("ring 200"), ScriptError::Time(word) if word == "200"));
    assert!(matches!(refused("hangup after"), ScriptError::Wants { .. }));
    assert!(matches!(refused("say"), ScriptError::Wants { .. }));
    assert!(matches!(refused("press 1x"), ScriptError::Digits(_)));
    assert!(matches!(refused("reject 200"), ScriptError::Status { low: 400, .. }));
    assert!(matches!(refused("progress 200"), ScriptError::Status { high: 199, .. }));
    assert!(matches!(refused("say ../etc/passwd"), ScriptError::Name(_)));
    assert!(matches!(refused("busy 1s 2s"), ScriptError::LeftOver { word, .. } if word == "2s"));
    assert!(matches!(refused("wait 25h"), ScriptError::Time(_)));
    assert_eq!(refused(&"wait 1s,".repeat(MAX_STEPS + 1)), ScriptError::TooLong);
    assert_eq!(refused(&"x".repeat(MAX_TEXT + 1)), ScriptError::TooLong);
}

#[test]
fn steps_out_of_their_phase_are_refused() {
    for text in ["busy, say hello", "answer, ring", "answer, busy", "say hello, answer", "hangup, press 1"] {
        assert!(matches!(refused(text), ScriptError::OutOfOrder { .. }), "{text}");
    }
}

#[test]
fn a_script_is_a_string_to_serde() {
    let script = read("busy 1s");
    let json = serde_json::to_string(&script).unwrap();
    assert_eq!(json, "\"reject 486 1s\"");
    assert_eq!(serde_json::from_str::<Script>(&json).unwrap(), script);
    assert!(serde_json::from_str::<Script>("\"bussy\"").unwrap_err().to_string().contains("no step"));
}

fn when() -> impl Strategy<Value = When> {
    let time = (0u64..86_400_000_000).prop_map(Duration::from_micros);
    (any::<bool>(), time).prop_map(|(then, time)| if then { When::Then(time) } else { When::After(time) })
}

fn phrase() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "challenge",
        "no challenge",
        "no rtp",
        "lost ack",
        "late 200 after cancel",
        "ring",
        "early",
        "early x.y",
        "progress 182",
        "answer",
        "busy",
        "reject 500 retry 3s",
        "redirect sip:a@b;c=d",
        "silent",
        "trying only",
        "say a",
        "say b loop",
        "press 12*#AD",
        "wait",
        "hold",
        "resume",
        "hangup",
        "lost bye",
        "vanish",
        "cancel after 9s",
        "cancel",
        "late",
        "nonsense",
    ]);
    (word, prop::option::of(when())).prop_map(|(word, when)| match when {
        Some(when) => format!("{word}{when}"),
        None => word.to_owned(),
    })
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_so_that_it_reads_the_same(phrases in prop::collection::vec(phrase(), 0..8)) {
        if let Ok(script) = phrases.join(", ").parse::<Script>() {
            let written = script.to_string();
            prop_assert_eq!(written.parse::<Script>(), Ok(script), "{}", written);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = text.parse::<Script>();
    }
}
