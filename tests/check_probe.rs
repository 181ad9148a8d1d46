//! `tandem check --probe`: each trunk is asked, what was found is said with what to do, and the exit code says whether calls
//! can be expected to go.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use common::carrier::Carrier;
use common::switch::{Setup, tandem};
use common::{secs, until};

/// Runs it; whether it succeeded, and what it printed.
fn probed(setup: &Setup) -> (bool, String) {
    std::fs::write(setup.dir().join("tandem.toml"), setup.text()).unwrap();
    let mut check = tandem("check", setup.dir(), |command| {
        command.args(["check", "--config", "tandem.toml", "--probe"]);
    });
    let ended = until("the end of tandem check", secs(90), || check.ended());
    (ended.success(), check.output())
}

#[test]
fn trunks_that_answer_are_good_and_the_exit_code_says_so() {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 4, "busy", &[]);
    let setup = setup.trunk("good", "generic", carrier.port, "").trunk(
        "twilio",
        "twilio",
        carrier.port,
        "username = \"u\"\npassword = \"p\"",
    );
    let (good, output) = probed(&setup);
    assert!(good, "{output}");
    for word in ["good answers", "twilio answers", "OPTIONS to UDP 127.0.0.1", "200 OK", "caller ID", "1 call a second"]
    {
        assert!(output.contains(word), "nothing says {word:?} in:\n{output}");
    }
    assert!(!carrier.process.output().contains("INVITE"), "a call was made");
}

#[test]
fn one_that_is_not_there_or_does_not_resolve_or_takes_no_tls_is_named_with_what_to_do() {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 4, "busy", &[]);
    let (nobody, no_tls) = (ports.port(), ports.port());
    let other = |name: &str, uri: &str| format!("[[trunk]]\nname = \"{name}\"\nuri = \"{uri}\"");
    let setup = setup
        .tls()
        .trunk("good", "generic", carrier.port, "")
        .trunk("nobody", "generic", nobody, "")
        .section(&other("nameless", "sip:trunk.invalid"))
        .section(&other("notls", &format!("sip:127.0.0.1:{no_tls};transport=tls")));
    let (good, output) = probed(&setup);
    assert!(!good, "{output}");
    for word in [
        "good answers",
        "nobody does not answer as it should",
        "check the port in uri",
        "nameless does not answer as it should",
        "this name has no address",
        "notls does not answer as it should",
        "no calls can be expected to go over nobody, nameless, notls",
    ] {
        assert!(output.contains(word), "nothing says {word:?} in:\n{output}");
    }
}
