//! Exchanges whose bodies move at the test's own pace, over the version of HTTP that it says: both ends of them.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Method, Request, Response, header, request};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    server,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    time,
};

use super::{ALICE_KEY, Body, Http, PATIENCE, body::Reader, empty};

/// Over HTTP/2, a stream has a window of this size, and a connection more than all streams of a test take: whatever stalls a
/// stream is not at the ends.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;
/// The least speed of an upload, in bytes a millisecond. Reached only when a test fails.
const SLOWEST: u64 = 4 << 10;

/// A client's exchanges: over HTTP/2 all on one connection, over HTTP/1.1 each on a connection of its own.
#[derive(Clone)]
pub struct Exchanges {
    port: u16,
    shared: Option<http2::SendRequest<Body>>,
}

impl Exchanges {
    pub async fn open(http: Http, port: u16) -> Self {
        let shared = match http {
            Http::One => None,
            Http::Two => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
                let (sender, connection) = builder.handshake(connect(port).await).await.expect("HTTP/2 is spoken");
                tokio::spawn(connection);
                Some(sender)
            }
        };
        Self { port, shared }
    }

    /// A request of alice's.
    pub fn request(&self, method: Method, path: &str) -> request::Builder {
        let authority = if self.shared.is_some() { "http://a" } else { "" };
        Request::builder()
            .method(method)
            .uri(format!("{authority}{path}"))
            .header("host", "a")
            .header("x-api-key", ALICE_KEY)
    }

    /// The head of the answer; its body is still to come.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, String> {
        self.send_within(PATIENCE, request).await
    }

    async fn send_within(&self, patience: Duration, request: Request<Body>) -> Result<Response<Incoming>, String> {
        let answer = async {
            match self.shared.clone() {
                Some(mut sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                None => {
                    let (mut sender, connection) = http1::handshake(connect(self.port).await).await?;
                    tokio::spawn(connection);
                    sender.send_request(request).await
                }
            }
        };
        let answer = time::timeout(patience, answer).await.map_err(|_| "no answer in time".to_owned())?;
        answer.map_err(|error| format!("{error:?}"))
    }

    /// The body that is answered, whatever its length.
    pub async fn download(&self, path: &str) -> Result<Reader, String> {
        let response = self.send(self.request(Method::GET, path).body(empty()).expect("a request")).await?;
        match response.status().as_u16() {
            200 => Ok(Reader::new(0, response.into_body())),
            status => Err(format!("{path} is answered with {status}")),
        }
    }

    /// Sends a body of this length, all of which is taken.
    pub async fn upload(&self, path: &str, length: u64, body: Body) -> Result<(), String> {
        let request = self.request(Method::PUT, path).header(header::CONTENT_LENGTH, length);
        // Answered at its end only.
        let patience = PATIENCE + Duration::from_millis(length / SLOWEST);
        let response = self.send_within(patience, request.body(body).expect("a request")).await?;
        let status = response.status();
        let said = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        match status.as_u16() {
            200 if said == length.to_string() => Ok(()),
            status => Err(format!("{path} is answered with {status}: {said:?}")),
        }
    }
}

async fn connect(port: u16) -> TokioIo<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the port accepts");
    stream.set_nodelay(true).expect("it is a TCP connection");
    TokioIo::new(stream)
}

/// An upstream in this process. It ends with the test's runtime.
pub struct Upstream {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    /// Starts it, with its answer to each request.
    pub async fn answering<A, F>(http: Http, answer: A) -> Self
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::<AtomicUsize>::default();
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("it is a TCP connection");
                count.fetch_add(1, Ordering::Relaxed);
                let answer = answer.clone();
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async { Ok::<_, hyper::Error>(answer.await) }
                });
                let stream = TokioIo::new(stream);
                match http {
                    Http::One => {
                        tokio::spawn(server::conn::http1::Builder::new().serve_connection(stream, service));
                    }
                    Http::Two => {
                        let mut builder = server::conn::http2::Builder::new(TokioExecutor::new());
                        builder
                            .initial_stream_window_size(STREAM_WINDOW)
                            .initial_connection_window_size(CONNECTION_WINDOW);
                        tokio::spawn(builder.serve_connection(stream, service));
                    }
                }
            }
        });
        Self { address, connections }
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
