//! What the supervisor asks of a local Envoy's admin interface.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, time::Duration};

use crate::http_client;

pub use crate::http_client::AskError;

const TIMEOUT: Duration = Duration::from_secs(1);

/// What Envoy says of connections and requests that are open, by its gauges.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Listeners and filter chains that drain.
    pub draining: u64,
    /// Open connections, by the `stat_prefix` of the filter that counts them.
    pub connections: BTreeMap<String, u64>,
    /// Requests that are under way, by listener (the `stat_prefix` of its HTTP connection manager).
    pub streams: BTreeMap<String, u64>,
}

impl Gauges {
    /// The requests that are under way through all listeners.
    pub fn all_streams(&self) -> u64 {
        self.streams.values().sum()
    }

    /// From Envoy's lines, `NAME: VALUE`.
    fn parse(text: &str) -> Self {
        let mut gauges = Self::default();
        let lines = text.lines().filter_map(|line| line.rsplit_once(": "));
        for (name, value) in lines.filter_map(|(name, value)| Some((name, value.parse::<u64>().ok()?))) {
            let between = |before: &str, after: &str| Some(name.strip_prefix(before)?.strip_suffix(after)?.to_owned());
            if name.starts_with("listener_manager.") {
                gauges.draining += value;
            } else if let Some(prefix) = between("connection_limit.", ".active_connections") {
                gauges.connections.insert(prefix, value);
            } else if let Some(listener) = between("http.", ".downstream_rq_active")
                && listener != "admin"
            {
                gauges.streams.insert(listener, value);
            }
        }
        gauges
    }
}

/// Where the admin interface is, as Envoy wrote it into a file.
pub fn address(written: &Path) -> Option<SocketAddr> {
    fs::read_to_string(written).ok()?.trim().parse().ok()
}

/// What is open.
///
/// # Errors
/// Envoy does not answer within a second.
pub async fn gauges(admin: SocketAddr) -> Result<Gauges, AskError> {
    const NAMES: &str = "/stats?type=Gauges&filter=^(listener_manager\\.total_(filter_chains|listeners)_draining\
                         |connection_limit\\..*\\.active_connections|http\\..*\\.downstream_rq_active)$";
    Ok(Gauges::parse(&ask(admin, "GET", NAMES).await?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauges_are_read_from_envoys_lines() {
        let said = "connection_limit.a.b-1f.active_connections: 3\nhttp.a.b.downstream_rq_active: 2\n\
                    http.admin.downstream_rq_active: 1\nlistener_manager.total_filter_chains_draining: 1\n\
                    listener_manager.total_listeners_draining: 2\nno line\n";
        let gauges = Gauges::parse(said);
        assert_eq!(gauges.draining, 3);
        assert_eq!(gauges.connections, BTreeMap::from([("a.b-1f".to_owned(), 3)]));
        assert_eq!((gauges.streams.clone(), gauges.all_streams()), (BTreeMap::from([("a.b".to_owned(), 2)]), 2));
    }
}
