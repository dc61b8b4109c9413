//! Counts, where shared data says anything.
#![no_main]

#[path = "../../filters/gateway/tests/fuzzed/counts.rs"]
mod counts;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| counts::check(bytes));
