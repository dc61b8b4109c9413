//! Edits that move names between routes with strong and with weak policies, under load. The policy
//! of its own route always judges a request.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use legation_testing::{
    ALICE_KEY, Chance, Client, ControlPlane, Envoy, File, TakenPort, Variant, both_variants, eventually, free_port,
};
use tokio::task::JoinHandle;

both_variants! {
    no_request_is_judged_by_the_policy_of_another_route,
}

/// Edits that Envoy has accepted or rejected by the end.
const EDITS: usize = 200;
/// Routes of each kind.
const ROUTES: usize = 4;
/// Each refuses a request without a key, and admits alice.
const STRONG: &[&str] = &[
    "api_key: {}",
    "api_key: {plans: [pro]}",
    "api_key: {consumers: [alice]}",
    "api_key: {}, rate_limit: {limit: 1000000, window: 1h, by: consumer}",
    "api_key: {plans: [pro]}, rate_limit: {plan: true}",
];
/// Each admits a request without a key.
const WEAK: &[&str] = &[
    "",
    "rate_limit: {limit: 1000000, window: 1h}",
    "api_key: {optional: true}",
    "api_key: {optional: true, anonymous_plan: free}, rate_limit: {plan: true}",
];

/// The parts of the file that stay the same, and the state of those that change.
struct Edits {
    port: u16,
    /// A port that another process holds, and one where no server answers.
    taken: u16,
    silent: u16,
    chance: Chance,
    names: Vec<String>,
    made: usize,
    warm: usize,
}

impl Edits {
    /// Returns the next file: it swaps names between all routes, renames some, and changes
    /// policies. Now and then it has a cluster that warms slowly, or a listener that Envoy cannot
    /// have.
    fn next(&mut self) -> File {
        self.made += 1;
        for place in (1..self.names.len()).rev() {
            let other = self.chance.below(place + 1);
            self.names.swap(place, other);
        }
        if self.chance.one_in(3) {
            let place = self.chance.below(self.names.len());
            self.names[place] = format!("renamed-{}", self.made);
        }
        let rejected = self.made.is_multiple_of(15);
        self.warm += usize::from(self.made.is_multiple_of(10));
        self.file(rejected)
    }

    fn file(&mut self, rejected: bool) -> File {
        let Self { port, taken, silent, made, warm, .. } = *self;
        let mut file = File::default().port(port);
        if rejected {
            file = file.and_listener("taken", taken);
        }
        for (place, name) in self.names.iter().enumerate() {
            let (path, policies) = if place < ROUTES { ("admin", STRONG) } else { ("public", WEAK) };
            let policy = self.chance.pick(policies);
            let fields = "respond: {status: 200}, ".to_owned() + policy;
            file = file.and_route(name, format!("/{path}/{}", place % ROUTES), fields);
        }
        let routes = "
            - {name: slow, match: {prefix: /slow}, cluster: slow}
            - {name: edit-$MADE, match: {prefix: /edit}, respond: {status: 200}}
        ";
        let plans = "
            - {name: pro, limits: [{limit: 1000000, window: 1h}]}
            - {name: free, limits: [{limit: 1000000, window: 1h}]}
        ";
        let rest = "
            defaults: {rollout: {canary: 1}}
            envoy:
            - '@type': type.googleapis.com/envoy.config.cluster.v3.Cluster
              name: slow
              type: STATIC
              connect_timeout: $WARMs
              health_checks:
              - timeout: 0.3s
                interval: 60s
                unhealthy_threshold: 1
                healthy_threshold: 1
                http_health_check: {path: /}
              load_assignment:
                cluster_name: slow
                endpoints:
                - lb_endpoints:
                  - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $SILENT}}}
        ";
        file.and_routes(routes)
            .consumers("- {name: alice, plan: pro, api_keys: [{sha256: $ALICE}]}")
            .plans(plans)
            .top(rest)
            .set("MADE", made)
            .set("WARM", 1 + warm)
            .set("SILENT", silent)
    }
}

/// Sends requests to routes of one kind without a pause, and counts the statuses of the answers.
struct Asking {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<BTreeMap<u16, usize>>>,
    task: JoinHandle<()>,
}

impl Asking {
    fn start(port: u16, path: &'static str, key: &'static str) -> Self {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<Mutex<BTreeMap<u16, usize>>>::default());
        let task = tokio::spawn({
            let (stop, answers) = (stop.clone(), answers.clone());
            async move {
                let mut client = Client::new();
                let headers: &[_] = if key.is_empty() { &[] } else { &[("x-api-key", key)] };
                for number in 0_usize.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // A new connection may reach the other Envoy.
                    if number % 40 == 0 {
                        client = Client::new();
                    }
                    let url = format!("http://127.0.0.1:{port}/{path}/{}", number % ROUTES);
                    let status = client.try_get(&url, headers).await.map_or(0, |answer| answer.status.as_u16());
                    *answers.lock().unwrap().entry(status).or_default() += 1;
                }
            }
        });
        Self { stop, answers, task }
    }

    /// Ends, and makes sure that every answer had this status.
    async fn had_only(self, status: u16) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("it does not panic");
        let answers = self.answers.lock().unwrap();
        assert!(answers.len() == 1 && answers[&status] > EDITS, "not only {status}: {answers:?}");
    }
}

async fn no_request_is_judged_by_the_policy_of_another_route(variant: Variant) {
    let variant = variant.arguments();
    let (taken, silent) = (TakenPort::take(), TcpListener::bind("127.0.0.1:0").unwrap());
    let mut edits = Edits {
        port: free_port(),
        taken: taken.port,
        silent: silent.local_addr().unwrap().port(),
        chance: Chance(8),
        names: (0..2 * ROUTES).map(|number| format!("n{number}")).collect(),
        made: 0,
        warm: 0,
    };
    let control_plane = ControlPlane::start(edits.file(false), [""; 0]).await;
    // Both Envoys listen on the same port.
    let envoys = [Envoy::join(&control_plane, "a", variant).await, Envoy::join(&control_plane, "b", variant).await];
    control_plane.at(1, 1, 0).await;
    for envoy in &envoys {
        envoy.has_listeners(&["http"]).await;
    }
    let without_key = ["admin", "admin", "admin"].map(|path| Asking::start(edits.port, path, ""));
    let with_key = Asking::start(edits.port, "admin", ALICE_KEY);
    let public = Asking::start(edits.port, "public", "");

    let generations = async || {
        let status = control_plane.status().await;
        ["serving", "confirmed", "rejected"].map(|name| status["generation"][name].as_u64().unwrap_or(0))
    };
    let latest = |generations: [u64; 3]| generations.into_iter().max().unwrap_or_default();
    for edit in 0..EDITS {
        if edit % 4 == 0 {
            // The test does not wait for this one.
            control_plane.write(edits.next());
        }
        let before = latest(generations().await);
        control_plane.write(edits.next());
        eventually("the edit is accepted or rejected", || async {
            let [serving, confirmed, rejected] = generations().await;
            let latest = latest([serving, confirmed, rejected]);
            latest > before && (confirmed == latest || rejected == latest)
        })
        .await;
    }
    for asking in without_key {
        asking.had_only(401).await;
    }
    with_key.had_only(200).await;
    public.had_only(200).await;
}
