//! Any bytes as a stream, cut anywhere: see `sip_core::transport::framing::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tandem_fuzz::linear(data, sip_core::transport::framing::fuzz));
