//! One transaction of any kind, driven by a list of inputs: see `sip_core::transaction::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sip_core::transaction::fuzz::transaction_ops(data));
