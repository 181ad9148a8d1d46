//! Two endpoints, their users and the wire between them, driven by a list of operations: see `sip_core::endpoint::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = sip_core::endpoint::fuzz::endpoint_ops(data);
});
