//! Many meaningless requests, over HTTP/1.1 and HTTP/2 written by hand, to an Envoy whose filter
//! looks for keys in every place. Envoy survives, and no request without a key passes. A trap in
//! the filter would cut every stream of its worker.
//!
//! `GARBAGE` sets their number (60,000) and `GARBAGE_SEED` the seed (1). The same seed makes the
//! same requests.

mod http1;
mod http2;
mod request;

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use futures::future::join_all;
use legation_testing::{ALICE_KEY, ALICE_SHA256, Bare, Chance, Client, free_port};
use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use request::{Request, spoil};

/// Returns the bootstrap of an Envoy that accepts as much as possible. Its access log shows the
/// outcome of each request. Its routes answer by themselves, so that the log shows a passed request
/// as an upstream would see it.
fn bootstrap(port: u16, folder: &Path) -> String {
    include_str!("garbage/envoy.yaml")
        .replace("$PORT", &port.to_string())
        .replace("$FOLDER", &folder.display().to_string())
        .replace("$ALICE", ALICE_SHA256)
}

fn setting(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// The most requests that an HTTP/2 connection has on the way at once.
const AT_ONCE: usize = 24;
/// The same over HTTP/1.1. Envoy ends a connection on which more than two answers are queued.
const PIPELINED: usize = 2;
/// The number of connections at once for each protocol.
const CONNECTIONS: u64 = 4;

/// The requests to one protocol: how many are left, were sent, and were answered.
struct Flood {
    port: u16,
    left: AtomicUsize,
    sent: AtomicUsize,
    answered: AtomicUsize,
}

impl Flood {
    fn new(port: u16, count: usize) -> Self {
        Self { port, left: AtomicUsize::new(count), sent: AtomicUsize::new(0), answered: AtomicUsize::new(0) }
    }

    /// Returns the next request, with a mark that the access log will show.
    fn next(&self, chance: &mut Chance, may_have_key: bool) -> Option<Request> {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let mut request = Request::any(chance, may_have_key);
        let mark = if request.has_key { HAS_KEY } else { HAS_NONE };
        request.headers.insert(0, (b"x-mark".to_vec(), mark.as_bytes().to_vec()));
        Some(request)
    }

    fn count_answered(&self, count: usize) {
        self.answered.fetch_add(count, Ordering::Relaxed);
    }

    async fn over_http1(&self, mut chance: Chance) {
        while self.left.load(Ordering::Relaxed) > 0 {
            let mut connection = http1::Connection::open(self.port).await;
            loop {
                let (mut batch, mut last) = (Vec::new(), None);
                while batch.len() < PIPELINED && last.is_none() {
                    let Some(request) = self.next(&mut chance, true) else { break };
                    if request.is_last { last = Some(request) } else { batch.push(request) }
                }
                let answered = connection.exchange(&batch).await;
                self.count_answered(answered);
                if let Some(last) = last {
                    connection.end(&http1::encode(&last)).await;
                    break;
                }
                if answered < PIPELINED || chance.one_in(20) {
                    let mut bytes = self.next(&mut chance, false).map(|it| http1::encode(&it)).unwrap_or_default();
                    spoil(&mut chance, &mut bytes);
                    connection.end(&bytes).await;
                    break;
                }
            }
        }
    }

    async fn over_http2(&self, mut chance: Chance) {
        while self.left.load(Ordering::Relaxed) > 0 {
            let mut connection = http2::Connection::open(self.port).await;
            for _ in 0..=chance.below(8) {
                let most = chance.below(AT_ONCE);
                let batch = (0..most).map_while(|_| self.next(&mut chance, true)).collect::<Vec<_>>();
                let answered = connection.exchange(&batch).await;
                self.count_answered(answered);
            }
            let next = connection.next();
            let mut bytes = self.next(&mut chance, false).map(|it| http2::encode(&it, next)).unwrap_or_default();
            spoil(&mut chance, &mut bytes);
            connection.end(&bytes).await;
        }
    }
}

/// The values of `x-mark`, with which a request says whether it has the good key.
const HAS_KEY: &str = "key";
const HAS_NONE: &str = "none";

/// Counts the outcomes of requests by protocol, status and details. Makes sure that no request
/// passed without a key or with another consumer's name, and that the filter failed for no request.
fn judge(log: &str) -> BTreeMap<(&str, &str, &str), usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let fields = line.split('\t').collect::<Vec<_>>();
        let [protocol, status, details, route, mark, identity @ ..] = &fields[..] else { panic!("{line:?}") };
        *counts.entry((*protocol, *status, *details)).or_default() += 1;
        assert_ne!(*status, "503", "{line:?}");
        let failed = ["wasm", "filter_failed", "unavailable", "unknown_policy"];
        assert!(!failed.iter().any(|failed| details.contains(failed)), "{line:?}");
        // For a refused request the log shows what its headers claim.
        if *details == "direct_response" {
            let is_alice = *identity == ["alice", "pro", "--"];
            assert!(is_alice || *identity == ["-", "free", "--"] && *route == "open", "{line:?}");
            assert!(!is_alice || *mark == HAS_KEY, "{line:?}");
        }
    }
    counts
}

