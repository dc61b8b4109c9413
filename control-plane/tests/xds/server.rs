//! The server over real gRPC, with a client made by hand.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::support::{
    Wire, kind,
    recorder::Recorder,
    server::{ADS_DELTA, ADS_SOTW, Server},
    snapshot,
};
use futures::future::join_all;
use legation::{
    snapshot::Snapshot,
    xds::{
        Delta, Event, Plan, Sotw,
        server::{listen, raise_open_files},
    },
};
use legation_protos::{ResourceType, discovery::DeltaDiscoveryRequest};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

const ALL: &str = "ECDS f@1, CDS a@1, EDS a@1, LDS l@1, RDS r@1";

#[tokio::test]
async fn every_service_answers_with_its_kind_in_both_variants_g1() {
    let server = Server::start(Some(snapshot(1, ALL))).await;
    let services = [
        ("ECDS f@1", "extension.v3.ExtensionConfigDiscoveryService", "ExtensionConfigs"),
        ("CDS a@1", "cluster.v3.ClusterDiscoveryService", "Clusters"),
        ("EDS a@1", "endpoint.v3.EndpointDiscoveryService", "Endpoints"),
        ("LDS l@1", "listener.v3.ListenerDiscoveryService", "Listeners"),
        ("RDS r@1", "route.v3.RouteDiscoveryService", "Routes"),
    ];
    for (answer, service, resources) in services {
        let name = answer.split([' ', '@']).nth(1).unwrap();
        let path = |method| &*format!("/envoy.service.{service}/{method}{resources}").leak();
        let mut sotw = server.open::<Sotw>(path("Stream")).await;
        sotw.asks("", &[name]).await;
        assert_eq!(sotw.hears().await.unwrap(), answer);
        let mut delta = server.open::<Delta>(path("Delta")).await;
        delta.asks("", &[name]).await;
        assert_eq!(delta.hears().await.unwrap(), answer.replace(' ', " +"));
    }
}

#[tokio::test]
async fn a_whole_fleet_may_connect_before_any_of_it_is_accepted() {
    raise_open_files();
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    // They are more than the 1,024 that a listener has room for unless it asks for more.
    let connected = (0..2000).map(|_| TcpStream::connect(address));
    let connected = tokio::time::timeout(Duration::from_secs(10), join_all(connected)).await.expect("there is room");
    assert_eq!(connected.iter().filter(|connection| connection.is_ok()).count(), 2000);
}

#[tokio::test]
async fn one_stream_carries_all_kinds_and_changes_reach_it_g1() {
    let server = Server::start(Some(snapshot(1, ALL))).await;
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    for (ask, answer) in [("EDS", "EDS +a@1"), ("RDS", "RDS +r@1")] {
        let name = answer.split(['+', '@']).nth(1).unwrap();
        stream.asks(kind(ask).type_url(), &[name]).await;
        assert_eq!(stream.hears().await.unwrap(), answer);
    }
    stream.requests.send(Delta::request(kind("EDS").type_url(), &[], "1", None)).await.unwrap();
    server.plans.send_replace(Plan::all(Some(snapshot(2, "EDS a@2, RDS r@1"))));
    assert_eq!(stream.hears().await.unwrap(), "EDS +a@2");
    let acked = Event::Acked { kind: ResourceType::Endpoints, generation: 1 };
    assert!(server.recorder.events().contains(&acked), "{:?}", server.recorder.events());
}

#[tokio::test]
async fn streams_are_held_until_there_is_a_snapshot_g15() {
    let server = Server::start(None).await;
    let mut stream = server.open::<Sotw>(ADS_SOTW).await;
    stream.asks(kind("CDS").type_url(), &[]).await;
    let subscribed = Event::Subscribed { kind: ResourceType::Cluster };
    server.recorder.until("the subscription", |recorder| recorder.events().contains(&subscribed)).await;
    assert!(!server.recorder.events().iter().any(|event| matches!(event, Event::Sent { .. })));
    server.plans.send_replace(Plan::all(Some(snapshot(1, ALL))));
    assert_eq!(stream.hears().await.unwrap(), "CDS a@1");
}

