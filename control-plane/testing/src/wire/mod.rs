//! Raw bytes on a connection, at either end of the gateway, for what no library would send.

pub mod http2;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{ALICE_KEY, PATIENCE};

/// An open connection on which the test writes every byte.
pub struct Wire {
    pub reader: Reader,
    pub writer: OwnedWriteHalf,
}

/// The reading half of a connection.
pub struct Reader {
    half: OwnedReadHalf,
    /// Bytes that have come and were not taken yet.
    unread: Vec<u8>,
}

impl Wire {
    /// A client's connection to a port of this machine.
    pub async fn connect(port: u16) -> Self {
        Self::new(TcpStream::connect(("127.0.0.1", port)).await.expect("the port accepts"))
    }

    /// An upstream's connection: the next that the gateway makes.
    pub async fn accept(listener: &TcpListener) -> Self {
        let accepted = timeout(PATIENCE, listener.accept()).await.expect("the gateway connects");
        Self::new(accepted.expect("a connection").0)
    }

    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("it is a TCP connection");
        let (half, writer) = stream.into_split();
        Self { reader: Reader { half, unread: Vec::new() }, writer }
    }

    /// Writes bytes. The other side must take all of them.
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.writer.write_all(bytes.as_ref()).await.expect("it is open");
    }

    /// Sends bytes over a new connection, and returns all that comes until the other side ends it.
    pub async fn exchange(port: u16, bytes: impl AsRef<[u8]>) -> String {
        let bytes = bytes.as_ref();
        let Self { mut reader, mut writer } = Self::connect(port).await;
        // The end may be a reset, and may come before everything is written.
        let both = async { tokio::join!(writer.write_all(bytes), reader.rest()).1 };
        timeout(PATIENCE, both)
            .await
            .unwrap_or_else(|_| panic!("no end of {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)])))
    }

    /// Sends alice's request. Returns the head of the answer, or `None` if the connection ends
    /// instead.
    pub async fn ask(&mut self, line: &str) -> Option<String> {
        // Writing fails if the other side has ended the connection.
        let _ = self.writer.write_all(head(line, "").as_bytes()).await;
        self.reader.up_to("\r\n\r\n").await
    }

    /// Sends only these bytes, and waits until the other side ends the connection.
    pub async fn ends_after(self, bytes: &[u8]) {
        let Self { mut reader, mut writer } = self;
        let writing = async {
            // The other side may end it early.
            let _ = writer.write_all(bytes).await;
            let _ = writer.shutdown().await;
        };
        tokio::join!(writing, reader.rest());
    }
}

impl Reader {
    /// Reads up to and including this text. Returns `None` if the connection ends before.
    pub async fn up_to(&mut self, text: &str) -> Option<String> {
        loop {
            let place = self.unread.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(place) = place {
                let read = self.unread.drain(..place + text.len()).collect();
                return Some(String::from_utf8(read).expect("text"));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads up to and including this text.
    pub async fn until(&mut self, text: &str) -> String {
        let read = self.up_to(text).await;
        read.unwrap_or_else(|| panic!("it ended before {text:?}: {}", String::from_utf8_lossy(&self.unread)))
    }

    /// Reads a head: a request's, or that of an answer, interim or final.
    pub async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Reads to the end of the connection.
    pub async fn rest(&mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    /// Reads this many bytes. Returns false if the connection ends before.
    pub async fn skip(&mut self, length: usize) -> bool {
        while self.unread.len() < length {
            if !self.more().await {
                return false;
            }
        }
        self.unread.drain(..length);
        true
    }

    /// Returns the bytes that have come and were not taken yet.
    pub fn unread(&mut self) -> &mut Vec<u8> {
        &mut self.unread
    }

    /// Reads more. Returns whether any bytes came.
    pub async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.half.read_buf(&mut self.unread)).await;
        let read = read.unwrap_or_else(|_| panic!("no more came after {:?}", String::from_utf8_lossy(&self.unread)));
        // A reset connection has ended, too.
        read.is_ok_and(|count| count > 0)
    }
}

/// Returns the head of alice's request over HTTP/1.1: its first line without the version, and
/// further headers.
pub fn head(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: a\r\nx-api-key: {ALICE_KEY}\r\n{headers}\r\n")
}

/// Returns the status of an answer over HTTP/1.1. Empty if there is none.
pub fn status(answer: &str) -> &str {
    statuses(answer).first().copied().unwrap_or_default()
}

/// The statuses of answers over HTTP/1.1, one after the other.
pub fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split(' ').next()).collect()
}
