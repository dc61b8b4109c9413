//! Headers and streams beyond the default limits of a listener.

use std::collections::BTreeSet;

use futures::future::join_all;
use legation_testing::{
    PATIENCE, Wire,
    wire::{
        head,
        http2::{DATA, END_STREAM, HEADERS, HELLO, RST_STREAM, block, field, frame, headers, length},
        statuses,
    },
};
use tokio::time;

use super::scene::{Scene, file};

/// The error code of a refused stream. The client may try it again, since Envoy has not begun it.
const REFUSED_STREAM: u32 = 7;

/// Returns the next stream that ends, and the error code if Envoy reset it.
async fn next_end(connection: &mut Wire) -> (u32, Option<u32>) {
    let next = async {
        loop {
            let frame = connection.reader.frame().await.expect("the connection goes on");
            match frame.kind {
                RST_STREAM => return (frame.stream, Some(frame.error_code())),
                HEADERS | DATA if frame.flags & END_STREAM != 0 => return (frame.stream, None),
                _ => {}
            }
        }
    };
    time::timeout(PATIENCE, next).await.expect("an end of a stream")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_limits_of_a_listener_is_refused_alone() {
    let scene = Scene::open(file().await).await;
    let port = scene.gateway.port;
    tokio::join!(headers_over_http1(port), headers_over_http2(port), a_stream_beyond_a_hundred(port));
    scene.ends_unharmed(32).await;
}

async fn headers_over_http1(port: u16) {
    let cases = [
        ("x-a: b\r\n".repeat(80), "200"),
        ("x-a: b\r\n".repeat(100), "431"),
        ("x-a: b\r\n".repeat(1_000_000), "431"),
        (format!("x-a: {}\r\n", "b".repeat(50_000)), "200"),
        (format!("x-a: {}\r\n", "b".repeat(70_000)), "431"),
        (format!("x-a: {}\r\n", "b".repeat(10_000_000)), "431"),
        (format!("{}: b\r\n", "x".repeat(10_000_000)), "431"),
    ];
    join_all(cases.map(async |(headers, status)| {
        let answer = Wire::exchange(port, head("GET /", &format!("connection: close\r\n{headers}"))).await;
        assert_eq!(statuses(&answer), [status], "{} bytes: {answer}", headers.len());
    }))
    .await;
    let long = Wire::exchange(port, format!("GET /{} HTTP/1.1\r\n", "a".repeat(10_000_000))).await;
    assert_eq!(statuses(&long), ["431"], "{long}");
}

async fn headers_over_http2(port: u16) {
    // An HPACK bomb: one byte names a field that is in the table.
    let bomb = |name: &[u8], value: &[u8]| {
        [&[0x40], &*length(name.len()), name, &*length(value.len()), value, &[0xbe; 16_000]].concat()
    };
    let mut connection = Wire::open_http2(port).await;
    let mut stream = 1;
    for (more, is_answered) in [
        (field(b"x-a", b"b").repeat(80), true),
        (field(b"x-a", b"b").repeat(200), false),
        (field(b"x-a", &[b'b'; 1000]).repeat(70), false),
        (field(b"cookie", b"a=b").repeat(200), false),
        (bomb(b"x-a", &[b'b'; 3900]), false),
        (bomb(b"cookie", &[b'b'; 3900]), false),
        (Vec::new(), true),
    ] {
        connection.say(headers(END_STREAM, stream, &[block("GET", "/"), more].concat())).await;
        let (ended, error) = next_end(&mut connection).await;
        assert_eq!((ended, error.is_none()), (stream, is_answered), "{error:?}");
        stream += 2;
    }
}

async fn a_stream_beyond_a_hundred(port: u16) {
    // A client need not know the limit before it has acknowledged Envoy's settings.
    let mut connection = Wire::connect(port).await;
    connection.say(HELLO).await;
    let begin = |stream| headers(0, stream, &block("POST", "/fine/hold"));
    let end = |stream| frame(DATA, END_STREAM, stream, b"");
    let mut open: BTreeSet<u32> = (0..100).map(|number| 2 * number + 1).collect();
    let all: Vec<u8> = open.iter().copied().flat_map(begin).chain(begin(201)).collect();
    connection.say(all).await;
    assert_eq!(next_end(&mut connection).await, (201, Some(REFUSED_STREAM)));

    // The hundred go on. When one ends, another may begin.
    connection.say(end(1)).await;
    assert_eq!(next_end(&mut connection).await, (1, None));
    connection.say(begin(203)).await;
    open.remove(&1);
    open.insert(203);
    let ends: Vec<u8> = open.iter().copied().flat_map(end).collect();
    connection.say(ends).await;
    while !open.is_empty() {
        let (stream, error) = next_end(&mut connection).await;
        assert_eq!(error, None, "{stream}");
        assert!(open.remove(&stream), "{stream}");
    }

    // Envoy disconnects a client that knows the limit and exceeds it.
    let mut connection = Wire::open_http2(port).await;
    let all: Vec<u8> = (0..101).flat_map(|number| begin(2 * number + 1)).collect();
    connection.say(all).await;
    connection.reader.rest().await;
}
