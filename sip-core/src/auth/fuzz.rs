//! The body of the fuzz target `digest`, which the property tests run too.

#![allow(clippy::panic, reason = "a property that does not hold is to end the fuzzer")]

use super::params::Params;
use super::*;
use base::{Now, Rng};

/// Reads `data` as a challenge and as an authorisation. Asserts that an answer cannot break out of its header and is read
/// as it was meant, that a client stops after [`MAX_ATTEMPTS`], and that a server accepts nobody without a password.
///
/// # Panics
/// Where one of these does not hold: that is its purpose.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let mut rng = Rng::from_u64(1);
    let credentials = Credentials { username: "alice".to_owned(), password: Secret::from("secret"), realm: None };
    let mut client = ClientAuth::new(Some(credentials));
    let mut answers = 0;
    while let Ok(headers) = client.answer(407, [data], "INVITE", "sip:a@b", b"", &mut rng) {
        answers += 1;
        headers.iter().for_each(|header| check(&header.value, data));
    }
    assert!(answers <= MAX_ATTEMPTS);
    let _ = client.authorize("BYE", "sip:a@b", b"", &mut rng);
    let mut server = ServerAuth::new(ServerPolicy::new("realm"), &mut rng);
    let verdict = server.verify(Some(data), "INVITE", "sip:a@b", |_, _, _| None, Now::default());
    assert!(!matches!(verdict, Verdict::Accepted { .. }), "nobody is known");
}

fn check(value: &str, challenge: &[u8]) {
    assert!(!value.chars().any(char::is_control), "{value:?}");
    let (Ok(written), Ok(challenge)) = (Params::parse(value.as_bytes()), Challenge::parse(challenge)) else {
        panic!("an answer that cannot be read: {value:?}");
    };
    let visible = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    assert_eq!(written.get("realm"), Some(visible(&challenge.realm).as_str()));
    assert_eq!(written.get("nonce"), Some(visible(&challenge.nonce).as_str()));
    assert_eq!(written.get("opaque"), challenge.opaque.as_deref().map(visible).as_deref());
    assert_eq!(written.get("username"), Some("alice"));
}
