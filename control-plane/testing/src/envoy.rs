//! An Envoy that joins a control plane, or has its own bootstrap.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use super::{Client, ControlPlane, Process, envoy, eventually, legation};

/// An Envoy that joined, or that has its own bootstrap.
pub struct Envoy {
    pub process: Process,
    admin: String,
    client: Client,
}

impl Envoy {
    /// Starts an Envoy that joins with this node id. The arguments are for `legation bootstrap`.
    pub async fn join(control_plane: &ControlPlane, id: &str, arguments: &[&str]) -> Self {
        let xds = format!("127.0.0.1:{}", control_plane.xds);
        Self::join_at(&xds, &control_plane.path(""), id, arguments).await
    }

    /// Starts an Envoy that joins at this address, with its files in the folder.
    pub async fn join_at(xds: &str, folder: &Path, id: &str, arguments: &[&str]) -> Self {
        let mut bootstrap = legation();
        bootstrap.args(["bootstrap", "--node-id", id, "--xds", xds, "--envoy-admin", "127.0.0.1:0"]).args(arguments);
        let bootstrap = bootstrap.output().expect("it runs");
        assert!(bootstrap.status.success(), "{}", String::from_utf8_lossy(&bootstrap.stderr));
        Self::start(folder, id, &bootstrap.stdout).await
    }

    /// Starts an Envoy with this bootstrap, whose files go into the folder under the node's id.
    pub async fn start(folder: &Path, id: &str, bootstrap: &[u8]) -> Self {
        let (yaml, admin_path) = (folder.join(format!("{id}.yaml")), folder.join(format!("{id}.admin")));
        fs::write(&yaml, bootstrap).expect("it can be written");
        let mut command = Command::new(envoy());
        command.arg("-c").arg(&yaml).arg("--admin-address-path").arg(&admin_path);
        command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]);
        let process = Process::start(id, &mut command);
        Self { process, admin: written_address(&admin_path).await, client: Client::new() }
    }

    /// Returns the counters that grow when a resource is sent again.
    pub async fn counters(&self) -> BTreeMap<String, u64> {
        let text = self.client.get(&format!("http://{}/stats", self.admin), &[]).await.text();
        let moves = |name: &str| {
            let ends = ["cluster_added", "cluster_modified", "listener_added", "listener_modified", "config_reload"];
            let updates = name.contains("cluster.svc.update_success") || name.contains(".rds.");
            ends.iter().any(|end| name.ends_with(end)) || updates && name.ends_with("update_success")
        };
        let counters = text.lines().filter_map(|line| line.split_once(": ")).filter(|(name, _)| moves(name));
        counters.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
    }

    /// A counter or gauge; 0 if there is none of this name yet.
    pub async fn stat(&self, name: &str) -> u64 {
        let text = self.client.get(&format!("http://{}/stats", self.admin), &[]).await.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok());
        value.unwrap_or_default()
    }

    /// The names of its listeners, sorted.
    pub async fn listeners(&self) -> Vec<String> {
        let Ok(text) = self.client.try_get(&format!("http://{}/listeners", self.admin), &[]).await else {
            return Vec::new();
        };
        let text = text.text();
        let mut names: Vec<_> = text.lines().filter_map(|line| Some(line.split_once("::")?.0.to_owned())).collect();
        names.sort();
        names
    }

    /// Waits until it has just these listeners.
    pub async fn has_listeners(&self, names: &[&str]) {
        eventually(&format!("listeners {names:?}"), || async { self.listeners().await == names }).await;
    }
}

/// Returns the address of the admin interface, which Envoy writes into a file.
pub(super) async fn written_address(path: &Path) -> String {
    let address = || fs::read_to_string(path).ok().filter(|address| !address.is_empty());
    eventually("Envoy says where its admin interface is", || async { address().is_some() }).await;
    address().expect("it was there")
}
