//! Drains: of listeners that an edit changes or removes, and of the whole gateway at its end.
//! Running streams go on, new requests go elsewhere, and the gateway says how much is still open.
//!
//! Each test has its own gateway, since it ends the gateway or looks at everything that drains.

use std::{net::SocketAddr, time::SystemTime};

use http::Method;
use http_body_util::BodyExt;
use legation_testing::{
    ALICE_KEY, Connection, Events, File, Http, Options, PATIENCE, TakenPort, Wire, by_alice, empty, eventually,
    free_port, upstream,
};
use nix::sys::signal::Signal;
use tokio::{net::TcpStream, time};

fn file(svc: SocketAddr) -> File {
    File::routes("- {name: a, match: {prefix: /}, cluster: svc, stream: sse, api_key: {}}").cluster("svc", svc).alice()
}

/// The same with a second listener that has these limits.
fn public(svc: SocketAddr, port: u16, limits: &str) -> File {
    file(svc).and_listener_with("public", port, "limits: {LIMITS}".replace("LIMITS", limits))
}

/// Sends one more request on a connection that stays open between requests. Returns the head of the
/// answer.
async fn ask_again(kept: &mut Wire) -> String {
    kept.ask("GET /status/204").await.expect("an answer")
}

fn request(port: u16, path: &str) -> http::Request<legation_testing::Body> {
    by_alice(Method::GET, &format!("http://127.0.0.1:{port}{path}")).body(empty()).unwrap()
}

async fn refuses(port: u16) {
    eventually("the port refuses", || async { TcpStream::connect(("127.0.0.1", port)).await.is_err() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_listener_cuts_no_stream_and_says_how_many_drain_until_when() {
    let svc = upstream("svc").await;
    let port = free_port();
    let gateway = public(svc, port, "connections: 1000").start().await;
    let draining = async || gateway.status().await["draining"].clone();
    assert_eq!(draining().await, serde_json::json!([]));

    let events = format!("http://127.0.0.1:{port}/sse");
    let mut one = Events::open(events.clone()).await;
    let mut kept = Wire::connect(port).await;
    assert!(!ask_again(&mut kept).await.contains("connection: close"));
    let mut http2 = Connection::connect(Http::Two, port).await;
    let response = http2.ask(request(port, "/sse?count=30")).await.unwrap();
    let mut other = response.into_body();
    other.frame().await.expect("an event").unwrap();

    let before = SystemTime::now();
    gateway.edit(public(svc, port, "connections: 1001")).await;
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
    gateway.process.says(&["generation 2 drains listener public: 2 open streams, until "]).await;
    gateway.process.says(&["generation 2 changes or removes listener public: its old form drains"]).await;
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("legation_draining_streams{listener=\"public\"} 2\n"), "{metrics}");
    assert!(metrics.contains("legation_drains_until_timestamp_seconds{listener=\"public\"} "), "{metrics}");

    // A client between requests leaves with its next one: told by `connection: close`, or over
    // HTTP/2 by GOAWAY.
    assert!(ask_again(&mut kept).await.contains("connection: close"));
    assert_eq!(http2.ask(request(port, "/status/204")).await.unwrap().status(), 204);
    eventually("the client is told to go", || async { http2.is_closed() }).await;
    // Streams go on to their end.
    one.go_on().await;
    let rest = time::timeout(PATIENCE, other.collect()).await.expect("it ends").expect("whole").to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("id: 30\n"), "{rest:?}");
    eventually("one is left", || async { draining().await[0]["open_streams"] == 1 }).await;
    // The edit is taken back. The old form is in use again, and the other one still drains.
    gateway.edit(public(svc, port, "connections: 1000")).await;
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
    gateway.process.says(&["listener public has drained: its last connection is closed"]).await;
    assert!(!gateway.metrics().await.contains("{listener="));

    // A removed listener refuses new connections at once, and its streams go on.
    let mut one = Events::open(events).await;
    gateway.edit(file(svc)).await;
    refuses(port).await;
    eventually("it says what drains", || async { draining().await[0]["open_streams"] == 1 }).await;
    one.go_on().await;
    assert_eq!(gateway.get("/status/204", &[("x-api-key", ALICE_KEY)]).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_envoy_rejects_drains_nothing_and_says_so_of_nothing() {
    let svc = upstream("svc").await;
    let port = free_port();
    let gateway = public(svc, port, "connections: 10").start().await;
    let mut events = Events::open(format!("http://127.0.0.1:{port}/sse")).await;
    let taken = TakenPort::take();
    gateway.write(public(svc, taken.port, "connections: 10"));
    gateway.rejected(2).await;
    gateway.edit(public(svc, port, "connections: 10, request_body: 1MiB")).await;
    events.go_on().await;
    assert_eq!(gateway.status().await["draining"], serde_json::json!([]));
    let said = gateway.process.output();
    assert!(!said.contains("drains"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_on_a_changed_listener_end_with_the_drain_time_that_the_person_chose() {
    let svc = upstream("svc").await;
    let port = free_port();
    let gateway = public(svc, port, "connections: 10").start_with(["--", "--drain-time-s", "3"]).await;
    let response = gateway.client.begin(request(port, "/sse")).await.unwrap();
    gateway.edit(public(svc, port, "connections: 11")).await;
    let ended = time::timeout(PATIENCE, response.into_body().collect()).await.expect("it ends");
    assert!(ended.is_err(), "it is cut, not finished");
    let said = "has drained: Envoy cut what was left after the drain time, 1 connection(s)";
    gateway.process.says(&[said]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_the_gateway_clients_that_ask_again_are_told_to_go_and_streams_have_the_drain_time() {
    let svc = upstream("svc").await;
    let options = Options { drain: "15s", ..Options::default() };
    let gateway = file(svc).start_with(options).await;
    let mut kept = Wire::connect(gateway.port).await;
    assert!(!ask_again(&mut kept).await.contains("connection: close"));
    let mut http2 = Connection::connect(Http::Two, gateway.port).await;
    let response = http2.ask(request(gateway.port, "/sse?count=10")).await.unwrap();
    gateway.process.signal(Signal::SIGTERM);
    refuses(gateway.port).await;
    assert!(ask_again(&mut kept).await.contains("connection: close"));
    assert_eq!(http2.ask(request(gateway.port, "/status/204")).await.unwrap().status(), 204);
    eventually("the client is told to go", || async { http2.is_closed() }).await;
    let body = time::timeout(PATIENCE, response.into_body().collect()).await.expect("it ends").expect("whole");
    assert_eq!(String::from_utf8_lossy(&body.to_bytes()).matches("id: ").count(), 10);
    assert_eq!(gateway.process.wait(), Some(0));
    // It waits for one request, or for two if the other answer was still under way.
    gateway.process.says(&["waiting 15s at most for what is open: "]).await;
}
