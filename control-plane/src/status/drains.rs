//! Listeners that drain: how many streams are still on them, and until when.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use serde::Serialize;

use super::Status;

/// A form of a listener that an edit replaced or removed, and that still has streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The listener.
    pub listener: String,
    /// The generation that replaced or removed it.
    pub generation: Option<u64>,
    /// How many streams it still has at most.
    pub open_streams: u64,
    /// When Envoy cuts them.
    pub until: SystemTime,
}

/// What `/status` says of one.
#[derive(Debug, Serialize)]
pub struct DrainReport {
    node: String,
    listener: String,
    generation: Option<u64>,
    open_streams: u64,
    /// RFC 3339, UTC.
    until: String,
    message: String,
}

impl Status {
    /// All that drains on a node.
    pub fn draining(&self, node: &str, drains: Vec<Drain>) {
        let before = std::mem::replace(&mut self.state().drains, (node.to_owned(), drains.clone())).1;
        let has = |drains: &[Drain], one: &Drain| drains.iter().any(|it| it.is_the_same(one));
        for began in drains.iter().filter(|drain| !has(&before, drain)) {
            let generation = began.generation.map_or_else(|| "an edit".to_owned(), |it| format!("generation {it}"));
            tracing::warn!("{generation} {began}");
        }
        for ended in before.iter().filter(|drain| !has(&drains, drain)) {
            let listener = &ended.listener;
            if SystemTime::now() < ended.until {
                tracing::info!("listener {listener} has drained: its last stream has ended");
            } else {
                tracing::warn!("listener {listener} has drained: Envoy cut {}", streams(ended.open_streams));
            }
        }
        self.metrics.draining(&drains);
    }
}

impl Drain {
    /// Whether it is the same, seen at another time.
    fn is_the_same(&self, other: &Self) -> bool {
        (&self.listener, self.generation, self.until) == (&other.listener, other.generation, other.until)
    }

    pub(super) fn report(&self, node: &str) -> DrainReport {
        DrainReport {
            node: node.to_owned(),
            listener: self.listener.clone(),
            generation: self.generation,
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

/// In UTC, as the log's own times are.
impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "drains listener {}: {}", self.listener, streams(self.open_streams))?;
        match timestamp(self.until) {
            Some(until) => write!(f, ", until {}", until.strftime("%Y-%m-%d %H:%M UTC")),
            None => Ok(()),
        }
    }
}

fn streams(open: u64) -> String {
    format!("{open} open {}", if open == 1 { "stream" } else { "streams" })
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_says_how_many_streams_it_has_and_until_when() {
        let drain = |open_streams| Drain {
            listener: "public".to_owned(),
            generation: Some(8),
            open_streams,
            until: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        assert_eq!(drain(2).to_string(), "drains listener public: 2 open streams, until 2023-11-14 22:13 UTC");
        assert_eq!(drain(1).to_string(), "drains listener public: 1 open stream, until 2023-11-14 22:13 UTC");
        let report = serde_json::to_value(drain(2).report("local")).unwrap();
        assert_eq!(report["until"], "2023-11-14T22:13:20Z");
        assert_eq!(report["message"], drain(2).to_string());
    }
}
