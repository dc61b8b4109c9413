//! What happens to long exchanges at their ends, with the filter on the route: refused before they begin, aborted by the client,
//! cut by the upstream.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{ALICE_KEY, ALICE_SHA256, Gateway, PATIENCE, upstream};

fn file(port: u16, svc: SocketAddr) -> String {
    format!(
        r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- {{name: up, match: {{prefix: /up}}, cluster: svc, stream: upload, api_key: {{}}, rate_limit: {{limit: 1, window: 1h, by: consumer}}}}
- {{name: down, match: {{prefix: /down}}, cluster: svc, stream: sse, api_key: {{}}, rate_limit: {{limit: 100, window: 1h}}}}
clusters: [{{name: svc, endpoints: ["{svc}"]}}]
consumers: [{{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}]
"#
    )
}

/// Reads until what was read ends in or has this text.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let found = timeout(PATIENCE, async {
        let mut bytes = [0; 4096];
        while !String::from_utf8_lossy(&read).contains(text) {
            let count = stream.read(&mut bytes).await.expect("it can be read");
            assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&bytes[..count]);
        }
    });
    found.await.unwrap_or_else(|_| panic!("no {text:?}"));
    String::from_utf8_lossy(&read).into_owned()
}

/// An upstream whose every step the test says: here is a connection that Envoy made, its request read.
async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut connection, _) =
        timeout(PATIENCE, listener.accept()).await.expect("Envoy connects").expect("a connection");
    read_until(&mut connection, "\r\n\r\n").await;
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_refused_is_answered_before_its_body_is_read() {
    let svc = upstream("svc").await;
    let gateway = Gateway::start(|port| file(port, svc)).await;
    let ask = async |key: &str, body: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        let head =
            format!("POST /up HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-length: 1073741824\r\n\r\n{body}");
        stream.write_all(head.as_bytes()).await.unwrap();
        read_until(&mut stream, "\r\n\r\n").await
    };
    // A gigabyte is announced, and not a byte of it is sent.
    assert!(ask("nobody's", "").await.starts_with("HTTP/1.1 401 "));
    let allowed = gateway.client.try_send(Method::POST, &gateway.url("/up"), &[("x-api-key", ALICE_KEY)]).await;
    assert_eq!(allowed.unwrap().status, 200);
    assert!(ask(ALICE_KEY, "").await.starts_with("HTTP/1.1 429 "));
    assert!(ask(ALICE_KEY, "some of it").await.starts_with("HTTP/1.1 429 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_is_gone_for_the_upstream_within_a_second() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let svc = listener.local_addr().unwrap();
    let gateway = Gateway::start(|port| file(port, svc)).await;
    let mut client = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let head = format!("GET /down HTTP/1.1\r\nhost: a\r\nx-api-key: {ALICE_KEY}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut connection = accept(&listener).await;
    let answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    connection.write_all(answer).await.unwrap();
    read_until(&mut client, "first").await;
    drop(client);
    let mut rest = [0; 16];
    let ended = timeout(Duration::from_secs(1), connection.read(&mut rest)).await.expect("within a second");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_the_upstream_cuts_never_looks_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let svc = listener.local_addr().unwrap();
    let gateway = Gateway::start(|port| file(port, svc)).await;
    let begin = async |framing: &str, body: &str| {
        let mut connection = accept(&listener).await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{framing}\r\n\r\n{body}");
        connection.write_all(head.as_bytes()).await.unwrap();
        connection
    };
    for (framing, body) in [("transfer-encoding: chunked", "5\r\nfirst\r\n"), ("content-length: 100", "first")] {
        // Over HTTP/1.1 the end is that of the connection, and no last chunk.
        let mut client = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        let head = format!("GET /down HTTP/1.1\r\nhost: a\r\nx-api-key: {ALICE_KEY}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let connection = begin(framing, body).await;
        read_until(&mut client, "first").await;
        drop(connection);
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, client.read_to_end(&mut rest)).await.expect("it ends");
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{framing}: {ended:?} {}", String::from_utf8_lossy(&rest));

        // Over HTTP/2 it is an error.
        let stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, http2) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(http2);
        let mut request = Request::get(gateway.url("/down")).body(Empty::<Bytes>::new()).unwrap();
        request.headers_mut().insert("x-api-key", HeaderValue::from_static(ALICE_KEY));
        let (response, connection) = tokio::join!(sender.send_request(request), begin(framing, body));
        let mut response = response.unwrap().into_body();
        let first = timeout(PATIENCE, response.frame()).await.expect("a frame").expect("a frame").unwrap();
        assert_eq!(first.into_data().unwrap(), "first");
        drop(connection);
        let ended = timeout(PATIENCE, response.frame()).await.expect("it ends");
        assert!(matches!(ended, Some(Err(_))), "{framing}: {ended:?}");
    }
}

/// An upstream over HTTP/2 that answers with what it got: the body's bytes, and its trailers as trailers.
async fn http2_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async {
                let got = request.into_body().collect().await?;
                let mut trailers = got.trailers().cloned().unwrap_or_default();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                let frames = [Frame::data(got.to_bytes()), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
                let mut response = Response::new(StreamBody::new(futures::stream::iter(frames)));
                response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
                Ok::<_, hyper::Error>(response)
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), answer).await });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_both_ways_over_http2() {
    let svc = http2_echo().await;
    let file = |port| {
        file(port, svc).replace("endpoints:", "protocol: http2, endpoints:").replace("stream: sse", "stream: grpc")
    };
    let gateway = Gateway::start(file).await;
    let stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, http2) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(http2);
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("abc"));
    let frames = [
        Frame::data(Bytes::from_static(b"first")),
        Frame::data(Bytes::from_static(b" last")),
        Frame::trailers(trailers),
    ];
    let body = StreamBody::new(futures::stream::iter(frames.map(Ok::<_, Infallible>)));
    let request = Request::post(gateway.url("/down"))
        .header("x-api-key", ALICE_KEY)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    let response = timeout(PATIENCE, sender.send_request(request)).await.expect("an answer").unwrap();
    assert_eq!(response.headers()["ratelimit-policy"], "\"down\";q=100;w=3600");
    assert!(!response.headers().contains_key("x-accel-buffering"), "only `stream: sse` asks for marks");
    let got = timeout(PATIENCE, response.into_body().collect()).await.expect("it ends").unwrap();
    let trailers = got.trailers().cloned().unwrap();
    assert_eq!(
        (&trailers["x-checksum"], &trailers["grpc-status"]),
        (&HeaderValue::from_static("abc"), &HeaderValue::from_static("0"))
    );
    assert_eq!(got.to_bytes(), "first last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_download_passes_as_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let svc = listener.local_addr().unwrap();
    let gateway = Gateway::start(|port| file(port, svc).replace("stream: sse", "stream: download")).await;
    let mut client = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let head = format!(
        "GET /down HTTP/1.1\r\nhost: a\r\nx-api-key: {ALICE_KEY}\r\nrange: bytes=5-9\r\naccept-encoding: gzip\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut connection, _) = listener.accept().await.unwrap();
    let seen = read_until(&mut connection, "\r\n\r\n").await;
    assert!(seen.contains("range: bytes=5-9\r\n"), "{seen}");
    let answer =
        "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 5-9/100\r\ncontent-length: 5\r\netag: \"a\"\r\n\r\n56789";
    connection.write_all(answer.as_bytes()).await.unwrap();
    let got = read_until(&mut client, "56789").await;
    assert!(got.starts_with("HTTP/1.1 206 "), "{got}");
    for header in ["content-range: bytes 5-9/100\r\n", "content-length: 5\r\n", "etag: \"a\"\r\n"] {
        assert!(got.contains(header), "{header}: {got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_body_is_not_marked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let svc = listener.local_addr().unwrap();
    let gateway = Gateway::start(|port| file(port, svc)).await;
    for (method, status, length) in
        [("HEAD", "200 OK", "content-length: 1000\r\n"), ("GET", "304 Not Modified", ""), ("GET", "204 No Content", "")]
    {
        let mut client = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        let head = format!("{method} /down HTTP/1.1\r\nhost: a\r\nx-api-key: {ALICE_KEY}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let mut connection = accept(&listener).await;
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-type: text/event-stream\r\n{length}connection: close\r\n\r\n");
        connection.write_all(answer.as_bytes()).await.unwrap();
        let got = read_until(&mut client, "\r\n\r\n").await;
        assert!(got.contains(length) && !got.contains("x-accel-buffering") && !got.contains("no-transform"), "{got}");
    }
}
