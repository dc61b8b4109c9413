//! What the supervisor asks of a local Envoy's admin interface.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use serde_json::Value;

use crate::{http_client, translate::CONNECTION_LIMIT};

pub use crate::http_client::AskError;

const TIMEOUT: Duration = Duration::from_secs(1);

/// What Envoy says of its listeners.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// How long Envoy has been running, in seconds.
    pub uptime: u64,
    /// The prefixes under which the forms of listeners that are in use count their connections (the
    /// `stat_prefix` of that filter).
    pub in_use: BTreeSet<String>,
    /// Open connections of each form, by the same prefix.
    pub connections: BTreeMap<String, u64>,
    /// Requests that are under way, by listener (the `stat_prefix` of its HTTP connection manager).
    pub streams: BTreeMap<String, u64>,
    /// Open connections over HTTP/2, by listener.
    pub http2: BTreeMap<String, u64>,
}

impl Listeners {
    /// The open connections of a form.
    pub fn connections(&self, prefix: &str) -> u64 {
        self.connections.get(prefix).copied().unwrap_or_default()
    }

    /// The forms that have connections and are not in use: prefix, listener, and how many.
    pub fn not_in_use(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        let forms = self.connections.iter().filter(|(prefix, open)| **open > 0 && !self.in_use.contains(*prefix));
        forms.filter_map(|(prefix, open)| Some((prefix.as_str(), prefix.rsplit_once('-')?.0, *open)))
    }

    /// How many streams this many connections of a listener have at most. Envoy counts streams by
    /// listener, not by its form.
    pub fn most_streams(&self, listener: &str, connections: u64) -> u64 {
        let of = |counts: &BTreeMap<String, u64>| counts.get(listener).copied().unwrap_or_default();
        let of_all = of(&self.streams);
        if of(&self.http2) == 0 { of_all.min(connections) } else { of_all }
    }

    /// From Envoy's lines, `NAME: VALUE`.
    fn read_gauges(&mut self, text: &str) {
        let lines = text.lines().filter_map(|line| line.rsplit_once(": "));
        for (name, value) in lines.filter_map(|(name, value)| Some((name, value.parse::<u64>().ok()?))) {
            let between = |before: &str, after: &str| Some(name.strip_prefix(before)?.strip_suffix(after)?.to_owned());
            if name == "server.uptime" {
                self.uptime = value;
            } else if let Some(prefix) = between("connection_limit.", ".active_connections") {
                self.connections.insert(prefix, value);
            } else if let Some(listener) = between("http.", ".downstream_rq_active") {
                self.streams.insert(listener, value);
            } else if let Some(listener) = between("http.", ".downstream_cx_http2_active") {
                self.http2.insert(listener, value);
            }
        }
        // This is Envoy's own admin interface. No listener of the file may have the name.
        self.streams.remove("admin");
    }

    /// From Envoy's dump of its dynamic listeners.
    fn read_dump(&mut self, dump: &Value) {
        fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
            value.get(name).and_then(Value::as_array).into_iter().flatten()
        }
        let listeners = items(dump, "configs").filter_map(|it| it.pointer("/active_state/listener"));
        let chains = listeners.flat_map(|listener| items(listener, "filter_chains"));
        let filters = chains.flat_map(|chain| items(chain, "filters"));
        let counting = filters.filter(|filter| filter.get("name").is_some_and(|name| name == CONNECTION_LIMIT));
        let prefixes =
            counting.filter_map(|filter| Some(filter.pointer("/typed_config/stat_prefix")?.as_str()?.to_owned()));
        self.in_use.extend(prefixes);
    }
}

/// Where the admin interface is, as Envoy wrote it into a file.
pub fn address(written: &Path) -> Option<SocketAddr> {
    fs::read_to_string(written).ok()?.trim().parse().ok()
}

/// What Envoy says of its listeners.
///
/// # Errors
/// Envoy does not answer within a second, or not as expected.
pub async fn listeners(admin: SocketAddr) -> Result<Listeners, AskError> {
    let mut listeners = Listeners::default();
    listeners.read_gauges(&ask(admin, "GET", &gauges("connection_limit\\..*\\.active_connections|server\\.uptime|http\\..*\\.downstream_(rq|cx_http2)_active")).await?);
    listeners.read_dump(&serde_json::from_str(&ask(admin, "GET", "/config_dump?resource=dynamic_listeners").await?)?);
    Ok(listeners)
}

/// The requests that are under way through all listeners.
///
/// # Errors
/// Envoy does not answer within a second.
pub async fn active_requests(admin: SocketAddr) -> Result<u64, AskError> {
    let mut listeners = Listeners::default();
    listeners.read_gauges(&ask(admin, "GET", &gauges("http\\..*\\.downstream_rq_active")).await?);
    Ok(listeners.streams.values().sum())
}

fn gauges(pattern: &str) -> String {
    format!("/stats?type=Gauges&filter=^({pattern})$")
}

/// Has Envoy close its listeners. Requests that are under way go on.
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
    use serde_json::json;

    use super::*;

    #[test]
    fn the_gauges_are_read_from_envoys_lines() {
        let said = "connection_limit.a.b-1f.active_connections: 3\nhttp.a.b.downstream_rq_active: 2\n\
                    http.admin.downstream_rq_active: 1\nhttp.a.b.downstream_cx_http2_active: 4\nserver.uptime: 9\nno line\n";
        let mut listeners = Listeners::default();
        listeners.read_gauges(said);
        let one = |name: &str, value| BTreeMap::from([(name.to_owned(), value)]);
        let expected = Listeners {
            uptime: 9,
            in_use: BTreeSet::new(),
            connections: one("a.b-1f", 3),
            streams: one("a.b", 2),
            http2: one("a.b", 4),
        };
        assert_eq!(listeners, expected);
        assert_eq!(listeners.not_in_use().collect::<Vec<_>>(), [("a.b-1f", "a.b", 3)]);
    }

    #[test]
    fn the_forms_in_use_are_read_from_envoys_dump() {
        let listener = |prefix: &str| {
            let limit = json!({"name": CONNECTION_LIMIT, "typed_config": {"stat_prefix": prefix}});
            let manager = json!({"name": "manager", "typed_config": {"stat_prefix": "a"}});
            json!({"listener": {"filter_chains": [{"filters": [limit, manager]}]}})
        };
        let dump = json!({"configs": [
            {"active_state": listener("a-1"), "warming_state": listener("a-2"), "draining_state": listener("a-0")},
            {"draining_state": listener("b-0")},
            {"active_state": {"listener": {}}},
        ]});
        let mut listeners = Listeners::default();
        listeners.read_dump(&dump);
        assert_eq!(listeners.in_use, BTreeSet::from(["a-1".to_owned()]));
    }
}
