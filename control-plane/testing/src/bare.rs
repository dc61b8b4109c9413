//! An Envoy with the filter and without a control plane.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{Client, Process, envoy, envoy::written_address, eventually, legation};

/// A running Envoy with a static bootstrap.
pub struct Bare {
    pub process: Process,
    pub client: Client,
    admin: String,
    directory: TempDir,
}

/// The number of worker threads.
const WORKERS: &str = "2";

impl Bare {
    /// Starts Envoy. `bootstrap` makes the bootstrap for a folder that has the filter as
    /// `filter.wasm`.
    pub async fn start(bootstrap: impl FnOnce(&Path) -> String) -> Self {
        let directory = TempDir::new().expect("a temporary folder");
        let path = |name: &str| directory.path().join(name);
        let written = legation().arg("filter").arg("-o").arg(path("filter.wasm")).status().expect("it runs");
        assert!(written.success());
        fs::write(path("envoy.yaml"), bootstrap(directory.path())).expect("it can be written");
        let mut command = Command::new(envoy());
        command.arg("-c").arg(path("envoy.yaml")).arg("--admin-address-path").arg(path("admin"));
        command.args(["--service-node", "bare", "--service-cluster", "bare"]);
        command.args(["--disable-hot-restart", "--concurrency", WORKERS, "--log-level", "warning"]);
        let process = Process::start("envoy", &mut command);
        let admin = written_address(&path("admin")).await;
        let bare = Self { process, client: Client::new(), admin, directory };
        eventually("Envoy is ready", || async { bare.admin("/ready").await.trim() == "LIVE" }).await;
        bare
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An answer of its admin interface.
    pub async fn admin(&self, path: &str) -> String {
        self.client.get(&format!("http://{}{path}", self.admin), &[]).await.text()
    }

    /// Its counters and gauges.
    pub async fn stats(&self) -> BTreeMap<String, u64> {
        let text = self.admin("/stats").await;
        let pairs = text.lines().filter_map(|line| line.split_once(": "));
        pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
    }
}
