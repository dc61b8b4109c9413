//! Building blocks of the live tests and the benchmarks: a whole gateway (the real command, the
//! real Envoy), its file, clients and upstreams.
//!
//! There is one HTTP client, [`Client`], and one raw connection, [`Wire`]. [`Gateway::routes`] and
//! the methods of [`File`] make gateway files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

mod answerer;
mod bare;
pub mod body;
mod chance;
mod client;
mod control_plane;
mod depot;
mod envoy;
mod file;
mod flood;
mod flow;
mod gateway;
mod load;
pub mod measure;
mod memory;
pub mod mesh;
mod node;
pub mod pki;
mod ports;
mod process;
mod server;
mod shared;
pub mod tls;
mod traffic;
mod unrest;
mod variant;
pub mod wire;

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, time};

pub use answerer::{Answer, Answerer, Asked, Reply};
pub use bare::Bare;
pub use body::{Body, Cut, Parts, empty, part, parts};
pub use chance::Chance;
pub use client::{Client, Connection, Response, by_alice, request};
pub use control_plane::ControlPlane;
pub use depot::Depot;
pub use envoy::Envoy;
pub use file::File;
pub use flood::{Flood, Limited, limited};
pub use flow::{Direction, Flow};
pub use gateway::{Gateway, Options, admin_address};
pub use load::Load;
pub use memory::Memory;
pub use node::Node;
pub use ports::{TakenPort, free_port};
pub use process::{Process, bare_envoy, envoy, h2load, legation, legation_path, root};
pub use server::{Http, Upstream};
pub use shared::Shared;
pub use traffic::{Events, Hammer};
pub use unrest::{Edits, Unrest};
pub use variant::Variant;
pub use wire::Wire;

/// The longest wait for anything. It suits slow machines, and only failing tests wait this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let mut tick = time::interval(Duration::from_millis(10));
    let done = time::timeout(PATIENCE, async {
        while !condition().await {
            tick.tick().await;
        }
    });
    assert!(done.await.is_ok(), "not within {PATIENCE:?}: {what}");
}

/// Starts a demo upstream in this process. It ends with the runtime that it is started on.
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
pub const CAROL_KEY: &str = "carol-key";
pub const CAROL_SHA256: &str = "368c3387fc9b5ce6ab156ad952031f52bc9154e89a727020cd314f8910a21823";
