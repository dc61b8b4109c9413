//! Stalled streams, with the filter on the route and during edits: clients that read nothing, and
//! uploads that the upstream does not take. Envoy buffers little of each, holds its sender back,
//! and lets all others pass, even on the same connections. `STALLED` sets their number.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::future::join_all;
use legation_testing::{Client, Depot, Gateway, Http, Memory, PATIENCE, Unrest, body, eventually};
use tokio::time::{self, Duration};

const ROUTES: &[(&str, &str)] = &[("/down", "stream: download"), ("/up", "stream: upload")];
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Far more than sockets and Envoy take of a stream.
const LENGTH: u64 = 64 * MIB;

/// The stalled downloads of one client, beside a quarter as many uploads. They are nearly as many
/// as a connection may have, so that others pass only if its window has room for more than all of
/// them (see `translate/flow_control.rs`).
const EACH: u64 = 75;

/// The averages of some stalled streams, in KiB.
struct Each {
    /// What the sender has sent. It is in sockets on all sides and in Envoy.
    sent: u64,
    /// What Envoy has allocated for it.
    held: u64,
}

impl Each {
    /// Begins streams, and waits until they stall.
    async fn of<T>(
        count: u64,
        gateway: &Gateway,
        sent: impl Fn() -> u64,
        begin: impl AsyncFnOnce() -> Vec<T>,
    ) -> (Vec<T>, Self) {
        let (sent_before, allocated) = (sent(), gateway.envoy_allocated().await);
        let streams = begin().await;
        let sent = still(sent).await - sent_before;
        let held = gateway.envoy_allocated().await - allocated;
        (streams, Self { sent: sent / count / KIB, held: held / count / KIB })
    }
}

/// Waits until a count stops changing for a while. Returns it.
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

/// Makes sure that a download and an upload of each client pass.
async fn others_pass(gateway: &Gateway, clients: &[Client]) {
    for client in clients {
        let read = client.download(&gateway.url(&format!("/down/{}", 4 * MIB))).await.unwrap().finish().await;
        assert_eq!(read.unwrap(), 4 * MIB);
        client.upload(&gateway.url("/up"), 4 * MIB, body::whole(4 * MIB)).await.unwrap();
    }
}

async fn streams_that_stand_still_hold_up_nobody(client: Http, cluster: Http, downloads: u64) {
    let downloads = env::var("STALLED").map_or(downloads, |count| count.parse().expect("STALLED is a number"));
    let uploads = downloads / 4;
    let depot = Depot::start(cluster).await;
    // One worker, so that over HTTP/2 all streams share connections to the cluster.
    let one_worker = ["--concurrency", "1"];
    let unrest = Unrest::start_with(one_worker, ROUTES, cluster.protocol(), depot.upstream.address).await;
    let gateway = &unrest.gateway;
    let clients = &(0..downloads.div_ceil(EACH)).map(|_| Client::over(client)).collect::<Vec<_>>();
    let client_of = |number: u64, count: u64| &clients[(number * clients.len() as u64 / count) as usize];
    others_pass(gateway, clients).await;
    let memory = Memory::of(gateway);
    let at_first = gateway.envoy_allocated().await;

    let url = gateway.url(&format!("/down/{LENGTH}"));
    let read_nothing = async || {
        let begun = join_all((0..downloads).map(|number| client_of(number, downloads).download(&url))).await;
        begun.into_iter().map(Result::unwrap).collect()
    };
    let (mut readers, down) = Each::of(downloads, gateway, || depot.given(), read_nothing).await;
    others_pass(gateway, clients).await;

    let sent = Arc::<AtomicU64>::default();
    let take_nothing = async || {
        let begin = |number| {
            let (writer, body) = body::writer(0, sent.clone());
            tokio::spawn(writer.finish(LENGTH));
            let (client, url) = (client_of(number, uploads).clone(), gateway.url("/up/allowed"));
            tokio::spawn(async move { client.upload(&url, LENGTH, body).await })
        };
        (0..uploads).map(begin).collect()
    };
    let (mut waiting, up) = Each::of(uploads, gateway, || sent.load(Ordering::Relaxed), take_nothing).await;
    others_pass(gateway, clients).await;
    let connections = depot.upstream.connections() as u64;
    if cluster == Http::Two {
        assert_eq!(connections, (downloads + uploads + 1).div_ceil(100));
    }

    unrest
        .during(async |mut edits| {
            edits.over().await;
            others_pass(gateway, clients).await;
        })
        .await;
    println!(
        "{client:?} to {cluster:?}, {connections} connections: {downloads} downloads, of each {} KiB given and {} held; \
         {uploads} uploads, of each {} KiB sent and {} held; the process grew by {} at most",
        down.sent,
        down.held,
        up.sent,
        up.held,
        memory.peak() / KIB,
    );
    // What the kernel buffers for the two connections that a stream passes, tens of MiB at most.
    assert!(down.sent < 96 * KIB && up.sent < 96 * KIB);
    assert!(down.held < KIB && up.held < KIB);
    assert!(memory.peak() < (downloads + uploads) * MIB);

    // Streams that move again arrive whole, and Envoy frees the memory of those that end.
    let moving = waiting.pop().unwrap();
    for upload in waiting {
        upload.abort();
    }
    depot.allow_all();
    moving.await.unwrap().unwrap();
    assert_eq!(readers.pop().unwrap().finish().await.unwrap(), LENGTH);
    drop(readers);
    eventually("nothing is held any more", || async { gateway.envoy_allocated().await < at_first + 4 * MIB }).await;
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
