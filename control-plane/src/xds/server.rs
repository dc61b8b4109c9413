//! The xDS server over gRPC: the only part of xDS that has sockets, tasks and a clock. A task a stream moves messages between
//! the wire and a [`Session`]; all rules are in there.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use legation_protos::ResourceType;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    server::Grpc,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower_service::Service;
use tracing::debug;

use super::{
    Event, Next, Observer, Plan, Refusal, Session, StreamId, Variant, VariantName,
    delta::Delta,
    services::{METHODS, Method, SERVICES},
    sotw::Sotw,
};
use crate::snapshot::Snapshot;

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
/// health. Each stream is kept at its node's target in the newest plan. Until there is one, streams are held and nothing is answered. Streams are ended at once when it stops, and it
/// returns within a second.
///
/// # Errors
///
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    plans: watch::Receiver<Plan>,
    observer: Arc<dyn Observer>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), tonic::transport::Error> {
    // Dropping the sender is what tells the streams to end.
    let (running, stopped) = watch::channel(());
    let shared = Arc::new(Shared {
        plans,
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
    plans: watch::Receiver<Plan>,
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
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<axum::body::Body>) -> Self::Future {
        let Self { shared, method } = self.clone();
        Box::pin(async move {
            Ok(match method.variant {
                VariantName::Sotw => respond::<Sotw>(shared, method.scope, request).await,
                VariantName::Delta => respond::<Delta>(shared, method.scope, request).await,
            })
        })
    }
}

async fn respond<V: Variant>(
    shared: Arc<Shared>,
    scope: Option<ResourceType>,
    request: http::Request<axum::body::Body>,
) -> http::Response<Body> {
    Grpc::new(ProstCodec::<V::Response, V::Request>::default())
        .max_decoding_message_size(LARGEST_REQUEST)
        .streaming(Opening::<V> { shared, scope, variant: std::marker::PhantomData }, request)
        .await
}

/// Opens a stream.
struct Opening<V> {
    shared: Arc<Shared>,
    scope: Option<ResourceType>,
    variant: std::marker::PhantomData<V>,
}

impl<V: Variant> Service<Request<Streaming<V::Request>>> for Opening<V> {
    type Response = Response<ReceiverStream<Result<V::Response, Status>>>;
    type Error = Status;
    type Future = std::future::Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<V::Request>>) -> Self::Future {
        let Ok(room) = self.shared.room.clone().try_acquire_owned() else {
            return std::future::ready(Err(Status::resource_exhausted("too many streams")));
        };
        // One message: what a slow client has not taken yet is not piled up, since the session sends the newest state later.
        let (responses, stream) = mpsc::channel(1);
        let task = StreamTask::<V> {
            id: StreamId(self.shared.streams.fetch_add(1, Ordering::Relaxed) + 1),
            shared: self.shared.clone(),
            session: Session::new(self.scope),
            started: Instant::now(),
            responses,
            node: None,
            target: None,
            _room: room,
        };
        tokio::spawn(task.run(request.into_inner()));
        std::future::ready(Ok(Response::new(ReceiverStream::new(stream))))
    }
}

/// Moves messages between a session and its stream.
struct StreamTask<V: Variant> {
    id: StreamId,
    shared: Arc<Shared>,
    session: Session<V>,
    started: Instant,
    responses: mpsc::Sender<Result<V::Response, Status>>,
    /// The node's id, once it has said it.
    node: Option<String>,
    /// What the session was last told to be at.
    target: Option<Arc<Snapshot>>,
    _room: OwnedSemaphorePermit,
}

impl<V: Variant> StreamTask<V> {
    async fn run(mut self, mut requests: Streaming<V::Request>) {
        if let Some(status) = self.exchange(&mut requests).await {
            debug!(stream = %self.id, %status, "xDS stream refused");
            // A client that takes nothing any more is not waited for.
            let _ = tokio::time::timeout(LAST_WORDS, self.responses.send(Err(status))).await;
        }
        self.report();
        if self.node.is_some() {
            self.shared.observer.closed(self.id);
        }
    }

    /// Runs until the stream ends; gives the status to end it with, if the client is still there to hear it.
    async fn exchange(&mut self, requests: &mut Streaming<V::Request>) -> Option<Status> {
        let mut plans = self.shared.plans.clone();
        let mut stopped = self.shared.stopped.clone();
        loop {
            // What the last request said of the node decides where it is to be.
            self.report();
            self.aim(&mut plans);
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
                Ok(()) = plans.changed() => {}
                Ok(_) = self.responses.reserve(), if blocked => {}
                () = sleep_until(wait.map(|wait| self.started + wait)), if wait.is_some() => {}
            }
        }
    }

    /// Tells the session where its node is to be, if that is another snapshot than before.
    fn aim(&mut self, plans: &mut watch::Receiver<Plan>) {
        let plan = plans.borrow_and_update();
        let Some(target) = self.node.as_ref().and_then(|node| plan.target(node)) else { return };
        if self.target.as_ref().is_none_or(|current| !Arc::ptr_eq(current, target)) {
            self.session.publish(target.clone(), self.started.elapsed());
            self.target = Some(target.clone());
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
            if let Event::Opened { node, .. } = &event {
                self.node = Some(node.id.clone());
            }
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
