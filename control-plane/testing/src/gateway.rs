//! `legation run` on a file that the test edits.

use std::{fmt, fs, net::SocketAddr, path::PathBuf, process::Command, sync::Arc, thread};

use nix::unistd::Pid;
use tempfile::TempDir;

use super::{Client, File, Process, Response, Variant, eventually, file::complete, free_port, legation};

/// A running gateway.
pub struct Gateway {
    pub process: Arc<Process>,
    pub client: Client,
    /// The port of the file's first listener, `$PORT`.
    pub port: u16,
    admin: SocketAddr,
    directory: Arc<TempDir>,
    is_shared: bool,
}

impl Drop for Gateway {
    /// Shows what a shared gateway has written when a test fails: its process outlives the test.
    fn drop(&mut self) {
        if self.is_shared && thread::panicking() {
            eprintln!("--- the shared gateway wrote:\n{}", self.process.output());
        }
    }
}

/// How a gateway is run.
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

impl<S: ToString> FromIterator<S> for Options {
    /// With these arguments.
    fn from_iter<I: IntoIterator<Item = S>>(arguments: I) -> Self {
        Self { arguments: arguments.into_iter().map(|argument| argument.to_string()).collect(), ..Self::default() }
    }
}

impl<const COUNT: usize> From<[&str; COUNT]> for Options {
    fn from(arguments: [&str; COUNT]) -> Self {
        arguments.into_iter().collect()
    }
}

impl From<Variant> for Options {
    fn from(variant: Variant) -> Self {
        variant.arguments().iter().collect()
    }
}

impl Gateway {
    /// A file with these routes, to [start](File::start) a gateway on.
    pub fn routes(lines: impl fmt::Display) -> File {
        File::routes(lines)
    }

    /// A file whose only route answers every request with this body.
    pub fn answering(body: impl fmt::Display) -> File {
        File::answering(body)
    }

    /// Runs a gateway on a file, and waits until Envoy has confirmed it.
    pub async fn run(options: impl Into<Options>, file: impl fmt::Display) -> Self {
        let gateway = Self::begin(options, file).await;
        gateway.confirmed(1).await;
        gateway
    }

    /// Runs a gateway on a file, and waits only until the control plane serves.
    pub async fn begin(options: impl Into<Options>, file: impl fmt::Display) -> Self {
        Self::begin_as(options.into(), &file.to_string(), |_, command| Process::start("legation run", command)).await
    }

    /// Runs a gateway that ends with this process, since nothing drops it.
    pub(super) async fn keep(options: Options, file: File) -> Self {
        let start = |folder: &TempDir, command: &mut Command| Process::keep("legation run", folder.path(), command);
        let gateway = Self::begin_as(options, &file.to_string(), start).await;
        gateway.confirmed(1).await;
        gateway
    }

    async fn begin_as(options: Options, file: &str, start: impl Fn(&TempDir, &mut Command) -> Process) -> Self {
        let directory = TempDir::new().expect("a temporary folder");
        let port = free_port();
        fs::write(directory.path().join("gateway.yaml"), complete(file, port)).expect("it can be written");
        let process = start(&directory, &mut run(&directory, &options));
        let admin = admin_address(&process).await;
        Self {
            process: Arc::new(process),
            client: Client::new(),
            port,
            admin,
            directory: Arc::new(directory),
            is_shared: false,
        }
    }

    /// Returns the same gateway for another test, with its own client: connections end with the
    /// test's runtime.
    pub(super) fn for_another(&self) -> Self {
        Self {
            process: self.process.clone(),
            client: Client::new(),
            port: self.port,
            admin: self.admin,
            directory: self.directory.clone(),
            is_shared: true,
        }
    }

    /// Runs it again, after its end.
    pub async fn run_again(&mut self, options: impl Into<Options>) {
        let process = Process::start("legation run, again", &mut run(&self.directory, &options.into()));
        self.admin = admin_address(&process).await;
        self.process = Arc::new(process);
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("gateway.yaml")
    }

    /// The folder of the file.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Returns the place of this text in the file, as diagnostics write it.
    pub fn place(&self, text: &str) -> String {
        let content = fs::read_to_string(self.path()).expect("it can be read");
        let (line, found) = content.lines().enumerate().find(|(_, line)| line.contains(text)).expect("it is there");
        format!("gateway.yaml:{}:{}", line + 1, found.find(text).expect("it is there") + 1)
    }

    /// Replaces the file.
    pub fn write(&self, file: impl fmt::Display) {
        fs::write(self.path(), complete(&file.to_string(), self.port)).expect("it can be written");
    }

    /// A URL of the first listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the address of the control plane's admin interface.
    pub fn admin(&self) -> String {
        self.admin.to_string()
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

    /// What `/metrics` says.
    pub async fn metrics(&self) -> String {
        self.client.get(&self.admin_url("/metrics"), &[]).await.text()
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
        self.client.get(&format!("http://{}{path}", address.trim()), &[]).await.text()
    }

    /// The bytes that Envoy has allocated, as it counts them itself.
    pub async fn envoy_allocated(&self) -> u64 {
        let memory: serde_json::Value = serde_json::from_str(&self.envoy_admin("/memory").await).expect("JSON");
        memory["allocated"].as_str().and_then(|allocated| allocated.parse().ok()).expect("a number")
    }

    /// A counter of Envoy's statistics; 0 if there is none of this name yet.
    pub async fn envoy_counter(&self, name: &str) -> u64 {
        self.known_envoy_counter(name).await.unwrap_or_default()
    }

    /// A counter of Envoy's statistics, if there is one of this name.
    pub async fn known_envoy_counter(&self, name: &str) -> Option<u64> {
        let stats = self.envoy_admin("/stats").await;
        stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
    }

    /// Waits until Envoy has confirmed a generation, or a later one.
    pub async fn confirmed(&self, generation: u64) {
        eventually("a node confirms the generation", || async {
            let status = self.status().await;
            status["generation"]["confirmed"].as_u64().is_some_and(|confirmed| confirmed >= generation)
        })
        .await;
    }

    /// Waits until this generation is rejected.
    pub async fn rejected(&self, generation: u64) {
        eventually("the generation is rejected", || async {
            self.status().await["generation"]["rejected"] == generation
        })
        .await;
    }

    /// Edits the file and waits until Envoy has confirmed it.
    pub async fn edit(&self, file: impl fmt::Display) {
        let before = self.status().await["generation"]["serving"].as_u64().expect("something is served");
        self.write(file);
        self.confirmed(before + 1).await;
    }
}

fn run(directory: &TempDir, options: &Options) -> Command {
    let mut command = legation();
    command.arg("run").arg(directory.path().join("gateway.yaml"));
    for flag in ["--xds", "--admin", "--envoy-admin"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    command.args(["--drain", options.drain]).args(&options.arguments);
    command
}

/// Returns the address of the admin interface from the control plane's log.
pub async fn admin_address(process: &Process) -> SocketAddr {
    let said = || Some(process.output().split_once("status on http://")?.1.split_once("/status")?.0.to_owned());
    eventually("the control plane says where it listens", || async { said().is_some() }).await;
    said().and_then(|address| address.parse().ok()).expect("an address")
}
