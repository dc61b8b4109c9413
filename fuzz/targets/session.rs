//! Runs a session with a client that sends any bytes.
#![no_main]

#[path = "../../control-plane/tests/fuzzed/session.rs"]
mod session;
#[path = "../../control-plane/tests/xds_support/wire.rs"]
mod xds_support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| session::check(bytes));
