//! What a caller hears and what the machine makes of the keys: tables of behaviour on virtual time.

use base::{Now, millis};
use ivr::{Answer, BridgeEnd, BridgeId, GatherReason, Gathered, Input, Next, Output, PlayId, Program};
use serde_json::{Value, json};

/// One thing a caller, or the world, does.
#[derive(Clone, Copy, Debug)]
enum Do {
    /// Answers.
    Start,
    /// Presses these keys, all at once.
    Press(&'static str),
    /// The playing of this number comes to its end.
    End(u32),
    /// The bridge of this number is over.
    Part(u32),
    /// Time passes to this many milliseconds after the start; the machine is woken if it asked for that.
    At(u64),
    /// Hangs up.
    Gone,
}
use Do::{At, End, Gone, Part, Press, Start};

fn program(words: Value) -> Program {
    Program::new(Answer::parse(&words).expect("a valid program"))
}

/// Runs a script; the transcript has a line per output, with the wake in milliseconds where there is one.
fn transcript(words: Value, script: &[Do]) -> Vec<String> {
    let mut program = program(words);
    let mut now = Now::default();
    let mut lines = Vec::new();
    let mut wake = None;
    for step in script {
        match *step {
            Start => program.handle(Input::Start, now),
            Press(keys) => keys.chars().for_each(|key| program.handle(Input::Digit(key), now)),
            End(play) => program.handle(Input::PlayEnded { play: PlayId(play) }, now),
            Part(bridge) => {
                let end = BridgeEnd::default();
                program.handle(Input::BridgeEnded { bridge: BridgeId(bridge), end }, now);
            }
            Gone => program.handle(Input::Ended, now),
            At(ms) => {
                now.mono = millis(ms);
                if wake.is_some_and(|at| at <= now.mono) {
                    program.handle(Input::Timeout, now);
                }
            }
        }
        wake = drain(&mut program, &mut lines);
    }
    let ending = match (program.is_done(), wake) {
        (true, _) => "done".to_owned(),
        (false, Some(at)) => format!("wake {}", at / millis(1)),
        (false, None) => "waits".to_owned(),
    };
    lines.push(ending);
    lines
}

fn drain(program: &mut Program, lines: &mut Vec<String>) -> Option<u64> {
    loop {
        lines.push(match program.poll() {
            Output::Play { play, prompt, repeat: 1 } => format!("play {} {prompt}", play.0),
            Output::Play { play, prompt, repeat } => format!("play {} {prompt} x{repeat}", play.0),
            Output::StopPlay { play } => format!("stop {}", play.0),
            Output::Bridge { bridge, with } => {
                let called: Vec<&str> = with.targets.iter().map(|target| target.to.as_str()).collect();
                format!("bridge {} {}", bridge.0, called.join("+"))
            }
            Output::Unbridge { bridge } => format!("unbridge {}", bridge.0),
            Output::Echo(on) => format!("echo {on}"),
            Output::Gathered(Gathered { digits, reason, attempt, .. }) => {
                format!("got {digits:?} {reason:?} {attempt}")
            }
            Output::Hangup => "hangup".to_owned(),
            Output::Timeout(at) => return at,
            other => other.to_string(),
        });
    }
}

fn check(name: &str, program: &Value, script: &[Do], expected: &[&str]) {
    assert_eq!(transcript(program.clone(), script), expected, "{name}: {script:?}");
}

#[test]
fn plays_one_prompt_after_the_other_and_hangs_up() {
    let program = json!([{ "play": "a" }, { "play": "b", "loop": 3 }]);
    check("nothing before the start", &program, &[At(9), End(1)], &["waits"]);
    check("both", &program, &[Start, End(1), End(2)], &["play 1 a", "play 2 b x3", "hangup", "done"]);
    check("the end of another prompt", &program, &[Start, End(2), End(7)], &["play 1 a", "waits"]);
    check("the same end twice", &program, &[Start, End(1), End(1)], &["play 1 a", "play 2 b x3", "waits"]);
    check("a second start", &program, &[Start, Start], &["play 1 a", "waits"]);
    check("hang-up in the prompt", &program, &[Start, Gone, End(1)], &["play 1 a", "done"]);
}

#[test]
fn a_prompt_outside_a_gather_is_not_stopped_by_a_key() {
    check("for ever", &json!({ "play": "a", "loop": 0 }), &[Start, Press("1"), At(99_000)], &["play 1 a x0", "waits"]);
}

#[test]
fn a_bridge_lasts_until_it_is_over_and_the_program_goes_on() {
    let words = json!([{ "bridge": ["alice", "bob"] }, { "gather": "sorry", "max_digits": 1 }]);
    let asks = "bridge 1 alice+bob";
    check("goes on", &words, &[Start, Part(1)], &[asks, "play 1 sorry", "waits"]);
    check("another's end", &words, &[Start, Part(2), End(1)], &[asks, "waits"]);
    check("keys are the other end's", &words, &[Start, Press("5"), Part(1)], &[asks, "play 1 sorry", "waits"]);
    check("the caller goes", &words, &[Start, Gone, Part(1)], &[asks, "done"]);
    let mut bridged = program(words);
    assert_eq!(bridged.next(), Next::Bridge);
    bridged.handle(Input::Start, Now::default());
    assert_eq!(bridged.next(), Next::Heard);
    let mut lines = Vec::new();
    drain(&mut bridged, &mut lines);
    bridged.replace(Answer::parse(&json!({ "play": "new" })).unwrap(), Now::default());
    drain(&mut bridged, &mut lines);
    assert_eq!(lines, [asks, "unbridge 1", "play 1 new"]);
}

#[test]
fn hangs_up_where_it_says_so() {
    check("hangup first", &json!([{ "hangup": true }, { "play": "a" }]), &[Start], &["hangup", "done"]);
    check("nothing after it", &json!({ "hangup": true }), &[Start, Press("1"), End(1), Gone], &["hangup", "done"]);
}

#[test]
fn echoes_until_the_caller_goes() {
    let program = json!([{ "echo": true }, { "play": "a" }]);
    check("keys do nothing", &program, &[Start, Press("1#"), At(99_000)], &["echo true", "waits"]);
    check("gone", &program, &[Start, Gone], &["echo true", "done"]);
}

fn menu() -> Value {
    json!([
        { "gather": "menu", "attempts": 2, "on": {
            "1": { "play": "one" }, "2": [{ "play": "two" }, { "hangup": true }],
            "none": { "play": "sorry" }, "other": { "play": "wrong" } } },
        { "play": "after" },
    ])
}

#[test]
fn a_menu_leads_where_its_keys_lead() {
    let m = &menu();
    check(
        "a key in the prompt stops it",
        m,
        &[Start, Press("1"), End(1), End(2), End(3)],
        &["play 1 menu", "stop 1", "got \"1\" MaxDigits 1", "play 2 one", "play 3 after", "hangup", "done"],
    );
    check(
        "a key after the prompt",
        m,
        &[Start, End(1), At(4_999), Press("2"), End(2)],
        &["play 1 menu", "got \"2\" MaxDigits 1", "play 2 two", "hangup", "done"],
    );
    check(
        "a key without a branch",
        m,
        &[Start, Press("9")],
        &["play 1 menu", "stop 1", "got \"9\" MaxDigits 1", "play 2 wrong", "waits"],
    );
    check(
        "nothing, twice",
        m,
        &[Start, End(1), At(5_000), End(2), At(10_000)],
        &["play 1 menu", "got \"\" NoInput 1", "play 2 menu", "got \"\" NoInput 2", "play 3 sorry", "waits"],
    );
    check(
        "a key in the second attempt",
        m,
        &[Start, End(1), At(5_000), Press("1")],
        &["play 1 menu", "got \"\" NoInput 1", "play 2 menu", "stop 2", "got \"1\" MaxDigits 2", "play 3 one", "waits"],
    );
    check(
        "the finish key alone enters nothing",
        m,
        &[Start, Press("#"), Press("#")],
        &[
            "play 1 menu",
            "stop 1",
            "got \"\" FinishKey 1",
            "play 2 menu",
            "stop 2",
            "got \"\" FinishKey 2",
            "play 3 sorry",
            "waits",
        ],
    );
    check("a character that is no key", m, &[Start, Press("x a")], &["play 1 menu", "waits"]);
    check("hang-up in the prompt", m, &[Start, Gone, Press("1"), End(1)], &["play 1 menu", "done"]);
    check("hang-up while waiting", m, &[Start, End(1), Gone, At(9_000)], &["play 1 menu", "done"]);
}

#[test]
fn goes_on_with_the_next_verb_where_no_branch_matches() {
    let program = json!([{ "gather": "menu", "on": { "1": [] } }, { "play": "after" }]);
    for (keys, entered) in [("1", "1"), ("2", "2")] {
        check(
            keys,
            &program,
            &[Start, Press(keys)],
            &["play 1 menu", "stop 1", &format!("got {entered:?} MaxDigits 1"), "play 2 after", "waits"],
        );
    }
    check(
        "nothing",
        &program,
        &[Start, End(1), At(5_000)],
        &["play 1 menu", "got \"\" NoInput 1", "play 2 after", "waits"],
    );
}

#[test]
fn a_key_on_the_last_millisecond_counts() {
    let program = json!([{ "gather": "menu", "max_digits": 2, "timeout_s": 3 }]);
    check("one before", &program, &[Start, At(1_000), End(1), At(3_999), Press("1")], &["play 1 menu", "wake 6999"]);
    check(
        "at the very time, the key handled first",
        &program,
        &[Start, End(1), At(2_999), Press("1"), At(2_999), Press("2")],
        &["play 1 menu", "got \"12\" MaxDigits 1", "hangup", "done"],
    );
    check(
        "the time handled first",
        &program,
        &[Start, End(1), At(3_000), Press("1")],
        &["play 1 menu", "got \"\" NoInput 1", "hangup", "done"],
    );
}

#[test]
fn a_late_wake_does_not_undo_a_key() {
    let mut program = program(json!({ "gather": true, "max_digits": 2 }));
    let mut lines = Vec::new();
    program.handle(Input::Start, Now::default());
    assert_eq!(drain(&mut program, &mut lines), Some(millis(5_000)));
    // The key and the wake cross: the key is handled at the time of the wake, the wake right after it.
    let now = Now::new(millis(5_000), 0);
    program.handle(Input::Digit('4'), now);
    program.handle(Input::Timeout, now);
    assert_eq!(drain(&mut program, &mut lines), Some(millis(10_000)));
    assert!(lines.is_empty() && !program.is_done());
}

#[test]
fn patience_begins_at_the_prompts_end_and_anew_with_each_digit() {
    let program = json!([{ "gather": "pin", "max_digits": 4 }]);
    check("no patience in the prompt", &program, &[Start, At(60_000)], &["play 1 pin", "waits"]);
    check("from its end", &program, &[Start, At(60_000), End(1)], &["play 1 pin", "wake 65000"]);
    check("from the first key", &program, &[Start, At(700), Press("1")], &["play 1 pin", "stop 1", "wake 5700"]);
    check(
        "the stopped prompt's end changes nothing",
        &program,
        &[Start, At(700), Press("1"), At(900), End(1)],
        &["play 1 pin", "stop 1", "wake 5700"],
    );
    check(
        "from each key",
        &program,
        &[Start, Press("1"), At(4_000), Press("2"), At(8_000), Press("3")],
        &["play 1 pin", "stop 1", "wake 13000"],
    );
    check(
        "some digits, then none",
        &program,
        &[Start, Press("1"), At(4_000), Press("2"), At(9_000)],
        &["play 1 pin", "stop 1", "got \"12\" Timeout 1", "hangup", "done"],
    );
}

#[test]
fn the_finish_key_ends_an_entry_and_is_no_digit_of_it() {
    let pin = json!([{ "gather": "pin" }]);
    check(
        "hash",
        &pin,
        &[Start, Press("12*4#")],
        &["play 1 pin", "stop 1", "got \"12*4\" FinishKey 1", "hangup", "done"],
    );
    let star = json!([{ "gather": "pin", "finish_on": "*", "max_digits": 9 }]);
    check("star", &star, &[Start, Press("1#*")], &["play 1 pin", "stop 1", "got \"1#\" FinishKey 1", "hangup", "done"]);
    let none = json!([{ "gather": "pin", "finish_on": "", "max_digits": 2 }]);
    check(
        "no finish key: all are digits",
        &none,
        &[Start, Press("##")],
        &["play 1 pin", "stop 1", "got \"##\" MaxDigits 1", "hangup", "done"],
    );
}

#[test]
fn a_looping_prompt_of_a_gather_is_stopped_by_a_key() {
    let program = json!([{ "gather": "music", "loop": 0, "max_digits": 1 }]);
    check("for ever", &program, &[Start, At(600_000)], &["play 1 music x0", "waits"]);
    check(
        "stopped",
        &program,
        &[Start, At(600_000), Press("5")],
        &["play 1 music x0", "stop 1", "got \"5\" MaxDigits 1", "hangup", "done"],
    );
}

#[test]
fn a_gather_without_a_prompt_waits_at_once() {
    check("wake", &json!([{ "gather": true, "timeout_s": 7 }]), &[Start], &["wake 7000"]);
}

#[test]
fn keys_typed_ahead_are_taken_by_the_next_gather_and_silence_its_prompt() {
    let program = json!([{ "play": "a" }, { "gather": "pin", "max_digits": 3 }, { "gather": "menu", "max_digits": 1 }]);
    check(
        "all of them",
        &program,
        &[Start, Press("1234"), End(1)],
        &["play 1 a", "got \"123\" MaxDigits 1", "got \"4\" MaxDigits 1", "hangup", "done"],
    );
    check("some of them", &program, &[Start, Press("12"), At(300), End(1)], &["play 1 a", "wake 5300"]);
    check(
        "and the rest pressed",
        &program,
        &[Start, Press("12"), End(1), Press("3")],
        &["play 1 a", "got \"123\" MaxDigits 1", "play 2 menu", "waits"],
    );
    check(
        "two keys at once",
        &program,
        &[Start, End(1), Press("12"), Press("34")],
        &[
            "play 1 a",
            "play 2 pin",
            "stop 2",
            "got \"123\" MaxDigits 1",
            "play 3 menu",
            "stop 3",
            "got \"4\" MaxDigits 1",
            "hangup",
            "done",
        ],
    );
    check(
        "with the finish key",
        &program,
        &[Start, Press("12#"), End(1)],
        &["play 1 a", "got \"12\" FinishKey 1", "play 2 menu", "waits"],
    );
    check(
        "a finish key alone does not skip a question unheard",
        &program,
        &[Start, Press("##"), End(1)],
        &["play 1 a", "play 2 pin", "waits"],
    );
    check(
        "before the start",
        &program,
        &[Press("123"), Start, End(1)],
        &["play 1 a", "got \"123\" MaxDigits 1", "play 2 menu", "waits"],
    );
}

#[test]
fn the_first_64_keys_typed_ahead_are_kept() {
    let program = json!([{ "play": "a" }, { "gather": "pin", "max_digits": 63 }, { "gather": "pin", "max_digits": 2 }]);
    let keys: &'static str = Box::leak(("1".repeat(63) + "2" + &"3".repeat(50)).into_boxed_str());
    let expected = format!("got {:?} MaxDigits 1", "1".repeat(63));
    check(
        "one is left for the second",
        &program,
        &[Start, Press(keys), End(1), At(5_000)],
        &["play 1 a", &expected, "got \"2\" Timeout 1", "hangup", "done"],
    );
}

#[test]
fn a_habitual_finish_key_does_not_end_the_next_question() {
    let program = json!([{ "gather": "a", "max_digits": 1 }, { "gather": "b", "max_digits": 1, "on": { "none": { "play": "sorry" } } }]);
    let before = ["play 1 a", "stop 1", "got \"1\" MaxDigits 1", "play 2 b"];
    let then = |more: &[&'static str]| [&before[..], more].concat();
    check("at once", &program, &[Start, Press("1#")], &then(&["waits"]));
    check("within two seconds", &program, &[Start, Press("1"), At(2_000), Press("#")], &then(&["waits"]));
    let ended = then(&["stop 2", "got \"\" FinishKey 1", "play 3 sorry", "waits"]);
    check("later it is meant", &program, &[Start, Press("1"), At(2_001), Press("#")], &ended);
    check("the second one is meant", &program, &[Start, Press("1##")], &ended);
    let two = json!([{ "gather": "a", "max_digits": 2 }, { "gather": "b" }]);
    check(
        "after an entry that a finish key has ended it is meant",
        &two,
        &[Start, Press("1##")],
        &[
            "play 1 a",
            "stop 1",
            "got \"1\" FinishKey 1",
            "play 2 b",
            "stop 2",
            "got \"\" FinishKey 1",
            "hangup",
            "done",
        ],
    );
    let ahead = json!([{ "play": "w" }, { "gather": "a", "max_digits": 1 }, { "gather": "b" }]);
    check(
        "after a digit it ends that digit's entry",
        &ahead,
        &[Start, Press("12"), End(1), Press("#")],
        &["play 1 w", "got \"1\" MaxDigits 1", "got \"2\" FinishKey 1", "hangup", "done"],
    );
    let data = json!([{ "gather": "a", "max_digits": 1 }, { "gather": "b", "max_digits": 1, "finish_on": "" }]);
    check(
        "where it is a digit it counts",
        &data,
        &[Start, Press("1#")],
        &then(&["stop 2", "got \"#\" MaxDigits 1", "hangup", "done"]),
    );
}

#[test]
fn returns_from_a_nested_branch_to_the_verb_after_the_outermost_gather() {
    let program = json!([
        { "gather": "l1", "on": { "1": [
            { "gather": "l2", "on": { "2": [{ "gather": "l3", "on": { "3": { "play": "deep" } } }, { "play": "l2-after" }] } },
            { "play": "l1-after" }] } },
        { "play": "end" },
    ]);
    check(
        "three levels down and back",
        &program,
        &[Start, Press("1"), Press("2"), Press("3"), End(4), End(5), End(6), End(7)],
        &[
            "play 1 l1",
            "stop 1",
            "got \"1\" MaxDigits 1",
            "play 2 l2",
            "stop 2",
            "got \"2\" MaxDigits 1",
            "play 3 l3",
            "stop 3",
            "got \"3\" MaxDigits 1",
            "play 4 deep",
            "play 5 l2-after",
            "play 6 l1-after",
            "play 7 end",
            "hangup",
            "done",
        ],
    );
}

#[test]
fn a_replaced_program_falls_silent_and_forgets_what_was_typed() {
    let cases = [
        (json!({ "play": "a", "loop": 0 }), "stop 1"),
        (json!({ "gather": "a" }), "stop 1"),
        (json!({ "echo": true }), "echo false"),
    ];
    for (old, silence) in cases {
        let mut program = program(old.clone());
        let mut lines = Vec::new();
        program.handle(Input::Start, Now::default());
        drain(&mut program, &mut lines);
        lines.clear();
        if old.get("gather").is_none() {
            program.handle(Input::Digit('7'), Now::default());
        }
        program.replace(Answer::parse(&json!({ "gather": "new", "max_digits": 1 })).unwrap(), Now::default());
        assert_eq!((drain(&mut program, &mut lines), lines.len()), (None, 2), "{lines:?}");
        assert_eq!((lines[0].as_str(), lines[1].ends_with("new")), (silence, true), "{lines:?}");
    }
}

#[test]
fn a_program_is_replaced_before_its_start_but_not_after_its_end() {
    let new = || Answer::parse(&json!({ "play": "new" })).unwrap();
    let mut lines = Vec::new();
    let mut fresh = program(json!({ "play": "old" }));
    fresh.replace(new(), Now::default());
    drain(&mut fresh, &mut lines);
    assert!(lines.is_empty());
    fresh.handle(Input::Start, Now::default());
    drain(&mut fresh, &mut lines);
    assert_eq!(lines, ["play 1 new"]);

    fresh.handle(Input::Ended, Now::default());
    fresh.replace(new(), Now::default());
    assert_eq!((fresh.poll(), fresh.is_done()), (Output::Timeout(None), true));
}

#[test]
fn what_was_not_polled_is_not_asked_of_a_call_that_is_gone() {
    let mut program = program(json!({ "play": "a" }));
    program.handle(Input::Start, Now::default());
    program.handle(Input::Ended, Now::default());
    assert_eq!(program.poll(), Output::Timeout(None));
}

#[test]
fn the_reason_is_written_for_the_record() {
    let gathered = Gathered { digits: "1".to_owned(), reason: GatherReason::FinishKey, attempt: 1, speech: None };
    assert_eq!(serde_json::to_value(gathered).unwrap(), json!({ "digits": "1", "reason": "finish_key", "attempt": 1 }));
}
