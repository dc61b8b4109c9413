//! Load from a program that nobody here wrote: h2load, of nghttp2. No request of it may fail.

use std::{
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::JoinHandle;

use super::{ALICE_KEY, h2load};

/// Requests in one run of h2load, and how many a second each of its connections sends: load enough
/// to catch what is short, while the machine still does the rest of the test.
const REQUESTS: usize = 2000;
const RATE: usize = 250;

/// Load until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    runs: JoinHandle<Result<usize, String>>,
}

impl Load {
    /// Starts to request these, one after the other, as alice: over HTTP/2, or with `--h1` among
    /// the arguments HTTP/1.1.
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

    /// Ends, and gives how many requests there were, or what h2load says if one of them failed.
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
