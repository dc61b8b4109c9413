//! What the supervisor asks of a local Envoy's admin interface.

use std::{net::SocketAddr, time::Duration};

use crate::http_client::{self, AskError};

const TIMEOUT: Duration = Duration::from_secs(1);

/// The requests that are under way through the file's listeners.
///
/// # Errors
/// Envoy does not answer within a second, or not as expected.
pub async fn active_requests(admin: SocketAddr) -> Result<u64, AskError> {
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
pub async fn stop_listeners(admin: SocketAddr) -> Result<(), AskError> {
    ask(admin, "POST", "/drain_listeners").await.map(drop)
}

async fn ask(admin: SocketAddr, method: &str, path: &str) -> Result<String, AskError> {
    let answer = http_client::ask(admin, method, path, TIMEOUT).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
