//! The cost of a process, and of a request.

use std::{fs, path::Path, process::Command, time::Duration};

use super::variant::Variant;

/// Requests in a window. It is long for the scheduler's clock, and short for other work of the
/// machine.
const WINDOW: usize = 10_000;
const ROUNDS: usize = 15;
const CONNECTIONS: usize = 8;

/// The CPU time of all threads of a process.
pub fn cpu(pid: i32) -> Duration {
    threads_cpu(pid, |_| true)
}

/// The CPU time of the threads of this name.
pub fn thread_cpu(pid: i32, name: &str) -> Duration {
    threads_cpu(pid, |thread| fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim_end() == name))
}

/// `/proc/PID/task/TID/schedstat` (`proc(5)`).
fn threads_cpu(pid: i32, is_counted: impl Fn(&Path) -> bool) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|thread| thread.unwrap().path());
    let nanoseconds = threads.filter(|thread| is_counted(thread)).map(|thread| {
        let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or_default()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// The processes that a process started (`proc(5)`, `/proc/PID/task/TID/children`).
pub fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children =
        threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default());
    children.flat_map(|pids| pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// `VmRSS` of `/proc/PID/status` (`proc(5)`).
pub fn resident_mib(pid: i32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Sends a window of requests. Every answer must be 200. Returns microseconds of CPU time a
/// request.
pub fn window(variant: &Variant, arguments: &[String]) -> f64 {
    let before = variant.cpu();
    let mut load = Command::new(std::env::var("H2LOAD").unwrap_or_else(|_| "h2load".to_owned()));
    load.args(["--h1", "-t", "1", "-c", &CONNECTIONS.to_string(), "-n", &WINDOW.to_string()]);
    // If the arguments name a file of URIs, the requests still go to this Envoy.
    load.args(arguments).args(["-B", &variant.url(), &variant.url()]);
    let output = load.output().expect("h2load runs (`make h2load` installs it)");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("status codes: {WINDOW} 2xx")), "{}: {said}", variant.name);
    (variant.cpu() - before).as_secs_f64() * 1e6 / WINDOW as f64
}

/// Returns the CPU time of a request without a filter, and the CPU time that each filter adds, in
/// microseconds. `arguments` returns h2load's arguments.
///
/// Each Envoy in turn gets a window of requests, round after round. Right before it, the Envoy
/// without a filter gets one. The median of the differences counts, since a machine whose speed
/// drifts slows both windows of a pair.
pub fn added(nothing: &Variant, filters: &[Variant], arguments: impl Fn(usize) -> Vec<String>) -> (f64, Vec<f64>) {
    let arguments: Vec<_> = (0..filters.len()).map(arguments).collect();
    let (mut bare, mut added) = (Vec::new(), vec![Vec::new(); filters.len()]);
    for _ in 0..ROUNDS {
        for ((variant, arguments), added) in filters.iter().zip(&arguments).zip(&mut added) {
            let before = window(nothing, arguments);
            bare.push(before);
            added.push(window(variant, arguments) - before);
        }
    }
    (median(bare), added.into_iter().map(median).collect())
}
