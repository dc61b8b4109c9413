//! What fuzzing found worth keeping, once more: the seeds in `fuzz/seeds`, through the same functions that `fuzz/targets` call.
//! A file that made one fail goes there with its mend.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "fuzzed/file.rs"]
mod file;
#[path = "fuzzed/session.rs"]
mod session;
#[path = "xds_support/wire.rs"]
mod xds_support;

use std::{fs, panic, path::Path};

use proptest::prelude::*;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() > 3, "{} has seeds", folder.display());
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        assert!(panic::catch_unwind(|| check(&bytes)).is_ok(), "{} fails", seed.display());
    }
}

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
