//! Load from h2load, the independent load generator of nghttp2. No request may fail.

use std::{
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::JoinHandle;

use super::{ALICE_KEY, h2load};

/// The requests of one run of h2load, and the requests a second of each of its connections. The
/// load is high enough to catch short failures, and low enough for the rest of the test.
const REQUESTS: usize = 2000;
const RATE: usize = 250;

/// Load until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    runs: JoinHandle<Result<usize, String>>,
}

impl Load {
    /// Starts requesting these URLs in turn, as alice, over HTTP/2, or over HTTP/1.1 with `--h1`
    /// among the arguments.
    pub fn start(urls: Vec<String>, arguments: &'static [&'static str]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let runs = tokio::spawn(async move {
            let mut requests = 0;
            while !stopped.load(Ordering::Relaxed) {
                requests += run(&urls, arguments).await?;
            }
            Ok(requests)
        });
        Self { stop, runs }
    }

    /// Ends. Returns the number of requests, or h2load's message if one of them failed.
    pub async fn stop(self) -> Result<usize, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.runs.await.expect("it does not panic")
    }
}

async fn run(urls: &[String], arguments: &[&str]) -> Result<usize, String> {
    let mut command = h2load();
    command
        .args(["-t", "1", "-c", "4", "-n", &REQUESTS.to_string(), "--rps", &RATE.to_string()])
        .args(["-H", &format!("x-api-key: {ALICE_KEY}")])
        .args(arguments)
        .args(urls);
    let Output { stdout, stderr, .. } = command.output().await.expect("h2load runs");
    let (said, complaints) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let all =
        format!("{REQUESTS} total, {REQUESTS} started, {REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 errored");
    let good = format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx");
    if said.contains(&all) && said.contains(&good) {
        return Ok(REQUESTS);
    }
    Err(format!("h2load {urls:?} {arguments:?}: {said}{complaints}"))
}
