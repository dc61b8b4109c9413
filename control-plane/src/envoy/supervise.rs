//! Keeps one local Envoy running, and ends it in good order.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::{self, Instant},
};

use super::admin;
use crate::rollout::state::State;

/// The first pause before the supervisor starts Envoy again. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// After an Envoy that ran this long, the pause is the first one again.
const LONG_RUN: Duration = Duration::from_secs(30);

/// An Envoy that ended this soon probably can't be started as it is.
const SHORT_RUN: Duration = Duration::from_secs(2);

/// How long Envoy may take to end after a signal.
const PATIENCE: Duration = Duration::from_secs(1);

const POLL: Duration = Duration::from_millis(100);

/// How long streams go on through a listener that an edit replaced or removed, unless the person's
/// arguments say otherwise. It is as long as a stream may last by default (`max_stream`).
const DRAIN_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How to start the local Envoy.
#[derive(Debug)]
pub struct Plan {
    /// The binary.
    pub program: PathBuf,
    /// Its bootstrap, a file.
    pub bootstrap: PathBuf,
    /// How many worker threads it has; Envoy's own choice unless given.
    pub concurrency: Option<u32>,
    /// Further arguments from the person.
    pub arguments: Vec<String>,
    /// How long requests may go on after Envoy was told to end.
    pub grace: Duration,
}

impl Plan {
    /// How long Envoy lets streams go on through a listener that drains.
    pub fn drain_time(&self) -> Duration {
        let said = self.arguments.iter().skip_while(|argument| *argument != "--drain-time-s").nth(1);
        said.and_then(|seconds| seconds.parse().ok()).map_or(DRAIN_TIME, Duration::from_secs)
    }

    fn says(&self, names: &[&str]) -> bool {
        self.arguments.iter().any(|argument| names.contains(&argument.as_str()))
    }
}

/// Keeps a state for one `run`. Two on one state would end each other's Envoy.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] Flock<fs::File>);

impl Lock {
    /// Takes the state for as long as the lock or the process lives.
    ///
    /// # Errors
    /// Another `run` has the state, or it can't be written.
    pub fn take(state: &State) -> io::Result<Self> {
        let path = state.path("run.lock")?;
        let file = fs::File::create(&path)?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map(Self).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => io::Error::other(format!(
                "another `legation run` uses the same state ({}): end it, or give this one another state with --state DIR",
                path.display()
            )),
            other => io::Error::other(format!("cannot lock {}: {other}", path.display())),
        })
    }
}

/// The local Envoy.
#[derive(Debug)]
pub struct Supervisor {
    plan: Plan,
    state: State,
    admin_address: PathBuf,
    _lock: Lock,
}

/// The file of the state in which Envoy says where its admin interface is.
///
/// # Errors
/// The state can't be written.
pub fn admin_address(state: &State) -> io::Result<PathBuf> {
    state.path("envoy-admin.address")
}

impl Supervisor {
    /// Prepares to start Envoy, and ends an Envoy that a killed run left behind.
    ///
    /// # Errors
    /// The state can't be written.
    pub fn new(plan: Plan, state: State, lock: Lock) -> io::Result<Self> {
        let admin_address = admin_address(&state)?;
        let supervisor = Self { plan, state, admin_address, _lock: lock };
        supervisor.end_leftover()?;
        Ok(supervisor)
    }

    /// Runs Envoy until `shutdown`, and starts it again whenever it ends. Then it ends Envoy:
    /// Envoy's listeners close at once, and Envoy goes when no request is under way any more, or
    /// when the grace is over.
    ///
    /// # Errors
    /// Envoy can't be started at all.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        tokio::pin!(shutdown);
        let mut pause = FIRST_PAUSE;
        let mut child = self.start()?;
        loop {
            let started = Instant::now();
            let ended = tokio::select! {
                status = child.wait() => status,
                () = &mut shutdown => return self.end(child).await,
            };
            self.forget();
            if started.elapsed() > LONG_RUN {
                pause = FIRST_PAUSE;
            }
            let hint = if started.elapsed() < SHORT_RUN {
                ". Its own words above say why; if it is the port of its admin interface: --envoy-admin HOST:PORT"
            } else {
                ""
            };
            tracing::error!("Envoy ended ({}); starting it again in {pause:?}{hint}", describe(ended));
            child = loop {
                tokio::select! {
                    () = time::sleep(pause) => {}
                    () = &mut shutdown => return Ok(()),
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                match self.start() {
                    Ok(child) => break child,
                    // The binary may just be being replaced.
                    Err(error) => tracing::error!("{error}; trying again in {pause:?}"),
                }
            };
        }
    }

