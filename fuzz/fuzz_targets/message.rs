//! Any bytes as a datagram, as a message from a stream, and as every typed header: see `sip_core::message::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tandem_fuzz::linear(data, sip_core::message::fuzz));
