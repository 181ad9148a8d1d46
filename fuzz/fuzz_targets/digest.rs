//! Any bytes as a challenge and as its answer: see `sip_core::auth::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tandem_fuzz::linear(data, sip_core::auth::fuzz));
