//! Replays the seeds in `fuzz/seeds` through the functions that `fuzz/targets` call. Whoever fixes
//! a failure that fuzzing found adds its input there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "fuzzed/file.rs"]
mod file;
#[path = "../../filters/gateway/tests/fuzzed/seeds.rs"]
mod seeds;
#[path = "fuzzed/session.rs"]
mod session;
#[path = "xds/support/wire.rs"]
mod support;

use proptest::prelude::*;
use seeds::replay;

#[test]
fn the_reader_of_the_file_bears_all_seeds() {
    replay("file", file::check);
}

#[test]
fn the_session_bears_all_seeds() {
    replay("session", session::check);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_session_bears_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        session::check(&bytes);
    }
}
