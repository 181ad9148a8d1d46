//! The command line, as a person types it: `demo`, `call`, `status`, `check`.

mod common;

use common::carrier::Carrier;
use common::http::Http;
use common::process::Process;
use common::switch::{CALLED, KEY, OWNED, Setup, Switch, tandem};
use common::{audio, secs};

/// A switch with a loopback carrier: whoever is called picks up, but for numbers that end in 0111, which are busy.
fn with_carrier() -> (Setup, Carrier, Switch) {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 10, "ring 100ms, answer 200ms", &["--number", "*0111=ring 50ms, busy"]);
    let setup = setup.trunk("carrier", "twilio", carrier.port, "");
    let switch = setup.start();
    (setup, carrier, switch)
}

fn run(setup: &Setup, words: &[&str]) -> Process {
    let url = format!("http://127.0.0.1:{}", setup.http_port);
    let mut process = tandem("command", setup.dir(), |command| {
        command.args(words).env("TANDEM_URL", url).env("TANDEM_KEY", KEY);
    });
    process.end(secs(60));
    process
}

#[track_caller]
fn assert_prints(process: &mut Process, succeeds: bool, words: &[&str]) {
    let output = process.output();
    assert_eq!(process.ended().map(|status| status.success()), Some(succeeds), "{output}");
    for word in words {
        assert!(output.contains(word), "nothing says {word:?} in:\n{output}");
    }
}

#[test]
fn demo_makes_one_whole_call_and_keeps_what_the_far_end_heard() {
    let setup = Setup::new();
    let mut demo = run(&setup, &["demo", "--out", "out"]);
    assert_prints(&mut demo, true, &["407", "completed", "key 2 pressed", "MOS", "sample for sample, without a gap"]);
    let heard = octets(audio::wav(&setup.dir().join("out/heard.wav")));
    let position = audio::position(&heard, &octets(audio::prompt("welcome")));
    assert!(position.is_some(), "the prompt is not in the recording, sample for sample");
}

/// In μ-law, whose two zeros sound the same and are one in a recording.
fn octets(samples: Vec<i16>) -> Vec<u8> {
    let one_zero = |octet| if octet == 0x7F { 0xFF } else { octet };
    samples.into_iter().map(audio::ulaw).map(one_zero).collect()
}

#[test]
fn call_follows_a_call_to_its_end() {
    let (setup, _carrier, _switch) = with_carrier();
    let mut call = run(&setup, &["call", OWNED, CALLED, "--play", "digit-1"]);
    assert_prints(
        &mut call,
        true,
        &["ringing (180)", "answered (200), PCMU", "played \"digit-1\" to its end", "completed"],
    );
}

#[test]
fn call_fails_where_nobody_was_reached() {
    let (setup, _carrier, _switch) = with_carrier();
    let mut busy = run(&setup, &["call", OWNED, "+18325550111"]);
    assert_prints(&mut busy, false, &["the call ended as busy"]);
}

#[test]
fn call_says_what_was_wrong_with_it() {
    let (setup, _carrier, _switch) = with_carrier();
    assert_prints(&mut run(&setup, &["call", "+18325550177", CALLED]), false, &["+18325550177"]);
}

#[test]
fn status_tells_the_trunks_and_the_calls() {
    let (setup, _carrier, _switch) = with_carrier();
    assert_prints(&mut run(&setup, &["status"]), true, &["carrier", "connected", "queued"]);
}

#[test]
fn check_tells_what_it_would_bind_and_dial_and_touches_nothing() {
    let setup = Setup::new().trunk("far-away", "twilio", 9, "");
    std::fs::write(setup.dir().join("tandem.toml"), setup.text()).unwrap();
    let mut check = run(&setup, &["check", "--config", "tandem.toml"]);
    assert_prints(&mut check, true, &["far-away", &setup.sip_port.to_string(), &setup.http_port.to_string()]);
    assert!(!setup.dir().join("tandem.db").exists() && !setup.dir().join("journal").exists());
}

#[test]
fn a_key_is_made_for_a_tenant_of_the_file_or_of_http_and_for_nobody_else() {
    let setup = Setup::new();
    let switch = setup.start();
    let operator = run(&setup, &["key", "create", "--tenant", "default", "--scope", "operator"]);
    let key = operator.output().lines().find(|line| line.starts_with("tandem_")).expect("a key").to_owned();
    let http = Http::new(setup.http_port, &key);
    let made = http.post("/v1/tenants", &serde_json::json!({ "name": "made" }));
    assert_eq!(made.status, 201, "{made:?}");
    let mut of_http = run(&setup, &["key", "create", "--tenant", "made", "--scope", "read"]);
    assert_prints(&mut of_http, true, &["This key is shown once"]);
    let mut nobody = run(&setup, &["key", "create", "--tenant", "nobody", "--scope", "read"]);
    assert_prints(&mut nobody, false, &["there is no tenant \"nobody\"; there is default, made"]);
    drop(switch);
}
