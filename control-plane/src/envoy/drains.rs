//! Which listeners of the local Envoy drain: forms of a listener that an edit replaced or removed, and that still have streams.
//!
//! Envoy says so by its gauges: each form of a listener counts its connections under a prefix of its own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use legation_protos::ResourceType;
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::admin::{self, Gauges};
use crate::{
    snapshot::Snapshot,
    status::{Drain, Status},
    translate::connections_prefix,
    xds::Plan,
};

/// Between two looks: soon after an edit, and later less and less often. Envoy goes through all of its statistics for each.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long after an edit Envoy may begin to drain: a listener may wait for its clusters first.
const BEGINS_WITHIN: Duration = Duration::from_secs(20);

/// What to follow.
pub struct Followed {
    /// The node id of the Envoy.
    pub node: &'static str,
    /// Where each node is to be.
    pub plans: watch::Receiver<Plan>,
    /// The file in which Envoy says where its admin interface is.
    pub admin_address: PathBuf,
    /// After how long Envoy cuts what drains (`--drain-time-s`).
    pub drain_time: Duration,
    /// What is told.
    pub status: Arc<Status>,
}

/// Looks after each change of listeners what drains, until nothing does, for ever.
pub async fn follow(mut followed: Followed) {
    let mut served = Served::new(followed.plans.borrow_and_update().target(followed.node));
    let mut drains = Drains::default();
    let (mut pause, mut last_change) = (FIRST_PAUSE, None::<Instant>);
    loop {
        let look = async {
            match last_change {
                Some(_) => time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = followed.plans.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = Served::new(followed.plans.borrow_and_update().target(followed.node));
                if now.prefixes != served.prefixes {
                    (pause, last_change) = (FIRST_PAUSE, Some(Instant::now()));
                }
                served = now;
            }
            () = look => {
                pause = (pause * 2).min(LONGEST_PAUSE);
                let Ok(gauges) = ask(&followed.admin_address).await else { continue };
                drains.observe(&gauges, &served, followed.drain_time);
                followed.status.draining(followed.node, drains.report());
                if drains.0.is_empty() && last_change.is_none_or(|at| at.elapsed() > BEGINS_WITHIN) {
                    last_change = None;
                }
            }
        }
    }
}

async fn ask(admin_address: &Path) -> Result<Gauges, admin::AskError> {
    admin::gauges(admin::address(admin_address).ok_or("Envoy does not say where")?).await
}

/// The listeners that are served, and where each counts its connections.
#[derive(Debug)]
struct Served {
    since: SystemTime,
    generation: Option<u64>,
    prefixes: BTreeMap<String, Option<String>>,
}

impl Served {
    fn new(snapshot: Option<&Arc<Snapshot>>) -> Self {
        let listeners = snapshot.into_iter().flat_map(|snapshot| snapshot.resources(ResourceType::Listener));
        let prefixes = listeners.map(|(name, listener)| (name.to_string(), connections_prefix(&listener.body)));
        Self {
            since: SystemTime::now(),
            generation: snapshot.map(|snapshot| snapshot.generation()),
            prefixes: prefixes.collect(),
        }
    }

    fn has(&self, listener: &str, prefix: &str) -> bool {
        self.prefixes.get(listener).and_then(Option::as_deref) == Some(prefix)
    }
}

/// What drains, by the prefix of its connections.
#[derive(Debug, Default)]
struct Drains(BTreeMap<String, Drain>);

