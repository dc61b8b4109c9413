//! Asks an admin interface over HTTP, in the clear: Envoy's or the control plane's own.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, ToSocketAddrs},
    time,
};

/// The largest answer that is read. None that is asked for comes near it.
const LARGEST_ANSWER: usize = 64 << 20;

/// Why there was no answer.
pub type AskError = Box<dyn std::error::Error + Send + Sync>;

/// Returns the body of the answer, whatever its status.
///
/// # Errors
/// There is no complete answer in time, or it is larger than 64 MiB.
pub async fn ask(address: impl ToSocketAddrs, method: &str, path: &str, timeout: Duration) -> Result<Bytes, AskError> {
    let answer = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header("host", "admin").body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await?.to_bytes();
        connection.abort();
        Ok(body)
    };
    time::timeout(timeout, answer).await.map_err(|_| format!("no answer in {timeout:?}"))?
}
