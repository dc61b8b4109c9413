//! The demo upstream as a process: every path, both protocols, and its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// A running upstream named `demo`, killed when it is dropped.
struct Upstream {
    process: Child,
    authority: String,
}

impl Upstream {
    async fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_upstream"))
            .args(["--name", "demo", "--port", "0"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        let authority = line.strip_prefix("upstream demo listens on ").expect(&line).trim_end().to_owned();
        Self { process, authority }
    }

    async fn connect(&self) -> TokioIo<TcpStream> {
        TokioIo::new(TcpStream::connect(&self.authority).await.unwrap())
    }

    fn request(&self, path: &str) -> http::request::Builder {
        Request::builder().uri(format!("http://{}{path}", self.authority)).header("host", &self.authority)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(self.connect().await).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response<Incoming> {
        self.send(self.request(path).body(Full::default()).unwrap()).await
    }

    /// Sends a signal and waits for the end, five seconds at most.
    async fn end_by(mut self, signal: Signal) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.process.id().unwrap()).unwrap());
        kill(pid, signal).unwrap();
        timeout(Duration::from_secs(5), self.process.wait()).await.expect("ends within five seconds").unwrap()
    }
}

async fn body(response: Response<Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn json_body(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&body(response).await).unwrap()
}

#[tokio::test]
async fn any_path_echoes_the_request() {
    let upstream = Upstream::start().await;
    let request = upstream
        .request("/users/7?full=yes")
        .method("POST")
        .header("X-Once", "a")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .body(Full::from("a body"))
        .unwrap();
    let response = upstream.send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(
        json_body(response).await,
        json!({
            "upstream": "demo",
            "method": "POST",
            "path": "/users/7?full=yes",
            "headers": {
                "content-length": "6",
                "host": upstream.authority,
                "x-once": "a",
                "x-twice": ["1", "2"],
            },
        })
    );
}

#[tokio::test]
async fn a_header_that_is_not_utf8_is_echoed_with_replacement_characters() {
    let upstream = Upstream::start().await;
    let value = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    let response = upstream.send(upstream.request("/").header("x-odd", value).body(Full::default()).unwrap()).await;
    assert_eq!(json_body(response).await["headers"]["x-odd"], "caf\u{fffd}");
}

#[tokio::test]
async fn http2_without_tls_is_answered_on_the_same_port() {
    let upstream = Upstream::start().await;
    let io = upstream.connect().await;
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().uri(format!("http://{}/orders?page=2", upstream.authority));
    let response = sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(json_body(response).await["path"], "/orders?page=2");
}

#[tokio::test]
async fn a_body_is_read_to_its_end_so_that_the_connection_lives_on() {
    let upstream = Upstream::start().await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(upstream.connect().await).await.unwrap();
    tokio::spawn(connection);
    for path in ["/first", "/second"] {
        let large = Full::new(Bytes::from(vec![b'x'; 4 << 20]));
        sender.ready().await.unwrap();
        let request = upstream.request(path).method("POST").body(large).unwrap();
        assert_eq!(json_body(sender.send_request(request).await.unwrap()).await["path"], path);
    }
}

#[tokio::test]
async fn sse_ends_after_count_events_numbered_from_one() {
    let upstream = Upstream::start().await;
    let response = upstream.get("/sse?count=3").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let expected = concat!(
        "id: 1\ndata: {\"event\":1,\"upstream\":\"demo\"}\n\n",
        "id: 2\ndata: {\"event\":2,\"upstream\":\"demo\"}\n\n",
        "id: 3\ndata: {\"event\":3,\"upstream\":\"demo\"}\n\n",
    );
    assert_eq!(body(response).await, expected);
}

#[tokio::test]
async fn sse_events_come_200_ms_apart_and_not_all_at_once() {
    let upstream = Upstream::start().await;
    let started = Instant::now();
    let mut body = upstream.get("/orders/sse").await.into_body();
    for number in 1..=4 {
        let event = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(event.starts_with(format!("id: {number}\n").as_bytes()), "{event:?}");
        // Only a lower bound: on a busy machine an event may come late, but never early.
        let waited = started.elapsed();
        assert!(waited >= Duration::from_millis(200) * (number - 1), "event {number} after {waited:?}");
    }
}

#[tokio::test]
async fn bytes_are_chunked_and_each_byte_is_its_offset_modulo_256() {
    let upstream = Upstream::start().await;
    for length in [0, 1, 256, 65_536, 200_001] {
        let response = upstream.get(&format!("/products/bytes/{length}")).await;
        assert_eq!(response.headers().get("transfer-encoding").unwrap(), "chunked", "{length} bytes");
        let bytes = body(response).await;
        assert_eq!(bytes.len(), length);
        assert!(bytes.iter().enumerate().all(|(offset, byte)| usize::from(*byte) == offset % 256));
    }
}

#[tokio::test]
async fn status_answers_with_that_status() {
    let upstream = Upstream::start().await;
    for code in [200, 201, 204, 304, 404, 429, 500, 503, 599] {
        assert_eq!(upstream.get(&format!("/users/status/{code}")).await.status().as_u16(), code);
    }
}

#[tokio::test]
async fn numbers_out_of_bounds_are_400_and_say_what_is_allowed() {
    let upstream = Upstream::start().await;
    for (path, words) in [
        ("/status/101", "200 to 599"),
        ("/status/600", "200 to 599"),
        ("/status/70000", "200 to 599"),
        ("/status/teapot", "200 to 599"),
        ("/bytes/1073741825", "up to 1073741824"),
        ("/bytes/-1", "up to 1073741824"),
        ("/bytes/", "up to 1073741824"),
        ("/sse?count=many", "whole number"),
    ] {
        let response = upstream.get(path).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        let words_received = String::from_utf8(body(response).await.to_vec()).unwrap();
        assert!(words_received.contains(words), "{path}: {words_received}");
    }
}

#[tokio::test]
async fn websocket_messages_come_back_and_pings_are_answered() {
    let upstream = Upstream::start().await;
    let url = format!("ws://{}/orders/ws", upstream.authority);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    for message in [Message::text("hello"), Message::binary(vec![0, 159, 146, 150])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.send(Message::Ping("are you there".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("are you there".into()));
}

#[tokio::test]
async fn ws_without_a_handshake_is_a_client_error() {
    let upstream = Upstream::start().await;
    assert!(upstream.get("/ws").await.status().is_client_error());
}

#[tokio::test]
async fn either_signal_ends_it_at_once_with_streams_open() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let upstream = Upstream::start().await;
        let mut events = upstream.get("/sse").await.into_body();
        events.frame().await.unwrap().unwrap();
        let url = format!("ws://{}/ws", upstream.authority);
        let (_socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        assert!(upstream.end_by(signal).await.success(), "{signal}");
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let upstream = Upstream::start().await;
    let port = upstream.authority.rsplit(':').next().unwrap();
    let second =
        Command::new(env!("CARGO_BIN_EXE_upstream")).args(["--name", "late", "--port", port]).output().await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let words = String::from_utf8(second.stderr).unwrap();
    assert!(words.starts_with(&format!("upstream late: 127.0.0.1:{port}: ")), "{words}");
}
