//! Decides about any bytes that claim to be headers.
#![no_main]

#[path = "../../filters/gateway/tests/fuzzed/envoy.rs"]
mod envoy;
#[path = "../../filters/gateway/tests/fuzzed/request.rs"]
mod request;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| request::check(bytes));
