//! A real Envoy against the server, in both variants. `ENVOY` names the binary; the default is
//! `target/envoy/envoy`.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{
    Wire,
    messages::{eds_cluster, endpoints, listener, resource, routes},
    recorder::Recorder,
};
use legation::{
    snapshot::Snapshot,
    xds::{Event, Plan, server},
};
use legation_protos::{ResourceType, pb::envoy::config::cluster::v3::Cluster};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
};

both_variants! {
    async
    envoy_is_live_at_once_and_a_changed_cluster_is_effective_at_once_o3_o4,
    a_route_that_moves_to_a_new_cluster_twenty_times_loses_no_request_o1_o2,
    what_envoy_rejects_is_not_sent_again_and_a_roll_back_mends_it_g7,
    what_envoy_applied_of_a_rejected_push_is_undone_g7,
    a_new_listener_gets_its_routes_at_once_o6_o9,
}

async fn envoy_is_live_at_once_and_a_changed_cluster_is_effective_at_once_o3_o4<V: Wire>() {
    let gateway = Gateway::start(V::API_TYPE).await;
    let start = Instant::now();
    let envoy = Envoy::start(&gateway).await;
    envoy.answers(200).await;
    let live = start.elapsed();
    gateway.recorder.confirmed(1).await;
    let events = gateway.recorder.events();
    let Event::Opened { node, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!((node.id.as_str(), node.cluster.as_str()), ("envoy-1", "edge"));
    assert!(node.build_version.starts_with("1."), "{node:?}");

    let start = Instant::now();
    gateway.publish(2, |parts| parts.connect_timeout = 7);
    envoy.until("the cluster has its new timeout", "/config_dump?resource=dynamic_active_clusters", "\"7s\"").await;
    let changed = start.elapsed();
    gateway.recorder.confirmed(2).await;
    eprintln!("{}: live after {live:?}, changed cluster effective after {changed:?}", V::NAME);
    assert!(live < Duration::from_secs(8), "live after {live:?}");
    assert!(changed < Duration::from_secs(5), "effective after {changed:?}; 15 s is what it takes without O4");
}

/// Envoy accepts a listener before that is warm. So its routes wait for the ACK only shortly.
async fn a_new_listener_gets_its_routes_at_once_o6_o9<V: Wire>() {
    let gateway = Gateway::start(V::API_TYPE).await;
    let envoy = Envoy::start(&gateway).await;
    envoy.answers(200).await;
    gateway.recorder.confirmed(1).await;

    let start = Instant::now();
    let port = free_port();
    gateway.publish(2, |parts| parts.listeners = vec![port]);
    wait_for("the new listener answers", || async { get(port, "/").await.filter(|(is, _)| *is == 200) }).await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "it took {took:?}; 15 s is what it takes where each waits for the other");
    let events = gateway.recorder.events();
    let position = |is: fn(&Event) -> bool| events.iter().position(is).expect("it happened");
    let accepted = position(|event| matches!(event, Event::Acked { kind: ResourceType::Listener, generation: 2 }));
    let sent = position(|event| matches!(event, Event::Sent { kind: ResourceType::Route, generation: 2, .. }));
    assert!(accepted < sent, "{events:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_that_comes_back_after_a_restart_is_sent_no_resource_d11() {
    let mut gateway = Gateway::start("DELTA_GRPC").await;
    let envoy = Envoy::start(&gateway).await;
    envoy.answers(200).await;
    gateway.recorder.confirmed(1).await;
    gateway.restart().await;
    gateway.recorder.confirmed(1).await;
    let sent = |event: &Event| match event {
        Event::Sent { resources, removed, .. } => resources + removed,
        _ => 0,
    };
    assert_eq!(gateway.recorder.events().iter().map(sent).sum::<usize>(), 0, "{:#?}", gateway.recorder.events());
    envoy.answers(200).await;
}

async fn a_route_that_moves_to_a_new_cluster_twenty_times_loses_no_request_o1_o2<V: Wire>() {
    let gateway = Gateway::start(V::API_TYPE).await;
    let envoy = Envoy::start(&gateway).await;
    envoy.answers(200).await;
    gateway.recorder.confirmed(1).await;

    let stop = Arc::new(AtomicBool::new(false));
    let (good, bad) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let traffic = tokio::spawn({
        let (stop, good, bad, port) = (stop.clone(), good.clone(), bad.clone(), envoy.port);
        async move {
            while !stop.load(Ordering::Relaxed) {
                let counter = if get(port, "/").await.is_some_and(|(status, _)| status == 200) { &good } else { &bad };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    for generation in 2..22 {
        gateway.publish(generation, |parts| parts.cluster = format!("svc-{generation}"));
        gateway.recorder.confirmed(generation).await;
    }
    stop.store(true, Ordering::Relaxed);
    traffic.await.unwrap();
    let (good, bad) = (good.load(Ordering::Relaxed), bad.load(Ordering::Relaxed));
    eprintln!("{}: {good} requests answered, {bad} lost", V::NAME);
    assert!(good > 20, "there was traffic: {good}");
    assert_eq!(bad, 0, "of {good}");
    let clusters = envoy.admin("/config_dump?resource=dynamic_active_clusters").await;
    assert!(clusters.contains("\"svc-21\"") && !clusters.contains("\"svc-20\""), "the old cluster is gone: {clusters}");
}

async fn what_envoy_rejects_is_not_sent_again_and_a_roll_back_mends_it_g7<V: Wire>() {
    let gateway = Gateway::start(V::API_TYPE).await;
    let envoy = Envoy::start(&gateway).await;
    envoy.answers(200).await;
    gateway.recorder.confirmed(1).await;

    gateway.publish(2, |parts| parts.bad_cluster = true);
    let nacks = |recorder: &Recorder| {
        let events = recorder.events().into_iter();
        events
            .filter(|event| matches!(event, Event::Nacked(rejection) if rejection.generation == 2))
            .collect::<Vec<_>>()
    };
    gateway.recorder.until("a NACK", |recorder| !nacks(recorder).is_empty()).await;
    gateway.publish(3, |_| {});
    gateway.recorder.confirmed(3).await;
    let nacks = nacks(&gateway.recorder);
    assert_eq!(nacks.len(), 1, "{nacks:#?}");
    let Event::Nacked(rejection) = &nacks[0] else { unreachable!() };
    assert_eq!(rejection.kind, ResourceType::Cluster);
    assert!(rejection.message.contains("EDS"), "{}", rejection.message);
    assert_eq!(rejection.culprit.as_ref().map(|culprit| &*culprit.name), Some("bad"));
    let again = |event: &&Event| matches!(event, Event::Sent { kind: ResourceType::Cluster, generation: 2, .. });
    assert_eq!(gateway.recorder.events().iter().filter(again).count(), 1);
    envoy.answers(200).await;
}

/// Five clusters change and a sixth is bad. Then three listeners are new, and a fourth has a taken
/// port.
async fn what_envoy_applied_of_a_rejected_push_is_undone_g7<V: Wire>() {
    let gateway = Gateway::start(V::API_TYPE).await;
    let clusters = |timeout| move |parts: &mut Parts| parts.clusters = (5, timeout);
    gateway.publish(1, clusters(5));
    let envoy = Envoy::start(&gateway).await;
    envoy.answers(200).await;
    gateway.recorder.confirmed(1).await;
    let nacked = async |generation| {
        let nack = |event: &Event| matches!(event, Event::Nacked(rejection) if rejection.generation == generation);
        gateway.recorder.until("a NACK", |recorder| recorder.events().iter().any(nack)).await;
    };

    gateway.publish(2, |parts| {
        clusters(9)(parts);
        parts.bad_cluster = true;
    });
    nacked(2).await;
    let clusters_are = async |timeout: &str, count: usize| {
        wait_for(&format!("{count} clusters with {timeout}"), || async {
            let clusters = envoy.admin("/config_dump?resource=dynamic_active_clusters").await;
            (clusters.matches(&format!("\"connect_timeout\": \"{timeout}\"")).count() == count).then_some(())
        })
        .await;
    };
    // Envoy applied them although it rejected the response.
    clusters_are("9s", 5).await;
    gateway.publish(3, clusters(5));
    gateway.recorder.confirmed(3).await;
    clusters_are("5s", 6).await;
    clusters_are("9s", 0).await;
    assert!(!envoy.admin("/config_dump").await.contains("\"bad\""));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = [free_port(), free_port(), free_port()];
    gateway.publish(4, |parts| {
        clusters(5)(parts);
        parts.listeners = free.into_iter().chain([taken.local_addr().unwrap().port()]).collect();
    });
    nacked(4).await;
    envoy.until("the good ones warm", "/config_dump?resource=dynamic_listeners", "more-0").await;
    gateway.publish(5, clusters(5));
    gateway.recorder.confirmed(5).await;
    let listeners = envoy.admin("/listeners").await;
    assert!(listeners.contains("http::") && !listeners.contains("more-"), "{listeners}");
    envoy.answers(200).await;
}

/// The control plane, and the upstream that its snapshots lead to.
struct Gateway {
    api_type: String,
    plans: watch::Sender<Plan>,
    recorder: Arc<Recorder>,
    xds_port: u16,
    listener_port: u16,
    upstream_port: u16,
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    upstream: JoinHandle<()>,
}

/// What may differ between snapshots.
struct Parts {
    cluster: String,
    connect_timeout: i64,
    bad_cluster: bool,
    /// The ports of further listeners. Envoy rejects a listener whose port is taken.
    listeners: Vec<u16>,
    /// How many further clusters there are, and their connect timeout.
    clusters: (usize, i64),
}

impl Gateway {
    async fn start(api_type: &str) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream_port = upstream.local_addr().unwrap().port();
        let mut gateway = Self {
            api_type: api_type.to_owned(),
            plans: watch::Sender::new(Plan::default()),
            recorder: Recorder::new(),
            xds_port: 0,
            listener_port: free_port(),
            upstream_port,
            server: None,
            upstream: tokio::spawn(answer_everything(upstream)),
        };
        gateway.publish(1, |_| {});
        gateway.serve().await;
        gateway
    }

    async fn serve(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.xds_port)).await.unwrap();
        self.xds_port = listener.local_addr().unwrap().port();
        self.recorder = Recorder::new();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = server::serve(listener, self.plans.subscribe(), self.recorder.clone(), async {
            let _ = stopped.await;
        });
        self.server = Some((stop, tokio::spawn(async { serve.await.unwrap() })));
    }

    /// Ends the server and starts another on the same port, with the same snapshot made anew.
    async fn restart(&mut self) {
        let (stop, server) = self.server.take().unwrap();
        stop.send(()).unwrap();
        server.await.unwrap();
        self.publish(1, |_| {});
        self.serve().await;
    }

    fn publish(&self, generation: u64, change: impl FnOnce(&mut Parts)) {
        let mut parts = Parts {
            cluster: "svc".to_owned(),
            connect_timeout: 5,
            bad_cluster: false,
            listeners: Vec::new(),
            clusters: (0, 5),
        };
        change(&mut parts);
        let mut resources = vec![
            resource(ResourceType::Cluster, &parts.cluster, &eds_cluster(&parts.cluster, parts.connect_timeout)),
            resource(ResourceType::Endpoints, &parts.cluster, &endpoints(&parts.cluster, self.upstream_port)),
            resource(ResourceType::Listener, "http", &listener("http", self.listener_port)),
            resource(ResourceType::Route, "http", &routes("http", &parts.cluster)),
        ];
        if parts.bad_cluster {
            let bad = Cluster { eds_cluster_config: None, ..eds_cluster("bad", 5) };
            resources.push(resource(ResourceType::Cluster, "bad", &bad));
        }
        for (number, port) in parts.listeners.into_iter().enumerate() {
            let name = format!("more-{number}");
            resources.push(resource(ResourceType::Listener, &name, &listener(&name, port)));
            resources.push(resource(ResourceType::Route, &name, &routes(&name, &parts.cluster)));
        }
        for number in 0..parts.clusters.0 {
            let name = format!("more-{number}");
            resources.push(resource(ResourceType::Cluster, &name, &eds_cluster(&name, parts.clusters.1)));
            resources.push(resource(ResourceType::Endpoints, &name, &endpoints(&name, self.upstream_port)));
        }
        self.plans.send_replace(Plan::all(Some(Arc::new(Snapshot::new(generation, resources)))));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.upstream.abort();
    }
}

/// A running Envoy. It ends with the value.
struct Envoy {
    process: Child,
    admin: u16,
    port: u16,
    _dir: TempDir,
}

impl Envoy {
    async fn start(gateway: &Gateway) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let admin_address = dir.path().join("admin");
        let bootstrap = dir.path().join("bootstrap.yaml");
        std::fs::write(&bootstrap, bootstrap_yaml(&gateway.api_type, gateway.xds_port)).unwrap();
        let process = Command::new(envoy_binary())
            .arg("-c")
            .arg(&bootstrap)
            .arg("--admin-address-path")
            .arg(&admin_address)
            .args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"])
            .stdout(Stdio::null())
            .stderr(if std::env::var_os("ENVOY_LOG").is_some() { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .unwrap();
        let mut envoy = Self { process, admin: 0, port: gateway.listener_port, _dir: dir };
        envoy.admin = wait_for("Envoy's admin address", || async { port_in(&admin_address) }).await;
        envoy
    }

    async fn admin(&self, path: &str) -> String {
        get(self.admin, path).await.map(|(_, body)| body).unwrap_or_default()
    }

    async fn until(&self, what: &str, path: &str, text: &str) {
        wait_for(what, || async { self.admin(path).await.contains(text).then_some(()) }).await;
    }

    /// Waits until the listener answers with this status.
    async fn answers(&self, status: u16) {
        wait_for("an answer", || async { get(self.port, "/").await.filter(|(is, _)| *is == status) }).await;
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn envoy_binary() -> PathBuf {
    let binary = std::env::var_os("ENVOY")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/envoy/envoy"), PathBuf::from);
    assert!(binary.exists(), "no Envoy at {}: `make envoy` puts one there, or ENVOY names one", binary.display());
    binary
}

fn bootstrap_yaml(api_type: &str, xds_port: u16) -> String {
    format!(
        "
node: {{id: envoy-1, cluster: edge}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
dynamic_resources:
  ads_config: {{api_type: {api_type}, transport_api_version: V3, grpc_services: [{{envoy_grpc: {{cluster_name: xds}}}}]}}
  cds_config: {{ads: {{}}, resource_api_version: V3}}
  lds_config: {{ads: {{}}, resource_api_version: V3}}
static_resources:
  clusters:
  - name: xds
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: xds
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {xds_port}}}}}}}}}]}}]
"
    )
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn port_in(path: &Path) -> Option<u16> {
    std::fs::read_to_string(path).ok()?.rsplit_once(':')?.1.trim().parse().ok()
}

/// Asks until there is an answer.
async fn wait_for<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let asking = async {
        loop {
            if let Some(value) = ask().await {
                return value;
            }
            tick.tick().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), asking).await;
    found.unwrap_or_else(|_| panic!("it did not happen in 30 s: {what}"))
}

/// The status and body of an answer, if there is one.
async fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let status = answer.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, answer))
}

/// An upstream that says 200 to each request.
async fn answer_everything(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {
                if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                    return;
                }
            }
        });
    }
}
