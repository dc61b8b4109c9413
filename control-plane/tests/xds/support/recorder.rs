//! Keeps the events of all streams, and waits for some.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use legation::xds::{Event, Observer, StreamId};
use tokio::sync::Notify;

/// An observer that keeps everything.
#[derive(Default)]
pub struct Recorder {
    events: Mutex<Vec<(StreamId, Event)>>,
    closed: Mutex<Vec<StreamId>>,
    changed: Notify,
}

impl Observer for Recorder {
    fn event(&self, stream: StreamId, event: Event) {
        self.events.lock().unwrap().push((stream, event));
        self.changed.notify_waiters();
    }

    fn closed(&self, stream: StreamId) {
        self.closed.lock().unwrap().push(stream);
        self.changed.notify_waiters();
    }
}

impl Recorder {
    /// A new one.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().iter().map(|(_, event)| event.clone()).collect()
    }

    /// The streams that ended.
    pub fn closed_streams(&self) -> Vec<StreamId> {
        self.closed.lock().unwrap().clone()
    }

    /// Waits until the events fulfil a condition.
    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if condition(self) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), wait).await.is_err() {
            panic!("it did not happen in 30 s: {what}; events: {:#?}", self.events());
        }
    }

    /// Waits until some client confirmed this generation.
    pub async fn confirmed(&self, generation: u64) {
        self.until(&format!("generation {generation} confirmed"), |recorder| {
            recorder.events().contains(&Event::Confirmed { generation })
        })
        .await;
    }
}
