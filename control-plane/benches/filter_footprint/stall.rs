//! How long an edit of one key delays other requests of a worker.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use legation_testing::{
    ALICE_KEY,
    measure::cost::{children, median, resident_mib, thread_cpu},
};
use tokio::time::sleep;

use crate::keys::{edited_key, file};

/// The number of edits. The median counts.
const EDITS: usize = 7;
/// The time after an edit in which Envoy finishes all work for it.
const AFTER: Duration = Duration::from_millis(300);
/// Envoy's name of the thread of its only worker.
const WORKER: &str = "wrk:worker_0";

/// Figures of edits of one key each. They are medians in milliseconds, unless a field says
/// otherwise.
pub struct Stall {
    /// The longest time between two answers without an edit.
    pub quiet: f64,
    /// The same during an edit.
    pub gap: f64,
    pub worst_gap: f64,
    /// The CPU time of a worker without requests for an edit.
    pub cpu: f64,
    /// From the saved file to the first request that the new key lets pass.
    pub served: f64,
    /// Memory of Envoy before the first edit and after the last.
    pub resident: [f64; 2],
}

pub async fn measure(keys: usize) -> Stall {
    let gateway = file(keys, 0).start_with(["--concurrency", "1"]).await;
    let envoy = children(gateway.process.pid().as_raw())[0];
    let before = resident_mib(envoy);
    let (mut gaps, mut cpu, mut served, mut quiet) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for edit in 1..=EDITS {
        // One edit during requests, one without requests.
        let probe = Probe::start(gateway.port);
        sleep(AFTER).await;
        quiet.push(probe.longest_gap());
        let next = file(keys, 2 * edit).at(gateway.port);
        let saved = Instant::now();
        gateway.write(&next);
        let key = edited_key(2 * edit);
        while gateway.get("/measured", &[("x-api-key", &key)]).await.status != 200 {
            sleep(Duration::from_millis(5)).await;
        }
        served.push(saved.elapsed().as_secs_f64() * 1e3);
        sleep(AFTER).await;
        gaps.push(probe.longest_gap());
        drop(probe);

        let before = thread_cpu(envoy, WORKER);
        gateway.edit(file(keys, 2 * edit + 1)).await;
        sleep(AFTER).await;
        cpu.push((thread_cpu(envoy, WORKER) - before).as_secs_f64() * 1e3);
    }
    let worst_gap = gaps.iter().copied().fold(0.0, f64::max);
    let resident = [before, resident_mib(envoy)];
    Stall { quiet: median(quiet), gap: median(gaps), worst_gap, cpu: median(cpu), served: median(served), resident }
}

/// Sends requests on one connection, each as soon as the one before is answered. Each must be
/// answered.
struct Probe {
    stop: Arc<AtomicBool>,
    longest: Arc<Mutex<Duration>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Probe {
    fn start(port: u16) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let longest = Arc::<Mutex<Duration>>::default();
        let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        connection.set_nodelay(true).unwrap();
        let thread = thread::spawn({
            let (stop, longest) = (stop.clone(), longest.clone());
            move || {
                let mut last = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    ask(&mut connection);
                    let gap = std::mem::replace(&mut last, Instant::now()).elapsed();
                    let mut longest = longest.lock().unwrap();
                    *longest = gap.max(*longest);
                }
            }
        });
        Self { stop, longest, thread: Some(thread) }
    }

    /// Returns the longest gap since the last call, in milliseconds.
    fn longest_gap(&self) -> f64 {
        std::mem::take(&mut *self.longest.lock().unwrap()).as_secs_f64() * 1e3
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "every request is answered");
    }
}

fn ask(connection: &mut TcpStream) {
    write!(connection, "GET /measured HTTP/1.1\r\nhost: probe\r\nx-api-key: {ALICE_KEY}\r\n\r\n").unwrap();
    let (mut answer, mut read) = ([0; 4096], 0);
    while !answer[..read].ends_with(b"\r\n\r\n") {
        let more = connection.read(&mut answer[read..]).unwrap();
        assert!(more > 0, "the connection stays open");
        read += more;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
}
