//! The server under test: the xDS part of `legation serve`, with a gateway file made here.

use std::{
    env,
    fmt::Write as _,
    future::pending,
    io::{BufRead, stdin},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use legation::{
    config::{self, Source},
    filter_module::MODULE,
    model::Model,
    rollout::{
        Rollout,
        relay::{Heard, Relay},
    },
    snapshot::Snapshot,
    status::{Status, metrics::Metrics},
    translate,
    xds::{Plan, server},
};
use tokio::sync::{mpsc, watch};

/// The variable that makes this process the server. Its value is the number of clusters.
pub const CLUSTERS: &str = "FLEET_CLUSTERS";

/// With this many, a load assignment is about as large as those of other control planes' figures.
const ENDPOINTS: usize = 18;

/// Returns the name of a cluster.
pub fn cluster(number: usize) -> String {
    format!("cluster-{number:05}")
}

/// Returns whether this process is the server.
pub fn is_wanted() -> bool {
    env::var_os(CLUSTERS).is_some()
}

/// Serves until standard input ends, and publishes a generation for each line.
pub fn run() {
    let clusters = env::var(CLUSTERS).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Reads the file before measuring. Another benchmark measures reading.
    let models = [model(clusters, 2), model(clusters, 3)];
    let listener = runtime.block_on(async { server::listen(([127, 0, 0, 1], 0).into()) }).unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let rollout = Arc::new(Mutex::new(Rollout::default()));
    let plans = watch::Sender::default();
    publish(&rollout, &plans, &model(clusters, 1));
    let (tell, mut heard) = mpsc::unbounded_channel::<Heard>();
    let status = Arc::new(Status::new("gateway.yaml".into(), Arc::new(Metrics::default())));
    runtime.spawn(server::serve(listener, plans.subscribe(), Arc::new(Relay::new(status, tell)), pending()));
    let decides = rollout.clone();
    runtime.spawn(async move {
        while let Some(Heard { stream, input, .. }) = heard.recv().await {
            decides.lock().unwrap().take(stream, input);
        }
    });
    for (line, model) in stdin().lock().lines().zip(models.iter().cycle()) {
        line.unwrap();
        println!("{}", publish(&rollout, &plans, model).as_micros());
    }
}

/// Returns how long making the snapshot took.
fn publish(rollout: &Mutex<Rollout>, plans: &watch::Sender<Plan>, model: &Model) -> Duration {
    let start = Instant::now();
    let resources = translate::resources(model, &[], &MODULE);
    let mut rollout = rollout.lock().unwrap();
    rollout.propose(|generation| Snapshot::new(generation, resources), 0);
    let took = start.elapsed();
    plans.send_replace(rollout.plan());
    took
}

/// Returns a gateway file with this many clusters. Each edition has another endpoint in one of
/// them.
fn model(clusters: usize, edition: u16) -> Model {
    let mut file = "version: 1\nlisteners: [{name: http, port: 8000}]\n".to_owned();
    file += "routes: [{name: all, match: {prefix: /}, cluster: cluster-00000}]\nclusters:\n";
    for number in 0..clusters {
        write!(file, "- {{name: {}, endpoints: [", cluster(number)).unwrap();
        for endpoint in 0..ENDPOINTS {
            let port = if (number, endpoint) == (clusters / 2, 0) { 10_000 + edition } else { 8_000 };
            let [_, _, high, low] = u32::try_from(number).unwrap().to_be_bytes();
            write!(file, "\"10.{high}.{low}.{}:{port}\", ", 100 + endpoint).unwrap();
        }
        file += "]}\n";
    }
    let loaded = config::load(&Source { file: "gateway.yaml".into(), bytes: file.into_bytes() }, &|_| None);
    loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}
