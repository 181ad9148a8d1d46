//! A generic carrier that wants to be registered with (RFC 3261 §10.2): SIPp is the registrar.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod common;

use common::sipp::{Sipp, requests, transcript};
use common::switch::Setup;
use common::{secs, until};

#[test]
fn registers_with_digest_and_withdraws_its_binding_when_it_goes() {
    let mut setup = Setup::new();
    let keys = [("auth_user", "us"), ("auth_password", "Correct-Horse-7")];
    let mut sipp = Sipp::serve("registrar", &mut setup, &keys);
    let trunk = "username = \"us\"\npassword = \"Correct-Horse-7\"\nregister = true";
    let setup = setup.trunk("carrier", "generic", sipp.port, trunk);
    let mut switch = setup.start();
    until("the carrier knows us", secs(20), || {
        let health = switch.http.get("/health");
        (health.body["sip"]["trunks"]["carrier"]["status"] == "connected").then_some(())
    });
    switch.process.terminate();
    assert!(switch.process.end(secs(20)).success());
    let registers = requests(&sipp.passes(secs(20)), "REGISTER");
    let [first, second, last] = registers.as_slice() else { panic!("{}", transcript(&registers)) };
    for again in [second, last] {
        assert_eq!(again.header("Call-ID"), first.header("Call-ID"), "one Call-ID for all (§10.2)");
    }
    let numbers: Vec<u32> = registers.iter().map(|register| cseq(register.header("CSeq"))).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

fn cseq(value: &str) -> u32 {
    value.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("CSeq {value}"))
}
