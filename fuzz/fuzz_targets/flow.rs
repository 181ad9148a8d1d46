//! Any text as a flow, any caller in front of it: see `ivr::fuzz_flow`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ivr::fuzz_flow(data));
