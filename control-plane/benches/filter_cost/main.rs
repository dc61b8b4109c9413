//! The CPU time that the filter adds to a request: microseconds of Envoy's threads, compared with
//! an equal Envoy without the filter. Envoy's own filters for the same purpose and a Lua script are
//! measured too. Each Envoy has one worker, and h2load sends over HTTP/1.1. All Envoys run the
//! whole time.
//!
//! `cargo bench -p legation --bench filter_cost -- 12 30` sets the numbers of headers. These are
//! the defaults. `PEER_WASM` and `PEER_CONFIG` name another module and the file of its
//! configuration, to measure it too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

mod envoys;

use envoys::Upstream;
use legation_testing::{ALICE_KEY, eventually, measure::cost::added};

/// Returns h2load's arguments. It always sends host, user agent and four pseudo-headers.
fn arguments(headers: usize) -> Vec<String> {
    let further = (7..headers).map(|number| format!("x-header-{number}: some-value-of-a-header-{number}"));
    let all = std::iter::once(format!("x-api-key: {ALICE_KEY}")).chain(further);
    all.flat_map(|header| ["-H".to_owned(), header]).collect()
}

async fn measure(upstream: Upstream, headers: usize) {
    let variants = envoys::all(upstream).await;
    for variant in &variants {
        let answers = async || variant.answers().await;
        eventually(&format!("{} answers", variant.name), answers).await;
    }
    let (nothing, filters) = variants.split_first().unwrap();
    let (bare, added) = added(nothing, filters, |_| arguments(headers));
    let native = filters.iter().zip(&added).find(|(variant, _)| variant.name == envoys::NATIVE).unwrap().1;
    println!("{upstream}, {headers} headers: {bare:.1} us a request without a filter");
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
