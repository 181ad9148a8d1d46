//! Any bytes as a URI, and as its parts: see `sip_core::uri::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tandem_fuzz::linear(data, sip_core::uri::fuzz));
