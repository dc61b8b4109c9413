//! Runs a session with a client that sends any bytes.
#![no_main]

#[path = "../../control-plane/tests/fuzzed/session.rs"]
mod session;
#[path = "../../control-plane/tests/xds/support/wire.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| session::check(bytes));
