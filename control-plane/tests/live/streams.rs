//! What happens to long exchanges at their ends, with the filter on the route: refused before they begin, aborted by the client,
//! cut by the upstream.

use std::{net::SocketAddr, time::Duration};

use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
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
        let mut request =
            Request::get(gateway.url("/down")).body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
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
