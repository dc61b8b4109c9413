//! The xDS server over gRPC: the only part of xDS that has sockets, tasks and a clock. A task a stream moves messages between
//! the wire and a [`Session`]; all rules are in there.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
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
use legation_protos::{
    ResourceType, descriptors,
    pb::envoy::service::status::v3::client_status_discovery_service_server::ClientStatusDiscoveryServiceServer,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpSocket, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, body::Body, service::Routes, transport::Server};
use tower_service::Service;
use tracing::{debug, warn};

mod budget;
mod connection;
pub mod csds;
mod limits;
mod requests;
mod services;
pub mod tls;

pub(crate) use connection::listen_locally;
pub use limits::Limits;

use self::{
    budget::{Budget, Share},
    connection::{Doors, Peer},
    csds::{Clients, Csds},
    requests::Requests,
    services::{METHODS, Method, SERVICES},
    tls::Tls,
};
use super::{Delta, Event, Message, Next, Observer, Plan, Refusal, Session, Sotw, StreamId, Variant, VariantName};
use crate::snapshot::Snapshot;

/// The media type of gRPC.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The largest request in bytes to the services beside discovery: health, reflection and CSDS.
const LARGEST_QUESTION: usize = 64 << 10;

/// How many connections may wait to be accepted. Linux takes no more than its `net.core.somaxconn`, 4096 unless set.
const BACKLOG: u32 = 10_000;

/// How often a silent connection is asked whether it is alive, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// How long open streams and connections may take to end when the server stops.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How xDS is served, beside where.
#[derive(Default)]
pub struct Options {
    /// TLS on the port.
    pub tls: Option<Arc<Tls>>,
    /// Only the client whose certificate has a node's id as a DNS name may be that node.
    pub pin_node_ids: bool,
    /// A socket file on which clients of this machine are served too; they need no TLS and no certificate.
    pub local: Option<UnixListener>,
    /// Who knows the clients; without, CSDS is not served.
    pub clients: Option<Arc<dyn Clients>>,
    /// What clients may take.
    pub limits: Limits,
}

/// Listens on an address as [`TcpListener::bind`] does, with room for a whole fleet that connects at one moment: beyond the
/// room, Linux may reset what clients take for open connections.
///
/// # Errors
///
/// What the system says.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Lets this process have as many connections and files open as it may have at most: many systems begin with 1,024.
pub fn raise_open_files() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!("cannot raise how many files may be open, which is how many nodes may be connected: {error}");
    }
}

/// Serves xDS as [`serve_with`] does, without TLS and CSDS.
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
    serve_with(Options::default(), listener, plans, observer, shutdown).await
}

/// Serves xDS on `listener` until `shutdown` ends: the aggregated service and those of each kind, both variants, CSDS, gRPC
/// health and reflection. Each stream is kept at its node's target in the newest plan; until there is one, streams are held and nothing is answered. Streams are ended at once when
/// it stops, and it returns within a second.
///
/// # Errors
///
/// If the listener fails.
pub async fn serve_with(
    options: Options,
    listener: TcpListener,
    plans: watch::Receiver<Plan>,
    observer: Arc<dyn Observer>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), tonic::transport::Error> {
    // Dropping the sender is what tells the streams to end.
    let (running, stopped) = watch::channel(());
    let Options { tls, pin_node_ids, local, clients, limits } = options;
    let shared = Arc::new(Shared {
        plans,
        observer,
        stopped: stopped.clone(),
        streams: AtomicU64::new(0),
        room: Arc::new(Semaphore::new(limits.streams)),
        budget: Budget::new(limits.held),
        pin_node_ids,
        limits,
    });
    let mut router = beside(clients).await.into_axum_router();
    for method in METHODS {
        router = router.route_service(method.path, Discovery { shared: shared.clone(), method });
    }
    let doors = Doors { port: listener, tls, local, keepalive: KEEPALIVE.0 };
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(limits.streams_of_a_connection)
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(connection::incoming(doors, &limits), ended(stopped));
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

/// The services beside discovery.
async fn beside(clients: Option<Arc<dyn Clients>>) -> Routes {
    let (health, health_service) = tonic_health::server::health_reporter();
    let mut routes = Routes::new(health_service.max_decoding_message_size(LARGEST_QUESTION));
    let mut services = SERVICES.to_vec();
    if let Some(clients) = clients {
        services.push(csds::SERVICE);
        let csds = ClientStatusDiscoveryServiceServer::new(Csds(clients));
        routes = routes.add_service(csds.max_decoding_message_size(LARGEST_QUESTION));
    }
    let mut reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors::SERVICES)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.health.v1.Health")
        .with_service_name("grpc.reflection.v1.ServerReflection");
    for service in services {
        health.set_service_status(service, tonic_health::ServingStatus::Serving).await;
        reflection = reflection.with_service_name(service);
    }
    match reflection.build_v1() {
        Ok(reflection) => routes.add_service(reflection.max_decoding_message_size(LARGEST_QUESTION)),
        Err(error) => {
            warn!("gRPC reflection is not served: {error}");
            routes
        }
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
    budget: Arc<Budget>,
    pin_node_ids: bool,
    limits: Limits,
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
    let peer = request.extensions().get::<Peer>().filter(|_| shared.pin_node_ids).cloned();
    let requests = Requests::new(request.into_body(), shared.limits.request, shared.budget.share());
    // One message: what a slow client has not taken yet is not piled up, since the session sends the newest state later.
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

type Incoming<V> = Requests<V, axum::body::Body>;

/// Moves messages between a session and its stream.
struct StreamTask<V: Variant> {
    id: StreamId,
    shared: Arc<Shared>,
    session: Session<V>,
    started: Instant,
    responses: mpsc::Sender<Result<Message, Status>>,
    /// Whose node it must be, if that is asked for.
    pinned_to: Option<Peer>,
    /// The node's id, once it has said it and may be it.
    node: Option<String>,
    /// What the session was last told to be at.
    target: Option<Arc<Snapshot>>,
    /// What is kept of what the client said.
    names: Share,
    _room: OwnedSemaphorePermit,
}

impl<V: Variant> StreamTask<V> {
    async fn run(mut self, mut requests: Incoming<V>) {
        let ended = self.exchange(&mut requests).await;
        if let Err(status) = &ended {
            debug!(stream = %self.id, %status, "xDS stream refused");
        }
        // A client that takes nothing any more is not waited for.
        let end = self.responses.send(Err(ended.err().unwrap_or_else(|| Status::ok(""))));
        let _ = tokio::time::timeout(LAST_WORDS, end).await;
        // Who hears of the end may count on what the stream held being free.
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

    /// Takes in a request. Nothing is sent or told before the client is known to be who it says.
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
                warn!("a client that says it is node {} is refused: its certificate has no such DNS name", node.id);
                return Err(Status::permission_denied("the node's id is no DNS name of the client's certificate"));
            }
            self.node = Some(node.id.clone());
        }
        for event in events {
            self.shared.observer.event(self.id, event);
        }
        Ok(())
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
