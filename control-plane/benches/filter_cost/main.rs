//! What the filter adds to a request: CPU time of Envoy's threads a request, in microseconds over an Envoy that is the same but
//! for it, beside Envoy's own filters for the same purpose and a Lua script. One worker; h2load sends over HTTP/1.1.
//!
//! Every Envoy runs all the while, and each in turn gets a window of requests, round after round; right before it the one without
//! a filter gets one, too. The median of the differences counts: a machine whose speed drifts slows both windows of a pair.
//!
//! `cargo bench -p legation --bench filter_cost -- 12 30` says with how many headers; those two unless said. `PEER_WASM` and
//! `PEER_CONFIG` name another module and the file of its configuration, to be measured beside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

mod envoys;
#[allow(dead_code, unused_imports)]
#[path = "../../tests/live/support/mod.rs"]
mod support;

use std::{fs, process::Command, time::Duration};

use envoys::{Upstream, Variant};
use support::{ALICE_KEY, eventually};

/// Requests in a window: long against the clock of the scheduler, short against what the machine does beside.
const WINDOW: usize = 10_000;
const ROUNDS: usize = 15;
const CONNECTIONS: usize = 8;

/// The CPU time of all threads of a process (`proc(5)`, `/proc/PID/task/TID/schedstat`).
fn cpu(pid: i32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        let text = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or_default()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Sends a window of requests, all of which must be answered with 200. Gives microseconds of CPU time a request.
fn window(variant: &Variant, headers: usize) -> f64 {
    let before = cpu(variant.pid());
    let mut load = Command::new(std::env::var("H2LOAD").unwrap_or_else(|_| "h2load".to_owned()));
    load.args(["--h1", "-t", "1", "-c", &CONNECTIONS.to_string(), "-n", &WINDOW.to_string()]);
    // Host, user agent and four pseudo-headers are there anyway.
    load.args(["-H", &format!("x-api-key: {ALICE_KEY}")]);
    for number in 7..headers {
        load.args(["-H", &format!("x-header-{number}: some-value-of-a-header-{number}")]);
    }
    let output = load.arg(variant.url()).output().expect("h2load runs (`make h2load` installs it)");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("status codes: {WINDOW} 2xx")), "{}: {said}", variant.name);
    (cpu(variant.pid()) - before).as_secs_f64() * 1e6 / WINDOW as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn measure(upstream: Upstream, headers: usize) {
    let variants = envoys::all(upstream).await;
    for variant in &variants {
        let answers = async || variant.answers().await;
        eventually(&format!("{} answers", variant.name), answers).await;
    }
    let (nothing, filters) = variants.split_first().unwrap();
    let (mut bare, mut added) = (Vec::new(), vec![Vec::new(); filters.len()]);
    for _ in 0..ROUNDS {
        for (variant, added) in filters.iter().zip(&mut added) {
            let before = window(nothing, headers);
            bare.push(before);
            added.push(window(variant, headers) - before);
        }
    }
    let added: Vec<f64> = added.into_iter().map(median).collect();
    let native = filters.iter().zip(&added).find(|(variant, _)| variant.name == envoys::NATIVE).unwrap().1;
    println!("{upstream}, {headers} headers: {:.1} us a request without a filter", median(bare));
    for (variant, added) in filters.iter().zip(&added) {
        println!("  {:<58} +{added:>5.1} us   {:>5.2} of native", variant.name, added / native);
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut headers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    if headers.is_empty() {
        headers = vec![12, 30];
    }
    println!("CPU time that a filter adds to a request, one worker");
    for upstream in [Upstream::None, Upstream::Cluster] {
        for headers in &headers {
            runtime.block_on(measure(upstream, *headers));
        }
    }
}
