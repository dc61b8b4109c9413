//! HTTP/2 by hand: frames (RFC 9113), and only the literals of HPACK.

use tokio::time;

use super::{super::ALICE_KEY, Reader, Wire};
use crate::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The largest payload of a frame by default.
const MOST: usize = 16_384;

/// A client's preface and settings.
pub const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A frame as it goes over the wire.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field of a block of headers: a literal that is not indexed, with a literal name.
pub fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0], &*length(name.len()), name, &*length(value.len()), value].concat()
}

/// A length in HPACK, of seven bits or more.
pub fn length(length: usize) -> Vec<u8> {
    let Some(mut rest) = length.checked_sub(127) else { return vec![length as u8] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// Returns a whole block of headers in as many frames as it needs. `flags` are flags of the first
/// frame besides `END_HEADERS`.
pub fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    let count = block.len().div_ceil(MOST);
    let mut frames = Vec::new();
    for (index, part) in block.chunks(MOST).enumerate() {
        let (kind, flags) = if index == 0 { (HEADERS, flags) } else { (CONTINUATION, 0) };
        let flags = if index + 1 == count { flags | END_HEADERS } else { flags };
        frames.extend(frame(kind, flags, stream, part));
    }
    frames
}

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Returns the error code of a frame that resets a stream or ends the connection.
    pub fn error_code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

impl Wire {
    /// Opens a client's connection over HTTP/2 and exchanges settings. The connection's window
    /// holds up no answer.
    pub async fn open_http2(port: u16) -> Self {
        let mut wire = Self::connect(port).await;
        let window = frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
        let greeting = async {
            wire.say([HELLO, &*window].concat()).await;
            while let Some(came) = wire.reader.frame().await {
                if came.kind == SETTINGS {
                    wire.say(frame(SETTINGS, ACK, 0, &[])).await;
                    return;
                }
            }
        };
        time::timeout(PATIENCE, greeting).await.expect("Envoy says its settings");
        wire
    }
}

impl Reader {
    /// Returns the next frame, or `None` when the connection has ended.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(&[l0, l1, l2, kind, flags, s0, s1, s2, s3]) = self.unread().first_chunk::<9>() {
                let end = 9 + u32::from_be_bytes([0, l0, l1, l2]) as usize;
                if self.unread().len() >= end {
                    let payload = self.unread().drain(..end).skip(9).collect();
                    return Some(Frame { kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]), payload });
                }
            }
            if !self.more().await {
                return None;
            }
        }
    }
}

/// The block of headers of a request of alice's.
pub fn block(method: &str, path: &str) -> Vec<u8> {
    let fields =
        [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a"), ("x-api-key", ALICE_KEY)];
    fields.iter().flat_map(|(name, value)| field(name.as_bytes(), value.as_bytes())).collect()
}
