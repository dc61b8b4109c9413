//! Envoys that differ only in the filter: the output of `legation dump --static`, with other
//! filters in the filter's place.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::variant::Variant;
use crate::{ALICE_KEY, File, envoy, legation};

/// Starts an Envoy with this many workers.
pub fn start(name: impl Into<String>, workers: usize, port: u16, bootstrap: &Value) -> Variant {
    let folder = TempDir::new().unwrap();
    let mut command = command(folder.path(), workers, bootstrap);
    Variant::start(name, port, folder, &mut command)
}

/// Returns the command that starts an Envoy, with its bootstrap in the folder.
pub fn command(folder: &Path, workers: usize, bootstrap: &Value) -> Command {
    let path = folder.join("envoy.json");
    fs::write(&path, bootstrap.to_string()).unwrap();
    let mut command = Command::new(envoy());
    command.arg("-c").arg(&path).args(["--disable-hot-restart", "--log-level", "error"]);
    command.args(["--concurrency", &workers.to_string()]);
    command
}

/// Returns the output of `legation dump --static` for a file.
pub fn dump(file: &File, port: u16) -> Value {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.yaml");
    fs::write(&path, file.at(port)).unwrap();
    let mut command = legation();
    command.arg("dump").arg(&path).args(["--static", "--envoy-admin", "127.0.0.1:0"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_yaml::from_slice(&output.stdout).unwrap()
}

/// Replaces the filters before the router.
pub fn replace_filters(bootstrap: &mut Value, filters: Vec<Value>) {
    let network = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"];
    let manager = network.as_array_mut().and_then(|network| network.last_mut()).expect("an HTTP connection manager");
    let manager = &mut manager["typed_config"];
    let chain = manager["http_filters"].as_array_mut().expect("a list of filters");
    let router = chain.pop().expect("the router is the last");
    *chain = filters.into_iter().chain([router]).collect();
}

/// Returns Envoy's own key check, which knows alice's key in the clear.
pub fn api_key_auth() -> Value {
    json!({"name": "api_key_auth", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
        "credentials": [{"key": ALICE_KEY, "client": "alice"}],
        "key_sources": [{"header": "x-api-key"}],
        "forwarding": {"header": "x-consumer-id", "hide_credentials": true}
    }})
}

/// Returns Envoy's own limit, which all callers share.
pub fn local_ratelimit(bucket: &Value) -> Value {
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    json!({"name": "local_ratelimit", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "limit",
        "token_bucket": bucket,
        "filter_enabled": always, "filter_enforced": always
    }})
}
