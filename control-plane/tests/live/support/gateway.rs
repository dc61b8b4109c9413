//! `legation run` on a file that the test edits.

use std::{fs, net::SocketAddr, path::PathBuf, process::Command};

use nix::unistd::Pid;
use tempfile::TempDir;

use super::{Client, Process, Response, eventually, free_port, legation};

/// A running gateway.
pub struct Gateway {
    pub process: Process,
    pub client: Client,
    /// The port that the file's first listener is meant to have.
    pub port: u16,
    admin: SocketAddr,
    directory: TempDir,
}

/// The variants of xDS by the argument that chooses them.
pub const DELTA: &[&str] = &[];
pub const SOTW: &[&str] = &["--sotw"];

/// How it is run.
pub struct Options {
    /// Further arguments for `legation run`.
    pub arguments: Vec<String>,
    /// How long requests may go on at the end.
    pub drain: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { arguments: Vec::new(), drain: "1s" }
    }
}

impl From<&[&str]> for Options {
    /// With these arguments.
    fn from(arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(), ..Self::default() }
    }
}

impl Gateway {
    /// Runs a gateway on the file that is made for its port, and waits until Envoy has confirmed it.
    pub async fn start(file: impl Fn(u16) -> String) -> Self {
        Self::start_with(Options::default(), file).await
    }

    /// The same, with options.
    pub async fn start_with(options: Options, file: impl Fn(u16) -> String) -> Self {
        let gateway = Self::begin(options, file).await;
        gateway.confirmed(1).await;
        gateway
    }

    /// The same, but waits only until the control plane serves.
    pub async fn begin(options: Options, file: impl Fn(u16) -> String) -> Self {
        let directory = TempDir::new().expect("a temporary folder");
        let port = free_port();
        fs::write(directory.path().join("gateway.yaml"), file(port)).expect("it can be written");
        let process = Process::start("legation run", &mut run(&directory, &options));
        let admin = admin_address(&process).await;
        Self { process, client: Client::new(), port, admin, directory }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("gateway.yaml")
    }

    /// The folder of the file.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Writes the file anew.
    pub fn write(&self, content: &str) {
        fs::write(self.path(), content).expect("it can be written");
    }

    /// A URL of the first listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A URL of the control plane's admin interface.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// An answer through the gateway.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.client.get(&self.url(path), headers).await
    }

    /// What `/status` says.
    pub async fn status(&self) -> serde_json::Value {
        self.client.get(&self.admin_url("/status"), &[]).await.json()
    }

    /// Envoy's process.
    pub fn envoy_pid(&self) -> Pid {
        let kept = fs::read_to_string(self.directory().join(".legation/envoy.pid")).expect("the state names it");
        Pid::from_raw(kept.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a number"))
    }

    /// An answer of Envoy's admin interface.
    pub async fn envoy_admin(&self, path: &str) -> String {
        let address = self.directory().join(".legation/envoy-admin.address");
        let address = fs::read_to_string(address).expect("Envoy says where its admin interface is");
        let answer = self.client.get(&format!("http://{}{path}", address.trim()), &[]).await;
        String::from_utf8(answer.body.to_vec()).expect("text")
    }

    /// The bytes that Envoy has allocated, as it counts them itself.
    pub async fn envoy_allocated(&self) -> u64 {
        let memory: serde_json::Value = serde_json::from_str(&self.envoy_admin("/memory").await).expect("JSON");
        memory["allocated"].as_str().and_then(|allocated| allocated.parse().ok()).expect("a number")
    }

    /// A counter of Envoy's statistics; 0 if there is none of this name yet.
    pub async fn envoy_counter(&self, name: &str) -> u64 {
        let stats = self.envoy_admin("/stats").await;
        let value = stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok());
        value.unwrap_or_default()
    }

    /// Waits until Envoy has confirmed a generation, or a later one.
    pub async fn confirmed(&self, generation: u64) {
        eventually("a node confirms the generation", || async {
            let status = self.status().await;
            status["generation"]["confirmed"].as_u64().is_some_and(|confirmed| confirmed >= generation)
        })
        .await;
    }

    /// Edits the file and waits until Envoy has confirmed what it says.
    pub async fn edit(&self, content: &str) {
        let before = self.status().await["generation"]["serving"].as_u64().expect("something is served");
        self.write(content);
        self.confirmed(before + 1).await;
    }
}

fn run(directory: &TempDir, options: &Options) -> Command {
    let mut command = legation();
    command
        .arg("run")
        .arg(directory.path().join("gateway.yaml"))
        .args([
            "--xds",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--envoy-admin",
            "127.0.0.1:0",
            "--drain",
            options.drain,
        ])
        .args(&options.arguments);
    command
}

/// Where the control plane says that its admin interface is.
pub async fn admin_address(process: &Process) -> SocketAddr {
    let said = || Some(process.output().split_once("status on http://")?.1.split_once("/status")?.0.to_owned());
    eventually("the control plane says where it listens", || async { said().is_some() }).await;
    said().and_then(|address| address.parse().ok()).expect("an address")
}
