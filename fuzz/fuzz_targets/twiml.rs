//! Any text as a TwiML document, any caller in front of it: see `ivr::fuzz_twiml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ivr::fuzz_twiml(data));
