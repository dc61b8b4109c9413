//! HTTP/1.1 by hand: a connection whose every byte the test says, at either end of the gateway.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::PATIENCE;

/// An open connection.
pub struct Wire {
    stream: TcpStream,
    /// What came and was not asked for yet.
    unread: Vec<u8>,
}

impl Wire {
    /// A client's, to a port of this machine.
    pub async fn connect(port: u16) -> Self {
        Self::new(TcpStream::connect(("127.0.0.1", port)).await.expect("it connects"))
    }

    /// An upstream's: the next that the gateway makes.
    pub async fn accept(listener: &TcpListener) -> Self {
        let accepted = timeout(PATIENCE, listener.accept()).await.expect("the gateway connects");
        Self::new(accepted.expect("a connection").0)
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("it is open");
        Self { stream, unread: Vec::new() }
    }

    pub async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("it is open");
    }

    /// Reads up to this text and with it.
    pub async fn until(&mut self, text: &str) -> String {
        loop {
            let place = self.unread.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(place) = place {
                let read = self.unread.drain(..place + text.len()).collect();
                return String::from_utf8(read).expect("text");
            }
            assert!(self.read().await, "it ended before {text:?}: {}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// Reads a head: a request's, or that of an answer, interim or final.
    pub async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Reads more, and gives whether there was any.
    async fn read(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
        let read = read.unwrap_or_else(|_| panic!("no more came after {:?}", String::from_utf8_lossy(&self.unread)));
        // A connection that is reset has ended, too.
        read.is_ok_and(|count| count > 0)
    }
}
