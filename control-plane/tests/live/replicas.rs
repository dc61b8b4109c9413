//! Two control planes on one file give equal versions, and an Envoy that goes from one to the other
//! is sent nothing again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use legation_protos::{
    ResourceType,
    discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse},
    pb::envoy::config::core::v3::Node,
};
use legation_testing::{ALICE_KEY, Client, ControlPlane, Envoy, File, eventually, free_port, legation, upstream};
use nix::sys::signal::Signal;
use prost::Message;
use tonic::{Request, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

/// Starts a control plane on this file, with a state folder of its own.
async fn serve(file: &Path, name: &str) -> ControlPlane {
    ControlPlane::on(file, ["--state", file.with_file_name(name).to_str().unwrap()]).await
}

/// Returns a control plane's answer to one request on a new aggregated stream.
async fn first_answer<Asked, Answered>(xds: u16, method: &'static str, request: Asked) -> Answered
where
    Asked: Message + Default + 'static,
    Answered: Message + Default + 'static,
{
    let address = format!("http://127.0.0.1:{xds}");
    let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
    let mut grpc = Grpc::new(channel).max_decoding_message_size(64 << 20);
    grpc.ready().await.unwrap();
    let requests = futures::StreamExt::chain(tokio_stream::once(request), futures::stream::pending());
    let path = format!("/envoy.service.discovery.v3.AggregatedDiscoveryService/{method}").parse().unwrap();
    let answers = grpc.streaming(Request::new(requests), path, ProstCodec::<Asked, Answered>::default()).await;
    answers.unwrap().into_inner().message().await.unwrap().expect("an answer")
}

/// Returns the version of every resource by kind and name, from delta, and that of each kind as a
/// whole, from state of the world.
async fn versions_of(xds: u16) -> BTreeMap<(String, String), String> {
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
        let answer: DeltaDiscoveryResponse = first_answer(xds, "DeltaAggregatedResources", request).await;
        for resource in answer.resources {
            versions.insert((kind.to_string(), resource.name), resource.version);
        }
        let request =
            DiscoveryRequest { node: node.clone(), type_url, resource_names: all.clone(), ..Default::default() };
        let answer: DiscoveryResponse = first_answer(xds, "StreamAggregatedResources", request).await;
        versions.insert((kind.to_string(), "*".to_owned()), answer.version_info);
    }
    versions
}

/// Writes the file into a folder.
async fn write(directory: &Path, port: u16) -> PathBuf {
    let svc = upstream("svc").await;
    let routes = "
        - {name: keyed, match: {prefix: /}, cluster: svc, api_key: {}, rate_limit: {limit: 1000, window: 1s}}
        - {name: hashed, match: {prefix: /hashed}, clusters: [{name: svc, weight: 1}, {name: hashing, weight: 2}]}
    ";
    let file = File::routes(routes).cluster("svc", svc).cluster_with("hashing", svc, "lb: maglev, protocol: auto");
    let path = directory.join("gateway.yaml");
    fs::write(&path, file.cluster("named", "localhost:9").alice().at(port)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn two_control_planes_on_one_file_give_equal_versions_s7_d11() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), free_port()).await;
    let one = serve(&path, "one").await;
    let other = serve(&path, "other").await;
    let versions = versions_of(one.xds).await;
    let has = |kind: ResourceType, name: &str| versions.contains_key(&(kind.to_string(), name.to_owned()));
    assert!(has(ResourceType::Cluster, "hashing") && has(ResourceType::Endpoints, "svc"), "{versions:?}");
    assert!(has(ResourceType::Listener, "http") && has(ResourceType::Route, "http"), "{versions:?}");
    assert!(versions.values().all(|version| !version.is_empty()), "{versions:?}");
    assert_eq!(versions, versions_of(other.xds).await);
}

/// Returns the bootstrap for the first control plane, with the second as its fallback.
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
    // Without a health check, Envoy takes the first for healthy however often it refuses to
    // connect.
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
    let path = write(directory.path(), port).await;
    let first = serve(&path, "first").await;
    let second = serve(&path, "second").await;

    let bootstrap = bootstrap(first.xds, second.xds);
    let envoy = Envoy::start(directory.path(), "test", bootstrap.as_bytes()).await;
    let (client, url, key) = (Client::new(), format!("http://127.0.0.1:{port}/"), [("x-api-key", ALICE_KEY)]);
    let serves = || client.gets(200, &url, &key);
    eventually("the gateway answers", serves).await;
    first.at(1, 1, 0).await;
    // The second has no Envoy yet.
    second.at(1, 0, 0).await;
    let before = envoy.counters().await;

    first.process.end(Signal::SIGKILL);
    second.at(1, 1, 0).await;
    assert_eq!(envoy.counters().await, before);
    second.has_sent_nothing().await;
    assert!(serves().await);
}
