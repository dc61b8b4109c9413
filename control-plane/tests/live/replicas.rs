//! Two control planes on one file: they say the same, and an Envoy that goes from one to the other is sent nothing again.

use std::{collections::BTreeMap, fs, path::Path};

use legation_protos::{
    ResourceType,
    discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse},
    pb::envoy::config::core::v3::Node,
};
use nix::sys::signal::Signal;
use prost::Message;
use tonic::{Request, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use crate::support::{
    ALICE_KEY, ALICE_SHA256, Client, Envoy, Process, admin_address, eventually, free_port, legation, upstream,
};

/// A control plane on a file, with a folder of its own for what it keeps.
struct ControlPlane {
    process: Process,
    xds: u16,
    status: String,
}

impl ControlPlane {
    async fn start(file: &Path, name: &str) -> Self {
        let xds = free_port();
        let mut command = legation();
        command.arg("serve").arg(file).args(["--xds", &format!("127.0.0.1:{xds}"), "--admin", "127.0.0.1:0"]);
        command.arg("--state").arg(file.with_file_name(name));
        let process = Process::start(name, &mut command);
        let status = format!("http://{}/status", admin_address(&process).await);
        Self { process, xds, status }
    }

    async fn metrics(&self) -> String {
        let answer = Client::new().get(&self.status.replace("/status", "/metrics"), &[]).await;
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    async fn has_confirmation(&self) -> bool {
        Client::new().get(&self.status, &[]).await.json()["generation"]["confirmed"] == 1
    }

    /// What it answers to one request on a new aggregated stream.
    async fn answer<Asked, Answered>(&self, method: &'static str, request: Asked) -> Answered
    where
        Asked: Message + Default + 'static,
        Answered: Message + Default + 'static,
    {
        let address = format!("http://127.0.0.1:{}", self.xds);
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        let mut grpc = Grpc::new(channel).max_decoding_message_size(64 << 20);
        grpc.ready().await.unwrap();
        let requests = futures::StreamExt::chain(tokio_stream::once(request), futures::stream::pending());
        let path = format!("/envoy.service.discovery.v3.AggregatedDiscoveryService/{method}").parse().unwrap();
        let answers = grpc.streaming(Request::new(requests), path, ProstCodec::<Asked, Answered>::default()).await;
        answers.unwrap().into_inner().message().await.unwrap().expect("an answer")
    }

    /// The version of every resource by kind and name, in delta, and that of each kind as a whole, in state of the world.
    async fn versions(&self) -> BTreeMap<(String, String), String> {
        let node = Some(Node { id: "test".to_owned(), ..Node::default() });
        let mut versions = BTreeMap::new();
        for kind in ResourceType::ALL {
            let all = vec!["*".to_owned()];
            let type_url = kind.type_url().to_owned();
            let request = DeltaDiscoveryRequest {
                node: node.clone(),
                type_url: type_url.clone(),
                resource_names_subscribe: all.clone(),
                ..Default::default()
            };
            let answer: DeltaDiscoveryResponse = self.answer("DeltaAggregatedResources", request).await;
            for resource in answer.resources {
                versions.insert((kind.to_string(), resource.name), resource.version);
            }
            let request =
                DiscoveryRequest { node: node.clone(), type_url, resource_names: all.clone(), ..Default::default() };
            let answer: DiscoveryResponse = self.answer("StreamAggregatedResources", request).await;
            versions.insert((kind.to_string(), "*".to_owned()), answer.version_info);
        }
        versions
    }
}

async fn file(directory: &Path, port: u16) -> std::path::PathBuf {
    let svc = upstream("svc").await;
    let path = directory.join("gateway.yaml");
    let text = format!(
        r#"
version: 1
listeners: [{{name: http, port: {port}}}]
routes:
- {{name: keyed, match: {{prefix: /}}, cluster: svc, api_key: {{}}, rate_limit: {{limit: 1000, window: 1s}}}}
- {{name: hashed, match: {{prefix: /hashed}}, clusters: [{{name: svc, weight: 1}}, {{name: hashing, weight: 2}}]}}
clusters:
- {{name: svc, endpoints: ["{svc}"]}}
- {{name: hashing, endpoints: ["{svc}"], lb: maglev, protocol: auto}}
- {{name: named, endpoints: ["localhost:9"]}}
consumers: [{{name: alice, api_keys: [{{sha256: {ALICE_SHA256}}}]}}]
"#
    );
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn two_control_planes_on_one_file_give_equal_versions_s7_d11() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), free_port()).await;
    let one = ControlPlane::start(&path, "one").await;
    let other = ControlPlane::start(&path, "other").await;
    let versions = one.versions().await;
    let has = |kind: ResourceType, name: &str| versions.contains_key(&(kind.to_string(), name.to_owned()));
    assert!(has(ResourceType::Cluster, "hashing") && has(ResourceType::Endpoints, "svc"), "{versions:?}");
    assert!(has(ResourceType::Listener, "http") && has(ResourceType::Route, "http"), "{versions:?}");
    assert!(versions.values().all(|version| !version.is_empty()), "{versions:?}");
    assert_eq!(versions, other.versions().await);
}

/// The bootstrap for the first control plane, with the second behind it.
fn bootstrap(first: u16, second: u16) -> String {
    let arguments = ["bootstrap", "--node-id", "test", "--envoy-admin", "127.0.0.1:0"];
    let output = legation().args(arguments).args(["--xds", &format!("127.0.0.1:{first}")]).output().unwrap();
    let mut bootstrap: serde_json::Value = serde_yaml::from_slice(&output.stdout).unwrap();
    let cluster = &mut bootstrap["static_resources"]["clusters"][0];
    let localities = cluster["load_assignment"]["endpoints"].as_array_mut().unwrap();
    assert_eq!(localities.len(), 1);
    let mut behind = localities[0].clone();
    behind["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] = second.into();
    behind["priority"] = 1.into();
    localities.push(behind);
    // Without a check, the first is thought to be well however often it refuses to connect.
    cluster["health_checks"] = serde_json::json!([{
        "timeout": "1s", "interval": "0.1s", "no_traffic_interval": "0.1s", "unhealthy_threshold": 1, "healthy_threshold": 1,
        "tcp_health_check": {}
    }]);
    bootstrap.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_fails_over_to_another_control_plane_is_sent_nothing_again_d9_d11() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let path = file(directory.path(), port).await;
    let mut first = ControlPlane::start(&path, "first").await;
    let second = ControlPlane::start(&path, "second").await;

    let bootstrap = bootstrap(first.xds, second.xds);
    let envoy = Envoy::start(directory.path(), "test", bootstrap.as_bytes()).await;
    let client = Client::new();
    let url = format!("http://127.0.0.1:{port}/");
    let serves = async || client.try_get(&url, &[("x-api-key", ALICE_KEY)]).await.is_ok_and(|it| it.status == 200);
    eventually("the gateway answers", &serves).await;
    eventually("the first has its confirmation", || first.has_confirmation()).await;
    assert!(!second.has_confirmation().await, "the second has no Envoy yet");
    let before = envoy.counters().await;

    first.process.signal(Signal::SIGKILL);
    first.process.wait();
    eventually("the second has its confirmation", || second.has_confirmation()).await;
    assert_eq!(envoy.counters().await, before);
    let metrics = second.metrics().await;
    let sent: Vec<_> = metrics.lines().filter(|line| line.starts_with("legation_xds_resources_total")).collect();
    assert!(!sent.is_empty() && sent.iter().all(|line| line.ends_with(" 0")), "{sent:?}");
    assert!(serves().await);
}
