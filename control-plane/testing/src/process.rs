//! Child processes. They end with the test, and a failing test shows their output.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::PATIENCE;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("it lies in the repository").to_owned()
}

/// The command under test. Cargo puts it beside the folder of the binaries of tests and benchmarks.
pub fn legation_path() -> PathBuf {
    let this = std::env::current_exe().expect("it has a path");
    let path = this.ancestors().nth(2).expect("it is in `deps`").join("legation");
    assert!(path.is_file(), "cargo builds {} for the tests", path.display());
    path
}

/// A call of the command under test.
pub fn legation() -> Command {
    let mut command = Command::new(legation_path());
    command.env("ENVOY", envoy()).env("LEGATION_LOG", "info,legation=debug");
    command
}

/// The real Envoy: `$ENVOY`, or the one of `make envoy`.
pub fn envoy() -> PathBuf {
    let path = std::env::var_os("ENVOY").map_or(root().join("target/envoy/envoy"), PathBuf::from);
    assert!(
        path.is_file(),
        "these tests need a real Envoy and {} is none: run `make envoy`, or set ENVOY",
        path.display()
    );
    path
}

/// A call of h2load, an independent load generator: `$H2LOAD`, or the one on the PATH.
pub fn h2load() -> tokio::process::Command {
    let name = std::env::var("H2LOAD").unwrap_or_else(|_| "h2load".to_owned());
    let mut command = tokio::process::Command::new(&name);
    let found = Command::new(&name).arg("--version").stdout(Stdio::null()).status();
    assert!(found.is_ok(), "cannot run {name}: {found:?} (`make h2load` installs it, H2LOAD names another)");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
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
    child: Mutex<Child>,
    output: Arc<Mutex<String>>,
    /// Whether it leads a process group that ends with it.
    group: bool,
    /// A pipe whose end tells it that this process has ended.
    _lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts it, and keeps its output.
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command.stdin(Stdio::null()), false)
    }

    /// Starts it at the head of a process group: signals go to all of it, as from a terminal.
    pub fn start_group(name: &str, command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt;
        Self::spawn(name, command.stdin(Stdio::null()).process_group(0), true)
    }

    /// Starts it under a shell. As soon as this process has ended, the shell ends it and removes a
    /// folder.
    pub(super) fn keep(name: &str, folder: &Path, command: &mut Command) -> Self {
        let script = r#"folder=$1; shift; "$@" & cat; kill $!; wait; rm -r "$folder""#;
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(folder).arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::spawn(name, shell.stdin(Stdio::piped()), false)
    }

    fn spawn(name: &str, command: &mut Command, group: bool) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} starts: {error}"));
        let output = Arc::new(Mutex::new(String::new()));
        keep(child.stdout.take().expect("piped"), output.clone());
        keep(child.stderr.take().expect("piped"), output.clone());
        let lifeline = child.stdin.take();
        Self { name: name.to_owned(), child: Mutex::new(child), output, group, _lifeline: lifeline }
    }

    /// Returns its output so far, of both streams.
    pub fn output(&self) -> String {
        self.output.lock().expect("no writer panics").clone()
    }

    /// Waits until a line of its output has all of these words.
    pub async fn says(&self, words: &[&str]) {
        let says = || self.output().lines().any(|line| words.iter().all(|word| line.contains(word)));
        super::eventually(&format!("{} says {words:?}", self.name), || async { says() }).await;
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child().id().cast_signed())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = if self.group { Pid::from_raw(-self.pid().as_raw()) } else { self.pid() };
        kill(pid, signal).unwrap_or_else(|error| panic!("{} takes {signal}: {error}", self.name));
    }

    /// Waits for its end and returns the exit code.
    pub fn wait(&self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child().try_wait().expect("it is our child") {
                return status.code();
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        panic!("{} does not end:\n{}", self.name, self.output());
    }

    /// Sends a signal, waits for its end and returns the exit code.
    pub fn end(&self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.wait()
    }

    /// Returns whether it runs.
    pub fn is_running(&self) -> bool {
        self.child().try_wait().expect("it is our child").is_none()
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().expect("nobody panics with it")
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
                let _ = self.child().wait();
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
