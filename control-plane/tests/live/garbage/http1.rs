//! HTTP/1.1 by hand: what a library would not send.

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

pub struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    read: Vec<u8>,
}

/// The request as it goes over the wire.
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
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("Envoy accepts connections");
        stream.set_nodelay(true).expect("a TCP option");
        let (reader, writer) = stream.into_split();
        Self { reader, writer, read: Vec::new() }
    }

    /// Sends all of these at once, and gives how many were answered before the connection ended, if it did.
    pub async fn exchange(&mut self, requests: &[Request]) -> usize {
        let bytes = requests.iter().map(encode).collect::<Vec<_>>().concat();
        let Self { reader, writer, read } = self;
        let reading = async {
            let (mut answered, mut goes_on) = (0, true);
            while let Some(request) = requests.get(answered)
                && goes_on
                && let Some(says) = answer(reader, read, request.method == b"HEAD").await
            {
                (answered, goes_on) = (answered + 1, says);
            }
            answered
        };
        let both = async { tokio::join!(writer.write_all(&bytes), reading) };
        // What cannot be written is not answered.
        let (_, answered) = time::timeout(PATIENCE, both).await.expect("Envoy answers or ends the connection");
        answered
    }

    /// Sends bytes and nothing more, and waits until Envoy ends the connection.
    pub async fn end(mut self, bytes: &[u8]) {
        let writing = async {
            // It may end it early.
            let _ = self.writer.write_all(bytes).await;
            let _ = self.writer.shutdown().await;
        };
        let reading = async { while more(&mut self.reader, &mut self.read).await {} };
        let both = async { tokio::join!(writing, reading) };
        time::timeout(PATIENCE, both).await.expect("Envoy ends the connection");
    }
}

/// Reads one answer to its end, if there is one: whether the connection goes on after it.
async fn answer(reader: &mut OwnedReadHalf, read: &mut Vec<u8>, is_head: bool) -> Option<bool> {
    loop {
        let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) else {
            if more(reader, read).await {
                continue;
            }
            return None;
        };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status");
        let length = head.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length = match length {
            Some(length) if !is_head => length.parse::<usize>().expect("a length"),
            _ => 0,
        };
        while read.len() < end + length {
            if !more(reader, read).await {
                return None;
            }
        }
        read.drain(..end + length);
        // What comes before the answer itself.
        if status >= 200 {
            return Some(!head.contains("\r\nconnection: close\r\n"));
        }
    }
}

async fn more(reader: &mut OwnedReadHalf, read: &mut Vec<u8>) -> bool {
    reader.read_buf(read).await.is_ok_and(|count| count > 0)
}
