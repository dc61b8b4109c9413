//! HTTP/2 by hand (RFC 9113 and, of HPACK, literals only): what a library would not send.

use std::collections::BTreeSet;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time,
};

use super::request::Request;
use crate::support::PATIENCE;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a frame may hold, unless the other side allows more.
const MOST: usize = 16_384;

pub struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    read: Vec<u8>,
    next: u32,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A length in HPACK, of seven bits or more.
fn length(length: usize) -> Vec<u8> {
    let Some(mut rest) = length.checked_sub(127) else { return vec![length as u8] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// The request as frames of a stream.
pub fn encode(request: &Request, stream: u32) -> Vec<u8> {
    let mut block = Vec::new();
    let mut field = |name: &[u8], value: &[u8]| {
        // A literal that is not indexed, with a literal name.
        block.extend([&[0], &*length(name.len()), name, &*length(value.len()), value].concat());
    };
    field(b":method", &request.method);
    if request.method != b"CONNECT" {
        field(b":scheme", b"http");
        field(b":path", &request.path);
    }
    field(b":authority", &request.authority);
    for (name, value) in &request.headers {
        field(&name.to_ascii_lowercase(), value);
    }
    let mut frames = Vec::new();
    let end = if request.body.is_empty() { END_STREAM } else { 0 };
    let count = block.len().div_ceil(MOST);
    for (index, part) in block.chunks(MOST).enumerate() {
        let (kind, flags) = if index == 0 { (HEADERS, end) } else { (CONTINUATION, 0) };
        let flags = if index + 1 == count { flags | END_HEADERS } else { flags };
        frames.extend(frame(kind, flags, stream, part));
    }
    if !request.body.is_empty() {
        frames.extend(frame(DATA, END_STREAM, stream, &request.body));
    }
    frames
}

impl Connection {
    pub async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("Envoy accepts connections");
        stream.set_nodelay(true).expect("a TCP option");
        let (reader, writer) = stream.into_split();
        let mut connection = Self { reader, writer, read: Vec::new(), next: 1 };
        // Answers come without waiting for a window.
        let window = frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
        let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &*frame(SETTINGS, 0, 0, &[]), &*window].concat();
        let greeting = async {
            connection.writer.write_all(&hello).await.expect("it is open");
            while let Some((kind, ..)) = next(&mut connection.reader, &mut connection.read).await {
                if kind == SETTINGS {
                    let _ = connection.writer.write_all(&frame(SETTINGS, ACK, 0, &[])).await;
                    return;
                }
            }
        };
        time::timeout(PATIENCE, greeting).await.expect("Envoy says its settings");
        connection
    }

    /// Sends all of these at once, and gives how many were answered rather than reset, if the connection did not end.
    pub async fn exchange(&mut self, requests: &[Request]) -> usize {
        let (mut bytes, mut open) = (Vec::new(), BTreeSet::new());
        for request in requests {
            bytes.extend(encode(request, self.next));
            open.insert(self.next);
            self.next += 2;
        }
        let Self { reader, writer, read, .. } = self;
        let reading = async {
            let mut answered = 0;
            while !open.is_empty()
                && let Some((kind, flags, stream)) = next(reader, read).await
            {
                match kind {
                    DATA | HEADERS if flags & END_STREAM != 0 && open.remove(&stream) => answered += 1,
                    RST_STREAM => drop(open.remove(&stream)),
                    GOAWAY => break,
                    _ => {}
                }
            }
            answered
        };
        let both = async { tokio::join!(writer.write_all(&bytes), reading) };
        // What cannot be written is not answered.
        let (_, answered) = time::timeout(PATIENCE, both).await.expect("Envoy answers or ends the connection");
        answered
    }

    /// The number of its next stream.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Sends bytes and nothing more, and waits until Envoy ends the connection.
    pub async fn end(mut self, bytes: &[u8]) {
        let writing = async {
            // It may end it early.
            let _ = self.writer.write_all(bytes).await;
            let _ = self.writer.shutdown().await;
        };
        let reading = async { while next(&mut self.reader, &mut self.read).await.is_some() {} };
        let both = async { tokio::join!(writing, reading) };
        time::timeout(PATIENCE, both).await.expect("Envoy ends the connection");
    }
}

/// Reads a frame and gives its kind, flags and stream.
async fn next(reader: &mut OwnedReadHalf, read: &mut Vec<u8>) -> Option<(u8, u8, u32)> {
    loop {
        if let Some(&[l0, l1, l2, kind, flags, s0, s1, s2, s3]) = read.first_chunk::<9>() {
            let end = 9 + u32::from_be_bytes([0, l0, l1, l2]) as usize;
            if read.len() >= end {
                read.drain(..end);
                return Some((kind, flags, u32::from_be_bytes([s0, s1, s2, s3])));
            }
        }
        if !reader.read_buf(read).await.is_ok_and(|count| count > 0) {
            return None;
        }
    }
}
