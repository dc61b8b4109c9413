//! Reads any bytes as the gateway file.
#![no_main]

#[path = "../../control-plane/tests/fuzzed/file.rs"]
mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| file::check(bytes));
