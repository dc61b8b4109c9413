//! The time from a saved file to the first request that its new route answers, through a real
//! Envoy, at 10, 1,000 and 10,000 routes.
//!
//! The bench also prints the time to Envoy's last ACK, by the control plane's own histogram, which
//! starts when the change is noticed, and the control plane's memory. It prints ratios to the
//! smallest file, since seconds of one machine say little.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use legation_testing::{File, Gateway, measure::cost::resident_mib, upstream};

const SIZES: [usize; 3] = [10, 1_000, 10_000];

/// The number of edits at each size. The median counts.
const EDITS: usize = 15;

fn file(svc: SocketAddr, routes: usize, edit: usize) -> File {
    let file = File::routes("- {name: new-$EDIT, match: {path: /new/$EDIT}, cluster: svc}").set("EDIT", edit);
    let file = (0..routes).fold(file, |file, route| {
        file.and_route(format!("route-{route}"), format!("/service/{route}/items"), "cluster: svc")
    });
    file.cluster("svc", svc)
}

struct Measured {
    latency: Duration,
    worst: Duration,
    last_ack: Duration,
    memory_mib: f64,
}

async fn measure(routes: usize) -> Measured {
    let svc = upstream("svc").await;
    let gateway = file(svc, routes, 0).start_with(["--concurrency", "1"]).await;
    let (mut latencies, mut acks) = (Vec::new(), Vec::new());
    for edit in 1..=EDITS {
        let url = gateway.url(&format!("/new/{edit}"));
        let next = file(svc, routes, edit).at(gateway.port);
        let saved = Instant::now();
        gateway.write(&next);
        while gateway.client.get(&url, &[]).await.status != 200 {}
        latencies.push(saved.elapsed());
        acks.push(last_ack(&gateway, edit).await - acks.iter().sum::<Duration>());
    }
    latencies.sort();
    acks.sort();
    Measured {
        latency: latencies[EDITS / 2],
        worst: latencies[EDITS - 1],
        last_ack: acks[EDITS / 2],
        memory_mib: resident_mib(gateway.process.pid().as_raw()),
    }
}

/// Returns how long the first edits took together, once the last of them has arrived.
async fn last_ack(gateway: &Gateway, edits: usize) -> Duration {
    loop {
        let metrics = gateway.metrics().await;
        let value = |name: &str| -> f64 {
            let line =
                metrics.lines().find_map(|line| line.strip_prefix("legation_propagation_seconds_")?.strip_prefix(name));
            line.unwrap().trim().parse().unwrap()
        };
        if value("count") as usize >= edits {
            return Duration::from_secs_f64(value("sum"));
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let measured = SIZES.map(|routes| runtime.block_on(measure(routes)));
    let smallest = &measured[0];
    println!("save to served, median of {EDITS} edits; control plane memory");
    println!(
        "{:>8} {:>10} {:>10} {:>8} {:>11} {:>10} {:>8}",
        "routes", "median ms", "worst ms", "ratio", "last ACK ms", "RSS MiB", "ratio"
    );
    for (routes, at) in SIZES.iter().zip(&measured) {
        println!(
            "{routes:>8} {:>10.1} {:>10.1} {:>8.2} {:>11.1} {:>10.1} {:>8.2}",
            at.latency.as_secs_f64() * 1e3,
            at.worst.as_secs_f64() * 1e3,
            at.latency.as_secs_f64() / smallest.latency.as_secs_f64(),
            at.last_ack.as_secs_f64() * 1e3,
            at.memory_mib,
            at.memory_mib / smallest.memory_mib,
        );
    }
}
