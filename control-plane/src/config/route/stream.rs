//! `stream`: a kind of long-lived exchange.

use super::{Route, Rules};
use crate::{
    config::{
        decode::Said,
        file::Known,
        leaf::{Word, words},
        report::Report,
    },
    model::{Stream, route::stream::Meaning},
};

words! {
    /// A kind of long-lived exchange.
    Stream, "stream" {
        /// Server-sent events, and other responses that trickle.
        "sse" => Stream::Sse,
        /// gRPC of any kind.
        "grpc" => Stream::Grpc,
        /// An upgrade to WebSocket.
        "websocket" => Stream::Websocket,
        /// A long response.
        "download" => Stream::Download,
        /// A long request.
        "upload" => Stream::Upload,
    }
}

super::shape! {
    /// The exchanges of this route live long. The gateway sets no end to the response and bounds
    /// the exchange's life instead, see `timeouts`.
    Word<Stream>
}

impl Rules for Feature {
    type Meaning = Meaning;

    /// What it means.
    fn resolve(route: &Said<Route>, _: &Known<'_>, _: &mut Report) -> Option<Meaning> {
        route.features.stream.resolve(|stream| Some(stream.0))
    }
}
