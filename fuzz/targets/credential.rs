//! Looks for keys in any headers.
#![no_main]

#[path = "../../filters/gateway/tests/fuzzed/credential.rs"]
mod credential;
#[path = "../../filters/gateway/tests/fuzzed/envoy.rs"]
mod envoy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| credential::check(bytes));
