//! HTTP/1.1 by hand: requests that a library would not send.

use legation_testing::{PATIENCE, Wire, wire::Reader};
use tokio::{io::AsyncWriteExt as _, time};

use super::request::Request;

pub struct Connection(Wire);

/// Returns the bytes of a request.
pub fn encode(request: &Request) -> Vec<u8> {
    let mut bytes = [&*request.method, b" ", &*request.path, b" HTTP/1.1\r\nhost: ", &*request.authority].concat();
    for (name, value) in &request.headers {
        bytes.extend([b"\r\n", &**name, b": ", &**value].concat());
    }
    bytes.extend(b"\r\n\r\n");
    bytes.extend(&request.body);
    bytes
}

impl Connection {
    pub async fn open(port: u16) -> Self {
        Self(Wire::connect(port).await)
    }

    /// Sends all requests at once. Returns how many were answered before the connection ended, if
    /// it did.
    pub async fn exchange(&mut self, requests: &[Request]) -> usize {
        let bytes = requests.iter().map(encode).collect::<Vec<_>>().concat();
        let Wire { reader, writer } = &mut self.0;
        let reading = async {
            let (mut answered, mut goes_on) = (0, true);
            while let Some(request) = requests.get(answered)
                && goes_on
                && let Some(says) = answer(reader, request.method == b"HEAD").await
            {
                (answered, goes_on) = (answered + 1, says);
            }
            answered
        };
        let both = async { tokio::join!(writer.write_all(&bytes), reading) };
        // A request that could not be written gets no answer.
        let (_, answered) = time::timeout(PATIENCE, both).await.expect("Envoy answers or ends the connection");
        answered
    }

    /// Sends bytes and nothing more, and waits until Envoy ends the connection.
    pub async fn end(self, bytes: &[u8]) {
        self.0.ends_after(bytes).await;
    }
}

/// Reads one answer to its end, if there is one. Returns whether the connection goes on after it.
async fn answer(reader: &mut Reader, is_head: bool) -> Option<bool> {
    loop {
        let head = reader.up_to("\r\n\r\n").await?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status");
        let length = head.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length = match length {
            Some(length) if !is_head => length.parse::<usize>().expect("a length"),
            _ => 0,
        };
        reader.skip(length).await.then_some(())?;
        // Interim answers are passed over.
        if status >= 200 {
            return Some(!head.contains("\r\nconnection: close\r\n"));
        }
    }
}
