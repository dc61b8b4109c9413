//! Clients that take their time.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time,
};

use super::scene::{Parts, Scene, block, connect, head, statuses, upstream_that};
use crate::support::{
    PATIENCE, eventually, free_port,
    http2::{self, DATA, HEADERS, RST_STREAM, frame},
    tls::Authority,
};

/// Between one bit of a slow client and the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends what comes first, then bit after bit until the other side ends the connection. Gives what came back and how long it took.
async fn trickle(port: u16, first: &[u8], bit: &[u8]) -> (String, Duration) {
    let begun = Instant::now();
    let (mut reader, mut writer) = connect(port).await.into_split();
    let writing = async {
        let mut sent = writer.write_all(first).await;
        let mut tick = time::interval(PAUSE);
        while sent.is_ok() && !bit.is_empty() {
            tick.tick().await;
            sent = writer.write_all(bit).await;
        }
        future::pending::<()>().await
    };
    let mut answer = Vec::new();
    let ended = tokio::select! {
        ended = time::timeout(PATIENCE, reader.read_to_end(&mut answer)) => ended,
        () = writing => unreachable!("it waits for the end"),
    };
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(ended.is_ok(), "{} goes on for ever: {answer}", String::from_utf8_lossy(first));
    (answer, begun.elapsed())
}

/// Whether it is so long, or a little longer: when a machine is busy, and the second in which Envoy lets a client read an answer.
fn is_about(took: Duration, seconds: f64) -> bool {
    (seconds - 0.2..seconds + 4.0).contains(&took.as_secs_f64())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_too_long_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new("public").issue("gateway.test").write(folder.path(), "public");
    let (https, files) = (free_port(), folder.path().join("public").display().to_string());
    let mut parts = Parts::default();
    parts.listeners =
        format!("- {{name: https, port: {https}, tls: {{cert_file: {files}.pem, key_file: {files}.key}}}}");
    // An upstream that waits for the rest of each request, and how many it waits for.
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
    parts.add("plain", patient, timeouts, "");
    parts.add("upload", patient, &format!("stream: upload, {timeouts}"), "");
    let scene = Scene::open(&parts).await;
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
        assert!(is_about(took, 10.0), "{took:?}");
    }))
    .await;
}

/// The stream ends, and the connection may have others.
async fn head_over_http2(port: u16) {
    let begun = Instant::now();
    let mut connection = http2::Connection::open(port).await;
    connection.writer.write_all(&frame(HEADERS, 0, 1, &block("GET", "/"))).await.unwrap();
    let ended = async { while connection.reader.next().await.expect("it goes on").kind != RST_STREAM {} };
    time::timeout(PATIENCE, ended).await.expect("the stream ends");
    assert!(is_about(begun.elapsed(), 10.0), "{:?}", begun.elapsed());
}

/// Envoy waits 5 s for the first bytes, and then 10 s for the whole.
async fn handshakes(port: u16) {
    const HELLO: &[u8] = &[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    let cases: [(&[u8], &[u8]); 3] = [(b"", b""), (HELLO, b""), (HELLO, b"\0")];
    join_all(cases.map(async |(first, bit)| {
        let (answer, took) = trickle(port, first, bit).await;
        assert!(answer.is_empty() && is_about(took, 15.0), "{took:?} {answer}");
    }))
    .await;
}

const LENGTH: &str = "content-length: 1000000\r\n";
const CHUNKED: &str = "transfer-encoding: chunked\r\n";

async fn bodies_over_http1(port: u16) {
    // Of the first the upstream sees a byte now and then, so that the longest life ends them; of the others nothing.
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
        assert!(is_about(took, seconds), "{first}{bit} took {took:?}");
    }))
    .await;
}

async fn bodies_over_http2(port: u16) {
    join_all(["/plain", "/upload"].map(async |path| {
        let begun = Instant::now();
        let mut connection = http2::Connection::open(port).await;
        connection.writer.write_all(&http2::headers(0, 1, &block("POST", path))).await.unwrap();
        let mut tick = time::interval(PAUSE);
        while begun.elapsed() < PATIENCE {
            tokio::select! {
                frame = connection.reader.next() => if frame.expect("it goes on").kind == RST_STREAM { break },
                _ = tick.tick() => connection.writer.write_all(&frame(DATA, 0, 1, b"a")).await.unwrap(),
            }
        }
        assert!(is_about(begun.elapsed(), 2.0), "{path} took {:?}", begun.elapsed());
    }))
    .await;
}

/// Who is refused, or answered by the gateway, is not listened to any longer.
async fn bodies_that_nobody_wants(port: u16) {
    let keyless = format!("POST / HTTP/1.1\r\nhost: a\r\n{LENGTH}\r\n");
    join_all([(keyless, "401"), (head("POST /", LENGTH), "200")].map(async |(first, status)| {
        let (answer, took) = trickle(port, first.as_bytes(), b"a").await;
        assert_eq!(statuses(&answer), [status], "{answer}");
        assert!(is_about(took, 0.2), "{took:?}");
    }))
    .await;
}
