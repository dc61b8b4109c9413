//! Many random edits, some of them bad, while traffic runs on two workers, from clients in this process and from h2load: no request fails and no stream is cut.
//!
//! `EDITS` says how many (40), `EDITS_SEED` which (23, which once found a configuration that comes back): the same seed gives the same edits, so that a failure can be repeated.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::{SocketAddr, TcpListener},
};

use crate::support::{
    ALICE_SHA256, BOB_SHA256, Chance, DELTA, Events, Gateway, Hammer, Load, SOTW, eventually, free_port, upstream,
};

/// What the file says at the moment.
struct File {
    ports: [u16; 2],
    upstreams: Vec<SocketAddr>,
    /// A number that a route answers with: it tells which edit serves.
    edit: usize,
    has_second_listener: bool,
    extra_routes: BTreeSet<usize>,
    weights: (usize, usize),
    /// Which cluster the moving routes lead to; each has another name.
    moved: usize,
    /// Which upstreams the spread cluster has, never none.
    spread: BTreeSet<usize>,
    limit: usize,
    has_bob: bool,
    asks_for_a_key: bool,
    connect_timeout: usize,
    balancer: &'static str,
}

const BALANCERS: [&str; 5] = ["round_robin", "least_request", "random", "ring_hash", "maglev"];

impl File {
    /// Changes something, and gives its name.
    fn change(&mut self, chance: &mut Chance) -> &'static str {
        fn toggle(set: &mut BTreeSet<usize>, item: usize) {
            if !set.remove(&item) {
                set.insert(item);
            }
        }
        self.edit += 1;
        match chance.below(10) {
            0 => {
                toggle(&mut self.extra_routes, chance.below(8));
                "a route"
            }
            1 => {
                let share = chance.below(101);
                self.weights = (share, 100 - share);
                "weights"
            }
            2 => {
                self.moved += 1;
                "the cluster of a route"
            }
            3 => {
                toggle(&mut self.spread, chance.below(self.upstreams.len()));
                if self.spread.is_empty() {
                    self.spread.insert(0);
                }
                "endpoints"
            }
            4 => {
                self.limit = 1_000_000 + chance.below(1_000_000);
                "a limit"
            }
            5 => {
                self.has_bob = !self.has_bob;
                "a consumer's key"
            }
            6 => {
                self.asks_for_a_key = !self.asks_for_a_key;
                "a route's policy"
            }
            7 => {
                self.connect_timeout = 1 + chance.below(9);
                "a timeout of a cluster"
            }
            8 => {
                self.balancer = BALANCERS[chance.below(BALANCERS.len())];
                "a cluster's balancer"
            }
            _ => {
                self.has_second_listener = !self.has_second_listener;
                "a listener"
            }
        }
    }

    fn text(&self) -> String {
        let [port, second_port] = self.ports;
        let [one, two] = [self.upstreams[0], self.upstreams[1]];
        let Self { edit, weights, moved, limit, connect_timeout, balancer, .. } = self;
        let mut text = format!("version: 1\nlisteners:\n- {{name: http, port: {port}}}\n");
        if self.has_second_listener {
            let _ = writeln!(text, "- {{name: second, port: {second_port}}}");
        }
        let policy = if self.asks_for_a_key { ", api_key: {}" } else { "" };
        let _ = write!(
            text,
            r#"routes:
- {{name: edit, match: {{path: /edit}}, respond: {{status: 200, body: "{edit}"}}}}
- {{name: events, match: {{prefix: /events}}, cluster: one, stream: sse, api_key: {{}}}}
- {{name: moving-events, match: {{prefix: /moving-events}}, cluster: moving-{moved}, stream: sse}}
- {{name: steady, match: {{prefix: /steady}}, cluster: one}}
- {{name: keyed, match: {{prefix: /keyed}}, cluster: one, api_key: {{}}}}
- {{name: changing, match: {{prefix: /changing}}, cluster: one{policy}}}
- {{name: canary, match: {{prefix: /canary}}, clusters: [{{name: one, weight: {}}}, {{name: two, weight: {}}}]}}
- {{name: limited, match: {{prefix: /limited}}, cluster: one, rate_limit: {{limit: {limit}, window: 1h}}}}
- {{name: moving, match: {{prefix: /moving}}, cluster: moving-{moved}}}
- {{name: spread, match: {{prefix: /spread}}, cluster: spread}}
"#,
            weights.0, weights.1
        );
        for number in &self.extra_routes {
            let _ = writeln!(text, "- {{name: extra-{number}, match: {{prefix: /steady/{number}}}, cluster: two}}");
        }
        let spread = self.spread.iter().map(|number| format!("\"{}\"", self.upstreams[*number])).collect::<Vec<_>>();
        let _ = write!(
            text,
            r#"clusters:
- {{name: one, endpoints: ["{one}"]}}
- {{name: two, endpoints: ["{two}"], connect_timeout: {connect_timeout}s}}
- {{name: moving-{moved}, endpoints: ["{two}"]}}
- {{name: spread, endpoints: [{}], lb: {balancer}}}
consumers:
- {{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}
"#,
            spread.join(", ")
        );
        if self.has_bob {
            let _ = writeln!(text, "- {{name: bob, api_keys: [{{sha256: {BOB_SHA256}}}]}}");
        }
        text
    }

    /// What it says with a fault that the control plane finds.
    fn faulty(&self, chance: &mut Chance) -> String {
        let text = self.text();
        match chance.below(5) {
            0 => text.replace("routes:", "routes: {"),
            1 => text.replace("cluster: spread", "cluster: spred"),
            2 => text.replace("window: 1h", "windw: 1h"),
            3 => text.replace("name: steady", "name: keyed"),
            _ => text[..text.len() / 2].to_owned(),
        }
    }
}

fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// What Envoy counted that may tell why a request failed.
async fn why(gateway: &Gateway) -> String {
    let stats = gateway.envoy_admin("/stats?usedonly").await;
    let telling = |line: &&str| {
        let words = [
            "5xx",
            "_503",
            "_504",
            "reset",
            "fail",
            "overflow",
            "timeout",
            "none_healthy",
            "no_route",
            "wasm",
            "no_cluster",
        ];
        words.iter().any(|word| line.contains(word)) && !line.ends_with(": 0")
    };
    stats.lines().filter(telling).collect::<Vec<_>>().join("\n")
}

async fn random_edits_disturb_nothing(variant: &[&str]) {
    let (edits, seed) = (variable("EDITS", 40), variable("EDITS_SEED", 23));
    let mut chance = Chance(seed as u64);
    let mut upstreams = Vec::new();
    for number in 0..4 {
        upstreams.push(upstream(&format!("upstream-{number}")).await);
    }
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    let second_port = free_port();
    let start = |port| File {
        ports: [port, second_port],
        upstreams: upstreams.clone(),
        edit: 0,
        has_second_listener: false,
        extra_routes: BTreeSet::new(),
        weights: (50, 50),
        moved: 0,
        spread: BTreeSet::from([0, 1]),
        limit: 1_000_000,
        has_bob: false,
        asks_for_a_key: false,
        connect_timeout: 5,
        balancer: BALANCERS[0],
    };
    let arguments = [variant, &["--concurrency", "2"]].concat();
    let gateway = Gateway::start_with(arguments.as_slice().into(), |port| start(port).text()).await;
    let mut file = start(gateway.port);

    let mut streams = Vec::new();
    for path in ["/events/sse", "/moving-events/sse"].repeat(4) {
        streams.push(Events::open(gateway.url(path)).await);
    }
    let paths = ["/steady", "/steady/3", "/keyed", "/changing", "/canary", "/limited", "/moving", "/spread"];
    let hammers: Vec<_> = paths.repeat(3).into_iter().map(|path| Hammer::start(gateway.url(path))).collect();
    let urls = || paths.map(|path| gateway.url(path)).to_vec();
    let loads = [Load::start(urls(), &["-m", "4"]), Load::start(urls(), &["--h1"])];
    let serves = async |edit: usize| gateway.get("/edit", &[]).await.body == edit.to_string();
    let rejected = async || gateway.envoy_counter("listener_manager.lds.update_rejected").await;

    for number in 1..=edits {
        let what = if chance.one_in(10) {
            if chance.one_in(3) {
                let before = rejected().await;
                // Another name each time: what was rejected once is not sent again.
                let listener = format!("listeners:\n- {{name: taken-{number}, port: {taken_port}}}\n");
                gateway.write(&file.text().replace("listeners:\n", &listener));
                eventually("Envoy rejects it", || async { rejected().await > before }).await;
                "a port that is taken"
            } else {
                gateway.write(&file.faulty(&mut chance));
                eventually("the fault is found", || async {
                    let status = gateway.status().await;
                    let diagnostics = status["file"]["diagnostics"].as_array().unwrap();
                    diagnostics.iter().any(|diagnostic| diagnostic["severity"] == "error")
                })
                .await;
                "a fault"
            }
        } else {
            let what = file.change(&mut chance);
            gateway.write(&file.text());
            // One in four is followed at once by the next.
            if !chance.one_in(4) {
                eventually("the edit serves", || serves(file.edit)).await;
            }
            what
        };
        eprintln!("seed {seed}, edit {number}: {what}");
        hammers.iter().for_each(Hammer::is_well);
    }

    file.change(&mut chance);
    gateway.edit(&file.text()).await;
    eventually("the last edit serves", || serves(file.edit)).await;
    for stream in &mut streams {
        stream.go_on().await;
    }
    let mut requests = 0;
    for load in loads {
        match load.stop().await {
            Ok(count) => requests += count,
            Err(words) => panic!("{words}\n{}", why(&gateway).await),
        }
    }
    for hammer in hammers {
        requests += hammer.stop().await;
    }
    eprintln!("seed {seed}: {edits} edits, {requests} requests, {} streams", streams.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn random_edits_disturb_nothing_in_delta() {
    random_edits_disturb_nothing(DELTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_edits_disturb_nothing_in_state_of_the_world() {
    random_edits_disturb_nothing(SOTW).await;
}
