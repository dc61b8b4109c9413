//! One stream of the server: a task that moves messages between the wire and a [`Session`].

use std::{
    convert::Infallible,
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
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, body::Body};
use tower_service::Service;
use tracing::{debug, warn};

use super::{
    super::{Delta, Event, Message, Next, Observer, Plan, Refusal, Session, Sotw, StreamId, Variant, VariantName},
    LAST_WORDS, Limits,
    budget::{Budget, Share},
    connection::Peer,
    requests::Requests,
    services::Method,
};
use crate::snapshot::Snapshot;

/// The media type of gRPC.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// What all streams share.
pub(super) struct Shared {
    pub(super) plans: watch::Receiver<Plan>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stopped: watch::Receiver<()>,
    /// How many streams there were.
    pub(super) streams: AtomicU64,
    pub(super) room: Arc<Semaphore>,
    pub(super) budget: Arc<Budget>,
    pub(super) pin_node_ids: bool,
    pub(super) limits: Limits,
}

/// One method of a discovery service. It does what tonic's generated code would do, but its
/// messages share their bytes.
#[derive(Clone)]
pub(super) struct Discovery {
    pub(super) shared: Arc<Shared>,
    pub(super) method: Method,
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

/// Opens a stream. It does what tonic's server would do, but copies no responses: see [`Message`].
fn open<V: Variant>(
    shared: Arc<Shared>,
    scope: Option<ResourceType>,
    request: http::Request<axum::body::Body>,
) -> Result<Body, Status> {
    if request.headers().get("grpc-encoding").is_some_and(|encoding| encoding != "identity") {
        return Err(Status::unimplemented("requests must not be compressed"));
    }
    let room = shared.room.clone().try_acquire_owned().map_err(|_| Status::resource_exhausted("too many streams"))?;
    let peer = request.extensions().get::<Peer>().filter(|_| shared.pin_node_ids).cloned();
    let requests = Requests::new(request.into_body(), shared.limits.request, shared.budget.share());
    // One message only. What a slow client has not taken does not pile up, since the session sends
    // the newest state later.
    let (responses, stream) = mpsc::channel(1);
    let task = StreamTask::<V> {
        id: StreamId(shared.streams.fetch_add(1, Ordering::Relaxed) + 1),
        session: Session::new(scope),
        started: Instant::now(),
        responses,
        pinned_to: peer,
        node: None,
        target: None,
        names: shared.budget.share(),
        shared,
        _room: room,
    };
    tokio::spawn(task.run(requests));
    Ok(Body::new(StreamBody::new(ReceiverStream::new(stream).flat_map(|sent| stream::iter(frames(sent))))))
}

/// A message as frames of HTTP/2, or the end of the stream.
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

type Incoming<V> = Requests<V, axum::body::Body>;

/// Moves messages between a session and its stream.
struct StreamTask<V: Variant> {
    id: StreamId,
    shared: Arc<Shared>,
    session: Session<V>,
    started: Instant,
    responses: mpsc::Sender<Result<Message, Status>>,
    /// The client whose node it must be, if node ids are pinned.
    pinned_to: Option<Peer>,
    /// The node's id, once the client has said it and may be it.
    node: Option<String>,
    /// The snapshot that the session was last told.
    target: Option<Arc<Snapshot>>,
    /// The memory of what the client said.
    names: Share,
    _room: OwnedSemaphorePermit,
}

impl<V: Variant> StreamTask<V> {
    async fn run(mut self, mut requests: Incoming<V>) {
        let ended = self.exchange(&mut requests).await;
        if let Err(status) = &ended {
            debug!(stream = %self.id, %status, "xDS stream refused");
        }
        // A client that takes nothing any more does not hold up the end.
        let end = self.responses.send(Err(ended.err().unwrap_or_else(|| Status::ok(""))));
        let _ = tokio::time::timeout(LAST_WORDS, end).await;
        // An observer of the end may count on what the stream held being free.
        drop(requests);
        self.names.release();
        if self.node.is_some() {
            self.report();
            self.shared.observer.closed(self.id);
        }
    }

    /// Runs until the client leaves.
    ///
    /// # Errors
    /// The status to end the stream with, if the client is still there to hear it.
    async fn exchange(&mut self, requests: &mut Incoming<V>) -> Result<(), Status> {
        let mut plans = self.shared.plans.clone();
        let mut stopped = self.shared.stopped.clone();
        let first_request = self.started + self.shared.limits.first_request;
        loop {
            // What the last request said of the node decides where it is to be.
            self.report();
            self.aim(&mut plans);
            let (wait, blocked) = self.send();
            self.report();
            let request = tokio::select! {
                _ = stopped.changed() => return Err(Status::unavailable("the control plane stops")),
                () = self.responses.closed() => return Ok(()),
                request = requests.next() => match request? {
                    Some(request) => request,
                    None => return Ok(()),
                },
                Ok(()) = plans.changed() => continue,
                Ok(_) = self.responses.reserve(), if blocked => continue,
                () = sleep_until(wait.map(|wait| self.started + wait)), if wait.is_some() => continue,
                () = tokio::time::sleep_until(first_request), if self.node.is_none() => {
                    return Err(Status::deadline_exceeded("the stream asked for nothing"));
                }
            };
            self.request(request)?;
        }
    }

    /// Takes in a request. The task sends and tells nothing before it knows that the client may be
    /// the node.
    fn request(&mut self, request: V::Request) -> Result<(), Status> {
        self.session.request(request, self.started.elapsed()).map_err(refused)?;
        if self.node.is_none() {
            self.open()?;
        }
        self.names.set(self.session.bytes())
    }

    fn open(&mut self) -> Result<(), Status> {
        let events: Vec<_> = self.session.events().collect();
        let pinned_to = self.pinned_to.take();
        for event in &events {
            let Event::Opened { node, .. } = event else { continue };
            if pinned_to.as_ref().is_some_and(|peer| !peer.is(&node.id)) {
                warn!("refusing a client that says it is node {}: its certificate has no such DNS name", node.id);
                return Err(Status::permission_denied("the node's id is no DNS name of the client's certificate"));
            }
            self.node = Some(node.id.clone());
        }
        for event in events {
            self.shared.observer.event(self.id, event);
        }
        Ok(())
    }

    /// Tells the session its node's snapshot, if that changed.
    fn aim(&mut self, plans: &mut watch::Receiver<Plan>) {
        let plan = plans.borrow_and_update();
        let Some(target) = self.node.as_ref().and_then(|node| plan.target(node)) else { return };
        if self.target.as_ref().is_none_or(|current| !Arc::ptr_eq(current, target)) {
            self.session.publish(target.clone(), self.started.elapsed());
            self.target = Some(target.clone());
        }
    }

    /// Sends what the session has to send and the client has room for. Returns the time until which
    /// the session waits, and whether the client had no more room.
    fn send(&mut self) -> (Option<Duration>, bool) {
        loop {
            let Ok(room) = self.responses.try_reserve() else { return (None, true) };
            match self.session.poll(self.started.elapsed()) {
                Next::Send(response) => room.send(Ok(response)),
                Next::Wait(wait) => return (wait, false),
            }
        }
    }

    /// Passes on the session's events.
    fn report(&mut self) {
        for event in self.session.events() {
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
