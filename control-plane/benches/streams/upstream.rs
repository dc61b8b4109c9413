//! The upstream, in its own process: a minimal server of events, downloads and small answers over
//! HTTP/1.1.

use std::{
    env, io,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use legation_testing::{Client, eventually, free_port, measure::variant::Variant};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, interval_at},
};

use crate::stamp;

/// The variable that makes this process the upstream. Its value is the port.
const PORT: &str = "STREAMS_UPSTREAM";
/// The size of a write. Large, so that a download does not wait for the upstream.
const WRITE: usize = 1 << 20;

/// The number of open streams of events.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Starts the process.
pub fn start(name: &str) -> Variant {
    let port = free_port();
    let mut command = Command::new(env::current_exe().unwrap());
    Variant::start(name, port, TempDir::new().unwrap(), command.env(PORT, port.to_string()))
}

/// Waits until it has this many open streams of events.
pub async fn has_open(port: u16, streams: usize) {
    let client = Client::new();
    let has = async || client.get(&format!("http://127.0.0.1:{port}/open"), &[]).await.body == streams.to_string();
    eventually(&format!("the upstream has {streams} streams open"), has).await;
}

/// Returns the port of this process, if it is the upstream.
pub fn is_wanted() -> Option<u16> {
    env::var(PORT).ok()?.parse().ok()
}

/// Serves for ever.
pub async fn run(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(socket));
    }
}

async fn serve(mut socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut read = Vec::new();
    loop {
        let end = loop {
            match stamp::find(&read, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if socket.read_buf(&mut read).await? == 0 => return Ok(()),
                None => {}
            }
        };
        let head = String::from_utf8_lossy(&read[..end]);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        read.drain(..end);
        match path.split('/').collect::<Vec<_>>()[..] {
            ["", "events", period] => return events(socket, Duration::from_micros(period.parse().unwrap())).await,
            ["", "download", bytes] => download(&mut socket, bytes.parse().unwrap()).await?,
            ["", "open"] => answer(&mut socket, &OPEN.load(Ordering::Relaxed).to_string()).await?,
            _ => answer(&mut socket, "measured").await?,
        }
    }
}

async fn answer(socket: &mut TcpStream, body: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", body.len());
    socket.write_all((head + body).as_bytes()).await
}

async fn download(socket: &mut TcpStream, bytes: usize) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: ";
    socket.write_all(format!("{head}{bytes}\r\n\r\n").as_bytes()).await?;
    let buffer = vec![b'x'; WRITE];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(WRITE);
        socket.write_all(&buffer[..now]).await?;
        left -= now;
    }
    Ok(())
}

/// Sends the first event with the head, and then one each period until the reader leaves.
async fn events(mut socket: TcpStream, period: Duration) -> io::Result<()> {
    let _open = Open::count();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n";
    let mut next = interval_at(Instant::now() + period, period);
    let first = format!("{head}transfer-encoding: chunked\r\n\r\n{}", stamp::chunk());
    socket.write_all(first.as_bytes()).await?;
    let (mut reader, mut writer) = socket.split();
    loop {
        tokio::select! {
            _ = next.tick() => writer.write_all(stamp::chunk().as_bytes()).await?,
            // The reader sends nothing more, so this is its end.
            _ = reader.read_u8() => return Ok(()),
        }
    }
}

/// An open stream.
struct Open;

impl Open {
    fn count() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}
