//! Reads any bytes as the filter's configuration.
#![no_main]

#[path = "../../filters/gateway/tests/fuzzed/configuration.rs"]
mod configuration;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| configuration::check(bytes));
