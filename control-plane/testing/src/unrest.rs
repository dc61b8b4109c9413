//! Makes fifty edits of all harmless kinds, one after the other, while a test's exchange goes on.

use std::net::SocketAddr;

use tokio::sync::watch;

use super::{File, Gateway, Options, free_port};

/// The number of edits.
const EDITS: usize = 50;

/// A gateway whose file is edited many times.
pub struct Unrest {
    pub gateway: Gateway,
    content: Content,
}

/// The parts of the file. Edits keep what the exchange needs, except the limit on its routes and
/// its cluster's `connect_timeout`.
#[derive(Clone)]
struct Content {
    /// The port of the listener that comes and goes.
    further_port: u16,
    routes: &'static [(&'static str, &'static str)],
    cluster: &'static str,
    svc: SocketAddr,
}

/// The number of edits in effect.
#[derive(Clone)]
pub struct Edits(watch::Receiver<usize>);

impl Unrest {
    /// Runs a gateway with these routes to one cluster at `svc`, all with the filter on. A route is
    /// its prefix and further fields (`stream: sse`). `cluster` has further fields of the cluster
    /// (`protocol: http2`). The route `/scarce` lets only one request pass.
    pub async fn start(
        routes: &'static [(&'static str, &'static str)],
        cluster: &'static str,
        svc: SocketAddr,
    ) -> Self {
        Self::start_with(Options::default(), routes, cluster, svc).await
    }

    /// Works as [`Self::start`], with options.
    pub async fn start_with(
        options: impl Into<Options>,
        routes: &'static [(&'static str, &'static str)],
        cluster: &'static str,
        svc: SocketAddr,
    ) -> Self {
        let content = Content { further_port: free_port(), routes, cluster, svc };
        let gateway = content.file(0).start_with(options).await;
        Self { gateway, content }
    }

    /// Makes all edits, each as soon as Envoy has the one before, while the exchange goes on. The
    /// exchange gets the number of edits in effect, and must outlast them all.
    pub async fn during<T>(&self, exchange: impl AsyncFnOnce(Edits) -> T) -> T {
        let (made, edits) = watch::channel(0);
        let edit = async {
            for number in 1..=EDITS {
                self.gateway.edit(self.content.file(number)).await;
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
    /// Returns whether all edits are in effect.
    pub fn are_over(&self) -> bool {
        *self.0.borrow() == EDITS
    }

    /// Runs a round for each edit, or fewer if rounds take longer, and a last one when all edits
    /// are in effect.
    pub async fn each(&mut self, mut round: impl AsyncFnMut()) {
        while !self.are_over() {
            round().await;
            self.another().await;
        }
        round().await;
    }

    /// Waits until another edit is in effect, or all are.
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

/// The number of kinds of edits.
const KINDS: usize = 13;

impl Content {
    /// Returns the file after this many edits, each of the next kind.
    fn file(&self, edits: usize) -> File {
        // The number of edits of this kind.
        let times = |kind: usize| (edits + KINDS - 1 - kind) / KINDS;
        let is_odd = |kind: usize| times(kind) % 2 == 1;
        let or = |kind: usize, even: &'static str, odd: &'static str| if is_odd(kind) { odd } else { even };
        let Self { further_port, routes, cluster, svc } = self;
        let mut file = File::default();
        for (number, (prefix, fields)) in routes.iter().enumerate() {
            let fields = "cluster: svc, api_key: {}, rate_limit: {limit: $OWN, window: 1h}, ".to_owned() + fields;
            file = file.and_route(format!("own-{number}"), prefix, fields);
        }
        let file = file
            .and_routes(or(0, "", "- {name: new, match: {prefix: /new}, cluster: svc}"))
            .and_routes(
                "
                - {name: scarce, match: {prefix: /scarce}, cluster: svc, api_key: {}, rate_limit: {limit: 1, window: 1h}}
                - {name: weighted, match: {prefix: /weighted}, clusters: [{name: svc, weight: $WEIGHT}, {name: other, weight: 10}]}
                - {name: patient, match: {prefix: /patient}, cluster: svc, timeouts: {request: $PATIENCE}}
                - {name: guarded, match: {prefix: /guarded}, cluster: svc$GUARD}
                ",
            )
            .cluster_with("svc", svc, &format!("connect_timeout: $CONNECT, {cluster}"))
            .cluster("other", "127.0.0.1:$ENDPOINT")
            .clusters(or(10, "", "- {name: new, endpoints: [\"127.0.0.1:9\"]}"))
            .plans("- {name: pro, limits: [{limit: $PLAN, window: 1m}]}")
            .consumers("- {name: alice, plan: pro, metadata: {team: $TEAM}, api_keys: [{sha256: $ALICE}]}")
            .top("defaults: {rate_limit_headers: $HEADERS}")
            .set("OWN", 100_000 + times(4))
            .set("WEIGHT", 10 + times(1))
            .set("PATIENCE", or(2, "30s", "40s"))
            .set("GUARD", or(3, "", ", api_key: {}"))
            .set("PLAN", 1000 + times(6))
            .set("TEAM", or(7, "red", "blue"))
            .set("ENDPOINT", 10_000 + times(8))
            .set("CONNECT", or(9, "5s", "6s"))
            .set("HEADERS", or(12, "ratelimit", "x-ratelimit"));
        let file = if is_odd(5) { file.bob() } else { file };
        if is_odd(11) {
            return file.and_listener_with("further", *further_port, "address: 127.0.0.1");
        }
        file
    }
}
