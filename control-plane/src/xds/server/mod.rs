//! The xDS server over gRPC, the only part of xDS that has sockets, tasks and a clock. One task for
//! each stream moves messages between the wire and a [`Session`](super::Session), which keeps all
//! rules.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use legation_protos::{
    descriptors,
    pb::envoy::service::status::v3::client_status_discovery_service_server::ClientStatusDiscoveryServiceServer,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpSocket, UnixListener},
    sync::{Semaphore, watch},
};
use tonic::{service::Routes, transport::Server};
use tracing::warn;

mod budget;
mod connection;
pub mod csds;
mod limits;
mod requests;
mod services;
mod stream;
pub mod tls;

pub(crate) use connection::listen_locally;
pub use limits::Limits;

use self::{
    budget::Budget,
    connection::Doors,
    csds::{Clients, Csds},
    services::{METHODS, SERVICES},
    stream::{Discovery, Shared},
    tls::Tls,
};
use super::{Observer, Plan};

/// The largest request in bytes to the services beside discovery: health, reflection and CSDS.
const LARGEST_QUESTION: usize = 64 << 10;

/// How many connections may wait to be accepted. Linux takes no more than its `net.core.somaxconn`,
/// 4096 unless set.
const BACKLOG: u32 = 10_000;

/// How often the server asks a silent connection whether it is alive, and how long that may take to
/// answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// How long open streams and connections may take to end when the server stops.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How to serve xDS.
#[derive(Default)]
pub struct Options {
    /// TLS on the port.
    pub tls: Option<Arc<Tls>>,
    /// Only the client whose certificate has a node's id as a DNS name may be that node.
    pub pin_node_ids: bool,
    /// A socket file for clients of this machine, beside the port. They need no TLS and no
    /// certificate.
    pub local: Option<UnixListener>,
    /// Knows the clients. Without it, the server does not serve CSDS.
    pub clients: Option<Arc<dyn Clients>>,
    /// What clients may take.
    pub limits: Limits,
}

/// Listens on an address as [`TcpListener::bind`] does, with room for a whole fleet that connects
/// at one moment. Beyond the room, Linux may reset connections that clients take for open.
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

/// Lets this process open as many connections and files as it may. Many systems begin with 1,024.
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
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    plans: watch::Receiver<Plan>,
    observer: Arc<dyn Observer>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), tonic::transport::Error> {
    serve_with(Options::default(), listener, plans, observer, shutdown).await
}

/// Serves xDS on `listener` until `shutdown` ends: the aggregated service and the service of each
/// kind, both variants, CSDS, gRPC health and reflection.
///
/// Each stream follows its node's target in the newest plan. Until there is a plan with one, the
/// server holds streams and does not answer. When the server stops, it ends the streams at once,
/// and this function returns within a second.
///
/// # Errors
///
/// The listener fails.
pub async fn serve_with(
    options: Options,
    listener: TcpListener,
    plans: watch::Receiver<Plan>,
    observer: Arc<dyn Observer>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), tonic::transport::Error> {
    // Dropping the sender tells the streams to end.
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
