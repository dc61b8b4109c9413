//! Listeners that an edit changes or removes, and the end of the whole gateway: what runs goes on, what begins goes elsewhere,
//! and how much is still open is said.

use std::{net::SocketAddr, time::SystemTime};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use crate::support::{ALICE_KEY, ALICE_SHA256, Events, Gateway, Options, PATIENCE, eventually, free_port, upstream};

/// A gateway with two listeners, the second with these limits, or not there.
fn file(port: u16, second: Option<(u16, &str)>, svc: SocketAddr) -> String {
    let second = second.map(|(port, limits)| format!("- {{name: public, port: {port}, limits: {{{limits}}}}}\n"));
    format!(
        r#"
version: 1
listeners:
- {{name: http, port: {port}}}
{second}
routes: [{{name: a, match: {{prefix: /}}, cluster: svc, stream: sse, api_key: {{}}}}]
clusters: [{{name: svc, endpoints: ["{svc}"]}}]
consumers: [{{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}]
"#,
        second = second.unwrap_or_default()
    )
}

/// A connection over HTTP/1.1 that is kept open between requests.
struct KeptAlive(TcpStream);

impl KeptAlive {
    async fn connect(port: u16) -> Self {
        Self(TcpStream::connect(("127.0.0.1", port)).await.expect("the port accepts"))
    }

    /// The head of the answer to one more request.
    async fn ask(&mut self) -> String {
        self.0.write_all(b"GET /status/204 HTTP/1.1\r\nhost: a\r\nx-api-key: alice-key\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let read = time::timeout(PATIENCE, self.0.read_buf(&mut answer)).await.expect("an answer").unwrap();
            assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8(answer).unwrap()
    }
}

async fn http2(port: u16) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the port accepts");
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(port: u16, path: &str) -> Request<Empty<Bytes>> {
    let request = Request::get(format!("http://127.0.0.1:{port}{path}")).header("x-api-key", ALICE_KEY);
    request.body(Empty::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_listener_cuts_no_stream_and_says_how_many_drain_until_when() {
    let svc = upstream("svc").await;
    let port = free_port();
    let gateway = Gateway::start(|first| file(first, Some((port, "connections: 1000")), svc)).await;
    let draining = async || gateway.status().await["draining"].clone();
    // What it writes is read here a moment later.
    let says = async |text: &str| eventually(text, || async { gateway.process.output().contains(text) }).await;
    assert_eq!(draining().await, serde_json::json!([]));

    let events = format!("http://127.0.0.1:{port}/sse");
    let mut one = Events::open(events.clone()).await;
    let mut kept = KeptAlive::connect(port).await;
    assert!(!kept.ask().await.contains("connection: close"));
    let mut sender = http2(port).await;
    let response = sender.send_request(request(port, "/sse?count=30")).await.unwrap();
    let mut other = response.into_body();
    other.frame().await.expect("an event").unwrap();

    let before = SystemTime::now();
    gateway.edit(&file(gateway.port, Some((port, "connections: 1001")), svc)).await;
    eventually("it says what drains", || async { draining().await[0]["open_streams"] == 2 }).await;
    let drain = draining().await[0].clone();
    assert_eq!((&drain["listener"], &drain["node"]), (&"public".into(), &"local".into()));
    let until: jiff::Timestamp = drain["until"].as_str().unwrap().parse().unwrap();
    let hours = SystemTime::from(until).duration_since(before).unwrap().as_secs() / 60 / 60;
    assert!((23..=24).contains(&hours), "{drain}");
    assert_eq!(drain["connections"], 3, "{drain}");
    assert!(
        drain["message"].as_str().unwrap().starts_with("drains listener public: 2 open streams, until "),
        "{drain}"
    );
    says("generation 2 drains listener public: 2 open streams, until ").await;
    says("generation 2 changes or removes listener public: its old form drains").await;
    let metrics = gateway.client.get(&gateway.admin_url("/metrics"), &[]).await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("legation_draining_streams{listener=\"public\"} 2\n"), "{metrics}");
    assert!(metrics.contains("legation_drains_until_timestamp_seconds{listener=\"public\"} "), "{metrics}");

    // Who is between requests goes over with the next one: by `connection: close`, and over HTTP/2 by GOAWAY.
    assert!(kept.ask().await.contains("connection: close"));
    let again = sender.send_request(request(port, "/status/204")).await.unwrap();
    assert_eq!(again.status(), 204);
    eventually("the client is told to go", || async { sender.is_closed() }).await;
    // What streams goes on, to its end.
    one.go_on().await;
    let rest = time::timeout(PATIENCE, other.collect()).await.expect("it ends").expect("whole").to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("id: 30\n"), "{rest:?}");
    eventually("one is left", || async { draining().await[0]["open_streams"] == 1 }).await;
    // The edit is taken back: its old form is in use again, and what drains still does.
    gateway.edit(&file(gateway.port, Some((port, "connections: 1000")), svc)).await;
    let mut another = Events::open(events.clone()).await;
    eventually("both are told apart", || async {
        let drains = draining().await;
        drains[0]["connections"] == 1 && drains[0]["generation"] == 2 && drains[1] == serde_json::Value::Null
    })
    .await;
    one.go_on().await;
    another.go_on().await;
    drop(another);
    drop(one);
    eventually("nothing drains", || async { draining().await == serde_json::json!([]) }).await;
    says("listener public has drained: its last connection is closed").await;
    let metrics = gateway.client.get(&gateway.admin_url("/metrics"), &[]).await;
    assert!(!String::from_utf8_lossy(&metrics.body).contains("{listener="));

    // A listener that goes away refuses new connections at once, and its streams go on.
    let mut one = Events::open(events).await;
    gateway.edit(&file(gateway.port, None, svc)).await;
    eventually("the port refuses", || async { TcpStream::connect(("127.0.0.1", port)).await.is_err() }).await;
    eventually("it says what drains", || async { draining().await[0]["open_streams"] == 1 }).await;
    one.go_on().await;
    assert_eq!(gateway.get("/status/204", &[("x-api-key", ALICE_KEY)]).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_envoy_rejects_drains_nothing_and_says_so_of_nothing() {
    let svc = upstream("svc").await;
    let port = free_port();
    let gateway = Gateway::start(|first| file(first, Some((port, "connections: 10")), svc)).await;
    let mut events = Events::open(format!("http://127.0.0.1:{port}/sse")).await;
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    gateway.write(&file(gateway.port, Some((taken.local_addr().unwrap().port(), "connections: 10")), svc));
    eventually("it is rejected", || async { gateway.status().await["generation"]["rejected"] == 2 }).await;
    gateway.edit(&file(gateway.port, Some((port, "connections: 10, request_body: 1MiB")), svc)).await;
    events.go_on().await;
    assert_eq!(gateway.status().await["draining"], serde_json::json!([]));
    let said = gateway.process.output();
    assert!(!said.contains("drains"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_on_a_changed_listener_end_with_the_drain_time_that_the_person_chose() {
    let svc = upstream("svc").await;
    let port = free_port();
    let arguments = ["--", "--drain-time-s", "3"].map(str::to_owned).to_vec();
    let options = Options { arguments, ..Options::default() };
    let gateway = Gateway::start_with(options, |first| file(first, Some((port, "connections: 10")), svc)).await;
    let url = format!("http://127.0.0.1:{port}/sse");
    let response = gateway.client.begin(Method::GET, &url, &[("x-api-key", ALICE_KEY)]).await.unwrap();
    gateway.edit(&file(gateway.port, Some((port, "connections: 11")), svc)).await;
    let ended = time::timeout(PATIENCE, response.into_body().collect()).await.expect("it ends");
    assert!(ended.is_err(), "it is cut, not finished");
    eventually("it says so", || async {
        gateway.process.output().contains("has drained: Envoy cut what was left after the drain time, 1 connection(s)")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_the_gateway_who_asks_again_is_told_to_go_and_streams_have_the_drain_time() {
    let svc = upstream("svc").await;
    let options = Options { drain: "15s", ..Options::default() };
    let mut gateway = Gateway::start_with(options, |port| file(port, None, svc)).await;
    let mut kept = KeptAlive::connect(gateway.port).await;
    assert!(!kept.ask().await.contains("connection: close"));
    let mut sender = http2(gateway.port).await;
    let response = sender.send_request(request(gateway.port, "/sse?count=10")).await.unwrap();
    gateway.process.signal(Signal::SIGTERM);
    eventually("new connections are refused", || async {
        TcpStream::connect(("127.0.0.1", gateway.port)).await.is_err()
    })
    .await;
    assert!(kept.ask().await.contains("connection: close"));
    assert_eq!(sender.send_request(request(gateway.port, "/status/204")).await.unwrap().status(), 204);
    eventually("the client is told to go", || async { sender.is_closed() }).await;
    let body = time::timeout(PATIENCE, response.into_body().collect()).await.expect("it ends").expect("whole");
    assert_eq!(String::from_utf8_lossy(&body.to_bytes()).matches("id: ").count(), 10);
    assert_eq!(gateway.process.wait(), Some(0));
    // One, or two if the other one's answer was still under way.
    eventually("it says what it waits for", || async {
        gateway.process.output().contains("waiting 15s at most for what is open: ")
    })
    .await;
}
