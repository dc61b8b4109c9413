//! Traffic during a test's edits. None of it may fail.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use http::Method;
use http_body_util::BodyExt;
use tokio::{sync::watch, task::JoinHandle};

use super::{ALICE_KEY, Client, by_alice, empty};

/// A stream of events, read as they come.
pub struct Events {
    /// The last id that came.
    last: watch::Receiver<u64>,
    reader: JoinHandle<Result<(), String>>,
}

impl Events {
    /// Opens it, as alice.
    pub async fn open(url: String) -> Self {
        let client = Client::new();
        let request = by_alice(Method::GET, &url).body(empty()).expect("a request");
        let response = client.begin(request).await.expect("it begins");
        assert_eq!(response.status(), 200);
        let (came, last) = watch::channel(0);
        let reader = tokio::spawn(async move {
            let mut body = response.into_body();
            let mut text = String::new();
            let mut expected = None;
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| format!("the stream is cut: {error}"))?;
                text.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let id = event.lines().find_map(|line| line.strip_prefix("id: ")).ok_or("an event has an id")?;
                    let id: u64 = id.parse().map_err(|_| "an id is a number")?;
                    if expected.is_some_and(|expected| id != expected) {
                        return Err(format!("event {id} came where {expected:?} was next"));
                    }
                    expected = Some(id + 1);
                    came.send_replace(id);
                    text = rest.to_owned();
                }
            }
            Err("the stream ended".to_owned())
        });
        Self { last, reader }
    }

    /// Waits for two more events, and makes sure that none was lost.
    pub async fn go_on(&mut self) {
        let so_far = *self.last.borrow_and_update();
        let more = self.last.wait_for(|id| *id >= so_far + 2);
        tokio::select! {
            more = more => { more.expect("the reader lives"); }
            end = &mut self.reader => panic!("{end:?}"),
        }
    }
}

impl Drop for Events {
    /// Disconnects the client.
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Requests without a pause. None may fail.
pub struct Hammer {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Hammer {
    /// Starts, as alice, on a connection of its own.
    pub fn start(url: String) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let sent = Arc::<AtomicUsize>::default();
        let failures = Arc::<Mutex<Vec<String>>>::default();
        let task = tokio::spawn({
            let (stop, sent, failures) = (stop.clone(), sent.clone(), failures.clone());
            async move {
                let client = Client::new();
                while !stop.load(Ordering::Relaxed) {
                    match client.try_get(&url, &[("x-api-key", ALICE_KEY)]).await {
                        Ok(response) if response.status == 200 => {}
                        other => failures.lock().unwrap().push(format!("{url}: {other:?}")),
                    }
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, sent, failures, task }
    }

    /// Makes sure that none failed so far.
    pub fn is_well(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{} of {:?} failed: {failures:?}", failures.len(), self.sent);
    }

    /// Ends, makes sure that none failed, and returns their number.
    pub async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let Self { sent, failures, task, .. } = self;
        task.await.expect("it does not panic");
        let failures = failures.lock().unwrap();
        assert!(failures.is_empty(), "{} of {sent:?} failed: {failures:?}", failures.len());
        sent.load(Ordering::Relaxed)
    }
}
