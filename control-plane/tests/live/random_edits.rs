//! Many random edits, some of them bad, while traffic runs on two workers, from clients in this
//! process and from h2load: no request fails and no stream is cut.
//!
//! `EDITS` sets their number (40) and `EDITS_SEED` the seed (23, which once found a configuration
//! that comes back). The same seed makes the same edits, so that a failure can be repeated.

use std::{collections::BTreeSet, net::SocketAddr};

use legation_testing::{
    Chance, Events, File, Gateway, Hammer, Load, Options, TakenPort, Variant, both_variants, eventually, free_port,
    upstream,
};

both_variants! {
    random_edits_disturb_nothing,
}

/// The content of the file at the moment.
struct Content {
    second_port: u16,
    upstreams: Vec<SocketAddr>,
    /// The number that a route answers with. It tells which edit is served.
    edit: usize,
    has_second_listener: bool,
    extra_routes: BTreeSet<usize>,
    weights: (usize, usize),
    /// The number in the name of the cluster that the moving routes lead to.
    moved: usize,
    /// The upstreams of the spread cluster, at least one.
    spread: BTreeSet<usize>,
    limit: usize,
    has_bob: bool,
    asks_for_a_key: bool,
    connect_timeout: usize,
    balancer: &'static str,
}

const BALANCERS: [&str; 5] = ["round_robin", "least_request", "random", "ring_hash", "maglev"];

impl Content {
    /// Makes a random change. Returns its name.
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

    fn file(&self) -> File {
        let routes = r#"
            - {name: edit, match: {path: /edit}, respond: {status: 200, body: "$EDIT"}}
            - {name: events, match: {prefix: /events}, cluster: one, stream: sse, api_key: {}}
            - {name: moving-events, match: {prefix: /moving-events}, cluster: $MOVING, stream: sse}
            - {name: steady, match: {prefix: /steady}, cluster: one}
            - {name: keyed, match: {prefix: /keyed}, cluster: one, api_key: {}}
            - {name: changing, match: {prefix: /changing}, cluster: one$POLICY}
            - {name: canary, match: {prefix: /canary}, clusters: [{name: one, weight: $ONE}, {name: two, weight: $TWO}]}
            - {name: limited, match: {prefix: /limited}, cluster: one, rate_limit: {limit: $LIMIT, window: 1h}}
            - {name: moving, match: {prefix: /moving}, cluster: $MOVING}
            - {name: spread, match: {prefix: /spread}, cluster: spread}
        "#;
        let [one, two] = [self.upstreams[0], self.upstreams[1]];
        let spread = self.spread.iter().map(|number| self.upstreams[*number].to_string()).collect::<Vec<_>>();
        let mut file = File::routes(routes)
            .cluster("one", one)
            .cluster_with("two", two, &format!("connect_timeout: {}s", self.connect_timeout))
            .cluster("$MOVING", two)
            .clusters("- {name: spread, endpoints: $SPREAD, lb: $BALANCER}")
            .set("SPREAD", format!("{spread:?}"))
            .set("BALANCER", self.balancer)
            .alice()
            .set("MOVING", format!("moving-{}", self.moved))
            .set("EDIT", self.edit)
            .set("POLICY", if self.asks_for_a_key { ", api_key: {}" } else { "" })
            .set("ONE", self.weights.0)
            .set("TWO", self.weights.1)
            .set("LIMIT", self.limit);
        if self.has_second_listener {
            file = file.and_listener("second", self.second_port);
        }
        for number in &self.extra_routes {
            file = file.and_route(format!("extra-{number}"), format!("/steady/{number}"), "cluster: two");
        }
        if self.has_bob { file.bob() } else { file }
    }

    /// Returns the file with a fault that the control plane finds.
    fn faulty(&self, chance: &mut Chance) -> String {
        let text = self.file().to_string();
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

/// Returns Envoy's counters that may explain why a request failed.
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

async fn random_edits_disturb_nothing(variant: Variant) {
    let (edits, seed) = (variable("EDITS", 40), variable("EDITS_SEED", 23));
    let mut chance = Chance(seed as u64);
    let mut upstreams = Vec::new();
    for number in 0..4 {
        upstreams.push(upstream(&format!("upstream-{number}")).await);
    }
    let taken = TakenPort::take();
    let mut content = Content {
        second_port: free_port(),
        upstreams,
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
    let arguments = [variant.arguments(), &["--concurrency", "2"]].concat();
    let gateway = content.file().start_with(arguments.iter().collect::<Options>()).await;

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
                // The control plane does not send a rejected listener again, so each has another
                // name.
                gateway.write(content.file().and_listener(&format!("taken-{number}"), taken.port));
                eventually("Envoy rejects it", || async { rejected().await > before }).await;
                "a port that is taken"
            } else {
                gateway.write(content.faulty(&mut chance));
                eventually("the fault is found", || async {
                    let status = gateway.status().await;
                    let diagnostics = status["file"]["diagnostics"].as_array().unwrap();
                    diagnostics.iter().any(|diagnostic| diagnostic["severity"] == "error")
                })
                .await;
                "a fault"
            }
        } else {
            let what = content.change(&mut chance);
            gateway.write(content.file());
            // The test does not wait for one edit in four.
            if !chance.one_in(4) {
                eventually("the edit serves", || serves(content.edit)).await;
            }
            what
        };
        eprintln!("seed {seed}, edit {number}: {what}");
        hammers.iter().for_each(Hammer::is_well);
    }

    content.change(&mut chance);
    gateway.edit(content.file()).await;
    eventually("the last edit serves", || serves(content.edit)).await;
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
