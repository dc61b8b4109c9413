//! Fifty edits of every kind that may be made under traffic, one after the other, while a test's exchange goes on.

use std::net::SocketAddr;

use tokio::sync::watch;

use super::{ALICE_SHA256, BOB_SHA256, Gateway, Options, free_port};

/// How many edits are made.
const EDITS: usize = 50;

/// A gateway whose file is edited again and again.
pub struct Unrest {
    pub gateway: Gateway,
    file: File,
}

/// What the file is made from. What the exchange needs of it stays, but for the limit on its routes and its cluster's
/// `connect_timeout`.
#[derive(Clone)]
struct File {
    port: u16,
    /// Where the listener is that comes and goes.
    further_port: u16,
    routes: &'static [(&'static str, &'static str)],
    cluster: &'static str,
    svc: SocketAddr,
}

/// How many edits are in effect.
#[derive(Clone)]
pub struct Edits(watch::Receiver<usize>);

impl Unrest {
    /// Runs a gateway with these routes to one cluster at `svc`, each of them with the filter on it. A route is its prefix and
    /// further fields of it (`stream: sse`); `cluster` is further fields of the cluster (`protocol: http2`). Beside them
    /// `/scarce` is a route that lets one request pass.
    pub async fn start(
        routes: &'static [(&'static str, &'static str)],
        cluster: &'static str,
        svc: SocketAddr,
    ) -> Self {
        Self::start_with(Options::default(), routes, cluster, svc).await
    }

    /// The same, with options.
    pub async fn start_with(
        options: Options,
        routes: &'static [(&'static str, &'static str)],
        cluster: &'static str,
        svc: SocketAddr,
    ) -> Self {
        let further_port = free_port();
        let file = |port| File { port, further_port, routes, cluster, svc };
        let gateway = Gateway::start_with(options, |port| file(port).text(0)).await;
        let file = file(gateway.port);
        Self { gateway, file }
    }

    /// Makes all edits, each as soon as Envoy has the one before, while the exchange goes on; it is told how many are in
    /// effect, and has to outlast them all.
    pub async fn during<T>(&self, exchange: impl AsyncFnOnce(Edits) -> T) -> T {
        let (made, edits) = watch::channel(0);
        let edit = async {
            for number in 1..=EDITS {
                self.gateway.edit(&self.file.text(number)).await;
                made.send_replace(number);
            }
        };
        tokio::pin!(edit);
        let exchange = exchange(Edits(edits));
        tokio::pin!(exchange);
        let outcome = tokio::select! {
            () = &mut edit => exchange.await,
            _ = &mut exchange => panic!("it ended before the edits, after {}", *made.borrow()),
        };
        assert_eq!(
            self.gateway.envoy_counter("listener_manager.listener_modified").await,
            0,
            "no listener was touched"
        );
        outcome
    }
}

impl Edits {
    /// Whether all are in effect.
    pub fn are_over(&self) -> bool {
        *self.0.borrow() == EDITS
    }

    /// Does something once for each edit, or less often if it takes longer, and a last time when all are in effect.
    pub async fn each(&mut self, mut round: impl AsyncFnMut()) {
        while !self.are_over() {
            round().await;
            self.another().await;
        }
        round().await;
    }

    /// Waits until another one is in effect, or all are.
    pub async fn another(&mut self) {
        if !self.are_over() {
            self.0.changed().await.expect("edits are made");
        }
    }

    /// Waits until all are in effect.
    pub async fn over(&mut self) {
        self.0.wait_for(|made| *made == EDITS).await.expect("edits are made");
    }
}

/// How many kinds of edits there are.
const KINDS: usize = 13;

impl File {
    /// The file after so many edits, each of the next kind.
    fn text(&self, edits: usize) -> String {
        // How often this kind was edited.
        let times = |kind: usize| (edits + KINDS - 1 - kind) / KINDS;
        let or = |kind: usize, even: &str, odd: &str| if times(kind) % 2 == 0 { even } else { odd }.to_owned();
        let Self { port, further_port, routes, cluster, svc } = self;
        let limit = 100_000 + times(4);
        let own = routes.iter().enumerate().map(|(number, (prefix, fields))| {
            format!(
                "- {{name: own-{number}, match: {{prefix: {prefix}}}, cluster: svc, api_key: {{}}, \
                 rate_limit: {{limit: {limit}, window: 1h}}, {fields}}}\n"
            )
        });
        format!(
            r#"
version: 1
defaults: {{rate_limit_headers: {headers}}}
listeners:
- {{name: http, port: {port}}}
{further_listener}
routes:
{own}
{route}
- {{name: scarce, match: {{prefix: /scarce}}, cluster: svc, api_key: {{}}, rate_limit: {{limit: 1, window: 1h}}}}
- {{name: weighted, match: {{prefix: /weighted}}, clusters: [{{name: svc, weight: {weight}}}, {{name: other, weight: 10}}]}}
- {{name: patient, match: {{prefix: /patient}}, cluster: svc, timeouts: {{request: {patience}}}}}
- {{name: guarded, match: {{prefix: /guarded}}, cluster: svc{guard}}}
clusters:
- {{name: svc, endpoints: ["{svc}"], connect_timeout: {connect}, {cluster}}}
- {{name: other, endpoints: ["127.0.0.1:{endpoint}"]}}
{further_cluster}
plans:
- {{name: pro, limits: [{{limit: {plan}, window: 1m}}]}}
consumers:
- {{name: alice, plan: pro, metadata: {{team: {team}}}, api_keys: [{{sha256: {ALICE_SHA256}}}]}}
{bob}
"#,
            own = own.collect::<String>(),
            route = or(0, "", "- {name: new, match: {prefix: /new}, cluster: svc}"),
            weight = 10 + times(1),
            patience = or(2, "30s", "40s"),
            guard = or(3, "", ", api_key: {}"),
            bob = or(5, "", &format!("- {{name: bob, api_keys: [{{sha256: {BOB_SHA256}}}]}}")),
            plan = 1000 + times(6),
            team = or(7, "red", "blue"),
            endpoint = 10_000 + times(8),
            connect = or(9, "5s", "6s"),
            further_listener = or(11, "", &format!("- {{name: further, address: 127.0.0.1, port: {further_port}}}")),
            further_cluster = or(10, "", "- {name: new, endpoints: [\"127.0.0.1:9\"]}"),
            headers = or(12, "ratelimit", "x-ratelimit"),
        )
    }
}
