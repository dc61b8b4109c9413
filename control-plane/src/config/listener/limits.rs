//! A listener's `limits`.

use crate::{
    config::{
        decode::mapping,
        leaf::{HeaderSize, Size, Whole},
    },
    model::ListenerLimits,
};

/// RFC 9113 §5.1.1.
const MOST_STREAMS: u64 = (1 << 31) - 1;
/// Envoy's own bound.
const MOST_HEADERS: u64 = 10_000;
const MOST_CONNECTIONS: u64 = u32::MAX as u64;

mapping! {
    /// What the clients of a listener may take of the gateway.
    Limits, "a listener's `limits`", "{connections: 1000, request_body: 10MiB}" {
        /// Open connections. Without it, the listener has no limit of its own.
        optional connections: Whole<u64, 1, MOST_CONNECTIONS>,
        /// Requests at once over one connection of HTTP/2.
        optional streams_per_connection: Whole<u32, 1, MOST_STREAMS> = Whole(100),
        /// All headers of a request together.
        optional header_bytes: HeaderSize = HeaderSize { kib: 60 },
        /// How many headers a request may have.
        optional header_count: Whole<u32, 1, MOST_HEADERS> = Whole(100),
        /// The body of a request, on routes that say nothing of their own and whose `stream`
        /// takes no long requests. Without it, bodies have no limit.
        optional request_body: Size,
    }
    planned: connections_per_ip;
}

/// What the model has of them.
pub fn resolve(written: &Limits) -> Option<ListenerLimits> {
    Some(ListenerLimits {
        connections: written.connections.value()?.map(|Whole(number)| number),
        streams_per_connection: written.streams_per_connection.value()?.map(|Whole(number)| number),
        header_kib: written.header_bytes.value()?.map(|size| size.kib),
        header_count: written.header_count.value()?.map(|Whole(number)| number),
        request_body: written.request_body.value()?.map(|Size(bytes)| bytes),
    })
}
