//! `legation serve` on a file that the test edits, and real Envoys that join it.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{Client, Process, admin_address, envoy, eventually, free_port, legation};

/// A running control plane.
pub struct ControlPlane {
    pub process: Process,
    pub xds: u16,
    arguments: Vec<&'static str>,
    admin: SocketAddr,
    client: Client,
    directory: TempDir,
}

impl ControlPlane {
    /// Serves the file.
    pub async fn start(file: &str, arguments: &[&'static str]) -> Self {
        let directory = TempDir::new().expect("a temporary folder");
        fs::write(directory.path().join("gateway.yaml"), file).expect("it can be written");
        let xds = free_port();
        let process = serve(&directory, xds, arguments);
        let admin = admin_address(&process).await;
        Self { process, xds, arguments: arguments.to_vec(), admin, client: Client::new(), directory }
    }

    /// Ends it hard and starts it anew.
    pub async fn restart(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait();
        self.process = serve(&self.directory, self.xds, &self.arguments);
        self.admin = admin_address(&self.process).await;
    }

    /// Writes the file anew.
    pub fn write(&self, content: &str) {
        fs::write(self.path("gateway.yaml"), content).expect("it can be written");
    }

    /// A file in the folder of the gateway's file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What `/status` says.
    pub async fn status(&self) -> serde_json::Value {
        self.client.get(&format!("http://{}/status", self.admin), &[]).await.json()
    }

    /// Waits until `/status` says this of the generations: serving, confirmed, rejected, where 0 is none.
    pub async fn at(&self, serving: u64, confirmed: u64, rejected: u64) {
        eventually(&format!("serving {serving}, confirmed {confirmed}, rejected {rejected}"), || async {
            let status = self.status().await;
            let number = |name: &str| status["generation"][name].as_u64().unwrap_or(0);
            (number("serving"), number("confirmed"), number("rejected")) == (serving, confirmed, rejected)
        })
        .await;
    }

    /// Waits until a node is in this state.
    pub async fn node_is(&self, id: &str, state: &str) {
        eventually(&format!("{id} is {state}"), || async {
            let status = self.status().await;
            let nodes = status["nodes"].as_array().expect("a list");
            nodes.iter().any(|node| node["id"] == id && node["state"] == state)
        })
        .await;
    }
}

fn serve(directory: &TempDir, xds: u16, arguments: &[&str]) -> Process {
    let mut command = legation();
    command.arg("serve").arg(directory.path().join("gateway.yaml"));
    command.args(["--xds", &format!("127.0.0.1:{xds}"), "--admin", "127.0.0.1:0"]).args(arguments);
    Process::start("legation serve", &mut command)
}

/// An Envoy that joined, or that has a bootstrap of its own.
pub struct Envoy {
    pub process: Process,
    admin: String,
    client: Client,
}

impl Envoy {
    /// Starts an Envoy that joins under this node id; further arguments are those of `legation bootstrap`.
    pub async fn join(control_plane: &ControlPlane, id: &str, arguments: &[&str]) -> Self {
        let xds = format!("127.0.0.1:{}", control_plane.xds);
        let mut bootstrap = legation();
        bootstrap.args(["bootstrap", "--node-id", id, "--xds", &xds, "--envoy-admin", "127.0.0.1:0"]).args(arguments);
        let bootstrap = bootstrap.output().expect("it runs");
        Self::start(&control_plane.path(""), id, &bootstrap.stdout).await
    }

    /// Starts an Envoy with this bootstrap, whose files go into the folder under the node's id.
    pub async fn start(folder: &Path, id: &str, bootstrap: &[u8]) -> Self {
        let (yaml, admin_path) = (folder.join(format!("{id}.yaml")), folder.join(format!("{id}.admin")));
        fs::write(&yaml, bootstrap).expect("it can be written");
        let mut command = Command::new(envoy());
        command.arg("-c").arg(&yaml).arg("--admin-address-path").arg(&admin_path);
        command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]);
        let process = Process::start(id, &mut command);
        let address = || fs::read_to_string(&admin_path).ok().filter(|address| !address.is_empty());
        eventually("Envoy says where its admin interface is", || async { address().is_some() }).await;
        Self { process, admin: address().expect("just seen"), client: Client::new() }
    }

    /// The counters that move when a resource is sent again.
    pub async fn counters(&self) -> BTreeMap<String, u64> {
        let stats = self.client.get(&format!("http://{}/stats", self.admin), &[]).await;
        let text = String::from_utf8(stats.body.to_vec()).expect("text");
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
        let stats = self.client.get(&format!("http://{}/stats", self.admin), &[]).await;
        let text = String::from_utf8(stats.body.to_vec()).expect("text");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok());
        value.unwrap_or_default()
    }

    /// The names of its listeners, sorted.
    pub async fn listeners(&self) -> Vec<String> {
        let Ok(text) = self.client.try_get(&format!("http://{}/listeners", self.admin), &[]).await else {
            return Vec::new();
        };
        let text = String::from_utf8(text.body.to_vec()).expect("text");
        let mut names: Vec<_> = text.lines().filter_map(|line| Some(line.split_once("::")?.0.to_owned())).collect();
        names.sort();
        names
    }

    /// Waits until it has just these listeners.
    pub async fn has_listeners(&self, names: &[&str]) {
        eventually(&format!("listeners {names:?}"), || async { self.listeners().await == names }).await;
    }
}
