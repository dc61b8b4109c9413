//! What fuzzing found worth keeping, once more: the seeds in `fuzz/seeds`, through the same
//! functions that `fuzz/targets` call. A file that made one fail goes there with its mend.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "fuzzed/configuration.rs"]
mod configuration;
#[path = "fuzzed/counts.rs"]
mod counts;
#[path = "fuzzed/credential.rs"]
mod credential;
#[path = "fuzzed/envoy.rs"]
mod envoy;
#[path = "fuzzed/request.rs"]
mod request;
#[path = "fuzzed/seeds.rs"]
mod seeds;

use proptest::prelude::*;
use seeds::replay;

#[test]
fn a_decision_bears_all_seeds() {
    replay("request", request::check);
}

#[test]
fn the_places_of_keys_bear_all_seeds() {
    replay("credential", credential::check);
}

#[test]
fn the_configuration_bears_all_seeds() {
    replay("configuration", configuration::check);
}

#[test]
fn counts_bear_all_seeds() {
    replay("counts", counts::check);
}

/// Headers where keys may be, with what keys may have around them.
const LINES: &str = "((x-api-key: |authorization: |cookie: |:path: /\\?)(Bearer |key=|=|;|&|%6b|ey|.){0,8}\n){0,4}";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_bear_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        counts::check(&bytes);
    }

    #[test]
    fn the_places_of_keys_bear_any_headers(kind: u8, lines in LINES) {
        credential::check(&[&[kind], lines.as_bytes()].concat());
    }
}
