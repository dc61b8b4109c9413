//! The HTTP client of the tests. It speaks HTTP/1.1 or HTTP/2, over its own connections or over one
//! of the test's.

use std::{collections::HashMap, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header::HOST, request};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
    time,
};

use super::{
    ALICE_KEY, Body, Http, PATIENCE, empty,
    server::{CONNECTION_WINDOW, STREAM_WINDOW},
};

/// A client that keeps connections open between requests. Over HTTP/2, all requests to one address
/// share a connection.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Body>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Default for Client {
    /// A client over HTTP/1.1.
    fn default() -> Self {
        Self::over(Http::One)
    }
}

impl Client {
    /// A client over HTTP/1.1.
    pub fn new() -> Self {
        Self::default()
    }

    pub fn over(http: Http) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = Pool::builder(TokioExecutor::new());
        if http == Http::Two {
            builder
                .http2_only(true)
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(CONNECTION_WINDOW);
        }
        Self { pool: builder.build(connector) }
    }

    /// The answer to GET, or why there is none.
    pub async fn try_get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
        self.try_send(Method::GET, url, headers).await
    }

    /// The answer to GET.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Response {
        self.try_get(url, headers).await.unwrap_or_else(|error| panic!("GET {url}: {error}"))
    }

    /// Whether GET is answered with this status.
    pub async fn gets(&self, status: u16, url: &str, headers: &[(&str, &str)]) -> bool {
        self.try_get(url, headers).await.is_ok_and(|response| response.status == status)
    }

    /// The answer to a request without a body, or why there is none.
    pub async fn try_send(&self, method: Method, url: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
        self.send(request(method, url, headers)?).await
    }

    /// The answer to a request, or why there is none.
    pub async fn send(&self, request: Request<Body>) -> Result<Response, String> {
        let answer = async {
            let response = self.pool.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Response { status: parts.status, headers: parts.headers, body })
        };
        time::timeout(PATIENCE, answer).await.map_err(|_| "no answer in time".to_owned())?
    }

    /// Returns the head of the answer, before its body, or the reason why there is none.
    pub async fn begin(&self, request: Request<Body>) -> Result<http::Response<Incoming>, String> {
        self.begin_within(PATIENCE, request).await
    }

    /// Works as [`Self::begin`], with another bound on the time.
    pub async fn begin_within(
        &self,
        patience: Duration,
        request: Request<Body>,
    ) -> Result<http::Response<Incoming>, String> {
        in_time(patience, self.pool.request(request)).await
    }
}

/// A request without a body.
pub fn request(method: Method, url: &str, headers: &[(&str, &str)]) -> Result<Request<Body>, String> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(empty()).map_err(|error| error.to_string())
}

/// A request with alice's key.
pub fn by_alice(method: Method, url: &str) -> request::Builder {
    Request::builder().method(method).uri(url).header("x-api-key", ALICE_KEY)
}

async fn in_time<T, E: fmt::Debug>(
    patience: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    let answer = time::timeout(patience, answer).await.map_err(|_| "no answer in time".to_owned())?;
    answer.map_err(|error| format!("{error:?}"))
}

impl Response {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("text")
    }

    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The request's headers as the demo upstream saw them.
    pub fn seen_headers(&self) -> HashMap<String, serde_json::Value> {
        let json = self.json();
        let headers = json["headers"].as_object().expect("the upstream echoes headers");
        headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Which demo upstream answered.
    pub fn upstream(&self) -> String {
        self.json()["upstream"].as_str().expect("the upstream says its name").to_owned()
    }
}

/// One connection. It is closed when this is dropped.
pub struct Connection {
    sender: Sender,
    task: Option<AbortHandle>,
}

enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

impl Connection {
    /// A connection to a port of this machine.
    pub async fn connect(http: Http, port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the port accepts");
        stream.set_nodelay(true).expect("it is a TCP connection");
        Self::over(http, stream).await.expect("it is open")
    }

    /// A connection over a stream that is open.
    pub async fn over(
        http: Http,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, String> {
        let io = TokioIo::new(stream);
        let spoken = |error| format!("{error:?}");
        match http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await.map_err(spoken)?;
                let task = tokio::spawn(connection).abort_handle();
                Ok(Self { sender: Sender::One(sender), task: Some(task) })
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(spoken)?;
                let task = tokio::spawn(connection).abort_handle();
                Ok(Self { sender: Sender::Two(sender), task: Some(task) })
            }
        }
    }

    /// Sends a request. Returns the head of the answer, or the reason why there is none.
    pub async fn ask(&mut self, mut request: Request<Body>) -> Result<http::Response<Incoming>, String> {
        let answer = async {
            match &mut self.sender {
                Sender::One(sender) => {
                    sender.ready().await?;
                    let host = request.uri().authority().expect("a whole URL").as_str().parse().expect("a host");
                    request.headers_mut().insert(HOST, host);
                    let path = request.uri().path_and_query().expect("a path").as_str().parse();
                    *request.uri_mut() = path.expect("a path");
                    sender.send_request(request).await
                }
                Sender::Two(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        in_time(PATIENCE, answer).await
    }

    /// Leaves it open until its answer is complete.
    pub(super) fn forget(mut self) {
        self.task = None;
    }

    /// Returns whether the other side takes no further request.
    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => sender.is_closed(),
            Sender::Two(sender) => sender.is_closed(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
