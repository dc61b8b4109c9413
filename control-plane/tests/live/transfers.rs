//! Large bodies through the gateway, with the filter on the route and during edits. They arrive
//! whole, byte for byte, and take no more memory than small ones. `TRANSFER_MIB` sets their size.

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, header};
use legation_testing::{
    Client, Depot, Edits, Http, Memory, Unrest,
    body::{self, Reader},
    by_alice, empty,
};
use tokio::join;

const ROUTES: &[(&str, &str)] = &[("/down", "stream: download"), ("/up", "stream: upload")];
const MIB: u64 = 1 << 20;
/// The parts of a body whose one side waits for an edit before each. They are enough for all edits.
const PARTS: u64 = 100;

/// Returns the length of each body.
fn length() -> u64 {
    env::var("TRANSFER_MIB").map_or(96, |mib| mib.parse().expect("TRANSFER_MIB is a number")) * MIB
}

/// Waits for another edit. Returns where the next part ends: after the last edit, at the end of the
/// body.
async fn next_part(edits: &mut Edits, so_far: u64, length: u64) -> u64 {
    edits.another().await;
    if edits.are_over() { length } else { so_far + length / PARTS }
}

async fn large_bodies_pass_whole_and_take_no_memory(from: Http, cluster: Http) {
    let depot = Depot::start(cluster).await;
    let unrest = Unrest::start(ROUTES, cluster.protocol(), depot.upstream.address).await;
    let (client, up) = (&Client::over(from), unrest.gateway.url("/up"));
    // Envoy has its buffers after the first exchanges.
    client.download(&unrest.gateway.url(&format!("/down/{MIB}"))).await.unwrap().finish().await.unwrap();
    client.upload(&up, MIB, body::whole(MIB)).await.unwrap();
    let length = length();
    let (down, allowed) = (unrest.gateway.url(&format!("/down/{length}")), unrest.gateway.url("/up/allowed"));

    let memory = Memory::of(&unrest.gateway);
    unrest
        .during(async |edits| {
            let slow_reader = async {
                let mut edits = edits.clone();
                let mut reader = client.download(&down).await.unwrap();
                while reader.offset < length {
                    reader.read_to(next_part(&mut edits, reader.offset, length).await).await.unwrap();
                }
                assert_eq!(reader.finish().await.unwrap(), length);
            };
            let slow_writer = async {
                let mut edits = edits.clone();
                let (mut writer, body) = body::writer(0, Arc::default());
                let write = async {
                    let mut end = 0;
                    while end < length {
                        end = next_part(&mut edits, end, length).await;
                        assert!(writer.write_to(end).await);
                    }
                    drop(writer);
                };
                let (sent, ()) = join!(client.upload(&up, length, body), write);
                sent.unwrap();
            };
            let slow_taker = async {
                let mut edits = edits.clone();
                let allow = async {
                    let mut end = 0;
                    while end < length {
                        end = next_part(&mut edits, end, length).await;
                        depot.allow(end);
                    }
                    depot.allow_all();
                };
                let (sent, ()) = join!(client.upload(&allowed, length, body::whole(length)), allow);
                sent.unwrap();
            };
            join!(slow_reader, slow_writer, slow_taker);
        })
        .await;
    let edited = memory.peak();

    let start = Instant::now();
    assert_eq!(client.download(&down).await.unwrap().finish().await.unwrap(), length);
    let took_down = start.elapsed();
    let start = Instant::now();
    client.upload(&up, length, body::whole(length)).await.unwrap();
    let took_up = start.elapsed();
    let rate = |elapsed: Duration| (length / MIB) as f64 / elapsed.as_secs_f64();
    println!(
        "{from:?} to {cluster:?}, {} MiB: {:.0} MiB/s down, {:.0} MiB/s up; Envoy took {} KiB at most, {} during the edits",
        length / MIB,
        rate(took_down),
        rate(took_up),
        memory.peak() / 1024,
        edited / 1024,
    );
    assert!(memory.peak() < 32 * MIB, "Envoy took {} bytes", memory.peak());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_whole_and_take_no_memory_over_http1() {
    large_bodies_pass_whole_and_take_no_memory(Http::One, Http::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_whole_and_take_no_memory_over_http2() {
    large_bodies_pass_whole_and_take_no_memory(Http::Two, Http::Two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_unknown_length_passes_piece_by_piece() {
    let depot = Depot::start(Http::Two).await;
    let unrest = Unrest::start(ROUTES, Http::Two.protocol(), depot.upstream.address).await;
    let echoed = async |from: Http, mut edits: Edits| {
        let url = unrest.gateway.url("/up/echo");
        let (mut writer, body) = body::writer(0, Arc::default());
        let response = Client::over(from).begin(by_alice(Method::POST, &url).body(body).unwrap()).await.unwrap();
        assert_eq!(response.headers()["x-length-was-said"], "false");
        assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
        let mut reader = Reader::new(0, response.into_body());
        for piece in [1, 7, 4_096, 16_385, 65_537, 300_000].into_iter().cycle() {
            // Each piece comes back before the next is sent.
            let end = reader.offset + piece;
            assert!(writer.write_to(end).await);
            reader.read_to(end).await.unwrap();
            if edits.are_over() && end > length() / 8 {
                break;
            }
            edits.another().await;
        }
        let end = reader.offset;
        drop(writer);
        assert_eq!(reader.finish().await.unwrap(), end);
    };
    unrest
        .during(async |edits| {
            join!(echoed(Http::One, edits.clone()), echoed(Http::Two, edits));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_was_cut_is_resumed_where_it_was() {
    let depot = Depot::start(Http::One).await;
    let unrest = Unrest::start(ROUTES, Http::One.protocol(), depot.upstream.address).await;
    let length = length();
    let ask = async |client: &Client, version: &str, offset: u64| {
        let mut request = by_alice(Method::GET, &unrest.gateway.url(&format!("/down/{length}")));
        if offset > 0 {
            request = request.header(header::RANGE, format!("bytes={offset}-")).header(header::IF_RANGE, version);
        }
        client.begin(request.body(empty()).unwrap()).await.unwrap()
    };
    let resumed = async |from: Http, mut edits: Edits| {
        let client = Client::over(from);
        let first = ask(&client, "", 0).await;
        assert_eq!(first.status(), 200);
        let version = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        let mut reader = Reader::new(0, first.into_body());
        let mut cuts = 0;
        while !edits.are_over() {
            edits.another().await;
            reader.read_to(reader.offset + length / PARTS).await.unwrap();
            let offset = reader.offset;
            // This drops the response before, and so cuts it.
            let next = ask(&client, &version, offset).await;
            assert_eq!(next.status(), 206);
            let range = format!("bytes {offset}-{}/{length}", length - 1);
            assert_eq!(next.headers()[header::CONTENT_RANGE], range);
            assert_eq!(next.headers()[header::CONTENT_LENGTH], (length - offset).to_string());
            reader = Reader::new(offset, next.into_body());
            cuts += 1;
        }
        assert_eq!(reader.finish().await.unwrap(), length);
        // The upstream gives the whole body if the client has another version of it.
        let other = ask(&client, "\"another\"", 5).await;
        assert_eq!(other.status(), 200);
        println!("{from:?}: {} MiB, cut {cuts} times", length / MIB);
    };
    unrest
        .during(async |edits| {
            join!(resumed(Http::One, edits.clone()), resumed(Http::Two, edits));
        })
        .await;
}
