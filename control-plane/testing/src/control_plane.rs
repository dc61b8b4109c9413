//! `legation serve` on a file that the test edits.

use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{Client, Process, admin_address, eventually, file::complete, free_port, legation};

/// A running control plane.
pub struct ControlPlane {
    pub process: Process,
    pub xds: u16,
    file: PathBuf,
    arguments: Vec<String>,
    admin: SocketAddr,
    client: Client,
    _directory: Option<TempDir>,
}

impl ControlPlane {
    /// Serves a file in a folder of its own.
    pub async fn start<S: ToString>(file: impl fmt::Display, arguments: impl IntoIterator<Item = S>) -> Self {
        let directory = TempDir::new().expect("a temporary folder");
        let path = directory.path().join("gateway.yaml");
        fs::write(&path, complete(&file.to_string(), 0)).expect("it can be written");
        let mut control_plane = Self::on(&path, arguments).await;
        control_plane._directory = Some(directory);
        control_plane
    }

    /// Serves an existing file.
    pub async fn on<S: ToString>(file: &Path, arguments: impl IntoIterator<Item = S>) -> Self {
        let arguments = arguments.into_iter().map(|argument| argument.to_string()).collect::<Vec<_>>();
        let xds = free_port();
        let process = serve(file, xds, &arguments);
        let admin = admin_address(&process).await;
        let file = file.to_owned();
        Self { process, xds, file, arguments, admin, client: Client::new(), _directory: None }
    }

    /// Kills it and starts it again.
    pub async fn restart(&mut self) {
        self.process.end(Signal::SIGKILL);
        self.start_again().await;
    }

    /// Starts it again after its end.
    pub async fn start_again(&mut self) {
        self.process = serve(&self.file, self.xds, &self.arguments);
        self.admin = admin_address(&self.process).await;
    }

    /// Replaces the file.
    pub fn write(&self, file: impl fmt::Display) {
        fs::write(&self.file, complete(&file.to_string(), 0)).expect("it can be written");
    }

    /// A file in the folder of the gateway's file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.file.with_file_name(name)
    }

    /// Returns the address of its admin interface.
    pub fn admin(&self) -> String {
        self.admin.to_string()
    }

    /// What `/status` says.
    pub async fn status(&self) -> serde_json::Value {
        self.client.get(&format!("http://{}/status", self.admin), &[]).await.json()
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> String {
        self.client.get(&format!("http://{}/metrics", self.admin), &[]).await.text()
    }

    /// Makes sure that it has sent no resource.
    pub async fn has_sent_nothing(&self) {
        let metrics = self.metrics().await;
        let sent: Vec<_> = metrics.lines().filter(|line| line.starts_with("legation_xds_resources_total")).collect();
        assert!(!sent.is_empty() && sent.iter().all(|line| line.ends_with(" 0")), "{sent:?}");
    }

    /// Waits until `/status` has these generations: serving, confirmed, rejected. 0 means none.
    pub async fn at(&self, serving: u64, confirmed: u64, rejected: u64) {
        eventually(&format!("serving {serving}, confirmed {confirmed}, rejected {rejected}"), || async {
            let status = self.status().await;
            let number = |name: &str| status["generation"][name].as_u64().unwrap_or(0);
            (number("serving"), number("confirmed"), number("rejected")) == (serving, confirmed, rejected)
        })
        .await;
    }

    /// Waits until it serves this generation.
    pub async fn serves(&self, generation: u64) {
        eventually(&format!("serving {generation}"), || async {
            self.status().await["generation"]["serving"] == generation
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

fn serve(file: &Path, xds: u16, arguments: &[String]) -> Process {
    let mut command = legation();
    command.arg("serve").arg(file).args(["--xds", &format!("127.0.0.1:{xds}"), "--admin", "127.0.0.1:0"]);
    Process::start("legation serve", command.args(arguments))
}
