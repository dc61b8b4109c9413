//! Child processes that end with the test, and whose output is shown when it fails.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The command under test.
pub fn legation() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legation"));
    command.env("ENVOY", envoy()).env("LEGATION_LOG", "info,legation=debug");
    command
}

/// The real Envoy: `$ENVOY`, or what `make envoy` leaves.
pub fn envoy() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/envoy/envoy");
    let path = std::env::var_os("ENVOY").map_or(fetched, PathBuf::from);
    assert!(
        path.is_file(),
        "these tests need a real Envoy and {} is none: run `make envoy`, or set ENVOY",
        path.display()
    );
    path
}

/// An Envoy with this configuration and no control plane.
pub fn bare_envoy(config: &Path) -> Process {
    let mut command = Command::new(envoy());
    command.arg("-c").arg(config).args(["--disable-hot-restart", "--log-level", "warning"]);
    Process::start("envoy", &mut command)
}

/// A child process.
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<String>>,
    /// Whether it leads a process group that ends with it.
    group: bool,
}

impl Process {
    /// Starts it; what it writes to either stream is kept.
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command, false)
    }

    /// Starts it at the head of a process group: signals go to all of it, as from a terminal.
    pub fn start_group(name: &str, command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt;
        Self::spawn(name, command.process_group(0), true)
    }

    fn spawn(name: &str, command: &mut Command, group: bool) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} starts: {error}"));
        let output = Arc::new(Mutex::new(String::new()));
        keep(child.stdout.take().expect("piped"), output.clone());
        keep(child.stderr.take().expect("piped"), output.clone());
        Self { name: name.to_owned(), child, output, group }
    }

    /// What it wrote so far, both streams in one.
    pub fn output(&self) -> String {
        self.output.lock().expect("no writer panics").clone()
    }

    /// Waits until a line of its output has all of these words.
    pub async fn says(&self, words: &[&str]) {
        let says = || self.output().lines().any(|line| words.iter().all(|word| line.contains(word)));
        super::eventually(&format!("{} says {words:?}", self.name), || async { says() }).await;
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = if self.group { Pid::from_raw(-self.pid().as_raw()) } else { self.pid() };
        kill(pid, signal).unwrap_or_else(|error| panic!("{} takes {signal}: {error}", self.name));
    }

    /// Waits for its end and gives the exit status's code.
    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + super::PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status.code();
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        panic!("{} does not end:\n{}", self.name, self.output());
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.signal(Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(8);
            while self.is_running() && Instant::now() < deadline {
                thread::park_timeout(Duration::from_millis(5));
            }
            if self.is_running() {
                self.signal(Signal::SIGKILL);
                let _ = self.child.wait();
            }
        }
        if thread::panicking() {
            eprintln!("--- {} wrote:\n{}", self.name, self.output());
        }
    }
}

fn keep(stream: impl Read + Send + 'static, output: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            output.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
}
