//! A minimal client that records when it read what.

use std::time::{Duration, Instant};

use legation_testing::ALICE_KEY;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::stamp;

/// An answer that is being read.
pub struct Answer {
    /// The time from the sent request to the first byte of the body.
    pub first_byte: Duration,
    /// The part of the body that has come and was not taken.
    pub body: Vec<u8>,
    socket: TcpStream,
}

impl Answer {
    /// Sends alice's request on a new connection.
    pub async fn to(port: u16, path: &str) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: streams\r\nx-api-key: {ALICE_KEY}\r\n\r\n");
        let sent = Instant::now();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        let body = loop {
            assert!(socket.read_buf(&mut head).await.unwrap() > 0, "{path} is cut");
            match stamp::find(&head, b"\r\n\r\n") {
                Some(end) if head.len() > end + 4 => break head.split_off(end + 4),
                _ => {}
            }
        };
        let first_byte = sent.elapsed();
        assert!(head.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&head));
        Self { first_byte, body, socket }
    }

    /// Waits for more of the body.
    pub async fn read(&mut self) {
        assert!(self.socket.read_buf(&mut self.body).await.unwrap() > 0, "the answer is cut");
    }

    /// Reads and drops the body until this many bytes have come.
    pub async fn drop_all(mut self, bytes: usize) {
        let mut came = self.body.len();
        self.body = vec![0; 1 << 20];
        while came < bytes {
            let more = self.socket.read(&mut self.body).await.unwrap();
            assert!(more > 0, "the answer is cut");
            came += more;
        }
        assert_eq!(came, bytes);
    }
}
