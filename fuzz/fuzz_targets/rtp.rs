//! Any bytes as RTP, RTCP, time and commands for endpoints on two shards: see `media::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| media::fuzz::fuzz(data));
