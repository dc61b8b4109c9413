//! How much of a request's body a route takes, and that what it takes passes as it comes.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time,
};

use crate::support::{ALICE_KEY, ALICE_SHA256, Events, Gateway, PATIENCE, eventually, upstream};

fn file(port: u16, svc: SocketAddr, one: SocketAddr, request_body: &str) -> String {
    format!(
        r#"
version: 1
listeners: [{{name: http, port: {port}, limits: {{request_body: {request_body}}}}}]
routes:
- {{name: plain, match: {{prefix: /plain}}, cluster: svc, api_key: {{}}}}
- {{name: larger, match: {{prefix: /larger}}, cluster: svc, max_request_body: 4KiB}}
- {{name: upload, match: {{prefix: /upload}}, cluster: svc, stream: upload}}
- {{name: step, match: {{prefix: /step}}, cluster: one}}
- {{name: events, match: {{prefix: /events}}, cluster: svc, stream: sse}}
clusters:
- {{name: svc, endpoints: ["{svc}"]}}
- {{name: one, endpoints: ["{one}"]}}
consumers: [{{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}]
"#
    )
}

/// The status of the answer to a body of this many bytes, by its length or in chunks.
async fn status(port: u16, path: &str, bytes: usize, chunked: bool) -> String {
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (framing, body) = if chunked {
        let chunks = "64\r\n".to_owned() + &"x".repeat(100) + "\r\n";
        ("transfer-encoding: chunked".to_owned(), chunks.repeat(bytes / 100) + "0\r\n\r\n")
    } else {
        (format!("content-length: {bytes}"), "x".repeat(bytes))
    };
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {ALICE_KEY}\r\nconnection: close\r\n{framing}\r\n\r\n");
    // The answer may come, and the connection end, before all is sent.
    let _ = client.write_all((head + &body).as_bytes()).await;
    let mut answer = Vec::new();
    let _ = time::timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or("none").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_bounded_by_its_route_or_its_listener_and_the_bound_is_edited_hot() {
    let svc = upstream("svc").await;
    let file = |port, size| file(port, svc, svc, size);
    let gateway = Gateway::start(|port| file(port, "1KiB")).await;
    let mut events = Events::open(gateway.url("/events/sse")).await;
    for chunked in [false, true] {
        for (path, bytes, expected) in [
            ("/plain", 1_000, "200"),
            ("/plain", 1_100, "413"),
            ("/larger", 4_000, "200"),
            ("/larger", 4_200, "413"),
            ("/upload", 100_000, "200"),
        ] {
            assert_eq!(status(gateway.port, path, bytes, chunked).await, expected, "{path} {bytes} {chunked}");
        }
    }
    let said = gateway.process.output();
    assert!(!said.contains("/plain"), "no client can write into the log: {said}");
    gateway.edit(&file(gateway.port, "2KiB")).await;
    eventually("the new bound counts", || async { status(gateway.port, "/plain", 2_000, true).await == "200" }).await;
    assert_eq!(status(gateway.port, "/plain", 2_100, true).await, "413");
    events.go_on().await;
    assert_eq!(gateway.envoy_counter("listener_manager.listener_modified").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_body_passes_as_it_comes_and_is_cut_when_it_is_too_much() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let one = listener.local_addr().unwrap();
    let gateway = Gateway::start(|port| file(port, one, one, "1KiB")).await;
    let mut client = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    client.write_all(b"POST /step HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let (mut upstream, _) = time::timeout(PATIENCE, listener.accept()).await.expect("Envoy connects").unwrap();
    let mut seen = Vec::new();
    for number in 0..10 {
        let part = format!("part {number}");
        client.write_all(format!("64\r\n{part:>100}\r\n").as_bytes()).await.unwrap();
        while !String::from_utf8_lossy(&seen).contains(&part) {
            let read = time::timeout(PATIENCE, upstream.read_buf(&mut seen)).await.expect("the part comes").unwrap();
            assert!(read > 0, "it ended");
        }
    }
    client.write_all(format!("64\r\n{:>100}\r\n", "too much").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = time::timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("an end");
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    let _ = time::timeout(PATIENCE, upstream.read_to_end(&mut seen)).await.expect("it is cut for the upstream, too");
    assert!(!seen.ends_with(b"0\r\n\r\n"), "it never looks whole");
}
