//! Any bytes as an offer and as an answer: see `sip_core::sdp::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tandem_fuzz::linear(data, sip_core::sdp::fuzz));
