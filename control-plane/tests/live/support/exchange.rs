//! HTTP of either version, said by the test part by part at both ends of the gateway.

use std::{convert::Infallible, fmt, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header::HOST};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn as client,
    server::conn as server,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;

use super::PATIENCE;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    One,
    Two,
}

impl Http {
    pub const BOTH: [Self; 2] = [Self::One, Self::Two];

    /// As the `protocol` of a cluster.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::One => "protocol: http1",
            Self::Two => "protocol: http2",
        }
    }
}

pub type Body = BoxBody<Bytes, Cut>;

/// What ends a body before its end.
#[derive(Debug)]
pub struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the test cuts it")
    }
}

impl std::error::Error for Cut {}

/// A body that is still to be sent. It ends well when this is dropped.
pub struct Parts(mpsc::Sender<Result<Frame<Bytes>, Cut>>);

/// A body that is sent part by part.
pub fn parts() -> (Parts, Body) {
    let (sender, frames) = mpsc::channel(1);
    (Parts(sender), BodyExt::boxed(StreamBody::new(ReceiverStream::new(frames))))
}

pub fn empty() -> Body {
    Empty::new().map_err(|never: Infallible| match never {}).boxed()
}

impl Parts {
    pub async fn send(&self, part: impl Into<Bytes>) {
        assert!(self.offer(part.into()).await, "it is still taken");
    }

    /// The same; false if nobody takes it any more.
    pub async fn offer(&self, part: Bytes) -> bool {
        self.0.send(Ok(Frame::data(part))).await.is_ok()
    }

    /// Ends it with trailers.
    pub async fn trailers(self, trailers: HeaderMap) {
        self.frame(Ok(Frame::trailers(trailers))).await;
    }

    /// Ends it as if whoever sends it broke down.
    pub async fn cut(&self) {
        self.frame(Err(Cut)).await;
    }

    /// Waits until nobody takes it any more.
    pub async fn unwanted(&self) {
        self.0.closed().await;
    }

    async fn frame(&self, frame: Result<Frame<Bytes>, Cut>) {
        self.0.send(frame).await.expect("it is still taken");
    }
}

/// The next part of a body that comes.
pub async fn part(body: &mut Incoming) -> Bytes {
    let frame =
        timeout(PATIENCE, body.frame()).await.expect("a part comes").expect("it goes on").expect("it is not cut");
    frame.into_data().expect("data")
}

/// A client's connection. It is closed when this is dropped.
pub struct Caller {
    sender: Sender,
    connection: AbortHandle,
}

enum Sender {
    One(client::http1::SendRequest<Body>),
    Two(client::http2::SendRequest<Body>),
}

impl Caller {
    pub async fn connect(http: Http, port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it connects");
        stream.set_nodelay(true).expect("it is open");
        let io = TokioIo::new(stream);
        match http {
            Http::One => {
                let (sender, connection) = client::http1::handshake(io).await.expect("it is open");
                let connection = tokio::spawn(connection).abort_handle();
                Self { sender: Sender::One(sender), connection }
            }
            Http::Two => {
                let (sender, connection) =
                    client::http2::handshake(TokioExecutor::new(), io).await.expect("it is open");
                let connection = tokio::spawn(connection).abort_handle();
                Self { sender: Sender::Two(sender), connection }
            }
        }
    }

    /// Sends a request, and gives the head of its answer.
    pub async fn ask(&mut self, mut request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        let answer = async {
            match &mut self.sender {
                Sender::One(sender) => {
                    sender.ready().await?;
                    let host = request.uri().authority().expect("a whole URL").as_str().parse().expect("a host");
                    request.headers_mut().insert(HOST, host);
                    *request.uri_mut() =
                        request.uri().path_and_query().expect("a path").as_str().parse().expect("a path");
                    sender.send_request(request).await
                }
                Sender::Two(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        timeout(PATIENCE, answer).await.expect("an answer")
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// An upstream whose every answer the test gives.
pub struct Answerer {
    pub address: SocketAddr,
    asked: mpsc::Receiver<Asked>,
}

/// A request that arrived there.
pub struct Asked {
    request: Request<Incoming>,
    answer: oneshot::Sender<Response<Body>>,
    connection: AbortHandle,
}

impl Answerer {
    pub async fn start(http: Http) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, asked) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                serve(http, TokioIo::new(stream), sender.clone());
            }
        });
        Self { address, asked }
    }

    /// The next request that arrives.
    pub async fn asked(&mut self) -> Asked {
        timeout(PATIENCE, self.asked.recv()).await.expect("a request arrives").expect("it serves")
    }
}

fn serve(http: Http, io: TokioIo<TcpStream>, sender: mpsc::Sender<Asked>) {
    let (know, known) = oneshot::channel::<AbortHandle>();
    let task = tokio::spawn(async move {
        let connection = known.await.expect("it is told");
        let service = service_fn(move |request| {
            let (answer, answered) = oneshot::channel();
            let asked = Asked { request, answer, connection: connection.clone() };
            let sender = sender.clone();
            async move {
                sender.send(asked).await.map_err(|_| Cut)?;
                answered.await.map_err(|_| Cut)
            }
        });
        match http {
            Http::One => drop(server::http1::Builder::new().serve_connection(io, service).await),
            Http::Two => drop(server::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await),
        }
    });
    let _ = know.send(task.abort_handle());
}

impl Asked {
    /// Answers. Gives what the request's body will bring, and the connection.
    pub fn answer(self, response: Response<Body>) -> (Incoming, Connection) {
        let Self { request, answer, connection } = self;
        answer.send(response).expect("the request is not given up");
        (request.into_body(), Connection(connection))
    }

    /// The request's body, and what answers.
    pub fn apart(self) -> (Incoming, Reply) {
        (self.request.into_body(), Reply(self.answer))
    }

    /// Waits until nobody wants an answer any more.
    pub async fn unwanted(mut self) {
        self.answer.closed().await;
    }
}

/// Answers a request that has come apart from its body. Dropped, it cuts the exchange.
pub struct Reply(oneshot::Sender<Response<Body>>);

impl Reply {
    pub fn send(self, response: Response<Body>) {
        self.0.send(response).expect("the request is not given up");
    }
}

/// A connection of the upstream's.
pub struct Connection(AbortHandle);

impl Connection {
    /// Closes it, whatever is under way.
    pub fn break_off(self) {
        self.0.abort();
    }
}
