//! How much a rate limit admits when clients offer forty times as much: with 1, 2 and 4 workers,
//! and 20 edits of the filter's configuration meanwhile. Envoy's own `local_ratelimit`, without
//! edits, is measured too.
//!
//! 100 per cent are the limit times the time, plus the burst. The bench also measures the load,
//! since a slow machine offers less than forty times the limit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use legation_testing::{
    Flood, Limited, eventually, free_port, limited,
    measure::envoy::{self, dump, local_ratelimit, replace_filters},
};
use serde_json::json;
use tokio::time::sleep;

const LIMIT: usize = 250;
const FLOOD: Flood = Flood { rate: 40 * LIMIT, seconds: 20 };
const EDITS: usize = 20;

/// Legation's algorithms.
const ALGORITHMS: [Limited; 2] = [
    Limited { algorithm: "token_bucket", limit: LIMIT, burst: LIMIT, fields: ", burst: 250" },
    // Its windows begin with the second, as the load does.
    Limited { algorithm: "sliding_window", limit: LIMIT, burst: 0, fields: ", algorithm: sliding_window" },
];

/// Envoy's algorithm.
const NATIVE: Limited = Limited { algorithm: "local_ratelimit", limit: LIMIT, burst: LIMIT, fields: "" };

/// Waits for the next full second of the clock, where the windows of some algorithms begin.
async fn full_second() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    sleep(Duration::from_secs(1) - Duration::from_nanos(now.subsec_nanos().into())).await;
}

fn print(workers: usize, edits: usize, limit: &Limited, judgement: &str) {
    println!("{workers:>7} {edits:>5} {:<16} {judgement}", limit.algorithm);
}

async fn measure(workers: usize) {
    let gateway = limited(&ALGORITHMS, 0).start_with(["--concurrency", &workers.to_string()]).await;
    for (index, limit) in ALGORITHMS.iter().enumerate() {
        let edited = |edit| limited(&ALGORITHMS, index * EDITS + edit);
        full_second().await;
        let (flooded, served) = FLOOD.send_with_edits(&gateway, &limit.path(), EDITS, edited).await;
        print(workers, served, limit, &limit.judge(&flooded));
    }
    drop(gateway);
    let port = free_port();
    let measured = Limited { algorithm: "measured", ..NATIVE };
    let mut bootstrap = dump(&limited(&[measured], 0), port);
    let bucket = json!({"max_tokens": LIMIT, "tokens_per_fill": LIMIT / 10, "fill_interval": "0.1s"});
    replace_filters(&mut bootstrap, vec![local_ratelimit(&bucket)]);
    let envoy = envoy::start(NATIVE.algorithm, workers, port, &bootstrap);
    eventually("it answers", async || envoy.answers().await).await;
    // The bucket refills what the probe took.
    sleep(Duration::from_secs(1)).await;
    print(workers, 0, &NATIVE, &NATIVE.judge(&FLOOD.send(&envoy.url()).await));
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("workers edits limit");
    for workers in [1, 2, 4] {
        runtime.block_on(measure(workers));
    }
}
