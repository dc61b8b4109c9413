//! The delay that a proxy adds to an event and to the first byte of one more stream, with few and
//! with many open streams, and the CPU time that it takes for an event.

use std::time::Duration;

use legation_testing::measure::variant::Variant;
use tokio::time::{interval, sleep};

use crate::{
    answer::Answer,
    crowd::{Crowd, path},
    rounds::{Figure, order},
    subjects::{self, DIRECT, PLAIN},
    table::Table,
    upstream,
};

/// The number of open streams, and the time between two events of each. The machine never gets
/// busy.
const CROWDS: [(usize, Duration); 3] =
    [(1, Duration::from_millis(20)), (100, Duration::from_millis(100)), (1_000, Duration::from_secs(1))];
/// How long events are read.
const WINDOW: Duration = Duration::from_secs(2);
/// How many more streams open then, one after the other. Each closes after its first byte.
const NEWCOMERS: usize = 50;
const NEWCOMERS_APART: Duration = Duration::from_millis(10);

pub async fn measure(rounds: usize) {
    let variants = subjects::start_for_streams(upstream::start("direct")).await;
    let mut cpu = Vec::new();
    for (streams, period) in CROWDS {
        let (mut first_byte, mut lag) = (Times::new(variants.len()), Times::new(variants.len()));
        let mut an_event = Figure::new(variants.len());
        for subject in order(rounds, variants.len()) {
            let mut window = window(&variants[subject], streams, period).await;
            first_byte.push(subject, &mut window.first_bytes);
            an_event.push(subject, window.cpu.as_secs_f64() * 1e6 / window.lags.len() as f64);
            lag.push(subject, &mut window.lags);
            upstream::has_open(variants[DIRECT].port, 0).await;
        }
        cpu.push(an_event);
        let load = format!("{streams} open, {:.0} events/s, µs", streams as f64 / period.as_secs_f64());
        println!("\n{}", first_byte.table(&format!("to the first byte, {load}"), &variants));
        println!("{}", lag.table(&format!("from written to read, {load}"), &variants));
    }
    let open = CROWDS.map(|(streams, _)| format!("{streams} open"));
    let columns = open.iter().flat_map(|open| [open.as_str(), "times plain Envoy"]);
    let mut table =
        Table::new(&std::iter::once("CPU of the proxy for an event, µs").chain(columns).collect::<Vec<_>>());
    for (subject, variant) in variants.iter().enumerate().skip(PLAIN) {
        let figure =
            |cpu: &Figure| [format!("{:.1}", cpu.median(subject)), format!("{:.2}", cpu.times(subject, PLAIN))];
        table.row(&variant.name, cpu.iter().flat_map(figure));
    }
    println!("\n{table}");
}

struct Window {
    /// In microseconds.
    first_bytes: Vec<f64>,
    /// In microseconds.
    lags: Vec<f64>,
    /// The CPU time for all events.
    cpu: Duration,
}

async fn window(variant: &Variant, streams: usize, period: Duration) -> Window {
    let mut crowd = Crowd::open(variant.port, streams, period).await;
    crowd.lags();
    let before = variant.cpu();
    sleep(WINDOW).await;
    let cpu = variant.cpu() - before;
    let lags = crowd.lags();
    let expected = streams * WINDOW.as_micros() as usize / period.as_micros() as usize;
    assert!(lags.len() > expected / 2, "{}: {} of {expected} events came", variant.name, lags.len());
    let mut first_bytes = Vec::new();
    let mut apart = interval(NEWCOMERS_APART);
    for _ in 0..NEWCOMERS {
        apart.tick().await;
        let newcomer = Answer::to(variant.port, &path(period)).await;
        first_bytes.push(newcomer.first_byte.as_secs_f64() * 1e6);
    }
    Window { first_bytes, lags, cpu }
}

/// The median and the 99th percentile of the times of each window, in microseconds.
struct Times {
    median: Figure,
    percentile_99: Figure,
}

impl Times {
    fn new(subjects: usize) -> Self {
        Self { median: Figure::new(subjects), percentile_99: Figure::new(subjects) }
    }

    fn push(&mut self, subject: usize, times: &mut [f64]) {
        times.sort_by(f64::total_cmp);
        self.median.push(subject, times[times.len() / 2]);
        self.percentile_99.push(subject, times[(times.len() - 1) * 99 / 100]);
    }

    fn table(&self, what: &str, variants: &[Variant]) -> Table {
        let comparison = ["over direct", "times plain Envoy"];
        let columns = [&[what, "median"], &comparison[..], &["99th percentile"], &comparison].concat();
        let mut table = Table::new(&columns);
        for (subject, variant) in variants.iter().enumerate() {
            let cells = [&self.median, &self.percentile_99].into_iter().flat_map(|figure| {
                let (over, times) = (figure.over(subject, DIRECT), figure.times(subject, PLAIN));
                [format!("{:.0}", figure.median(subject)), format!("{over:+.0}"), format!("{times:.2}")]
            });
            table.row(&variant.name, cells);
        }
        table
    }
}