impl Drains {
    /// Takes in what Envoy says. How many streams a form of a listener has is known when it begins to drain: then they are all
    /// that the listener has; later they are no more than that, and no more than the listener has by then. Envoy counts the drain
    /// time from when it has taken the edit, a little after it is served.
    fn observe(&mut self, gauges: &Gauges, served: &Served, drain_time: Duration) {
        let mut before = std::mem::take(&mut self.0);
        if gauges.draining == 0 {
            return;
        }
        // Those that are known first: what begins to drain has the rest.
        let mut connections: Vec<_> = gauges.connections.iter().collect();
        connections.sort_by_key(|(prefix, _)| !before.contains_key(*prefix));
        for (prefix, open) in connections {
            let Some((listener, _)) = prefix.rsplit_once('-') else { continue };
            if *open == 0 || served.has(listener, prefix) {
                continue;
            }
            let others: u64 = self.0.values().filter(|it| it.listener == listener).map(|it| it.open_streams).sum();
            let streams = gauges.streams.get(listener).copied().unwrap_or_default().saturating_sub(others);
            let drain = match before.remove(prefix) {
                Some(known) => Drain { open_streams: known.open_streams.min(streams), ..known },
                None => Drain {
                    listener: listener.to_owned(),
                    generation: served.generation,
                    open_streams: streams,
                    until: served.since + drain_time,
                },
            };
            if drain.open_streams > 0 {
                self.0.insert(prefix.clone(), drain);
            }
        }
    }

    fn report(&self) -> Vec<Drain> {
        self.0.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN_TIME: Duration = Duration::from_secs(60);

    fn gauges(draining: u64, connections: &[(&str, u64)], streams: u64) -> Gauges {
        Gauges {
            draining,
            connections: connections.iter().map(|(prefix, open)| ((*prefix).to_owned(), *open)).collect(),
            streams: BTreeMap::from([("a-b".to_owned(), streams)]),
        }
    }

    fn served(prefix: Option<&str>) -> Served {
        let prefixes = prefix.map(|prefix| ("a-b".to_owned(), Some(prefix.to_owned())));
        Served { since: SystemTime::UNIX_EPOCH, generation: Some(7), prefixes: prefixes.into_iter().collect() }
    }

    fn streams(drains: &Drains) -> Vec<(&str, u64)> {
        drains.0.iter().map(|(prefix, drain)| (prefix.as_str(), drain.open_streams)).collect()
    }

    #[test]
    fn what_an_edit_replaced_drains_until_its_streams_have_ended() {
        let mut drains = Drains::default();
        let mut observe = |gauges: Gauges, served: &Served| {
            drains.observe(&gauges, served, DRAIN_TIME);
            streams(&drains).into_iter().map(|(prefix, open)| (prefix.to_owned(), open)).collect::<Vec<_>>()
        };
        let of = |entries: &[(&str, u64)]| entries.iter().map(|(a, b)| ((*a).to_owned(), *b)).collect::<Vec<_>>();
        let new = served(Some("a-b-2"));
        // Before Envoy has taken the edit, nothing drains.
        assert_eq!(observe(gauges(0, &[("a-b-1", 3)], 5), &new), of(&[]));
        assert_eq!(observe(gauges(1, &[("a-b-1", 3), ("a-b-2", 0)], 5), &new), of(&[("a-b-1", 5)]));
        // Streams of the new form are none of the old one's.
        assert_eq!(observe(gauges(1, &[("a-b-1", 3), ("a-b-2", 9)], 50), &new), of(&[("a-b-1", 5)]));
        // The next edit: what it replaces has all streams but those that drained before.
        let newer = served(Some("a-b-3"));
        let both = gauges(2, &[("a-b-1", 2), ("a-b-2", 9), ("a-b-3", 1)], 14);
        assert_eq!(observe(both, &newer), of(&[("a-b-1", 5), ("a-b-2", 9)]));
        assert_eq!(observe(gauges(2, &[("a-b-1", 0), ("a-b-2", 1)], 4), &newer), of(&[("a-b-2", 4)]));
        assert_eq!(observe(gauges(2, &[("a-b-2", 0), ("a-b-3", 1)], 4), &newer), of(&[]));
    }

    #[test]
    fn a_listener_that_is_gone_drains_and_an_idle_connection_does_not_count() {
        let mut drains = Drains::default();
        drains.observe(&gauges(1, &[("a-b-1", 2)], 1), &served(None), DRAIN_TIME);
        assert_eq!(streams(&drains), [("a-b-1", 1)]);
        let drain = drains.report().remove(0);
        assert_eq!((drain.generation, drain.until), (Some(7), SystemTime::UNIX_EPOCH + DRAIN_TIME));
        drains.observe(&gauges(1, &[("a-b-1", 1)], 0), &served(None), DRAIN_TIME);
        assert_eq!(streams(&drains), []);
    }
}
