//! Counts requests while shared data holds any bytes.
#![no_main]

#[path = "../../filters/gateway/tests/fuzzed/counts.rs"]
mod counts;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| counts::check(bytes));
