//! `stream`: the kind of long-lived exchange on a route.

use serde::Serialize;

/// What the word means on a route.
pub type Meaning = Option<Stream>;

/// A kind of long-lived exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Server-sent events, and other responses that trickle.
    Sse,
    /// gRPC of any kind.
    Grpc,
    /// An upgrade to WebSocket.
    Websocket,
    /// A long response.
    Download,
    /// A long request.
    Upload,
}

impl Stream {
    /// Returns whether its requests are naturally long. A listener's limit on bodies does not apply
    /// to them.
    pub fn has_long_requests(self) -> bool {
        match self {
            Self::Grpc | Self::Websocket | Self::Upload => true,
            Self::Sse | Self::Download => false,
        }
    }
}
