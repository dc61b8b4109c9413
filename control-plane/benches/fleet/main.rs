//! A fleet without Envoys: delta ADS clients over TCP subscribe to the endpoints of every cluster
//! by name and accept everything. The real server runs in its own process.
//!
//! The bench measures the first sync of all clients, the time until the last stream has one changed
//! load assignment, the bytes sent, and the server's memory and CPU time.
//!
//! `cargo bench -p legation --bench fleet -- 1000x1000 100x10000` sets the numbers of streams and
//! clusters. These are the defaults.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

mod client;
mod process;
mod server;

use std::time::{Duration, Instant};

use client::Client;
use process::ServerProcess;
use tokio::task::JoinSet;

/// The number of changes at each size. The median counts.
const CHANGES: usize = 11;

struct Measured {
    idle_peak_mib: f64,
    first_sync: Duration,
    first_sync_bytes: usize,
    first_sync_cpu: Duration,
    first_sync_peak_mib: f64,
    change: Duration,
    change_worst: Duration,
    change_bytes: usize,
    change_cpu: Duration,
    build: Duration,
    peak_mib: f64,
}

async fn measure(streams: usize, clusters: usize) -> Measured {
    let mut server = ServerProcess::start(clusters).await;
    let (idle_cpu, idle_peak_mib) = (server.cpu(), server.peak_mib());
    let start = Instant::now();
    let clients = all((0..streams).map(|number| Client::connect(server.port, number, clusters)).collect()).await;
    let clients = all(clients.into_iter().map(|client| client.hears(clusters)).collect()).await;
    let first_sync = start.elapsed();
    let bytes = |clients: &[Client]| clients.iter().map(|client| client.bytes).sum::<usize>();
    let first_sync_bytes = bytes(&clients);
    // The last ACKs are still on their way.
    server.settle().await;
    let (first_sync_cpu, first_sync_peak_mib) = (server.cpu(), server.peak_mib());

    let mut clients = clients;
    let (mut changes, mut builds) = (Vec::new(), Vec::new());
    for _ in 0..CHANGES {
        let waiting = clients.into_iter().map(|client| tokio::spawn(client.hears(1))).collect::<Vec<_>>();
        let start = Instant::now();
        builds.push(server.publish().await);
        clients = Vec::with_capacity(streams);
        for client in waiting {
            clients.push(client.await.unwrap());
        }
        changes.push(start.elapsed());
        server.settle().await;
    }
    changes.sort();
    builds.sort();
    Measured {
        idle_peak_mib,
        first_sync,
        first_sync_bytes,
        first_sync_cpu: first_sync_cpu - idle_cpu,
        first_sync_peak_mib,
        change: changes[CHANGES / 2],
        change_worst: changes[CHANGES - 1],
        change_bytes: (bytes(&clients) - first_sync_bytes) / CHANGES,
        change_cpu: (server.cpu() - first_sync_cpu) / CHANGES as u32,
        build: builds[CHANGES / 2],
        peak_mib: server.peak_mib(),
    }
}

/// Runs work concurrently and returns all results.
async fn all<T: Send + 'static>(work: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    work.into_iter().collect::<JoinSet<_>>().join_all().await
}

fn main() {
    if server::is_wanted() {
        return server::run();
    }
    let sizes = std::env::args().filter_map(|argument| {
        let (streams, clusters) = argument.split_once('x')?;
        Some((streams.parse().ok()?, clusters.parse().ok()?))
    });
    let mut sizes = sizes.collect::<Vec<(usize, usize)>>();
    if sizes.is_empty() {
        sizes = vec![(1_000, 1_000), (100, 10_000)];
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    println!("delta ADS, endpoints by name; the clients share the machine with the server");
    for (streams, clusters) in sizes {
        let at = runtime.block_on(measure(streams, clusters));
        println!("{streams} streams x {clusters} clusters; {:.0} MiB before the first stream", at.idle_peak_mib);
        println!(
            "  first sync: {:.0} ms, {:.1} MB sent, {:.0} ms of CPU, {:.0} MiB at the peak",
            milliseconds(at.first_sync),
            at.first_sync_bytes as f64 / 1e6,
            milliseconds(at.first_sync_cpu),
            at.first_sync_peak_mib,
        );
        println!(
            "  one change: median {:.1} ms (worst {:.1}) until the last stream has it, of which {:.1} ms to translate the file; {:.2} MB sent, {:.0} ms of CPU, {:.0} MiB at the peak",
            milliseconds(at.change),
            milliseconds(at.change_worst),
            milliseconds(at.build),
            at.change_bytes as f64 / 1e6,
            milliseconds(at.change_cpu),
            at.peak_mib,
        );
    }
}
