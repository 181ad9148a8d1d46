//! Any text as a call program, any caller in front of it: see `ivr::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tandem_fuzz::linear(data, ivr::fuzz));
