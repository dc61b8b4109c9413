//! What the supervisor asks of a local Envoy's admin interface.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time};

/// More than any answer that is asked for here.
const LARGEST_ANSWER: usize = 4 << 20;

const TIMEOUT: Duration = Duration::from_secs(1);

/// Why a question had no answer.
pub type AdminError = Box<dyn std::error::Error + Send + Sync>;

/// The requests that are under way through the file's listeners.
///
/// # Errors
/// Envoy does not answer within a second, or not as expected.
pub async fn active_requests(admin: SocketAddr) -> Result<u64, AdminError> {
    let answer = ask(admin, "GET", "/stats?filter=^http\\..*\\.downstream_rq_active$").await?;
    Ok(answer
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .filter(|(name, _)| !name.starts_with("http.admin."))
        .filter_map(|(_, count)| count.parse::<u64>().ok())
        .sum())
}

/// Has Envoy close its listeners; requests that are under way go on.
///
/// # Errors
/// Envoy does not answer within a second.
pub async fn stop_listeners(admin: SocketAddr) -> Result<(), AdminError> {
    ask(admin, "POST", "/drain_listeners").await.map(drop)
}

async fn ask(admin: SocketAddr, method: &str, path: &str) -> Result<String, AdminError> {
    time::timeout(TIMEOUT, async {
        let stream = TcpStream::connect(admin).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header("host", "envoy").body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await?.to_bytes();
        connection.abort();
        Ok(String::from_utf8_lossy(&body).into_owned())
    })
    .await?
}
