//! Load from h2load far above a limit, and the number of admitted requests. All others must get
//! 429.

use std::{cell::Cell, future, time::Duration};

use tokio::time;

use super::{ALICE_KEY, File, Gateway, h2load};

/// Requests at a steady rate, over enough connections for every worker.
#[derive(Clone, Copy)]
pub struct Flood {
    /// Requests a second.
    pub rate: usize,
    pub seconds: usize,
}

/// The number of connections. Each has a whole number of requests a second.
const CONNECTIONS: usize = 25;

/// The result of a flood.
#[derive(Debug)]
pub struct Flooded {
    pub admitted: usize,
    pub refused: usize,
    /// The time from the first request to the last answer.
    pub elapsed: Duration,
}

impl Flood {
    /// Sends it, as alice.
    pub async fn send(self, url: &str) -> Flooded {
        let (connections, requests) = (CONNECTIONS.to_string(), (self.rate * self.seconds).to_string());
        let each = (self.rate / CONNECTIONS).to_string();
        let mut command = h2load();
        command.args(["-t", "1", "-c", &connections, "-m", "100", "-n", &requests, "--rps", &each]).args([
            "-H",
            &format!("x-api-key: {ALICE_KEY}"),
            url,
        ]);
        let output = command.output().await.expect("h2load runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let flooded = read(&said).unwrap_or_else(|| panic!("h2load says how it went: {said}"));
        assert_eq!(flooded.admitted + flooded.refused, self.rate * self.seconds, "200 or 429 to each: {said}");
        flooded
    }

    /// Sends it to a URL of a gateway and edits the gateway's file meanwhile, evenly spread. Also
    /// returns how many of the edits reached Envoy before the load ended.
    pub async fn send_with_edits(
        self,
        gateway: &Gateway,
        path: &str,
        edits: usize,
        edited: impl Fn(usize) -> File,
    ) -> (Flooded, usize) {
        let pause = Duration::from_secs(self.seconds as u64) / (edits as u32 + 1);
        let served = Cell::new(0);
        let edit = async {
            let mut tick = time::interval_at(time::Instant::now() + pause, pause);
            for edit in 1..=edits {
                tick.tick().await;
                gateway.edit(edited(edit)).await;
                served.set(edit);
            }
            future::pending().await
        };
        let url = gateway.url(path);
        let flooded = tokio::select! {
            flooded = self.send(&url) => flooded,
            never = edit => never,
        };
        (flooded, served.get())
    }
}

/// Reads h2load's summary: `finished in 20.00s, 10000.00 req/s, …` and
/// `status codes: 5250 2xx, 0 3xx, 194750 4xx, 0 5xx`.
fn read(said: &str) -> Option<Flooded> {
    let (_, rate) = said.split_once("finished in ")?.1.split_once(", ")?;
    let rate: f64 = rate.split_once(" req/s")?.0.parse().ok()?;
    let mut codes = said.split_once("status codes: ")?.1.split(", ");
    let mut count = |class: &str| codes.find_map(|code| code.strip_suffix(class)?.trim().parse::<usize>().ok());
    let (admitted, refused) = (count("2xx")?, count("4xx")?);
    Some(Flooded { admitted, refused, elapsed: Duration::from_secs_f64((admitted + refused) as f64 / rate) })
}

/// A limit, as in a route's `rate_limit`.
#[derive(Clone, Copy)]
pub struct Limited {
    pub algorithm: &'static str,
    /// Requests a second.
    pub limit: usize,
    /// Further requests that pass at the beginning.
    pub burst: usize,
    /// The fields beside `limit` and `window`.
    pub fields: &'static str,
}

impl Limited {
    /// Returns the most requests that may be admitted.
    pub fn most(&self, elapsed: Duration) -> f64 {
        self.burst as f64 + self.least(elapsed)
    }

    /// Returns the fewest requests that must be admitted, if enough are sent.
    pub fn least(&self, elapsed: Duration) -> f64 {
        self.limit as f64 * elapsed.as_secs_f64()
    }

    /// Compares a result with the limit.
    pub fn judge(&self, flooded: &Flooded) -> String {
        let Flooded { admitted, refused, elapsed } = flooded;
        let (most, offered) = (self.most(*elapsed), (admitted + refused) as f64 / elapsed.as_secs_f64());
        let (percent, times) = (*admitted as f64 / most * 100.0, offered / self.limit as f64);
        format!("admitted {admitted} of {most:.1}, {percent:.2} %; offered {offered:.0}/s, {times:.1} times the limit")
    }

    /// The path that has the limit.
    pub fn path(&self) -> String {
        format!("/{}", self.algorithm)
    }
}

/// Returns a file with a route for each limit, after this many edits. Each edit replaces one
/// consumer by another.
pub fn limited(limits: &[Limited], edit: usize) -> File {
    let route = |file: File, Limited { algorithm, limit, fields, .. }: &Limited| {
        let fields = "respond: {status: 200}, api_key: {}, rate_limit: {limit: LIMIT, window: 1s, by: routeFIELDS}"
            .replace("LIMIT", &limit.to_string())
            .replace("FIELDS", fields);
        file.and_route(algorithm, format!("/{algorithm}"), fields)
    };
    limits.iter().fold(File::default(), route).alice().consumer(format!("guest-{edit}"), format!("{edit:064}"))
}