    fn start(&self) -> io::Result<Child> {
        let plan = &self.plan;
        // What an earlier Envoy wrote there is not true any more.
        let _ = fs::remove_file(&self.admin_address);
        let mut command = Command::new(&plan.program);
        command.arg("--config-path").arg(&plan.bootstrap).arg("--admin-address-path").arg(&self.admin_address);
        // Hot restart shares memory by a number that another Envoy on this machine may use.
        command.arg("--disable-hot-restart");
        if !plan.says(&["-l", "--log-level"]) {
            command.args(["--log-level", "warning"]);
        }
        // Otherwise Envoy would log each request whose body is too large, with its whole URL. Any
        // client could fill the log, and a key in a URL would be in it.
        if !plan.says(&["--component-log-level"]) {
            command.args(["--component-log-level", "http:critical"]);
        }
        if !plan.says(&["--drain-time-s"]) {
            command.arg("--drain-time-s").arg(DRAIN_TIME.as_secs().to_string());
        }
        // A client between two requests then goes over to a listener's new form with the next one,
        // not at some time within the day.
        if !plan.says(&["--drain-strategy"]) {
            command.args(["--drain-strategy", "immediate"]);
        }
        if let Some(concurrency) = plan.concurrency {
            command.arg("--concurrency").arg(concurrency.to_string());
        }
        // Envoy gets its own process group. Ctrl-C in a terminal goes to all processes of a group,
        // and would end Envoy before its requests are done.
        command.args(&plan.arguments).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start {}: {error}", plan.program.display()))
        })?;
        if let Some(pid) = child.id() {
            self.remember(pid);
            tracing::info!("Envoy runs: pid {pid}, {}", plan.program.display());
        }
        Ok(child)
    }

    async fn end(&self, mut child: Child) -> io::Result<()> {
        if let Some(admin) = admin::address(&self.admin_address) {
            self.finish_requests(admin, &mut child).await;
        }
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if let Some(pid) = child.id() {
                // Envoy may have ended meanwhile.
                let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
            }
            if time::timeout(PATIENCE, child.wait()).await.is_ok() {
                break;
            }
        }
        self.forget();
        tracing::info!("Envoy ended");
        Ok(())
    }

    /// Has Envoy close its listeners, and waits until no request is under way, the grace is over or
    /// Envoy has ended.
    async fn finish_requests(&self, admin: SocketAddr, child: &mut Child) {
        let deadline = Instant::now() + self.plan.grace;
        if let Err(error) = admin::stop_listeners(admin).await {
            tracing::debug!("Envoy does not close its listeners: {error}");
            return;
        }
        let mut open = None;
        loop {
            match admin::active_requests(admin).await {
                Ok(0) => return,
                Ok(count) => {
                    if open.replace(count).is_none() {
                        tracing::info!("waiting {:?} at most for what is open: {count} request(s)", self.plan.grace);
                    }
                }
                // Envoy may be busy. That is no reason to cut what is open.
                Err(error) => tracing::debug!("Envoy does not say what is open: {error}"),
            }
            if Instant::now() >= deadline {
                let open = open.map_or_else(|| "?".to_owned(), |open| open.to_string());
                tracing::warn!("cutting {open} request(s) that are still open after {:?}", self.plan.grace);
                return;
            }
            if time::timeout(POLL, child.wait()).await.is_ok() {
                return;
            }
        }
    }

    /// Keeps the process's number and its start. Together they name it for good; numbers alone are
    /// used again.
    fn remember(&self, pid: u32) {
        let kept = format!("{pid} {}", start_time(pid).unwrap_or_default());
        if let Err(error) = self.state.write("envoy.pid", kept.as_bytes()) {
            tracing::warn!("cannot keep Envoy's process number: {error}");
        }
    }

    fn forget(&self) {
        if let Ok(path) = self.state.path("envoy.pid") {
            // A file that can't be removed does no harm: the start time in it names no other
            // process.
            let _ = fs::remove_file(path);
        }
    }

    fn end_leftover(&self) -> io::Result<()> {
        let Ok(kept) = fs::read_to_string(self.state.path("envoy.pid")?) else { return Ok(()) };
        let Some((pid, started)) = kept.split_once(' ') else { return Ok(()) };
        let Ok(pid) = pid.parse::<u32>() else { return Ok(()) };
        if started.is_empty() || start_time(pid).as_deref() != Some(started) {
            return Ok(());
        }
        tracing::warn!("ending the Envoy that an earlier run left behind: pid {pid}");
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        // The leftover is no child of this process, so it can't be waited for. Its ports are free
        // once it is gone.
        let deadline = std::time::Instant::now() + PATIENCE;
        while start_time(pid).as_deref() == Some(started) && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.forget();
        Ok(())
    }
}

/// When a process started, in the kernel's ticks: field 22 of `/proc/PID/stat` (`proc(5)`). None
/// for a process that has ended.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name, field 2, stands in parentheses and may hold anything.
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    let state = fields.next()?;
    if state == "Z" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

fn describe(ended: io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
