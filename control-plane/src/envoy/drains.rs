//! The draining listeners of the local Envoy: forms of a listener that an edit replaced or removed,
//! and that still have connections.
//!
//! Envoy itself says all of it. Each form of a listener counts its connections under a prefix of
//! its own, and Envoy's dump tells which forms are in use.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::admin::{self, Listeners};
use crate::{
    snapshot::Snapshot,
    status::{DrainingListener, Status},
    xds::Plan,
};

/// The pause between two looks: short after an edit, and later longer and longer. For each look
/// Envoy goes through all of its statistics.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long after an edit Envoy may begin to drain. A listener waits for its clusters, and then for
/// its routes.
const BEGINS_WITHIN: Duration = Duration::from_secs(40);
/// Envoy cuts connections a little after the drain time.
const SLACK: Duration = Duration::from_secs(10);
/// After this many failures in a row, Envoy's draining listeners are unknown.
const MOST_FAILURES: u32 = 3;

/// What to follow.
pub struct Followed {
    /// The node id of the Envoy.
    pub node: &'static str,
    /// Where each node is to be.
    pub plans: watch::Receiver<Plan>,
    /// The file in which Envoy says where its admin interface is.
    pub admin_address: PathBuf,
    /// How long Envoy lets a listener drain (`--drain-time-s`).
    pub drain_time: Duration,
    /// Where to report.
    pub status: Arc<Status>,
}

/// Looks at the draining listeners after each change of listeners, until none is left. It never
/// returns.
pub async fn follow(mut followed: Followed) {
    let mut served = followed.plans.borrow_and_update().target(followed.node).cloned();
    let mut change = Change { generation: None, at: SystemTime::now() };
    let mut drains = DrainingListeners::default();
    let (mut pause, mut next, mut begins_until, mut failures) = (FIRST_PAUSE, None, Instant::now(), 0);
    loop {
        let look = async {
            match next {
                Some(at) => time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = followed.plans.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = followed.plans.borrow_and_update().target(followed.node).cloned();
                let drains_some = |(before, now): (&Arc<Snapshot>, &Arc<Snapshot>)| before.drained_by(now).next().is_some();
                if served.as_ref().zip(now.as_ref()).is_some_and(drains_some) {
                    change = Change { generation: now.as_ref().map(|it| it.generation()), at: SystemTime::now() };
                    (pause, begins_until) = (FIRST_PAUSE, Instant::now() + BEGINS_WITHIN);
                    next = Some(Instant::now() + FIRST_PAUSE);
                }
                served = now;
            }
            () = look => {
                let ended = match ask(&followed.admin_address).await {
                    Ok(seen) => {
                        failures = 0;
                        drains.observe(&seen, &change, followed.drain_time, SystemTime::now())
                    }
                    Err(error) => {
                        failures += 1;
                        tracing::debug!("Envoy does not say what drains: {error}");
                        if failures == MOST_FAILURES { drains.forget() } else { Vec::new() }
                    }
                };
                for (listener, ending) in ended {
                    tracing::info!("listener {} has drained: {}", listener.listener, Ended(&listener, ending));
                }
                followed.status.draining(followed.node, drains.report());
                next = (!drains.0.is_empty() || Instant::now() < begins_until).then(|| Instant::now() + pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn ask(admin_address: &Path) -> Result<Listeners, admin::AskError> {
    admin::listeners(admin::address(admin_address).ok_or("it does not say where its admin interface is")?).await
}

/// The last change of listeners that was published.
struct Change {
    generation: Option<u64>,
    at: SystemTime,
}

/// The draining listeners, by the prefix of their connections.
#[derive(Debug, Default)]
struct DrainingListeners(BTreeMap<String, Record>);

#[derive(Debug)]
struct Record {
    listener: DrainingListener,
    /// The uptime of its Envoy in seconds, at the last look.
    uptime: u64,
}

/// How the last connections of a draining listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Closed,
    Cut,
    EnvoyEnded,
    Unknown,
}

impl DrainingListeners {
    /// Takes in what Envoy says at a time. Returns the listeners that do not drain any more.
    fn observe(
        &mut self,
        seen: &Listeners,
        change: &Change,
        drain_time: Duration,
        now: SystemTime,
    ) -> Vec<(DrainingListener, Ending)> {
        let mut ended = Vec::new();
        let known = std::mem::take(&mut self.0);
        for (prefix, Record { listener, uptime }) in known {
            // A form that is in use again has new connections, too. There are never more old ones
            // than before.
            let connections = seen.connections(&prefix).min(listener.connections);
            let ending = match connections {
                _ if seen.uptime < uptime => Ending::EnvoyEnded,
                0 if now < listener.until => Ending::Closed,
                0 => Ending::Cut,
                _ if now > listener.until + SLACK => Ending::Cut,
                _ => {
                    let open_streams = seen.most_streams(&listener.listener, connections);
                    let listener = DrainingListener { connections, open_streams, ..listener };
                    self.0.insert(prefix, Record { listener, uptime: seen.uptime });
                    continue;
                }
            };
            ended.push((listener, ending));
        }
        for (prefix, name, connections) in seen.not_in_use() {
            self.0.entry(prefix.to_owned()).or_insert_with(|| {
                let listener = DrainingListener {
                    listener: name.to_owned(),
                    generation: change.generation,
                    connections,
                    open_streams: seen.most_streams(name, connections),
                    // Envoy's own count begins a little later, when it takes the edit.
                    until: change.at + drain_time,
                };
                tracing::warn!("{}", Begun(&listener));
                Record { listener, uptime: seen.uptime }
            });
        }
        ended
    }

    /// Envoy does not answer any more.
    fn forget(&mut self) -> Vec<(DrainingListener, Ending)> {
        std::mem::take(&mut self.0).into_values().map(|record| (record.listener, Ending::Unknown)).collect()
    }

    fn report(&self) -> Vec<DrainingListener> {
        self.0.values().map(|record| record.listener.clone()).collect()
    }
}

struct Begun<'a>(&'a DrainingListener);

impl fmt::Display for Begun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.generation {
            Some(generation) => write!(f, "generation {generation} {}", self.0),
            None => write!(f, "an earlier edit {}", self.0),
        }
    }
}

struct Ended<'a>(&'a DrainingListener, Ending);

