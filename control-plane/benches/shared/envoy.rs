//! Envoys that are the same but for the filter: what `legation dump --static` makes of a file, with other filters in its place.

use std::{fs, process::Command, time::Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{ALICE_KEY, Client, Process, envoy, legation};

/// A running Envoy.
pub struct Variant {
    pub name: String,
    pub started: Instant,
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Variant {
    /// Starts it with so many workers.
    pub fn start(name: impl Into<String>, workers: usize, port: u16, bootstrap: &Value) -> Self {
        let name = name.into();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("envoy.json");
        fs::write(&path, bootstrap.to_string()).unwrap();
        let mut command = Command::new(envoy());
        command.arg("-c").arg(&path).args(["--disable-hot-restart", "--log-level", "error"]);
        command.args(["--concurrency", &workers.to_string()]);
        let started = Instant::now();
        let process = Process::start(&name, &mut command);
        Self { name, started, process, port, _folder: folder }
    }

    pub fn pid(&self) -> i32 {
        self.process.pid().as_raw()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/measured", self.port)
    }

    pub async fn answers(&self) -> bool {
        let answer = Client::new().try_get(&self.url(), &[("x-api-key", ALICE_KEY)]).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }
}

/// What `legation dump --static` prints for a file.
pub fn dump(file: &str) -> Value {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.yaml");
    fs::write(&path, file).unwrap();
    let mut command = legation();
    command.arg("dump").arg(&path).args(["--static", "--envoy-admin", "127.0.0.1:0"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_yaml::from_slice(&output.stdout).unwrap()
}

/// Puts other filters before the router, in place of those that are there.
pub fn replace_filters(bootstrap: &mut Value, filters: Vec<Value>) {
    let network = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"];
    let manager = network.as_array_mut().and_then(|network| network.last_mut()).expect("an HTTP connection manager");
    let manager = &mut manager["typed_config"];
    let chain = manager["http_filters"].as_array_mut().expect("a list of filters");
    let router = chain.pop().expect("the router is the last");
    *chain = filters.into_iter().chain([router]).collect();
}
