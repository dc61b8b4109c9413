//! What the filter costs besides a request's CPU time, by the number of keys: how long an edit of
//! one key stalls a worker, the time to compile a configuration and to find a key in it, memory,
//! start-up, and the size of the module.
//!
//! Plain Envoy is measured too. A number without a ratio depends on the machine.
//! `cargo bench -p legation --bench filter_footprint -- compile stall lookup memory start-up` names
//! the parts to run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

mod keys;
mod stall;

use std::{
    fs,
    time::{Duration, Instant},
};

use legation_testing::{
    free_port, legation,
    measure::{
        cost::{added, median},
        envoy::{self, dump, replace_filters},
        variant::Variant,
    },
};
use tempfile::TempDir;
use tokio::time::sleep;

/// The number of measurements of short operations. The median counts.
const TIMES: usize = 5;
/// The most different keys in requests.
const MOST_ASKED: usize = 10_000;

/// Starts an Envoy with this many keys in the filter, or without the filter.
fn start(keys: Option<usize>, workers: usize) -> Variant {
    let port = free_port();
    let mut bootstrap = dump(&keys::file(keys.unwrap_or(1), 0), port);
    if keys.is_none() {
        replace_filters(&mut bootstrap, vec![]);
    }
    envoy::start(name(keys), workers, port, &bootstrap)
}

fn name(keys: Option<usize>) -> String {
    keys.map_or_else(|| "no filter".to_owned(), |keys| format!("{keys} keys"))
}

/// Returns the milliseconds from the start to the first answer.
async fn first_answer(envoy: &Variant) -> f64 {
    while !envoy.answers().await {
        sleep(Duration::from_millis(1)).await;
    }
    envoy.started.elapsed().as_secs_f64() * 1e3
}

fn module() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("filter.wasm");
    let written = legation().arg("filter").arg("-o").arg(&path).output().unwrap();
    assert!(written.status.success());
    println!("module: {} KiB", fs::metadata(path).unwrap().len() / 1024);
}

/// Measures compiling in this process, without the sandbox.
fn compile() {
    println!("\ncompiled natively");
    for keys in [10, 10_000, 100_000] {
        let json = keys::configuration(keys);
        let took = |_| {
            let start = Instant::now();
            let tables = legation_filter::compile::compile(json.as_bytes());
            let took = start.elapsed().as_secs_f64() * 1e3;
            assert!(tables.is_ok());
            took
        };
        let took = median((0..3 * TIMES).map(took).collect());
        let found = find(keys, &json);
        println!("  {keys:>7} keys, {:>6} KiB {took:>8.2} ms; a key found {found:>5.0} ns", json.len() / 1024);
    }
}

/// Returns the nanoseconds to digest a key and to find it, each time another key. Medians of
/// rounds.
fn find(keys: usize, json: &str) -> f64 {
    let tables = legation_filter::compile::compile(json.as_bytes()).unwrap();
    let asked = (1..keys).filter(|consumer| *consumer != keys / 2).step_by(keys.div_ceil(MOST_ASKED));
    let asked: Vec<String> = asked.map(keys::key).collect();
    let round = |_| {
        let start = Instant::now();
        let found = asked.iter().filter(|key| tables.key(key.as_bytes()).is_some()).count();
        assert_eq!(found, asked.len());
        start.elapsed().as_secs_f64() * 1e9 / asked.len() as f64
    };
    median((0..20 * TIMES).map(round).collect())
}

async fn stall() {
    println!("\nan edit of one key, one worker, ms");
    println!(
        "  {:>7} {:>11} {:>6} {:>11} {:>14} {:>12} {:>22}",
        "keys", "longest gap", "worst", "with no edit", "CPU of worker", "save to served", "RSS MiB before, after"
    );
    for keys in [10, 10_000, 100_000] {
        let at = stall::measure(keys).await;
        println!(
            "  {keys:>7} {:>11.1} {:>6.1} {:>12.1} {:>13.1} {:>14.1} {:>11.1} {:>10.1}",
            at.gap, at.worst_gap, at.quiet, at.cpu, at.served, at.resident[0], at.resident[1]
        );
    }
}

async fn lookup() {
    let sizes = [10, 1_000, 100_000];
    let nothing = start(None, 1);
    let filters = sizes.map(|keys| start(Some(keys), 1));
    for envoy in filters.iter().chain([&nothing]) {
        first_answer(envoy).await;
    }
    let folder = TempDir::new().unwrap();
    // Each request has another key, but not the key of the edit.
    let arguments = |index: usize| {
        let keys: usize = sizes[index];
        let asked = (1..keys).filter(|consumer| *consumer != keys / 2).step_by(keys.div_ceil(MOST_ASKED));
        let uris: String = asked.map(|consumer| format!("/measured?key={}\n", keys::key(consumer))).collect();
        let path = folder.path().join(keys.to_string());
        fs::write(&path, uris.replace("/measured", &nothing.url())).unwrap();
        ["-i", path.to_str().unwrap()].map(str::to_owned).to_vec()
    };
    let (bare, added) = added(&nothing, &filters, arguments);
    println!("\na request whose key is in the query, each another one; CPU time over {bare:.1} us without the filter");
    for (keys, at) in sizes.iter().zip(&added) {
        println!("  {keys:>7} keys +{at:>5.1} us {:>5.2} times", at / added[0]);
    }
}

async fn memory() {
    println!("\nRSS of Envoy with 1, 2 and 4 workers, MiB");
    let mut bare = Vec::new();
    for keys in [None, Some(10), Some(10_000), Some(100_000)] {
        let mut resident = Vec::new();
        for workers in [1, 2, 4] {
            let envoy = start(keys, workers);
            first_answer(&envoy).await;
            sleep(Duration::from_secs(1)).await;
            resident.push(envoy.resident_mib());
        }
        bare = if keys.is_none() { resident.clone() } else { bare };
        print!("  {:<12}", name(keys));
        for (at, bare) in resident.iter().zip(&bare) {
            print!(" {at:>6.1} (+{:>5.1})", at - bare);
        }
        println!(", {:>5.1} for each further worker", (resident[2] - resident[0]) / 3.0);
    }
}

async fn start_up() {
    println!("\nfrom Envoy's start to its first answer, one worker");
    let mut bare = None;
    for keys in [None, Some(10), Some(10_000), Some(100_000)] {
        let mut took = Vec::new();
        for _ in 0..TIMES {
            took.push(first_answer(&start(keys, 1)).await);
        }
        let took = median(took);
        println!("  {:<12} {took:>7.1} ms {:>5.2} times", name(keys), took / *bare.get_or_insert(took));
    }
}

/// Measures the control plane alone: reading and checking the file.
fn validate() {
    println!("\n`legation validate`");
    for keys in [10, 10_000, 100_000] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("gateway.yaml");
        fs::write(&path, keys::file(keys, 0).at(8000)).unwrap();
        let took = |_| {
            let start = Instant::now();
            let output = legation().arg("validate").arg(&path).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            start.elapsed().as_secs_f64() * 1e3
        };
        println!("  {keys:>7} keys {:>8.1} ms", median((0..TIMES).map(took).collect()));
    }
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    module();
    if is_asked("compile") {
        compile();
        validate();
    }
    if is_asked("stall") {
        runtime.block_on(stall());
    }
    if is_asked("lookup") {
        runtime.block_on(lookup());
    }
    if is_asked("memory") {
        runtime.block_on(memory());
    }
    if is_asked("start-up") {
        runtime.block_on(start_up());
    }
}
