//! Gateways with any number of keys.

use std::fmt::Write as _;

use legation_filter::config::{ApiKey, Config, Consumer};
use legation_testing::{ALICE_SHA256, File};
use sha2::{Digest, Sha256};

/// Returns the key of a consumer.
pub fn key(consumer: usize) -> String {
    format!("key-{consumer}")
}

/// Returns the key that an edit gives to one of the consumers.
pub fn edited_key(edit: usize) -> String {
    format!("edited-{edit}")
}

fn sha256(key: &str) -> String {
    Sha256::digest(key).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Returns the consumers other than alice, with the digests of their keys. Each edit gives one of
/// them another key.
fn consumers(keys: usize, edit: usize) -> impl Iterator<Item = (String, String)> {
    (1..keys).map(move |consumer| {
        let key = if consumer == keys / 2 { edited_key(edit) } else { key(consumer) };
        (format!("consumer-{consumer:06}"), sha256(&key))
    })
}

/// Returns a file with this many keys, after this many edits.
pub fn file(keys: usize, edit: usize) -> File {
    let fields = "respond: {status: 200}, api_key: {header: x-api-key, query: key}";
    let file = File::default().and_route("measured", "/measured", fields).alice();
    consumers(keys, edit).fold(file, |file, (name, sha256)| file.consumer(name, sha256))
}

/// Returns the filter's configuration with the same keys.
pub fn configuration(keys: usize) -> String {
    let consumers = std::iter::once(("alice".to_owned(), ALICE_SHA256.to_owned())).chain(consumers(keys, 0));
    let consumer = |(name, sha256)| {
        let api_keys = vec![ApiKey { id: None, sha256, expires: None, not_before: None }];
        Consumer { name, api_keys, ..Consumer::default() }
    };
    let consumers = consumers.map(consumer).collect();
    let config = Config { version: 1, consumers, route_policies: true, ..Config::default() };
    serde_json::to_string(&config).unwrap()
}
