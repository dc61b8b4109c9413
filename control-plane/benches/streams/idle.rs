//! The memory of a stream that is silent after its first event.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    answer::Answer,
    crowd::{Crowd, path},
    subjects::{PROXIES, Subject},
    table::Table,
    upstream,
};

/// A bound that nothing here reaches.
const NEVER: Duration = Duration::from_secs(3600);
/// Long enough for proxies to allocate and free.
const AFTER: Duration = Duration::from_secs(1);

/// One round only, since every round gives the same.
pub async fn measure(streams: usize) {
    let what = format!("memory with {streams} idle streams");
    let mut table = Table::new(&[&what, "KiB a stream", "times plain Envoy", "without streams, MiB"]);
    let mut plain = None;
    for subject in &PROXIES {
        let [before, after] = resident(subject, streams).await;
        let each = (after - before) * 1024.0 / streams as f64;
        let times = each / *plain.get_or_insert(each);
        table.row(subject.name, [format!("{each:.1}"), format!("{times:.2}"), format!("{before:.1}")]);
    }
    println!("\n{table}");
}

/// Returns the memory of a fresh proxy in MiB: without streams, and with this many.
async fn resident(subject: &Subject, streams: usize) -> [f64; 2] {
    let upstream = upstream::start("upstream");
    let variant = subject.start_for_streams(upstream.port).await;
    // Allocations for the very first stream do not count.
    drop(Answer::to(variant.port, &path(NEVER)).await);
    sleep(AFTER).await;
    let before = variant.resident_mib();
    let mut crowd = Crowd::open(variant.port, streams, NEVER).await;
    sleep(AFTER).await;
    // All streams are still open.
    crowd.lags();
    [before, variant.resident_mib()]
}
