//! Limits on a request's body, and that a body within them passes as it comes.

use std::net::SocketAddr;

use legation_testing::{
    Events, File, Wire, eventually, upstream,
    wire::{head, status},
};
use tokio::net::TcpListener;

fn file(svc: SocketAddr, one: SocketAddr) -> File {
    let routes = "
        - {name: plain, match: {prefix: /plain}, cluster: svc, api_key: {}}
        - {name: larger, match: {prefix: /larger}, cluster: svc, max_request_body: 4KiB}
        - {name: upload, match: {prefix: /upload}, cluster: svc, stream: upload}
        - {name: step, match: {prefix: /step}, cluster: one}
        - {name: events, match: {prefix: /events}, cluster: svc, stream: sse}
    ";
    let file = File::routes(routes).cluster("svc", svc).cluster("one", one).alice();
    file.listener_with("limits: {request_body: $BOUND}").set("BOUND", "1KiB")
}

/// Sends a body of this many bytes, with its length or in chunks. Returns the status of the answer.
async fn sent(port: u16, path: &str, bytes: usize, chunked: bool) -> String {
    let (framing, body) = if chunked {
        let chunks = "64\r\n".to_owned() + &"x".repeat(100) + "\r\n";
        ("transfer-encoding: chunked".to_owned(), chunks.repeat(bytes / 100) + "0\r\n\r\n")
    } else {
        (format!("content-length: {bytes}"), "x".repeat(bytes))
    };
    let request = head(&format!("POST {path}"), &format!("connection: close\r\n{framing}\r\n")) + &body;
    status(&Wire::exchange(port, request).await).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_bounded_by_its_route_or_its_listener_and_the_bound_is_edited_hot() {
    let svc = upstream("svc").await;
    let file = file(svc, svc);
    let gateway = file.clone().start().await;
    let mut events = Events::open(gateway.url("/events/sse")).await;
    for chunked in [false, true] {
        for (path, bytes, expected) in [
            ("/plain", 1_000, "200"),
            ("/plain", 1_100, "413"),
            ("/larger", 4_000, "200"),
            ("/larger", 4_200, "413"),
            ("/upload", 100_000, "200"),
        ] {
            assert_eq!(sent(gateway.port, path, bytes, chunked).await, expected, "{path} {bytes} {chunked}");
        }
    }
    let said = gateway.process.output();
    assert!(!said.contains("/plain"), "no client can write into the log: {said}");
    gateway.edit(file.set("BOUND", "2KiB")).await;
    eventually("the new bound counts", || async { sent(gateway.port, "/plain", 2_000, true).await == "200" }).await;
    assert_eq!(sent(gateway.port, "/plain", 2_100, true).await, "413");
    events.go_on().await;
    assert_eq!(gateway.envoy_counter("listener_manager.listener_modified").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_body_passes_as_it_comes_and_is_cut_when_it_is_too_much() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let one = listener.local_addr().unwrap();
    let gateway = file(one, one).start().await;
    let mut client = Wire::connect(gateway.port).await;
    client.say("POST /step HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let mut upstream = Wire::accept(&listener).await;
    for number in 0..10 {
        let part = format!("part {number}");
        client.say(format!("64\r\n{part:>100}\r\n")).await;
        upstream.reader.until(&part).await;
    }
    client.say(format!("64\r\n{:>100}\r\n", "too much")).await;
    let answer = client.reader.rest().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // The upstream's connection is cut, too.
    let seen = upstream.reader.rest().await;
    assert!(!seen.ends_with("0\r\n\r\n"), "it never looks whole");
}
