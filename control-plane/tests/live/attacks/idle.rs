//! Clients that hold connections and streams and do nothing.

use std::{fs, net::SocketAddr, time::Duration};

use futures::future::join_all;
use legation_testing::{
    ALICE_KEY, File, Gateway, PATIENCE, Wire, eventually, legation,
    wire::{
        head,
        http2::{END_STREAM, PING, block, frame, headers},
        statuses,
    },
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    time::{self, timeout},
};

use super::scene::{POLICY, Scene, file, upstream_that};

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_connections_and_streams_leave_room_for_the_others() {
    // Each connection is an open file, both here and in Envoy, which inherits the limit of
    // `legation run`.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let scene = Scene::open(file().await).await;
    let port = scene.gateway.port;
    let mut connections = Vec::new();
    for _ in 0..2000 {
        let mut connection = Wire::connect(port).await;
        connection.say(head("GET /", "")).await;
        connections.push(connection);
    }
    for connection in &mut connections {
        connection.reader.head().await;
    }
    // Endless requests to the cluster that the other clients use. They are more than Envoy would
    // send to a cluster by its own defaults.
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut connection = Wire::open_http2(port).await;
        let begun: Vec<u8> = (0..100).flat_map(|number| headers(0, 2 * number + 1, &block("POST", "/fine"))).collect();
        connection.say(begun).await;
        streams.push(connection);
    }
    let active = || scene.gateway.envoy_counter("cluster.fine.upstream_rq_active");
    eventually("the upstream has them all", || async { active().await >= 2000 }).await;
    // Envoy serves a new client, too.
    let answer = scene.gateway.get("/fine", &[("x-api-key", ALICE_KEY)]).await;
    assert_eq!(answer.status, 200);
    scene.ends_unharmed(128).await;
}

/// Returns the Envoy configuration that `dump --static` writes, with an idle timeout of one second
/// for clients.
fn impatient(svc: SocketAddr) -> String {
    let folder = tempfile::tempdir().unwrap();
    let routes = "
        - {name: own, match: {prefix: /}, respond: {status: 200}, $POLICY}
        - {name: quiet, match: {prefix: /quiet}, cluster: svc, stream: sse, timeouts: {idle: 1h}, $POLICY}
    ";
    let file = File::routes(routes).cluster("svc", svc).alice().set("POLICY", POLICY);
    fs::write(folder.path().join("gateway.yaml"), file.at(8000)).unwrap();
    let dumped = legation().args(["dump", "--static"]).arg(folder.path().join("gateway.yaml")).output().unwrap();
    let mut text = String::from_utf8(dumped.stdout).unwrap();
    for (default, shorter) in [
        ("idle_timeout: 660s", "idle_timeout: 1s"),
        ("filters_timeout: 5s", "filters_timeout: 1s"),
        ("port_value: 8000", "port_value: $PORT"),
    ] {
        assert_eq!(text.matches(default).count(), 1, "{default}");
        text = text.replace(default, shorter);
    }
    text
}

async fn read_data(connection: &mut Wire, text: &str) {
    let reading =
        async { while !connection.reader.frame().await.expect("it goes on").payload.ends_with(text.as_bytes()) {} };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no {text}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_ended_and_a_quiet_stream_is_not() {
    let (tell, told) = watch::channel(false);
    let svc = upstream_that(move |mut connection| {
        let mut told = told.clone();
        async move {
            let _ = connection.read(&mut [0; 4096]).await;
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nfirst").await;
            let _ = told.wait_for(|told| *told).await;
            let _ = connection.write_all(b"last").await;
        }
    })
    .await;
    let gateway = Gateway::run([], impatient(svc)).await;
    let mut quiet1 = Wire::connect(gateway.port).await;
    quiet1.say(head("GET /quiet", "")).await;
    quiet1.reader.until("first").await;
    let mut quiet2 = Wire::open_http2(gateway.port).await;
    quiet2.say(headers(END_STREAM, 1, &block("GET", "/quiet"))).await;
    read_data(&mut quiet2, "first").await;

    let silent = join_all([&b""[..], b"PRI * HTTP/2.0\r\n\r\nS"].map(|bytes| Wire::exchange(gateway.port, bytes)));
    let after_an_answer = Wire::exchange(gateway.port, head("GET /", ""));
    let alive_but_idle = async {
        let mut connection = Wire::open_http2(gateway.port).await;
        let mut tick = time::interval(Duration::from_millis(100));
        let ended = async {
            loop {
                tokio::select! {
                    frame = connection.reader.frame() => if frame.is_none() { return },
                    _ = tick.tick() => drop(connection.writer.write_all(&frame(PING, 0, 0, &[0; 8])).await),
                }
            }
        };
        timeout(PATIENCE, ended).await.expect("pings do not keep it");
    };
    let (silent, after_an_answer, ()) = tokio::join!(silent, after_an_answer, alive_but_idle);
    assert_eq!((silent[0].as_str(), statuses(&after_an_answer)), ("", vec!["200"]));

    tell.send_replace(true);
    quiet1.reader.until("last").await;
    read_data(&mut quiet2, "last").await;
}
