//! A gateway under attack, and the other clients that it serves meanwhile.

use std::{future::Future, net::SocketAddr, time::Instant};

use legation_testing::{Events, File, Gateway, Hammer, Memory, Options, upstream};
use tokio::net::{TcpListener, TcpStream};

/// Turns the filter on, and lets alice pass.
pub const POLICY: &str = "api_key: {}, rate_limit: {limit: 1000000, window: 1h, by: consumer}";

pub const MIB: usize = 1 << 20;

/// Returns the file of a gateway under attack. It has the cluster `fine`, whose upstream answers,
/// the route `/fine` to it, which other clients use, and `/`, which the gateway answers itself. The
/// filter is on all routes.
pub async fn file() -> File {
    let routes = "
        - {name: own, match: {prefix: /}, respond: {status: 200}, $POLICY}
        - {name: fine, match: {prefix: /fine}, cluster: fine, $POLICY}
        - {name: events, match: {prefix: /fine/events}, cluster: fine, stream: sse, $POLICY}
    ";
    File::routes(routes).cluster("fine", upstream("fine").await).alice().set("POLICY", POLICY)
}

/// Adds a route and a cluster of this name, whose prefix and whose only endpoint these are, with
/// further fields of either.
pub fn with(file: File, name: &str, endpoint: SocketAddr, route: &str, cluster: &str) -> File {
    let fields = format!("cluster: {name}, $POLICY, {route}");
    file.and_route(name, format!("/{name}"), fields).cluster_with(name, endpoint, cluster)
}

/// A gateway that other clients use. Each test has its own, since it watches Envoy's memory.
pub struct Scene {
    pub gateway: Gateway,
    others: Hammer,
    events: Events,
    begun: Instant,
    /// Envoy's memory since before the attack.
    memory: Memory,
}

impl Scene {
    /// Runs a gateway on a [`file`], which may have more in it.
    pub async fn open(file: File) -> Self {
        // Some streams never end, so there is nothing to wait for.
        let gateway = file.start_with(Options { drain: "0s", ..Options::default() }).await;
        let others = Hammer::start(gateway.url("/fine"));
        let events = Events::open(gateway.url("/fine/events/sse")).await;
        let memory = Memory::of(&gateway);
        Self { gateway, others, events, begun: Instant::now(), memory }
    }

    /// Makes sure that the gateway served and serves the other clients, and that Envoy's memory
    /// never grew by more than `most` MiB.
    pub async fn ends_unharmed(mut self, most: u64) {
        self.events.go_on().await;
        let (took, answered) = (self.begun.elapsed(), self.others.stop().await);
        println!("{answered} requests of others in {took:?}");
        // Even a busy machine serves far more.
        assert!(answered as u64 > took.as_secs(), "others wait: {answered} in {took:?}");
        let grown = self.memory.peak() >> 20;
        println!("Envoy's memory grew by {grown} MiB");
        assert!(grown <= most, "Envoy's memory grew by {grown} MiB");
    }
}

/// Starts an upstream that calls `serve` with each of its connections.
pub async fn upstream_that<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection));
        }
    });
    address
}
