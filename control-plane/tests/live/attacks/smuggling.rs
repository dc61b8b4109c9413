//! Requests whose end two readers could see at different places. The upstream sees each of them
//! whole and plainly framed, or not at all.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use legation_testing::{
    Wire,
    wire::{head, statuses},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::scene::{Scene, file, upstream_that, with};

/// The requests that an upstream received: the first line of each, and its body as it was framed.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// Removes the first request from the bytes, if it is whole. It must be framed plainly.
fn take_request(bytes: &mut Vec<u8>) -> Option<(String, String)> {
    let text = String::from_utf8(bytes.clone()).expect("these are text");
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let values = |name: &str| head.lines().filter_map(|line| line.strip_prefix(name)).collect::<Vec<_>>();
    let (lengths, codings) = (values("content-length: "), values("transfer-encoding: "));
    let end = match (&lengths[..], &codings[..]) {
        ([], []) => 0,
        ([length], []) => length.parse().expect("a length"),
        ([], ["chunked"]) => chunked_end(rest)?,
        _ => panic!("{head}"),
    };
    let body = rest.get(..end)?.to_owned();
    let line = head.lines().next().expect("a line").to_owned();
    bytes.drain(..head.len() + 4 + end);
    Some((line, body))
}

/// Returns where a chunked body ends, if it is whole.
fn chunked_end(body: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let (size, _) = body.get(at..)?.split_once("\r\n")?;
        let length = usize::from_str_radix(size, 16).expect("a size and nothing more");
        let end = at + size.len() + 2 + length;
        assert_eq!(body.get(end..end + 2)?, "\r\n");
        at = end + 2;
        if length == 0 {
            return Some(at);
        }
    }
}

async fn record(mut connection: TcpStream, seen: Seen) {
    let mut bytes = Vec::new();
    while connection.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        while let Some(request) = take_request(&mut bytes) {
            seen.lock().unwrap().push(request);
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    }
}

