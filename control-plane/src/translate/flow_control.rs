//! How much of a body Envoy takes in before the other side has taken it: the same towards clients and towards clusters.
//!
//! Less is less memory for each stream that stands still (a client that reads nothing, an upload that nobody takes). More is less
//! work, and over HTTP/2 more speed: a stream moves at most its window in a round trip. And a stream that stands still must never
//! hold up another one of its connection, which may be of another client.
//!
//! What Envoy 1.40 does on loopback with one worker, HTTP/1.1 and then HTTP/2 on both sides. CPU is its own for 1 GiB (medians of
//! five interleaved runs), held is its memory for each stream that stands still; both down, then up:
//!
//! | buffer  | CPU (s)    | held (KiB)   |
//! |---------|------------|--------------|
//! | 32 KiB  | 0.96, 0.99 | 101          |
//! | 64 KiB  | 0.78, 0.81 | 143, 140     |
//! | 128 KiB | 0.57, 0.60 | 215, 207     |
//! | 256 KiB | 0.54, 0.54 | 393, 349     |
//! | 1 MiB   | 0.53, 0.48 | 1,308, 1,166 |
//!
//! | window  | CPU (s)    | held (KiB)     | up at 10 and 50 ms a round trip (MiB/s) |
//! |---------|------------|----------------|-----------------------------------------|
//! | 64 KiB  | 0.90, 0.88 | 185, 146       | 5, 1                                    |
//! | 128 KiB | 0.58, 0.59 | 353, 276       | 10, 2                                   |
//! | 256 KiB | 0.53, 0.51 | 595, 538       | 19, 5                                   |
//! | 1 MiB   | 0.58, 0.57 | 1,735, 2,096   | 58, 17                                  |
//! | 16 MiB  | 0.78, 0.76 | 32,391, 32,178 |                                         |
//!
//! In 31 more interleaved downloads over HTTP/1.1 (CPU in s, medians) a plain Envoy took 0.54, buffers of 256 KiB 0.62, of 512 KiB
//! 0.57, of 1 MiB 0.52: so 512 KiB are within the noise of what there is to win.
//!
//! With Envoy's own settings towards clusters (a buffer of 1 MiB, windows of 16 MiB a stream and 24 MiB a connection), two
//! clients that read nothing stopped everybody else's requests to a cluster over HTTP/2; with 64 KiB and 1 MiB towards
//! clients, 17 uploads that nobody took stopped the other uploads of their connection.

use legation_protos::pb::{envoy::config::core::v3::Http2ProtocolOptions, google::protobuf};

use super::common::u32_value;

/// What is buffered for a connection, in bytes.
const BUFFER: u32 = 512 * 1024;
/// A stream's window over HTTP/2, in bytes.
const WINDOW: u32 = 256 * 1024;
/// The largest window there is (RFC 9113 §6.9.1). Above 4,095 streams it is too small for all of them to stand still.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// Streams of a connection at once, unless something else is said; Envoy makes a further one to a cluster where there are more.
pub(super) const STREAMS: u32 = 100;

/// What Envoy buffers of a connection before it stops reading what is to go there.
pub(super) fn buffer_limit() -> Option<protobuf::UInt32Value> {
    u32_value(BUFFER)
}

/// HTTP/2 with so many streams a connection. All of them may stand still with full windows, and the connection still has room:
/// twice as much as they can take, for Envoy gives back what was taken only when it is half of the connection's window. No more
/// memory is taken for it, since the streams' windows bound that.
pub(super) fn http2(streams: u32) -> Http2ProtocolOptions {
    Http2ProtocolOptions {
        max_concurrent_streams: u32_value(streams),
        initial_stream_window_size: u32_value(WINDOW),
        initial_connection_window_size: u32_value(streams.saturating_mul(2 * WINDOW).min(LARGEST_WINDOW)),
        ..Http2ProtocolOptions::default()
    }
}
