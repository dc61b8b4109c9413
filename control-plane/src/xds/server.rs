//! The xDS server over gRPC: the only part of xDS that has sockets, tasks and a clock. A task a stream moves messages between
//! the wire and a [`Session`]; all rules are in there.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, header::CONTENT_TYPE};
use http_body_util::StreamBody;
use hyper::body::Frame;
use legation_protos::ResourceType;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Status, Streaming,
    body::Body,
    codec::Codec,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower_service::Service;
use tracing::debug;

use super::{
    Event, Message, Next, Observer, Refusal, Session, StreamId, Variant, VariantName,
    delta::Delta,
    services::{METHODS, Method, SERVICES},
    sotw::Sotw,
};
use crate::snapshot::Snapshot;

/// The media type of gRPC.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The largest request in bytes. gRPC's default of 4 MB is too small for what a client with many resources says it holds (D14).
const LARGEST_REQUEST: usize = 16 << 20;

/// How many discovery streams may be open at once.
const MOST_STREAMS: usize = 10_000;

/// How many streams one connection may have. Envoy opens one, or one a kind and listener where it does not aggregate.
const MOST_STREAMS_OF_A_CONNECTION: u32 = 1000;

/// How often a silent connection is asked whether it is alive, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// How long open streams and connections may take to end when the server stops.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Serves xDS on `listener` until `shutdown` ends: the aggregated service and those of each kind, both variants, and gRPC
/// health. Until the first snapshot, streams are held and nothing is answered. Streams are ended at once when it stops, and it
/// returns within a second.
///
/// # Errors
///
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    observer: Arc<dyn Observer>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), tonic::transport::Error> {
    // Dropping the sender is what tells the streams to end.
    let (running, stopped) = watch::channel(());
    let shared = Arc::new(Shared {
        snapshots,
        observer,
        stopped: stopped.clone(),
        streams: AtomicU64::new(0),
        room: Arc::new(Semaphore::new(MOST_STREAMS)),
    });
    let (health, health_service) = tonic_health::server::health_reporter();
    for service in SERVICES {
        health.set_service_status(service, tonic_health::ServingStatus::Serving).await;
    }
    let mut router = Routes::new(health_service).into_axum_router();
    for method in METHODS {
        router = router.route_service(method.path, Discovery { shared: shared.clone(), method });
    }
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(MOST_STREAMS_OF_A_CONNECTION)
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE.0)),
            ended(stopped),
        );
    let stop = async {
        shutdown.await;
        drop(running);
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        result = server => result,
        () = stop => Ok(()),
    }
}

/// Waits until the sender is dropped.
async fn ended(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

/// What all streams share.
struct Shared {
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    observer: Arc<dyn Observer>,
    stopped: watch::Receiver<()>,
    /// How many streams there were.
    streams: AtomicU64,
    room: Arc<Semaphore>,
}

/// One method of a discovery service, as tonic's generated code would have it, but with messages that share their bytes.
#[derive(Clone)]
struct Discovery {
    shared: Arc<Shared>,
    method: Method,
}

impl Service<http::Request<axum::body::Body>> for Discovery {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<axum::body::Body>) -> Self::Future {
        let Self { shared, method } = self.clone();
        let opened = match method.variant {
            VariantName::Sotw => open::<Sotw>(shared, method.scope, request),
            VariantName::Delta => open::<Delta>(shared, method.scope, request),
        };
        let mut response = opened.map_or_else(Status::into_http, http::Response::new);
        response.headers_mut().insert(CONTENT_TYPE, GRPC);
        std::future::ready(Ok(response))
    }
}

/// Opens a stream. What tonic's server would do, but that responses are not copied: see [`Message`].
fn open<V: Variant>(
    shared: Arc<Shared>,
    scope: Option<ResourceType>,
    request: http::Request<axum::body::Body>,
) -> Result<Body, Status> {
    if request.headers().get("grpc-encoding").is_some_and(|encoding| encoding != "identity") {
        return Err(Status::unimplemented("requests must not be compressed"));
    }
    let room = shared.room.clone().try_acquire_owned().map_err(|_| Status::resource_exhausted("too many streams"))?;
    let decoder = ProstCodec::<V::Response, V::Request>::default().decoder();
    let requests = Streaming::new_request(decoder, request.into_body(), None, Some(LARGEST_REQUEST));
    // One message: what a slow client has not taken yet is not piled up, since the session sends the newest state later.
    let (responses, stream) = mpsc::channel(1);
    let task = StreamTask::<V> {
        id: StreamId(shared.streams.fetch_add(1, Ordering::Relaxed) + 1),
        shared,
        session: Session::new(scope),
        started: Instant::now(),
        responses,
        opened: false,
        _room: room,
    };
    tokio::spawn(task.run(requests));
    Ok(Body::new(StreamBody::new(ReceiverStream::new(stream).flat_map(|sent| stream::iter(frames(sent))))))
}