impl fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = self.0.connections;
        match self.1 {
            Ending::Closed => f.write_str("its last connection is closed"),
            Ending::Cut => write!(f, "Envoy cut what was left after the drain time, {connections} connection(s)"),
            Ending::EnvoyEnded => write!(f, "it ended with its Envoy, {connections} connection(s) were cut"),
            Ending::Unknown => write!(f, "Envoy does not answer any more; there were {connections} connection(s)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN_TIME: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Listener `a-b` with its forms and their connections, `used` in use.
    fn seen(uptime: u64, used: &[&str], connections: &[(&str, u64)], streams: u64, http2: u64) -> Listeners {
        Listeners {
            uptime,
            in_use: used.iter().map(|prefix| (*prefix).to_owned()).collect(),
            connections: connections.iter().map(|(prefix, open)| ((*prefix).to_owned(), *open)).collect(),
            streams: BTreeMap::from([("a-b".to_owned(), streams)]),
            http2: BTreeMap::from([("a-b".to_owned(), http2)]),
        }
    }

    struct Scene(DrainingListeners);

    impl Scene {
        /// The draining listeners then, by prefix (connections, streams at most), and how others
        /// ended.
        fn look(&mut self, now: u64, seen: &Listeners) -> (Vec<(String, u64, u64)>, Vec<Ending>) {
            let change = Change { generation: Some(now), at: at(now) };
            let ended = self.0.observe(seen, &change, DRAIN_TIME, at(now));
            let drains = self.0.0.iter();
            let drains = drains.map(|(prefix, it)| (prefix.clone(), it.listener.connections, it.listener.open_streams));
            (drains.collect(), ended.into_iter().map(|(_, ending)| ending).collect())
        }
    }

    fn of(drains: &[(&str, u64, u64)]) -> Vec<(String, u64, u64)> {
        drains.iter().map(|(prefix, connections, streams)| ((*prefix).to_owned(), *connections, *streams)).collect()
    }

    #[test]
    fn a_form_drains_from_when_envoy_does_not_use_it_any_more_until_its_last_connection() {
        let mut scene = Scene(DrainingListeners::default());
        // Envoy has not taken the edit yet, or never takes it.
        assert_eq!(scene.look(0, &seen(0, &["a-b-1"], &[("a-b-1", 3)], 5, 1)), (of(&[]), vec![]));
        // Nobody has connected anew: all streams are the old form's.
        let both = [("a-b-1", 3), ("a-b-2", 0)];
        assert_eq!(scene.look(1, &seen(1, &["a-b-2"], &both, 5, 1)), (of(&[("a-b-1", 3, 5)]), vec![]));
        // Those of the new form can't be told from its own over HTTP/2; over HTTP/1.1 a connection
        // has one.
        let both = [("a-b-1", 3), ("a-b-2", 9)];
        assert_eq!(scene.look(2, &seen(2, &["a-b-2"], &both, 50, 1)).0, of(&[("a-b-1", 3, 50)]));
        assert_eq!(scene.look(3, &seen(3, &["a-b-2"], &both, 9, 0)).0, of(&[("a-b-1", 3, 3)]));
        // An idle connection stays one that may yet ask for a stream.
        let idle = [("a-b-1", 1), ("a-b-2", 0)];
        assert_eq!(scene.look(4, &seen(4, &["a-b-2"], &idle, 0, 0)).0, of(&[("a-b-1", 1, 0)]));
        assert_eq!(scene.look(5, &seen(5, &["a-b-2"], &idle, 1, 0)).0, of(&[("a-b-1", 1, 1)]));
        let none = [("a-b-1", 0), ("a-b-2", 2)];
        assert_eq!(scene.look(6, &seen(6, &["a-b-2"], &none, 2, 0)), (of(&[]), vec![Ending::Closed]));
    }

    #[test]
    fn a_form_that_comes_back_drains_what_it_had_and_no_more() {
        let mut scene = Scene(DrainingListeners::default());
        scene.look(0, &seen(0, &["a-b-2"], &[("a-b-1", 2)], 2, 0));
        // The edit is taken back: old and new connections have one prefix again.
        let back = [("a-b-1", 7), ("a-b-2", 1)];
        let drains = scene.look(5, &seen(5, &["a-b-1"], &back, 8, 0)).0;
        assert_eq!(drains, of(&[("a-b-1", 2, 2), ("a-b-2", 1, 1)]));
        let report = scene.0.report();
        assert_eq!((report[0].generation, report[0].until), (Some(0), at(60)));
        assert_eq!((report[1].generation, report[1].until), (Some(5), at(65)));
        // After the drain time none of the old ones is left, however many there are.
        let later = scene.look(71, &seen(71, &["a-b-1"], &[("a-b-1", 7)], 7, 0));
        assert_eq!(later, (of(&[]), vec![Ending::Cut, Ending::Cut]));
    }

    #[test]
    fn a_listener_that_is_gone_drains_and_its_end_is_told_as_it_was() {
        let gone = |uptime, open| seen(uptime, &[], &[("a-b-1", open)], open, 0);
        let mut scene = Scene(DrainingListeners::default());
        assert_eq!(scene.look(0, &gone(5, 2)).0, of(&[("a-b-1", 2, 2)]));
        assert_eq!(scene.look(61, &gone(66, 0)).1, [Ending::Cut]);
        scene.look(100, &gone(105, 2));
        // Another Envoy has been started.
        assert_eq!(scene.look(101, &gone(1, 0)).1, [Ending::EnvoyEnded]);
        scene.look(200, &gone(100, 1));
        assert_eq!(scene.0.forget()[0].1, Ending::Unknown);
        assert_eq!(scene.0.report(), []);
    }
}