#[tokio::test]
async fn a_request_without_a_type_or_a_node_ends_the_stream_g2_g3() {
    let server = Server::start(Some(snapshot(1, ALL))).await;
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    stream.asks("", &[]).await;
    assert_eq!(stream.hears().await.unwrap_err().code(), Code::InvalidArgument);
    let mut stream = server.open::<Sotw>(ADS_SOTW).await;
    stream.requests.send(Sotw::request(kind("CDS").type_url(), &[], "", None)).await.unwrap();
    assert_eq!(stream.hears().await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unimplemented() {
    let server = Server::start(Some(snapshot(1, ALL))).await;
    let refused = server.try_open::<Sotw>("/envoy.service.cluster.v3.ClusterDiscoveryService/Nothing").await;
    assert_eq!(refused.err().unwrap().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_request_may_be_larger_than_4_mb_but_not_without_bound_d14() {
    let server = Server::start(Some(snapshot(1, ALL))).await;
    let holding = |count: usize| {
        let version = "x".repeat(64);
        let held = (0..count).map(|number| (format!("{number:064}"), version.clone())).collect::<Vec<_>>();
        Delta::from_node(Delta::holding(Delta::request(kind("CDS").type_url(), &[], "", None), &held), "client")
    };
    let large = holding(40_000);
    assert!(prost::Message::encoded_len(&large) > 5_000_000);
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    stream.requests.send(large).await.unwrap();
    assert_eq!(stream.hears().await.unwrap(), "CDS +a@1");
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    stream.requests.send(holding(140_000)).await.unwrap();
    assert_eq!(stream.hears().await.unwrap_err().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn a_client_that_leaves_is_reported_as_gone() {
    let server = Server::start(Some(snapshot(1, ALL))).await;
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    stream.asks(kind("CDS").type_url(), &[]).await;
    stream.hears().await.unwrap();
    assert!(server.recorder.closed_streams().is_empty());
    drop(stream);
    server.recorder.until("the end of the stream", |recorder| recorder.closed_streams().len() == 1).await;
}

#[tokio::test]
async fn stopping_ends_open_streams_within_a_second() {
    let mut server = Server::start(Some(snapshot(1, ALL))).await;
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    stream.asks(kind("CDS").type_url(), &[]).await;
    stream.hears().await.unwrap();
    // A client that watches the server's health has no reason to end by itself.
    let mut health = HealthClient::new(server.channel().await);
    let _watching = health.watch(HealthCheckRequest::default()).await.unwrap();
    let start = Instant::now();
    server.stop();
    assert_eq!(stream.hears().await.unwrap_err().code(), Code::Unavailable);
    server.task.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_takes_nothing_gets_the_newest_state_when_it_does() {
    // The response is larger than what HTTP/2 lets through unread, so that the one before it is
    // stuck.
    let server = Server::start(None).await;
    let big = |generation: u64| {
        let resources = (0..64).map(|number| {
            let mut resource = crate::support::resource(&format!("{number:02}@{generation}"));
            resource.body = vec![b'x'; 100_000].into();
            (ResourceType::Endpoints, resource)
        });
        Some(Arc::new(Snapshot::new(generation, resources)))
    };
    let mut stream = server.open::<Delta>(ADS_DELTA).await;
    server.plans.send_replace(Plan::all(big(1)));
    stream.asks(kind("EDS").type_url(), &["*"]).await;
    let sent = |generation: u64| {
        move |recorder: &Recorder| {
            let is = |event: &Event| matches!(event, Event::Sent { generation: sent, .. } if *sent == generation);
            recorder.events().iter().any(is)
        }
    };
    server.recorder.until("the first response", sent(1)).await;
    for generation in 2..50 {
        server.plans.send_replace(Plan::all(big(generation)));
    }
    let nonce = |stream: Option<legation_protos::discovery::DeltaDiscoveryResponse>| stream.unwrap().nonce;
    let first = nonce(stream.responses.message().await.unwrap());
    let ack = DeltaDiscoveryRequest { response_nonce: first, ..Delta::request(kind("EDS").type_url(), &[], "", None) };
    stream.requests.send(ack).await.unwrap();
    let response = stream.responses.message().await.unwrap().unwrap();
    assert!(response.resources.iter().all(|resource| resource.version == "49"));
}

#[tokio::test]
async fn health_is_served() {
    let server = Server::start(None).await;
    let mut health = HealthClient::new(server.channel().await);
    for service in ["", "envoy.service.discovery.v3.AggregatedDiscoveryService"] {
        let answer = health.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
}