/// A message as frames of HTTP/2, or what ends the stream.
fn frames(sent: Result<Message, Status>) -> Vec<Result<Frame<Bytes>, Status>> {
    let too_large = |_| Status::resource_exhausted("the response is larger than a gRPC message can be");
    match sent.and_then(|message| message.frames().map_err(too_large)) {
        Ok(pieces) => pieces.into_iter().map(|piece| Ok(Frame::data(piece))).collect(),
        Err(status) => {
            let mut trailers = http::HeaderMap::new();
            vec![status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))]
        }
    }
}

/// Moves messages between a session and its stream.
struct StreamTask<V: Variant> {
    id: StreamId,
    shared: Arc<Shared>,
    session: Session<V>,
    started: Instant,
    responses: mpsc::Sender<Result<Message, Status>>,
    opened: bool,
    _room: OwnedSemaphorePermit,
}

impl<V: Variant> StreamTask<V> {
    async fn run(mut self, mut requests: Streaming<V::Request>) {
        let refused = self.exchange(&mut requests).await;
        if let Some(status) = &refused {
            debug!(stream = %self.id, %status, "xDS stream refused");
        }
        // A client that takes nothing any more is not waited for.
        let end = self.responses.send(Err(refused.unwrap_or_else(|| Status::ok(""))));
        let _ = tokio::time::timeout(LAST_WORDS, end).await;
        self.report();
        if self.opened {
            self.shared.observer.closed(self.id);
        }
    }

    /// Runs until the stream ends; gives the status to end it with, if the client is still there to hear it.
    async fn exchange(&mut self, requests: &mut Streaming<V::Request>) -> Option<Status> {
        let mut snapshots = self.shared.snapshots.clone();
        let mut stopped = self.shared.stopped.clone();
        snapshots.mark_changed();
        loop {
            let (wait, blocked) = self.send();
            self.report();
            tokio::select! {
                _ = stopped.changed() => return Some(Status::unavailable("the control plane stops")),
                () = self.responses.closed() => return None,
                request = requests.message() => match request {
                    Ok(Some(request)) => {
                        let now = self.started.elapsed();
                        if let Err(refusal) = self.session.request(request, now) {
                            return Some(refused(refusal));
                        }
                    }
                    Ok(None) => return None,
                    Err(status) => return Some(status),
                },
                Ok(()) = snapshots.changed() => {
                    let snapshot = snapshots.borrow_and_update().clone();
                    if let Some(snapshot) = snapshot {
                        self.session.publish(snapshot, self.started.elapsed());
                    }
                }
                Ok(_) = self.responses.reserve(), if blocked => {}
                () = sleep_until(wait.map(|wait| self.started + wait)), if wait.is_some() => {}
            }
        }
    }

    /// Sends what the session has to send and the client has room for. Gives the time until which the session waits, and
    /// whether it was the client's room that ended it.
    fn send(&mut self) -> (Option<Duration>, bool) {
        loop {
            let Ok(room) = self.responses.try_reserve() else { return (None, true) };
            match self.session.poll(self.started.elapsed()) {
                Next::Send(response) => room.send(Ok(response)),
                Next::Wait(wait) => return (wait, false),
            }
        }
    }

    /// Hands the session's events on.
    fn report(&mut self) {
        for event in self.session.events() {
            self.opened |= matches!(event, Event::Opened { .. });
            self.shared.observer.event(self.id, event);
        }
    }
}

async fn sleep_until(time: Option<Instant>) {
    if let Some(time) = time {
        tokio::time::sleep_until(time).await;
    }
}

fn refused(refusal: Refusal) -> Status {
    match refusal {
        Refusal::NoNode | Refusal::NoType | Refusal::OtherType(_) => Status::invalid_argument(refusal.to_string()),
        Refusal::TooManyNames | Refusal::NameTooLong => Status::resource_exhausted(refusal.to_string()),
    }
}
