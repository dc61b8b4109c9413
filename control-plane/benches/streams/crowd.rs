//! Concurrent streams of events, each on its own connection.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use legation_testing::PATIENCE;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{interval, timeout},
};

use crate::{answer::Answer, stamp};

/// The time between two openings, so that events come one by one and not all at once.
const PACE: Duration = Duration::from_millis(1);

/// Streams that are read as events come. Dropping it ends them.
pub struct Crowd {
    lags: Arc<Mutex<Vec<f64>>>,
    readers: JoinSet<()>,
}

impl Crowd {
    /// Opens this many streams with an event each period. Waits for the first event of each.
    pub async fn open(port: u16, streams: usize, period: Duration) -> Self {
        let lags = Arc::<Mutex<Vec<f64>>>::default();
        let mut readers = JoinSet::new();
        let (tell, mut opened) = mpsc::unbounded_channel();
        let mut pace = interval(PACE);
        for _ in 0..streams {
            pace.tick().await;
            readers.spawn(read(port, path(period), lags.clone(), tell.clone()));
        }
        drop(tell);
        let first_events = async {
            for _ in 0..streams {
                opened.recv().await.expect("every stream has a first event");
            }
        };
        timeout(PATIENCE, first_events).await.expect("every stream has its first event in time");
        Self { lags, readers }
    }

    /// Returns the lags, in microseconds, of all events read since the last call.
    pub fn lags(&mut self) -> Vec<f64> {
        assert!(self.readers.try_join_next().is_none(), "every stream goes on");
        std::mem::take(&mut *self.lags.lock().unwrap())
    }
}

/// Returns the upstream's path of a stream with an event each period.
pub fn path(period: Duration) -> String {
    format!("/events/{}", period.as_micros())
}

async fn read(port: u16, path: String, lags: Arc<Mutex<Vec<f64>>>, tell: mpsc::UnboundedSender<()>) {
    let mut answer = Answer::to(port, &path).await;
    let mut tell = Some(tell);
    loop {
        let now = stamp::now();
        let stamps = stamp::take(&mut answer.body);
        if !stamps.is_empty() {
            tell.take().into_iter().for_each(|tell| tell.send(()).unwrap());
        }
        lags.lock().unwrap().extend(stamps.iter().map(|stamp| (now - stamp) as f64 / 1e3));
        answer.read().await;
    }
}
