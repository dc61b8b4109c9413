//! HTTP/2 by hand: requests that a library would not send.

use std::collections::BTreeSet;

use legation_testing::{
    PATIENCE, Wire,
    wire::http2::{self, DATA, END_STREAM, GOAWAY, HEADERS, RST_STREAM, field, frame},
};
use tokio::{io::AsyncWriteExt as _, time};

use super::request::Request;

pub struct Connection {
    wire: Wire,
    next: u32,
}

/// Returns a request as frames of a stream.
pub fn encode(request: &Request, stream: u32) -> Vec<u8> {
    let mut block = field(b":method", &request.method);
    if request.method != b"CONNECT" {
        block.extend(field(b":scheme", b"http"));
        block.extend(field(b":path", &request.path));
    }
    block.extend(field(b":authority", &request.authority));
    for (name, value) in &request.headers {
        block.extend(field(&name.to_ascii_lowercase(), value));
    }
    if request.body.is_empty() {
        return http2::headers(END_STREAM, stream, &block);
    }
    [http2::headers(0, stream, &block), frame(DATA, END_STREAM, stream, &request.body)].concat()
}

impl Connection {
    pub async fn open(port: u16) -> Self {
        Self { wire: Wire::open_http2(port).await, next: 1 }
    }

    /// Sends all requests at once. Returns how many were answered and not reset.
    pub async fn exchange(&mut self, requests: &[Request]) -> usize {
        let (mut bytes, mut open) = (Vec::new(), BTreeSet::new());
        for request in requests {
            bytes.extend(encode(request, self.next));
            open.insert(self.next);
            self.next += 2;
        }
        let Wire { reader, writer } = &mut self.wire;
        let reading = async {
            let mut answered = 0;
            while !open.is_empty()
                && let Some(frame) = reader.frame().await
            {
                match frame.kind {
                    DATA | HEADERS if frame.flags & END_STREAM != 0 && open.remove(&frame.stream) => answered += 1,
                    RST_STREAM => drop(open.remove(&frame.stream)),
                    GOAWAY => break,
                    _ => {}
                }
            }
            answered
        };
        let both = async { tokio::join!(writer.write_all(&bytes), reading) };
        // A request that could not be written gets no answer.
        let (_, answered) = time::timeout(PATIENCE, both).await.expect("Envoy answers or ends the connection");
        answered
    }

    /// The number of its next stream.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Sends bytes and nothing more, and waits until Envoy ends the connection.
    pub async fn end(self, bytes: &[u8]) {
        self.wire.ends_after(bytes).await;
    }
}
