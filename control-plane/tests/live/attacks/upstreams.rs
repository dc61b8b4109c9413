//! Upstreams that answer with something other than a response. The client gets an answer all the
//! same.

use futures::future::join_all;
use legation_testing::{
    Wire,
    wire::{
        head,
        http2::{ACK, CONTINUATION, END_HEADERS, HEADERS, SETTINGS, field, frame, headers},
        statuses,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::scene::{Scene, file, upstream_that, with};

/// What an upstream sends: `first` once, and `again` for as long as Envoy listens.
struct Says {
    http2: bool,
    first: Vec<u8>,
    again: Vec<u8>,
    status: &'static str,
}

fn says(status: &'static str, first: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>) -> Says {
    Says { http2: false, first: first.into(), again: again.into(), status }
}

/// The same for an upstream over HTTP/2, whose request came on stream 1.
fn says_in_http2(status: &'static str, first: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>) -> Says {
    Says { http2: true, ..says(status, first, again) }
}

async fn answer(connection: TcpStream, http2: bool, first: Vec<u8>, again: Vec<u8>) {
    let Wire { mut reader, mut writer } = Wire::new(connection);
    // The beginning of a request, which Envoy sends in one piece, or the preface of HTTP/2.
    let _ = reader.skip(24).await;
    if http2 {
        while reader.frame().await.is_some_and(|frame| frame.kind != HEADERS) {}
        let _ = writer.write_all(&[frame(SETTINGS, 0, 0, b""), frame(SETTINGS, ACK, 0, b"")].concat()).await;
    }
    let mut sent = writer.write_all(&first).await;
    while sent.is_ok() && !again.is_empty() {
        sent = writer.write_all(&again).await;
    }
    // Until Envoy ends it.
    reader.rest().await;
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const NOT_OVER: &str = "504";

fn cases() -> Vec<Says> {
    let field_of = |length| field(b"x-a", &vec![b'b'; length]);
    let ok2 = || vec![0x88];
    vec![
        says("502", OK, "x-a: b\r\n".repeat(1000)),
        says("502", OK.to_owned() + "x-a: ", "b".repeat(10_000)),
        says("502", "HTTP/1.1 200 ", "b".repeat(10_000)),
        says("502", format!("{OK}x-a: {}\r\ncontent-length: 0\r\n\r\n", "b".repeat(1 << 20)), ""),
        says("502", format!("{OK}{}content-length: 0\r\n\r\n", "x-a: b\r\n".repeat(5000)), ""),
        says("502", "\0\u{ff} garbage\r\n\r\n", ""),
        says("502", "", "\u{ff}\u{fe}".repeat(5000)),
        says("502", OK.to_owned() + "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", ""),
        says("502", OK.to_owned() + "content-length: 5\r\ncontent-length: 6\r\n\r\nhello!", ""),
        says(NOT_OVER, "", "HTTP/1.1 100 Continue\r\n\r\n".repeat(100)),
        says(NOT_OVER, "", "HTTP/1.1 102 Processing\r\n\r\n".repeat(100)),
        says(NOT_OVER, "", "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n".repeat(100)),
        says(NOT_OVER, OK, ""),
        says_in_http2("503", headers(0, 1, &[ok2(), field_of(1000).repeat(70)].concat()), ""),
        says_in_http2("503", headers(0, 1, &[ok2(), field_of(1).repeat(500)].concat()), ""),
        says_in_http2("503", frame(HEADERS, 0, 1, &ok2()), frame(CONTINUATION, 0, 1, &field_of(1000).repeat(16))),
        says_in_http2("502", OK, ""),
        says_in_http2(NOT_OVER, frame(HEADERS, END_HEADERS, 1, &field(b":status", b"103")), ""),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_upstream_answers_the_client_gets_an_answer() {
    let (cases, ends) = (cases(), ["timeouts: {request: 2s}", "stream: sse, timeouts: {idle: 2s}"]);
    let asked: Vec<_> = cases.iter().flat_map(|case| ends.map(|end| (case, end))).enumerate().collect();
    let mut file = file().await;
    for (number, (Says { http2, first, again, .. }, end)) in &asked {
        let (http2, first, again) = (*http2, first.clone(), again.clone());
        let address = upstream_that(move |connection| answer(connection, http2, first.clone(), again.clone())).await;
        file = with(file, &number.to_string(), address, end, if http2 { "protocol: http2" } else { "" });
    }
    let scene = Scene::open(with(file, "stray", upstream_that(say_more).await, "", "")).await;
    let asking = join_all(asked.iter().map(async |(number, (case, end))| {
        let request = head(&format!("GET /{number}"), "connection: close\r\n");
        let answers = Wire::exchange(scene.gateway.port, request).await;
        let first = String::from_utf8_lossy(&case.first[..case.first.len().min(80)]);
        let (interim, last): (Vec<_>, Vec<_>) =
            statuses(&answers).into_iter().partition(|status| status.starts_with('1'));
        assert!(interim.len() <= 1, "{end} {first:?}: {answers}");
        assert_eq!(last, [case.status], "{end} {first:?}: {answers}");
    }));
    tokio::join!(asking, nobody_gets_what_is_more(scene.gateway.port));
    scene.ends_unharmed(32).await;
}

/// Answers each request, and sends an answer that no request asked for behind it.
async fn say_more(mut connection: TcpStream) {
    while connection.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {
        let twice = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmine\
                      HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray";
        let _ = connection.write_all(twice).await;
    }
}

async fn nobody_gets_what_is_more(port: u16) {
    for _ in 0..20 {
        let answer = Wire::exchange(port, head("GET /stray", "connection: close\r\n")).await;
        assert!(answer.starts_with(OK) && answer.ends_with("mine"), "{answer}");
    }
}
