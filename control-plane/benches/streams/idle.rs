//! The memory that a stream takes on which nothing is said after its first event.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    answer::Answer,
    crowd::{Crowd, path},
    subjects::{PROXIES, Subject},
    table::Table,
    upstream,
};

/// Longer than anything here takes.
const NEVER: Duration = Duration::from_secs(3600);
/// What is to be allocated or freed is by then.
const AFTER: Duration = Duration::from_secs(1);

/// Once: another time it is the same.
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

/// Of a proxy that has done nothing else yet, in MiB: without streams and with so many.
async fn resident(subject: &Subject, streams: usize) -> [f64; 2] {
    let upstream = upstream::start("upstream");
    let variant = subject.start_for_streams(upstream.port).await;
    // What is made for the first of all does not count.
    drop(Answer::to(variant.port, &path(NEVER)).await);
    sleep(AFTER).await;
    let before = variant.resident_mib();
    let mut crowd = Crowd::open(variant.port, streams, NEVER).await;
    sleep(AFTER).await;
    // All of them are open still.
    crowd.lags();
    [before, variant.resident_mib()]
}
