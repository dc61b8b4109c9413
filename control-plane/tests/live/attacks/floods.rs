//! Endless frames of HTTP/2 that cost Envoy more than their sender.

use std::iter::{once, repeat};

use futures::future::join_all;
use legation_testing::{
    PATIENCE, Wire,
    wire::http2::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, block, field, frame,
        headers,
    },
};
use tokio::{io::AsyncWriteExt as _, time};

use super::scene::{MIB, Scene, file};

/// The most bytes that Envoy may take of a flood. It ends the connection far earlier; the rest is
/// on the way.
const MOST: usize = 64 * MIB;

/// Sends frames until Envoy ends the connection. Reads the answers only with `reads`.
async fn flood(name: &str, port: u16, reads: bool, mut frames: impl Iterator<Item = Vec<u8>>) {
    let Wire { mut reader, mut writer } = Wire::open_http2(port).await;
    let writing = async {
        let mut sent = 0;
        loop {
            let many: Vec<u8> = frames.by_ref().take(500).flatten().collect();
            if many.is_empty() || writer.write_all(&many).await.is_err() {
                return sent;
            }
            sent += many.len();
            assert!(sent < MOST, "{name}: Envoy takes it all");
        }
    };
    let reading = async {
        let mut last = None;
        while reads && let Some(frame) = reader.frame().await {
            last = if frame.kind == GOAWAY { Some(frame.error_code()) } else { last };
        }
        last
    };
    let both = async { tokio::join!(writing, reading) };
    let ended = time::timeout(PATIENCE, both).await;
    let (sent, error) = ended.unwrap_or_else(|_| panic!("{name}: Envoy does not end it"));
    println!("{name}: ended after {} KiB, GOAWAY {error:?}", sent / 1024);
}

/// Streams that the client resets at once.
fn resets(path: &str) -> impl Iterator<Item = Vec<u8>> {
    let block = block("GET", path);
    let cancelled = 8_u32.to_be_bytes();
    (1..1_000_000)
        .step_by(2)
        .map(move |stream| [headers(END_STREAM, stream, &block), frame(RST_STREAM, 0, stream, &cancelled)].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_ends_its_connection_alone() {
    let scene = Scene::open(file().await).await;
    let port = scene.gateway.port;
    let after = |flags, method, path| once(frame(HEADERS, flags, 1, &block(method, path)));
    let (get, post) = (after(END_STREAM, "GET", "/"), after(END_HEADERS, "POST", "/fine"));
    let many = field(b"x-a", &[b'b'; 1000]).repeat(16);
    tokio::join!(
        flood("CONTINUATION", port, true, get.clone().chain(repeat(frame(CONTINUATION, 0, 1, &many)))),
        flood("empty CONTINUATION", port, true, get.chain(repeat(frame(CONTINUATION, 0, 1, b"")))),
        flood("PING", port, true, repeat(frame(PING, 0, 0, &[0; 8]))),
        flood("PING, unread", port, false, repeat(frame(PING, 0, 0, &[0; 8]))),
        flood("SETTINGS", port, true, repeat(frame(SETTINGS, 0, 0, b""))),
        flood("SETTINGS, unread", port, false, repeat(frame(SETTINGS, 0, 0, b""))),
        flood("empty DATA", port, true, post.chain(repeat(frame(DATA, 0, 1, b"")))),
        flood("resets of what the gateway answers", port, true, resets("/")),
    );
    // Only a few of them reach an upstream.
    join_all((0..4).map(|_| flood("resets of what the upstream answers", port, true, resets("/fine/hold")))).await;
    let begun = scene.gateway.envoy_counter("cluster.fine.upstream_rq_cancelled").await;
    println!("{begun} requests of 4 connections reached the upstream");
    assert!(begun < 4 * 100, "{begun}");
    scene.ends_unharmed(16).await;
}
