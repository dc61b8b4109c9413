//! How much of a body Envoy buffers before the other side takes it. Clients and clusters have the
//! same settings.
//!
//! Smaller buffers take less memory for each stream that stands still: a client that reads nothing,
//! an upload that nobody takes. Larger buffers take less work, and over HTTP/2 they are faster,
//! since a stream moves at most its window in a round trip. A stream that stands still must never
//! slow down another stream of its connection, which may belong to another client.
//!
//! These are figures of Envoy 1.40 on loopback with one worker, first with HTTP/1.1, then with
//! HTTP/2 on both sides. CPU is Envoy's own for 1 GiB (medians of five interleaved runs). Held is
//! Envoy's memory for each stream that stands still. Both columns have download first, then upload:
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
//! In 31 more interleaved downloads over HTTP/1.1 (CPU in s, medians) a plain Envoy took 0.54,
//! buffers of 256 KiB 0.62, of 512 KiB 0.57, of 1 MiB 0.52. So the gain beyond 512 KiB is within
//! the noise.
//!
//! With Envoy's own settings towards clusters (a buffer of 1 MiB, windows of 16 MiB a stream and 24
//! MiB a connection), two clients that read nothing stopped all other requests to a cluster over
//! HTTP/2. With 64 KiB and 1 MiB towards clients, 17 uploads that nobody took stopped the other
//! uploads of their connection.

use legation_protos::pb::{envoy::config::core::v3::Http2ProtocolOptions, google::protobuf};

use super::common::u32_value;

/// The buffer of a connection, in bytes.
const BUFFER: u32 = 512 * 1024;
/// The window of an HTTP/2 stream, in bytes.
const WINDOW: u32 = 256 * 1024;
/// The largest window that HTTP/2 allows (RFC 9113 §6.9.1). With more than 4,095 streams it is too
/// small for all of them to stand still.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// The default number of concurrent streams of a connection. For more streams, Envoy opens further
/// connections to a cluster.
pub(super) const STREAMS: u32 = 100;

/// Returns how much Envoy buffers for a connection before it stops reading from the other side.
pub(super) fn buffer_limit() -> Option<protobuf::UInt32Value> {
    u32_value(BUFFER)
}

/// Returns the options of HTTP/2 with this many streams a connection.
///
/// All streams may stand still with full windows, and the connection still has room. Its window is
/// twice their sum, because Envoy returns credit only once it has half of the connection's window
/// to return. The larger window takes no more memory, since the streams' windows bound that.
pub(super) fn http2(streams: u32) -> Http2ProtocolOptions {
    Http2ProtocolOptions {
        max_concurrent_streams: u32_value(streams),
        initial_stream_window_size: u32_value(WINDOW),
        initial_connection_window_size: u32_value(streams.saturating_mul(2 * WINDOW).min(LARGEST_WINDOW)),
        ..Http2ProtocolOptions::default()
    }
}
