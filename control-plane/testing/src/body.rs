//! Bodies. Either the test sends them part by part, or every byte tells its place, so that a lost,
//! doubled or misplaced byte shows.

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Empty, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use tokio::{
    sync::mpsc,
    time::{self, timeout},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{Chance, PATIENCE};

/// The body of a request or of an answer.
pub type Body = BoxBody<Bytes, Cut>;

/// The error that cuts a body.
#[derive(Debug)]
pub struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the test cuts it")
    }
}

impl std::error::Error for Cut {}

/// Sends a body part by part. Dropping it ends the body well.
pub struct Parts(mpsc::Sender<Result<Frame<Bytes>, Cut>>);

/// A body that is sent part by part.
pub fn parts() -> (Parts, Body) {
    let (sender, frames) = mpsc::channel(1);
    (Parts(sender), BodyExt::boxed(StreamBody::new(ReceiverStream::new(frames))))
}

pub fn empty() -> Body {
    Empty::new().map_err(|never: Infallible| match never {}).boxed()
}

impl Parts {
    pub async fn send(&self, part: impl Into<Bytes>) {
        assert!(self.offer(part.into()).await, "it is still taken");
    }

    /// Sends a part. Returns false if nobody takes the body any more.
    pub async fn offer(&self, part: Bytes) -> bool {
        self.0.send(Ok(Frame::data(part))).await.is_ok()
    }

    /// Ends it with trailers.
    pub async fn trailers(self, trailers: HeaderMap) {
        self.frame(Ok(Frame::trailers(trailers))).await;
    }

    /// Cuts it, as a sender that breaks down does.
    pub async fn cut(&self) {
        self.frame(Err(Cut)).await;
    }

    /// Waits until the other side takes no more.
    pub async fn unwanted(&self) {
        self.0.closed().await;
    }

    async fn frame(&self, frame: Result<Frame<Bytes>, Cut>) {
        self.0.send(frame).await.expect("it is still taken");
    }
}

/// Returns the next part of a body that is received.
pub async fn part(body: &mut Incoming) -> Bytes {
    let frame =
        timeout(PATIENCE, body.frame()).await.expect("a part comes").expect("it goes on").expect("it is not cut");
    frame.into_data().expect("data")
}

/// The bytes repeat after this many. It is a prime, so that a missing buffer or frame is no
/// multiple of it.
const PERIOD: usize = 1_048_573;
/// The largest write.
const PIECE: u64 = 64 * 1024;

/// Returns these bytes of the body, at most a period.
pub fn piece(offset: u64, length: u64) -> Bytes {
    // Twice the period, so that every piece is a slice.
    static BYTES: LazyLock<Bytes> = LazyLock::new(|| {
        let mut chance = Chance(1);
        let once: Vec<u8> = (0..=PERIOD / 8).flat_map(|_| chance.number().to_ne_bytes()).take(PERIOD).collect();
        once.repeat(2).into()
    });
    let start = (offset % PERIOD as u64) as usize;
    BYTES.slice(start..start + length.min(PERIOD as u64) as usize)
}

/// Writes a body's bytes, from an offset on. The body ends when it is dropped.
pub struct Writer {
    offset: u64,
    parts: Parts,
    /// Counts the written bytes.
    count: Arc<AtomicU64>,
}

/// Returns a body that begins at an offset, and its writer.
pub fn writer(offset: u64, count: Arc<AtomicU64>) -> (Writer, Body) {
    let (parts, body) = parts();
    (Writer { offset, parts, count }, body)
}

/// Returns a whole body of this length.
pub fn whole(length: u64) -> Body {
    let (writer, body) = writer(0, Arc::default());
    tokio::spawn(writer.finish(length));
    body
}

impl Writer {
    /// Writes up to `end` as fast as it is taken. Returns false if nobody takes it any more.
    pub async fn write_to(&mut self, end: u64) -> bool {
        while self.offset < end {
            let piece = piece(self.offset, PIECE.min(end - self.offset));
            let length = piece.len() as u64;
            if !self.parts.offer(piece).await {
                return false;
            }
            self.offset += length;
            self.count.fetch_add(length, Ordering::Relaxed);
        }
        true
    }

    /// Writes up to `end`, and ends the body.
    pub async fn finish(mut self, end: u64) {
        self.write_to(end).await;
    }

    /// Waits until the other side takes no more.
    pub async fn unwanted(&self) {
        time::timeout(PATIENCE, self.parts.unwanted()).await.expect("it is cut");
    }
}

/// Reads a body from an offset on, and compares its bytes with the expected ones.
pub struct Reader {
    pub offset: u64,
    body: Incoming,
}

impl Reader {
    pub fn new(offset: u64, body: Incoming) -> Self {
        Self { offset, body }
    }

    /// Reads the next part. Returns false at the end.
    pub async fn read(&mut self) -> Result<bool, String> {
        let frame = time::timeout(PATIENCE, self.body.frame()).await;
        let frame = match frame.map_err(|_| format!("nothing comes after {} bytes", self.offset))? {
            None => return Ok(false),
            Some(frame) => frame.map_err(|error| format!("cut after {} bytes: {error:?}", self.offset))?,
        };
        let data = frame.into_data().map_err(|_| "trailers")?;
        if data != piece(self.offset, data.len() as u64) {
            return Err(format!("other bytes than these come after {}", self.offset));
        }
        self.offset += data.len() as u64;
        Ok(true)
    }

    /// Reads at least as far as `end`.
    pub async fn read_to(&mut self, end: u64) -> Result<(), String> {
        while self.offset < end {
            if !self.read().await? {
                return Err(format!("it ends after {} bytes", self.offset));
            }
        }
        Ok(())
    }

    /// Reads to the end of the body and returns the offset there.
    pub async fn finish(mut self) -> Result<u64, String> {
        while self.read().await? {}
        Ok(self.offset)
    }
}
