//! What clients may take of the server, all together and each. Beyond, they are refused; nothing grows with what they ask.

use std::time::Duration;

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request in bytes. gRPC's default of 4 MB is too small for what a client with many resources says it
    /// holds (D14).
    pub request: usize,
    /// How many connections may be open at once; further ones are closed.
    pub connections: usize,
    /// How many discovery streams may be open at once; further ones end RESOURCE_EXHAUSTED.
    pub streams: usize,
    /// How many streams one connection may have. Envoy opens one, or one a kind and listener where it does not aggregate.
    pub streams_of_a_connection: u32,
    /// How many bytes may be held for all clients together: what came of requests that are not complete yet, and names
    /// that are subscribed to. A stream that wants more ends RESOURCE_EXHAUSTED.
    pub held: usize,
    /// How long a new connection may take for the handshake: that of TLS, and the first bytes of HTTP/2.
    pub handshake: Duration,
    /// How long a new stream may take for its first request.
    pub first_request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: 16 << 20,
            connections: 10_000,
            streams: 10_000,
            streams_of_a_connection: 1000,
            held: 2 << 30,
            handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(30),
        }
    }
}
