//! Upstreams in this process, over either version of HTTP.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::AbortHandle,
};

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    One,
    Two,
}

impl Http {
    pub const BOTH: [Self; 2] = [Self::One, Self::Two];

    /// Returns the value of a cluster's `protocol`.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::One => "protocol: http1",
            Self::Two => "protocol: http2",
        }
    }
}

/// The window of an HTTP/2 stream at the test's ends. A connection's window exceeds what all
/// streams of a test need, so the test's ends stall no stream.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;
pub(super) const CONNECTION_WINDOW: u32 = 1 << 30;

/// An upstream in this process. It ends with the runtime that it is started on.
pub struct Upstream {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    /// Starts it with a function that answers each request. A request's extensions have the
    /// [`AbortHandle`] of its connection.
    pub async fn start<A, F, B, E>(http: Http, answer: A) -> Self
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<B>, E>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        Self::start_over(move |stream| async move { Some((http, (), stream)) }, answer).await
    }

    /// Works as [`Self::start`], over streams that `connect` makes of connections. `connect`
    /// returns the version of HTTP and an extension for the requests, too.
    pub async fn start_over<C, T, S, A, F, B, E>(
        connect: impl Fn(TcpStream) -> C + Clone + Send + 'static,
        answer: A,
    ) -> Self
    where
        C: Future<Output = Option<(Http, T, S)>> + Send,
        T: Clone + Send + Sync + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<B>, E>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::<AtomicUsize>::default();
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("it is a TCP connection");
                count.fetch_add(1, Ordering::Relaxed);
                let (connect, answer) = (connect.clone(), answer.clone());
                let (know, known) = oneshot::channel::<AbortHandle>();
                let task = tokio::spawn(async move {
                    let connection = known.await.expect("it is told");
                    let Some((http, told, stream)) = connect(stream).await else { return };
                    let answer = move |mut request: Request<Incoming>| {
                        request.extensions_mut().insert(connection.clone());
                        request.extensions_mut().insert(told.clone());
                        answer(request)
                    };
                    serve(http, stream, answer).await;
                });
                let _ = know.send(task.abort_handle());
            }
        });
        Self { address, connections }
    }

    /// Returns the number of connections to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Answers all requests of a connection, however it ends.
async fn serve<S, A, F, B, E>(http: Http, stream: S, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    let service = service_fn(answer);
    let stream = TokioIo::new(stream);
    let _ = match http {
        Http::One => http1::Builder::new().serve_connection(stream, service).await,
        Http::Two => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
            builder.serve_connection(stream, service).await
        }
    };
}
