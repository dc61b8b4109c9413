//! Limits on the time of a stream, with the filter on the route and during edits. A stream that
//! moves a byte now and then outlives `idle`. A stream that a limit ends is aborted on both sides,
//! and never looks whole.

use std::time::{Duration, Instant};

use futures::future::join_all;
use http::Method;
use legation_testing::{Answerer, Client, Direction, Flow, Http, Unrest, by_alice, empty};
use tokio::{join, time};

/// The time of every limit here.
const LIMIT: Duration = Duration::from_secs(2);
const ROUTES: &[(&str, &str)] = &[
    ("/idle", "stream: download, timeouts: {idle: 2s}"),
    ("/longest", "stream: download, timeouts: {max_stream: 2s}"),
    ("/request", "stream: download, timeouts: {request: 2s}"),
    ("/first", "stream: download, timeouts: {first_byte: 2s}"),
];

/// Starts an upstream, a gateway and both clients.
async fn start() -> (Answerer, Unrest, [Client; 2]) {
    let upstream = Answerer::start(Http::One).await;
    let unrest = Unrest::start(ROUTES, "", upstream.address).await;
    (upstream, unrest, Http::BOTH.map(Client::over))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_moves_a_byte_now_and_then_outlives_the_limits_that_are_not_of_its_life() {
    let (upstream, unrest, clients) = start().await;
    let cases = [("/idle", Direction::Down), ("/idle", Direction::Up), ("/first", Direction::Down)];
    unrest
        .during(async |edits| {
            let flows = clients.iter().flat_map(|client| cases.map(|(path, direction)| (client, path, direction)));
            let flows = flows.map(async |(client, path, direction)| {
                let mut flow = Flow::begin(client, &upstream, &unrest.gateway.url(path), direction).await;
                let mut tick = time::interval(LIMIT / 8);
                while !edits.are_over() || flow.age() < 2 * LIMIT {
                    tick.tick().await;
                    flow.moves().await;
                }
                flow.ends_whole().await;
            });
            join_all(flows).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_a_limit_ends_is_aborted_on_both_sides_and_never_looks_whole() {
    let (upstream, unrest, clients) = start().await;
    let cases = [
        ("/idle", Direction::Down, false),
        ("/idle", Direction::Up, false),
        ("/longest", Direction::Down, true),
        ("/longest", Direction::Down, false),
        ("/longest", Direction::Up, true),
        ("/request", Direction::Down, true),
    ];
    unrest
        .during(async |mut edits| {
            let flows = clients.iter().zip(Http::BOTH).flat_map(|client| cases.map(|case| (client, case)));
            let flows = flows.map(async |((client, http), (path, direction, moving))| {
                let flow = Flow::begin(client, &upstream, &unrest.gateway.url(path), direction).await;
                let said = flow.aborts_after(LIMIT, moving).await;
                println!("{http:?} {path} {direction:?}, {}: {said}", if moving { "moving" } else { "silent" });
            });
            // An upstream that does not answer.
            let late = clients.iter().map(async |client| {
                let began = Instant::now();
                let request = by_alice(Method::GET, &unrest.gateway.url("/first")).body(empty()).unwrap();
                let (answer, asked) = upstream.call(client, request).await;
                let (answer, ()) = join!(answer, asked.unwanted());
                assert_eq!(answer.unwrap().unwrap().status(), 504);
                assert!(began.elapsed() > LIMIT * 9 / 10, "{:?} is too soon", began.elapsed());
            });
            join!(join_all(flows), join_all(late), edits.over());
        })
        .await;
}
