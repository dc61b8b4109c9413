//! Streams that stand still, with the filter on the route and the file edited meanwhile: clients that read nothing, uploads that
//! nobody takes. Envoy holds little for each, holds back whoever sends, and lets everybody else pass, on the same connections
//! too. `STALLED` says how many.

use std::{
    env,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
};

use futures::future::join_all;
use tokio::time::{self, Duration};

use crate::support::{Depot, Exchanges, Http, Memory, Options, PATIENCE, Unrest, body};

const ROUTES: &[(&str, &str)] = &[("/down", "stream: download"), ("/up", "stream: upload")];
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// More than sockets and Envoy take of a stream, by far.
const LENGTH: u64 = 64 * MIB;

/// Downloads of one client that stand still, and a quarter as many uploads: nearly as many as a connection may have, so that others
/// pass only if its window has room for more than all of them (see `translate/flow_control.rs`).
const EACH: u64 = 75;

/// Waits until a count stays what it is for a while; gives it.
async fn still(count: impl Fn() -> u64) -> u64 {
    let mut tick = time::interval(Duration::from_millis(25));
    let (mut last, mut times) = (count(), 0);
    let still = async {
        while times < 12 {
            tick.tick().await;
            times = if count() == last { times + 1 } else { 0 };
            last = count();
        }
    };
    time::timeout(PATIENCE, still).await.expect("what is sent is held back some time");
    last
}

/// A download and an upload, as if nothing stood still.
async fn others_pass(exchanges: &[Exchanges]) {
    for exchanges in exchanges {
        let read = exchanges.download(&format!("/down/{}", 4 * MIB)).await.unwrap().finish().await;
        assert_eq!(read.unwrap(), 4 * MIB);
        exchanges.upload("/up", 4 * MIB, body::whole(4 * MIB)).await.unwrap();
    }
}

async fn streams_that_stand_still_hold_up_nobody(client: Http, cluster: Http, downloads: u64) {
    let downloads = env::var("STALLED").map_or(downloads, |count| count.parse().expect("STALLED is a number"));
    let uploads = downloads / 4;
    let depot = Depot::start(cluster).await;
    // One worker, so that over HTTP/2 all streams share connections to the cluster.
    let options = Options::from(&["--concurrency", "1"][..]);
    let unrest = Unrest::start_with(options, ROUTES, cluster.protocol(), depot.upstream.address).await;
    let exchanges: Vec<_> =
        join_all((0..downloads.div_ceil(EACH)).map(|_| Exchanges::open(client, unrest.gateway.port))).await;
    let exchanges: Arc<[Exchanges]> = exchanges.into();
    others_pass(&exchanges).await;

    let of = |number: u64, count: u64| (number * exchanges.len() as u64 / count) as usize;

    let memory = Memory::of(&unrest.gateway);
    let allocated = async || unrest.gateway.envoy_allocated().await;
    let before = allocated().await;
    let path = format!("/down/{LENGTH}");
    let readers = (0..downloads).map(|number| exchanges[of(number, downloads)].download(&path));
    let readers = join_all(readers).await;
    let given = still(|| depot.given()).await / downloads;
    let held_down = (allocated().await - before) / downloads;
    others_pass(&exchanges).await;

    let before = allocated().await;
    let sent = Arc::<AtomicU64>::default();
    let mut tasks: Vec<_> = (0..uploads)
        .map(|number| {
            let (writer, body) = body::writer(0, sent.clone());
            tokio::spawn(writer.finish(LENGTH));
            let (exchanges, number) = (exchanges.clone(), of(number, uploads));
            tokio::spawn(async move { exchanges[number].upload("/up/allowed", LENGTH, body).await })
        })
        .collect();
    let taken = still(|| sent.load(Ordering::Relaxed)).await / uploads;
    let held_up = (allocated().await - before) / uploads;
    others_pass(&exchanges).await;
    println!(
        "{client:?} to {cluster:?}: {downloads} downloads, {} KiB given and {} KiB held of each; {uploads} uploads, {} KiB taken \
         and {} KiB held of each; {} connections to the cluster",
        given / KIB,
        held_down / KIB,
        taken / KIB,
        held_up / KIB,
        depot.upstream.connections(),
    );
    if cluster == Http::Two {
        assert_eq!(depot.upstream.connections() as u64, (downloads + uploads + 1).div_ceil(100));
    }

    unrest
        .during(async |mut edits| {
            edits.over().await;
            others_pass(&exchanges).await;
        })
        .await;
    // Sockets hold most of it, those of the clients and of the cluster too.
    assert!(given < 16 * MIB && taken < 16 * MIB);
    assert!(held_down < MIB && held_up < MIB);
    assert!(memory.peak() < (downloads + uploads) * MIB, "{} KiB", memory.peak() / KIB);

    // What moves again is whole.
    let moving = tasks.pop().unwrap();
    for task in tasks {
        task.abort();
    }
    depot.allow_all();
    moving.await.unwrap().unwrap();
    let mut readers = readers.into_iter();
    assert_eq!(readers.next().unwrap().unwrap().finish().await.unwrap(), LENGTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_stand_still_hold_up_nobody_over_http1() {
    streams_that_stand_still_hold_up_nobody(Http::One, Http::One, 24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_stand_still_hold_up_nobody_over_http2() {
    streams_that_stand_still_hold_up_nobody(Http::Two, Http::Two, EACH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_stand_still_hold_up_nobody_from_http1_to_http2() {
    streams_that_stand_still_hold_up_nobody(Http::One, Http::Two, 24).await;
}