/// Asks over many connections, so that every worker gets some.
async fn asks(port: u16, key: &str, expected: u16) {
    let asking = (0..64).map(|_| async {
        let url = format!("http://127.0.0.1:{port}/");
        Client::new().get(&url, &[("x-api-key", key), ("x-mark", HAS_KEY)]).await
    });
    for answer in join_all(asking).await {
        assert_eq!(answer.status, expected, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_garbage_hurts_the_filter_or_passes_it() {
    let (count, seed) = (setting("GARBAGE", 60_000), setting("GARBAGE_SEED", 1) as u64);
    let port = free_port();
    let envoy = Bare::start(|folder| bootstrap(port, folder)).await;
    asks(port, ALICE_KEY, 200).await;
    let created = "wasm.envoy.wasm.runtime.v8.created";
    let before = envoy.stats().await[created];

    let begun = Instant::now();
    let floods = [Flood::new(port, count.div_ceil(2)), Flood::new(port, count / 2)].map(Arc::new);
    let chance = move |number| Chance(seed.wrapping_mul(1000) + number);
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let [http1, http2] = floods.clone();
        tasks.spawn(async move { http1.over_http1(chance(2 * number)).await });
        tasks.spawn(async move { http2.over_http2(chance(2 * number + 1)).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("all goes on");
    }
    let took = begun.elapsed();

    asks(port, ALICE_KEY, 200).await;
    asks(port, "nobody's", 401).await;
    let stats = envoy.stats().await;
    assert_eq!(stats[created], before, "no VM was made anew");
    let reloads = stats.iter().filter(|(name, _)| name.starts_with("wasm.") && name.contains("vm_reload"));
    assert!(reloads.clone().all(|(_, count)| *count == 0), "{:?}", reloads.collect::<Vec<_>>());
    let workers = stats.iter().filter(|(name, _)| name.contains(".worker_") && name.ends_with("downstream_cx_total"));
    let workers = workers.filter(|(name, _)| name.contains(&port.to_string())).collect::<Vec<_>>();
    assert!(workers.len() == 2 && workers.iter().all(|(_, count)| **count > 10), "{workers:?}");
    let said = envoy.process.output();
    assert!(!said.contains("[critical]") && !said.contains("[error]") && !said.contains("wasm log"), "{said}");

    // Envoy writes the rest of its log when it ends.
    envoy.process.end(Signal::SIGTERM);
    let log = fs::read(envoy.path("access.log")).expect("Envoy wrote it");
    let log = String::from_utf8_lossy(&log);
    let counts = judge(&log);
    for (flood, protocol) in floods.iter().zip(["HTTP/1.1", "HTTP/2"]) {
        let [sent, answered] = [&flood.sent, &flood.answered].map(|count| count.load(Ordering::Relaxed));
        println!("{protocol}: {sent} sent, {answered} answered and not cut off");
        let by_filter =
            counts.iter().filter(|((by, _, details), _)| *by == protocol && details.starts_with("legation."));
        let by_filter = by_filter.map(|(_, count)| count).sum::<usize>();
        assert!(by_filter > sent / 2, "most reach the filter: {by_filter} of {sent}");
    }
    println!("{count} requests of seed {seed} in {took:?}:");
    for ((protocol, status, details), count) in counts {
        println!("{count:>8} {protocol:<8} {status} {details}");
    }
}
