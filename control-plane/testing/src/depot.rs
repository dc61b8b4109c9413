//! An upstream that sends and receives large bodies, and a client's side of it.

use std::{
    convert::Infallible,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::{sync::watch, time::Duration};

use super::{
    Body, Client, Cut, Http, PATIENCE, Upstream,
    body::{self, Reader},
    by_alice, empty,
};

/// Answers GET `/…/N` with the first N bytes, or a range of them. It reads a request's body at once
/// and answers with its length. `/…/allowed` reads only as far as the test allows. `/…/echo` sends
/// the body back as it comes.
pub struct Depot {
    pub upstream: Upstream,
    given: Arc<AtomicU64>,
    /// How far `/…/allowed` may read.
    allowed: watch::Sender<u64>,
}

/// The lowest expected speed of an upload, in bytes a millisecond. Only failing tests wait for it.
const SLOWEST: u64 = 4 << 10;

/// The version of the downloads.
const ETAG: &str = "\"of the depot\"";

impl Depot {
    pub async fn start(http: Http) -> Self {
        let given = Arc::<AtomicU64>::default();
        let (allowed, allowance) = watch::channel(0);
        let count = given.clone();
        let answer = move |request: Request<Incoming>| {
            let (count, allowance) = (count.clone(), allowance.clone());
            async move {
                Ok::<_, Infallible>(match request.uri().path().rsplit('/').next() {
                    Some("echo") => echo(request),
                    _ if request.method() == Method::GET => give(&request, count),
                    _ => take(request, allowance).await,
                })
            }
        };
        Self { upstream: Upstream::start(http, answer).await, given, allowed }
    }

    /// Allows reading up to this offset.
    pub fn allow(&self, end: u64) {
        self.allowed.send_replace(end);
    }

    /// Allows reading to the end.
    pub fn allow_all(&self) {
        self.allow(u64::MAX);
    }

    /// Returns the number of sent bytes.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }
}

fn echo(request: Request<Incoming>) -> Response<Body> {
    let said = request.headers().contains_key(header::CONTENT_LENGTH);
    let response = Response::builder().header("x-length-was-said", said.to_string());
    response.body(request.into_body().map_err(|_| Cut).boxed()).expect("a response")
}

fn give(request: &Request<Incoming>, count: Arc<AtomicU64>) -> Response<Body> {
    let length = request.uri().path().rsplit('/').next().and_then(|length| length.parse().ok());
    let length: u64 = length.expect("the path ends in a length");
    let part = range(request.headers(), length);
    let Range { start, end } = part.clone().unwrap_or(0..length);
    let (writer, body) = body::writer(start, count);
    tokio::spawn(writer.finish(end));
    let mut response = Response::builder().header(header::ETAG, ETAG).header(header::CONTENT_LENGTH, end - start);
    if part.is_some() {
        let range = format!("bytes {start}-{}/{length}", end - 1);
        response = response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
    }
    response.body(body).expect("a response")
}

/// Returns the requested range (`bytes=5-`), unless it is for another version.
fn range(headers: &HeaderMap, length: u64) -> Option<Range<u64>> {
    let range = headers.get(header::RANGE)?;
    if headers.get(header::IF_RANGE).is_some_and(|version| version != ETAG) {
        return None;
    }
    let start = range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?;
    Some(start.parse().ok()?..length)
}

async fn take(request: Request<Incoming>, mut allowance: watch::Receiver<u64>) -> Response<Body> {
    let on_allowance = request.uri().path().ends_with("/allowed");
    let mut reader = Reader::new(0, request.into_body());
    let mut taken = Ok(true);
    while taken == Ok(true) {
        let allowed = allowance.wait_for(|allowed| !on_allowance || *allowed > reader.offset).await;
        if allowed.map(drop).is_err() {
            break;
        }
        taken = reader.read().await;
    }
    let (status, said) = match taken {
        Ok(_) => (StatusCode::OK, reader.offset.to_string()),
        Err(error) => (StatusCode::BAD_REQUEST, error),
    };
    let said = Full::from(said).map_err(|never: Infallible| match never {}).boxed();
    Response::builder().status(status).body(said).expect("a response")
}

impl Client {
    /// Asks for a body, as alice, whatever its length.
    pub async fn download(&self, url: &str) -> Result<Reader, String> {
        let response = self.begin(by_alice(Method::GET, url).body(empty()).expect("a request")).await?;
        match response.status().as_u16() {
            200 => Ok(Reader::new(0, response.into_body())),
            status => Err(format!("{url} is answered with {status}")),
        }
    }

    /// Sends a body of this length, as alice. All of it has to be taken.
    pub async fn upload(&self, url: &str, length: u64, body: Body) -> Result<(), String> {
        let request = by_alice(Method::PUT, url).header(header::CONTENT_LENGTH, length);
        // The answer comes only after the end of the body.
        let patience = PATIENCE + Duration::from_millis(length / SLOWEST);
        let response = self.begin_within(patience, request.body(body).expect("a request")).await?;
        let status = response.status();
        let said = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        match status.as_u16() {
            200 if said == length.to_string() => Ok(()),
            status => Err(format!("{url} is answered with {status}: {said:?}")),
        }
    }
}
