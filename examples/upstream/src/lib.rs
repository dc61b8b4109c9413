//! The demo upstream: a small HTTP server whose answers show what a gateway did on the way.
//!
//! It speaks HTTP/1.1 and HTTP/2 without TLS (h2c) on one port. [`answer`] decides by the path what a request gets. It is a
//! library too, so that tests of a gateway can have upstreams in their own process.

mod answer;
mod stream;
mod websocket;

use std::{io, sync::Arc};

use axum::{Router, serve::ListenerExt as _};
use tokio::net::TcpListener;

/// Serves under a name that its answers carry, until it is dropped. Open streams are cut then and not waited for: an event
/// stream has no end to wait for.
///
/// # Errors
/// What the system says when no connection can be accepted any more.
pub async fn serve(listener: TcpListener, name: Arc<str>) -> io::Result<()> {
    // Events and WebSocket frames are small: Nagle's algorithm would hold each one back for the ACK of the one before.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, Router::new().fallback(answer::answer).with_state(name)).await
}