/// The outcome for a client: the gateway refuses the request, or passes it with this body.
enum Outcome {
    Refused(&'static str),
    Passes(&'static str),
}
use Outcome::{Passes, Refused};

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
const BAD: Outcome = Refused("400");
/// A coding that Envoy does not know or does not accept.
const UNKNOWN: Outcome = Refused("501");

/// The headers of a POST, the bytes after them, and the outcome.
const CASES: &[(&str, &str, Outcome)] = &[
    // Two lengths.
    ("content-length: 38\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\ncontent-length: 3\r\n", "21\r\nHIDDEN\r\n0\r\n\r\n", BAD),
    ("content-length: 0\r\ncontent-length: 33\r\n", "HIDDEN", BAD),
    ("content-length: 33\r\ncontent-length: 0\r\n", "HIDDEN", BAD),
    ("content-length: 33\r\ncontent-length: 33\r\n", "HIDDEN", BAD),
    ("content-length: 0, 33\r\n", "HIDDEN", BAD),
    // Lengths that are no numbers.
    ("content-length: +33\r\n", "HIDDEN", BAD),
    ("content-length: -1\r\n", "HIDDEN", BAD),
    ("content-length: 0x21\r\n", "HIDDEN", BAD),
    ("content-length: 3 3\r\n", "HIDDEN", BAD),
    ("content-length:\r\n", "HIDDEN", BAD),
    ("content-length: 18446744073709551616\r\n", "HIDDEN", BAD),
    // Not quite chunked.
    ("transfer-encoding: chunked, identity\r\n", "0\r\n\r\nHIDDEN", UNKNOWN),
    ("transfer-encoding: identity, chunked\r\n", "0\r\n\r\nHIDDEN", UNKNOWN),
    ("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\nHIDDEN", UNKNOWN),
    ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\nHIDDEN", UNKNOWN),
    ("transfer-encoding: identity\r\n", "HIDDEN", UNKNOWN),
    ("transfer-encoding: xchunked\r\n", "0\r\n\r\nHIDDEN", UNKNOWN),
    ("transfer-encoding: \"chunked\"\r\n", "0\r\n\r\nHIDDEN", UNKNOWN),
    ("transfer-encoding: chunked;q=1\r\n", "0\r\n\r\nHIDDEN", UNKNOWN),
    ("transfer-encoding: \u{b}chunked\r\n", "0\r\n\r\nHIDDEN", BAD),
    // Malformed header lines.
    ("transfer-encoding : chunked\r\n", "0\r\n\r\nHIDDEN", BAD),
    ("content-length : 33\r\n", "HIDDEN", BAD),
    ("x-a: b\0\r\ncontent-length: 33\r\n", "HIDDEN", BAD),
    // Malformed chunks.
    ("transfer-encoding: chunked\r\n", "z\r\nhello\r\n0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\n", "-5\r\nhello\r\n0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\n", "5;a\nhello\r\n0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\n", "5\r\nhello, and more\r\n0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\n", "5\r\nhello0\r\n\r\nHIDDEN", BAD),
    ("transfer-encoding: chunked\r\n", "0\n\nHIDDEN", BAD),
    // Envoy rewrites an unambiguous request plainly.
    ("TRANSFER-ENCODING:\tcHuNkEd \r\n", "5\r\nhello\r\n0\r\n\r\n", Passes("5\r\nhello\r\n0\r\n\r\n")),
    ("transfer-encoding:\r\n chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", Passes("5\r\nhello\r\n0\r\n\r\n")),
    ("x-a: b\r\n c\r\ncontent-length: 5\r\n", "hello", Passes("hello")),
    ("x-a: b\ncontent-length: 5\r\n", "hello", Passes("hello")),
    ("transfer_encoding: chunked\r\ncontent-length: 33\r\n", "HIDDEN", Passes("HIDDEN")),
    ("connection: content-length\r\ncontent-length: 33\r\n", "HIDDEN", Passes("21\r\nHIDDEN\r\n0\r\n\r\n")),
    (
        "connection: transfer-encoding\r\ntransfer-encoding: chunked\r\n",
        "21\r\nHIDDEN\r\n0\r\n\r\n",
        Passes("21\r\nHIDDEN\r\n0\r\n\r\n"),
    ),
    ("transfer-encoding: chunked\r\n", "5;a=\"b\"\r\nhello\r\n0\r\n\r\n", Passes("5\r\nhello\r\n0\r\n\r\n")),
    (
        "transfer-encoding: chunked\r\n",
        "00000000000000000000005\r\nhello\r\n0\r\n\r\n",
        Passes("5\r\nhello\r\n0\r\n\r\n"),
    ),
    ("transfer-encoding: chunked\r\n", "0\r\ncontent-length: 33\r\n\r\n", Passes("0\r\n\r\n")),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_request_hides_another() {
    let seen = Seen::default();
    let recorded = seen.clone();
    let svc = upstream_that(move |connection| record(connection, recorded.clone())).await;
    let scene = Scene::open(with(file().await, "svc", svc, "", "")).await;
    let port = scene.gateway.port;
    let mut expected = Vec::new();
    let cases = CASES.iter().enumerate().map(|(number, (headers, body, outcome))| {
        let body = body.replace("HIDDEN", HIDDEN);
        let (path, last) = (format!("/svc/{number}"), format!("/svc/{number}/last"));
        let bytes =
            head(&format!("POST {path}"), headers) + &body + &head(&format!("GET {last}"), "connection: close\r\n");
        let statuses_expected = match outcome {
            Refused(status) => vec![*status],
            Passes(body) => {
                expected.push((format!("POST {path} HTTP/1.1"), body.replace("HIDDEN", HIDDEN)));
                expected.push((format!("GET {last} HTTP/1.1"), String::new()));
                vec!["200", "200"]
            }
        };
        async move {
            let answers = Wire::exchange(port, &bytes).await;
            assert_eq!(statuses(&answers), statuses_expected, "{bytes:?}: {answers}");
        }
    });
    join_all(cases).await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    scene.ends_unharmed(32).await;
}
