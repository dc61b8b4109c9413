//! What clients may take of the server, all together and each. The server refuses more, and nothing
//! grows with what they ask.

use std::time::Duration;

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request in bytes. gRPC's default of 4 MB is too small for a client that says it
    /// holds many resources (D14).
    pub request: usize,
    /// How many connections may be open at once. The server closes further ones.
    pub connections: usize,
    /// How many discovery streams may be open at once. Further ones end RESOURCE_EXHAUSTED.
    pub streams: usize,
    /// How many streams one connection may have. Envoy opens one, or one for each kind and listener
    /// where it does not aggregate.
    pub streams_of_a_connection: u32,
    /// How many bytes the server may hold for all clients together: parts of incomplete requests,
    /// and names that clients subscribed to. A stream that wants more ends RESOURCE_EXHAUSTED.
    pub held: usize,
    /// How long a new connection may take for TLS and the first bytes of HTTP/2.
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
