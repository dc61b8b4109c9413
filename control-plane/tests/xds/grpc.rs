//! gRPC's own xDS client, without a proxy, against the server: a client of the protocol that
//! nobody here wrote. It speaks state of the world and asks for everything by name. `make grpcio`
//! fetches it; GRPC_PYTHON names another.
//!
//! The test makes the snapshot by hand. A proxyless client wants a listener with an
//! `api_listener`, and an Envoy that gets one by LDS leaves it out and says nothing. So what the
//! server serves would have to depend on the client (G13), which the file cannot say.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::support::{
    messages::{api_listener, eds_cluster, endpoints_at, resource, routes},
    recorder::Recorder,
};
use legation::{
    snapshot::Snapshot,
    xds::{Event, Plan, server},
};
use legation_protos::ResourceType;
use tokio::{net::TcpListener, sync::watch};

const TARGET: &str = "who.example";

fn snapshot(generation: u64, cluster: &str, ports: &[u16]) -> Option<Arc<Snapshot>> {
    let resources = [
        resource(ResourceType::Listener, TARGET, &api_listener(TARGET)),
        resource(ResourceType::Route, TARGET, &routes(TARGET, cluster)),
        resource(ResourceType::Cluster, cluster, &eds_cluster(cluster, 5)),
        resource(ResourceType::Endpoints, cluster, &endpoints_at(cluster, ports)),
    ];
    Some(Arc::new(Snapshot::new(generation, resources)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_balances_over_the_endpoints_that_it_is_served_and_follows_their_change_s1_s2_s5() {
    let servers = ["a", "b", "c"].map(|name| Peer::start(&["server", name], None));
    let ports = servers.each_ref().map(|server| server.first_line().parse::<u16>().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let xds_port = listener.local_addr().unwrap().port();
    let snapshots = watch::Sender::new(Plan::all(snapshot(1, "one", &ports[..2])));
    let recorder = Recorder::new();
    let serve = server::serve(listener, snapshots.subscribe(), recorder.clone(), std::future::pending());
    let server = tokio::spawn(serve);

    let client = Peer::start(&["client", &format!("xds:///{TARGET}")], Some(xds_port));
    client.is_answered_by(&["a", "b"]);
    recorder.confirmed(1).await;
    let Event::Opened { node, .. } = &recorder.events()[0] else { panic!("{:?}", recorder.events()) };
    assert_eq!(node.id, "grpc-client");

    // An endpoint goes and another comes: only endpoints are sent.
    snapshots.send_replace(Plan::all(snapshot(2, "one", &ports[1..])));
    client.is_answered_by(&["b", "c"]);
    recorder.confirmed(2).await;
    let sent = recorder.events().into_iter().filter_map(|event| match event {
        Event::Sent { kind, generation: 2, .. } => Some(kind),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), [ResourceType::Endpoints]);

    // The route moves to a cluster that did not exist: gRPC asks for it once it knows the route.
    snapshots.send_replace(Plan::all(snapshot(3, "two", &ports[..1])));
    client.is_answered_by(&["a"]);

    let refused = |event: &Event| matches!(event, Event::Nacked(_));
    assert!(!recorder.events().iter().any(refused), "{:#?}", recorder.events());
    assert_eq!(client.errors(), [""; 0]);
    server.abort();
}

/// gRPC's library in a process of its own. It ends with the value.
struct Peer {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    fn start(arguments: &[&str], xds_port: Option<u16>) -> Self {
        let mut command = Command::new(python());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc/peer.py")).args(arguments);
        if let Some(port) = xds_port {
            let bootstrap = serde_json::json!({
                "node": {"id": "grpc-client"},
                "xds_servers": [{
                    "server_uri": format!("127.0.0.1:{port}"),
                    "channel_creds": [{"type": "insecure"}],
                    "server_features": ["xds_v3"],
                }],
            });
            command.env("GRPC_XDS_BOOTSTRAP_CONFIG", bootstrap.to_string());
        }
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let lines = Arc::<Mutex<Vec<String>>>::default();
        std::thread::spawn({
            let lines = lines.clone();
            move || output.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line))
        });
        Self { process, lines }
    }

    /// Waits for the first line that it says.
    fn first_line(&self) -> String {
        self.until("a first line", |lines| lines.first().cloned())
    }

    /// Waits until the last answers came from these servers, each at least a quarter as often as
    /// if they shared them evenly.
    fn is_answered_by(&self, names: &[&str]) {
        const LAST: usize = 40;
        let wanted = names.iter().copied().collect::<BTreeSet<_>>();
        self.until(&format!("answers of {names:?}"), |lines| {
            let last = lines.len().checked_sub(LAST).map(|first| &lines[first..])?;
            let came = last.iter().map(String::as_str).collect::<BTreeSet<_>>();
            let share = |name: &&str| last.iter().filter(|line| line == name).count() >= LAST / names.len() / 4;
            (came == wanted && names.iter().all(share)).then_some(())
        });
    }

    fn errors(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().filter(|line| line.starts_with("error")).cloned().collect()
    }

    fn until<T>(&self, what: &str, condition: impl Fn(&[String]) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let lines = self.lines.lock().unwrap();
            if let Some(found) = condition(&lines) {
                return found;
            }
            let last = &lines[lines.len().saturating_sub(40)..];
            assert!(Instant::now() < deadline, "it did not happen in 30 s: {what}; it said {last:?}");
            drop(lines);
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn python() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/grpcio/bin/python");
    let python = std::env::var_os("GRPC_PYTHON").map_or(fetched, PathBuf::from);
    assert!(
        python.is_file(),
        "no Python with grpcio at {}: run `make grpcio`, or name one with GRPC_PYTHON",
        python.display()
    );
    python
}
