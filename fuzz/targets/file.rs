//! `config::load` on any bytes.
#![no_main]

#[path = "../../control-plane/tests/fuzzed/file.rs"]
mod file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| file::check(bytes));
