//! Clients that send slowly.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use legation_testing::{
    PATIENCE, Wire, eventually, free_port,
    pki::Authority,
    wire::{
        head,
        http2::{self, DATA, HEADERS, RST_STREAM, block, frame},
        statuses,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time,
};

use super::scene::{Scene, file, upstream_that, with};

/// The pause between two pieces of a slow client.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends `first`, then `bit` again and again until the other side ends the connection. Returns what
/// came back and how long it took.
async fn trickle(port: u16, first: &[u8], bit: &[u8]) -> (String, Duration) {
    let begun = Instant::now();
    let Wire { mut reader, mut writer } = Wire::connect(port).await;
    let writing = async {
        let mut sent = writer.write_all(first).await;
        let mut tick = time::interval(PAUSE);
        while sent.is_ok() && !bit.is_empty() {
            tick.tick().await;
            sent = writer.write_all(bit).await;
        }
        future::pending::<()>().await
    };
    let ended = tokio::select! {
        ended = time::timeout(PATIENCE, reader.rest()) => ended,
        () = writing => unreachable!("it waits for the end"),
    };
    (ended.unwrap_or_else(|_| panic!("{} goes on for ever", String::from_utf8_lossy(first))), begun.elapsed())
}

/// Returns whether a limit of this many seconds ended it, and nothing earlier did. [`PATIENCE`]
/// bounds how late it may end, since that depends on how busy the machine is.
fn is_by_a_limit(took: Duration, seconds: f64) -> bool {
    took.as_secs_f64() > seconds - 0.2
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_take_too_long_are_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new("public").issue("gateway.test").write(folder.path(), "public");
    let (https, files) = (free_port(), folder.path().join("public").display().to_string());
    let tls = "tls: {cert_file: FILES.crt, key_file: FILES.key}".replace("FILES", &files);
    // An upstream that waits for the rest of each request, and counts the requests that it waits
    // for.
    let waiting = Arc::<AtomicUsize>::default();
    let counted = waiting.clone();
    let patient = upstream_that(move |mut connection| {
        let counted = counted.clone();
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = connection.read_to_end(&mut Vec::new()).await;
            counted.fetch_sub(1, Ordering::Relaxed);
        }
    })
    .await;
    let timeouts = "timeouts: {idle: 1s, max_stream: 2s}";
    let file = with(file().await.and_listener_with("https", https, tls), "plain", patient, timeouts, "");
    let scene = Scene::open(with(file, "upload", patient, &format!("stream: upload, {timeouts}"), "")).await;
    let port = scene.gateway.port;
    let bodies = async {
        tokio::join!(bodies_over_http1(port), bodies_over_http2(port), bodies_that_nobody_wants(port));
        eventually("the upstream waits no more", || async { waiting.load(Ordering::Relaxed) == 0 }).await;
    };
    tokio::join!(heads_over_http1(port), head_over_http2(port), handshakes(https), bodies);
    scene.ends_unharmed(32).await;
}

async fn heads_over_http1(port: u16) {
    let cases: [(&[u8], &[u8]); 2] = [(b"G", b"E"), (b"GET / HTTP/1.1\r\nhost: a\r\nx-a: ", b"b")];
    join_all(cases.map(async |(first, bit)| {
        let (answer, took) = trickle(port, first, bit).await;
        assert_eq!(statuses(&answer), ["408"], "{answer}");
        assert!(is_by_a_limit(took, 10.0), "{took:?}");
    }))
    .await;
}

/// Only the stream ends. The connection stays open.
async fn head_over_http2(port: u16) {
    let begun = Instant::now();
    let mut connection = Wire::open_http2(port).await;
    connection.say(frame(HEADERS, 0, 1, &block("GET", "/"))).await;
    let ended = async { while connection.reader.frame().await.expect("it goes on").kind != RST_STREAM {} };
    time::timeout(PATIENCE, ended).await.expect("the stream ends");
    assert!(is_by_a_limit(begun.elapsed(), 10.0), "{:?}", begun.elapsed());
}

/// Envoy waits 5 s for the first bytes, and then 10 s for the rest.
async fn handshakes(port: u16) {
    const HELLO: &[u8] = &[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    let cases: [(&[u8], &[u8]); 3] = [(b"", b""), (HELLO, b""), (HELLO, b"\0")];
    join_all(cases.map(async |(first, bit)| {
        let (answer, took) = trickle(port, first, bit).await;
        assert!(answer.is_empty() && is_by_a_limit(took, 15.0), "{took:?} {answer}");
    }))
    .await;
}

const LENGTH: &str = "content-length: 1000000\r\n";
const CHUNKED: &str = "transfer-encoding: chunked\r\n";

async fn bodies_over_http1(port: u16) {
    // The upstream sees a byte of the first two now and then, so that `max_stream` ends them. It
    // sees nothing of the others, so that `idle` ends them.
    let cases = [
        (LENGTH, "", "a", 2.0),
        (CHUNKED, "", "1\r\na\r\n", 2.0),
        (LENGTH, "", "", 1.0),
        (CHUNKED, "5;", "a", 1.0),
        (CHUNKED, "0\r\nx-a: ", "b", 1.0),
    ];
    let cases = ["/plain", "/upload"].into_iter().flat_map(|path| cases.map(|case| (path, case)));
    join_all(cases.map(async |(path, (framing, first, bit, seconds))| {
        let first = head(&format!("POST {path}"), framing) + first;
        let (answer, took) = trickle(port, first.as_bytes(), bit.as_bytes()).await;
        assert_eq!(statuses(&answer), ["408"], "{answer}");
        assert!(is_by_a_limit(took, seconds), "{first}{bit} took {took:?}");
    }))
    .await;
}

async fn bodies_over_http2(port: u16) {
    join_all(["/plain", "/upload"].map(async |path| {
        let begun = Instant::now();
        let mut connection = Wire::open_http2(port).await;
        connection.say(http2::headers(0, 1, &block("POST", path))).await;
        let mut tick = time::interval(PAUSE);
        let ended = async {
            loop {
                tokio::select! {
                    frame = connection.reader.frame() => if frame.expect("it goes on").kind == RST_STREAM { return },
                    _ = tick.tick() => connection.say(frame(DATA, 0, 1, b"a")).await,
                }
            }
        };
        time::timeout(PATIENCE, ended).await.expect("the stream ends");
        assert!(is_by_a_limit(begun.elapsed(), 2.0), "{path} took {:?}", begun.elapsed());
    }))
    .await;
}

/// Envoy does not listen any longer to a client that it has refused or answered itself.
async fn bodies_that_nobody_wants(port: u16) {
    let keyless = format!("POST / HTTP/1.1\r\nhost: a\r\n{LENGTH}\r\n");
    join_all([(keyless, "401"), (head("POST /", LENGTH), "200")].map(async |(first, status)| {
        let (answer, _) = trickle(port, first.as_bytes(), b"a").await;
        assert_eq!(statuses(&answer), [status], "{answer}");
    }))
    .await;
}
