//! Listeners that drain: how many streams are still on them, and until when.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use serde::Serialize;

use super::Status;

/// All draining listeners of one node.
#[derive(Debug, Default)]
pub(super) struct DrainingOfNode {
    pub(super) node: String,
    pub(super) listeners: Vec<DrainingListener>,
}

/// A form of a listener that an edit replaced or removed, and that still has connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainingListener {
    /// The listener.
    pub listener: String,
    /// The generation that replaced or removed it.
    pub generation: Option<u64>,
    /// How many connections it still has.
    pub connections: u64,
    /// How many streams they have at most.
    pub open_streams: u64,
    /// When Envoy cuts them.
    pub until: SystemTime,
}

/// What `/status` says of a draining listener.
#[derive(Debug, Serialize)]
pub struct DrainingReport {
    node: String,
    listener: String,
    generation: Option<u64>,
    connections: u64,
    open_streams: u64,
    /// RFC 3339, UTC.
    until: String,
    message: String,
}

impl Status {
    /// Takes in all draining listeners of a node.
    pub fn draining(&self, node: &str, drains: Vec<DrainingListener>) {
        let now = DrainingOfNode { node: node.to_owned(), listeners: drains };
        let mut state = self.state();
        self.metrics.draining(&state.drains.listeners, &now.listeners);
        state.drains = now;
    }
}

impl DrainingListener {
    pub(super) fn report(&self, node: &str) -> DrainingReport {
        DrainingReport {
            node: node.to_owned(),
            listener: self.listener.clone(),
            generation: self.generation,
            connections: self.connections,
            open_streams: self.open_streams,
            until: timestamp(self.until).map_or_else(String::new, |until| format!("{until:.0}")),
            message: self.to_string(),
        }
    }

    /// Seconds since 1970.
    pub(crate) fn until_unix(&self) -> f64 {
        self.until.duration_since(SystemTime::UNIX_EPOCH).as_ref().map_or(0.0, Duration::as_secs_f64)
    }
}

/// Times are in UTC, as those of the log.
impl fmt::Display for DrainingListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listener, connections, open_streams, .. } = self;
        let streams = if *open_streams == 1 { "stream" } else { "streams" };
        write!(f, "drains listener {listener}: {open_streams} open {streams}")?;
        if let Some(until) = timestamp(self.until) {
            write!(f, ", until {}", until.strftime("%Y-%m-%d %H:%M UTC"))?;
        }
        write!(f, " ({connections} connection{})", if *connections == 1 { "" } else { "s" })
    }
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_says_how_many_streams_it_has_and_until_when() {
        let drain = |open_streams| DrainingListener {
            listener: "public".to_owned(),
            generation: Some(8),
            connections: 3,
            open_streams,
            until: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        assert_eq!(
            drain(2).to_string(),
            "drains listener public: 2 open streams, until 2023-11-14 22:13 UTC (3 connections)"
        );
        assert_eq!(
            drain(1).to_string(),
            "drains listener public: 1 open stream, until 2023-11-14 22:13 UTC (3 connections)"
        );
        let report = serde_json::to_value(drain(2).report("local")).unwrap();
        assert_eq!(report["until"], "2023-11-14T22:13:20Z");
        assert_eq!(report["message"], drain(2).to_string());
    }
}
