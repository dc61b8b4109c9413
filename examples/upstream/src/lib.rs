//! The demo upstream: a small HTTP server whose answers show what a gateway did on the way.
//!
//! It speaks HTTP/1.1 and HTTP/2 without TLS (h2c) on one port. [`answer`] chooses the answer by
//! the path. The crate is a library too, so tests of a gateway can have upstreams in their own
//! process.

mod answer;
mod stream;
mod websocket;

use std::{io, sync::Arc};

use axum::{Router, serve::ListenerExt as _};
use tokio::net::TcpListener;

/// Serves until the future is dropped. Its answers carry the name. Dropping cuts open streams: an
/// event stream has no end to wait for.
///
/// # Errors
/// The system accepts no connections any more.
pub async fn serve(listener: TcpListener, name: Arc<str>) -> io::Result<()> {
    // Events and WebSocket frames are small: Nagle's algorithm would hold each one back until the
    // previous one is acknowledged.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, Router::new().fallback(answer::answer).with_state(name)).await
}
