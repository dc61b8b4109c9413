//! A whole gateway for a test: the real command, the real Envoy, demo upstreams in this process.

mod bare;
pub mod body;
mod chance;
mod client;
mod depot;
mod exchange;
mod fleet;
mod flood;
mod flow;
mod gateway;
pub mod http2;
mod load;
mod memory;
pub mod mesh;
mod node;
mod pace;
mod ports;
mod process;
mod stage;
pub mod tls;
mod traffic;
mod unrest;
mod wire;

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, time};

pub use bare::{ADMIN, Bare};
pub use chance::Chance;
pub use client::{Client, Response};
pub use depot::Depot;
pub use exchange::{Answerer, Asked, Body, Caller, Connection, Cut, Http, Parts, Reply, empty, part, parts};
pub use fleet::{ControlPlane, Envoy};
pub use flood::{Flood, Limited, limited};
pub use flow::{Direction, Flow};
pub use gateway::{DELTA, Gateway, Options, SOTW, admin_address};
pub use load::Load;
pub use memory::Memory;
pub use node::Node;
pub use pace::{Exchanges, Upstream};
pub use ports::free_port;
pub use process::{Process, bare_envoy, envoy, legation};
pub use stage::{Answer, Stage};
pub use traffic::{Events, Hammer};
pub use unrest::{Edits, Unrest};
pub use wire::Wire;

/// How long anything may take to come about. Reached only when a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let mut tick = time::interval(Duration::from_millis(10));
    let done = time::timeout(PATIENCE, async {
        while !condition().await {
            tick.tick().await;
        }
    });
    assert!(done.await.is_ok(), "not within {PATIENCE:?}: {what}");
}

/// A demo upstream in this process. It ends with the test's runtime.
pub async fn upstream(name: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(upstream::serve(listener, name.into()));
    address
}

/// The keys of the tests' consumers, and their digests.
pub const ALICE_KEY: &str = "alice-key";
pub const ALICE_SHA256: &str = "72ee9d4355ccb9d3a4c9dbf37382e38e75c1b1a225b5bd1f729ee91bbda30c20";
pub const BOB_KEY: &str = "bob-key";
pub const BOB_SHA256: &str = "9b94dc1a51a38769f135edf04033ad7f2f487b6c25929be7a861cfc1ab10cf98";
