//! Which clients may speak to the xDS port, and what the port tells beside xDS: TLS, names in
//! certificates, CSDS, reflection.

use std::{fs, path::Path, sync::Arc};

use crate::support::{
    kind,
    server::{ADS_DELTA, ADS_SOTW, Server, Stream},
    snapshot,
    tls_client::TlsClient,
};
use legation::{
    status::{Status, metrics::Metrics},
    xds::{
        Delta, Sotw,
        server::{
            Options,
            tls::{Files, Tls},
        },
    },
};
use legation_protos::pb::envoy::{
    service::status::v3::{
        ClientStatusRequest, client_status_discovery_service_client::ClientStatusDiscoveryServiceClient,
    },
    r#type::matcher::v3::{NodeMatcher, StringMatcher, StructMatcher, string_matcher::MatchPattern},
};
use legation_testing::pki::{Authority, Pair};
use tokio::sync::mpsc;
use tonic::{Code, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

const ALL: &str = "CDS a@1";

/// A server with TLS, and its files.
struct Secure {
    server: Server,
    tls: Arc<Tls>,
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Secure {
    async fn start(client_authority: Option<&Authority>, pin_node_ids: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("servers");
        let (cert, key) = authority.pair(&["localhost"]).write(folder.path(), "xds");
        let client_ca = client_authority.map(|authority| authority.write(folder.path(), "clients.crt"));
        let tls = Arc::new(Tls::new(Files { cert, key, client_ca }).unwrap());
        let options = Options { tls: Some(tls.clone()), pin_node_ids, ..Options::default() };
        let server = Server::start_with(options, Some(snapshot(1, ALL))).await;
        Self { server, tls, folder, authority }
    }

    fn client(&self, identity: Option<&Pair>) -> TlsClient {
        TlsClient::new(self.authority.pem(), identity.map(|pair| (pair.cert.as_str(), pair.key.as_str())))
    }

    /// What a client hears when it asks for clusters as this node.
    async fn hears(&self, client: &TlsClient, node: &str) -> Result<String, tonic::Status> {
        let channel =
            client.channel(self.server.port).await.map_err(|error| tonic::Status::unknown(error.to_string()))?;
        let mut stream = Stream::<Delta>::open(channel, ADS_DELTA).await?;
        stream.asks_as(node, kind("CDS").type_url(), &[]).await;
        stream.hears().await
    }
}

#[tokio::test]
async fn with_tls_a_client_that_knows_the_authority_is_served_and_one_in_the_clear_is_not() {
    let secure = Secure::start(None, false).await;
    assert_eq!(secure.hears(&secure.client(None), "envoy").await.unwrap(), "CDS +a@1");
    let stranger = TlsClient::new(Authority::new("others").pem(), None);
    assert!(stranger.handshake(secure.server.port).await.is_err());
    let clear = Channel::from_shared(format!("http://127.0.0.1:{}", secure.server.port)).unwrap().connect().await;
    let opened = match clear {
        Ok(channel) => Stream::<Delta>::open(channel, ADS_DELTA).await.map(drop).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    assert!(opened.is_err());
}

#[tokio::test]
async fn with_a_client_authority_only_its_clients_are_served() {
    let clients = Authority::new("clients");
    let secure = Secure::start(Some(&clients), false).await;
    let known = clients.pair(&["envoy-1"]);
    assert_eq!(secure.hears(&secure.client(Some(&known)), "any name").await.unwrap(), "CDS +a@1");
    assert!(secure.hears(&secure.client(None), "envoy-1").await.is_err());
    let stranger = Authority::new("others").pair(&["envoy-1"]);
    assert!(secure.hears(&secure.client(Some(&stranger)), "envoy-1").await.is_err());
}

#[tokio::test]
async fn with_pinned_ids_a_client_may_only_be_a_node_that_its_certificate_names() {
    let clients = Authority::new("clients");
    let secure = Secure::start(Some(&clients), true).await;
    let client = secure.client(Some(&clients.pair(&["envoy-1", "envoy-2"])));
    for node in ["envoy-1", "envoy-2"] {
        assert_eq!(secure.hears(&client, node).await.unwrap(), "CDS +a@1");
    }
    let before = secure.server.recorder.events().len();
    for node in ["envoy-3", "envoy-1.example", "ENVOY-1"] {
        assert_eq!(secure.hears(&client, node).await.unwrap_err().code(), Code::PermissionDenied);
    }
    let nameless = secure.client(Some(&clients.pair(&[])));
    assert_eq!(secure.hears(&nameless, "envoy-1").await.unwrap_err().code(), Code::PermissionDenied);
    let wildcard = secure.client(Some(&clients.pair(&["*.example"])));
    assert_eq!(secure.hears(&wildcard, "envoy-1.example").await.unwrap_err().code(), Code::PermissionDenied);
    let told = secure.server.recorder.events().len() - before;
    assert_eq!(told, 0, "who is refused is no node: {:?}", secure.server.recorder.events());
}

#[tokio::test]
async fn new_files_are_for_new_connections_and_open_streams_go_on() {
    let mut secure = Secure::start(None, false).await;
    let old = secure.client(None);
    let mut open = Stream::<Sotw>::open(old.channel(secure.server.port).await.unwrap(), ADS_SOTW).await.unwrap();
    secure.authority = Authority::new("new servers");
    secure.authority.pair(&["localhost"]).write(secure.folder.path(), "xds");
    assert!(secure.tls.reload().unwrap());
    assert!(!secure.tls.reload().unwrap(), "nothing new");
    assert_eq!(secure.hears(&secure.client(None), "envoy").await.unwrap(), "CDS +a@1");
    assert!(old.handshake(secure.server.port).await.is_err());
    open.asks(kind("CDS").type_url(), &[]).await;
    assert_eq!(open.hears().await.unwrap(), "CDS a@1");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_and_change_nothing() {
    let secure = Secure::start(None, false).await;
    let (cert, key) = (secure.folder.path().join("xds.crt"), secure.folder.path().join("xds.key"));
    let good = (fs::read(&cert).unwrap(), fs::read(&key).unwrap());
    let others = Authority::new("others").pair(&["localhost"]);
    let blamed = |file: &Path| {
        let error = secure.tls.reload().unwrap_err();
        assert_eq!(error.file, file, "{error}");
        assert!(error.to_string().starts_with(&format!("{}: ", file.display())), "{error}");
    };
    fs::write(&key, &others.key).unwrap();
    blamed(&key);
    fs::write(&key, "no key").unwrap();
    blamed(&key);
    fs::write(&key, &good.1).unwrap();
    fs::write(&cert, "no certificate").unwrap();
    blamed(&cert);
    fs::remove_file(&cert).unwrap();
    blamed(&cert);
    assert_eq!(secure.hears(&secure.client(None), "envoy").await.unwrap(), "CDS +a@1");
    fs::write(&cert, &good.0).unwrap();
    assert!(!secure.tls.reload().unwrap());
}

#[tokio::test]
async fn over_a_socket_file_a_client_of_this_machine_needs_no_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("servers");
    let (cert, key) = authority.pair(&["localhost"]).write(folder.path(), "xds");
    let client_ca = Some(authority.write(folder.path(), "clients.crt"));
    let path = folder.path().join("xds.sock");
    let options = Options {
        tls: Some(Arc::new(Tls::new(Files { cert, key, client_ca }).unwrap())),
        pin_node_ids: true,
        local: Some(tokio::net::UnixListener::bind(&path).unwrap()),
        ..Options::default()
    };
    let _server = Server::start_with(options, Some(snapshot(1, ALL))).await;
    let channel = tonic::transport::Endpoint::from_shared(format!("unix://{}", path.display())).unwrap();
    let mut stream = Stream::<Delta>::open(channel.connect().await.unwrap(), ADS_DELTA).await.unwrap();
    stream.asks_as("local", kind("CDS").type_url(), &[]).await;
    assert_eq!(stream.hears().await.unwrap(), "CDS +a@1");
}

/// A server whose nodes are known.
async fn with_status() -> (Server, Arc<Status>) {
    let status = Arc::new(Status::new("gateway.yaml".to_owned(), Arc::new(Metrics::default())));
    let options = Options { clients: Some(status.clone()), ..Options::default() };
    (Server::observed(options, Some(snapshot(1, ALL)), status.clone()).await, status)
}

fn node_id(pattern: MatchPattern, ignore_case: bool) -> ClientStatusRequest {
    let node_id = Some(StringMatcher { match_pattern: Some(pattern), ignore_case });
    ClientStatusRequest { node_matchers: vec![NodeMatcher { node_id, ..NodeMatcher::default() }], ..Default::default() }
}

#[tokio::test]
async fn csds_tells_of_the_clients_that_are_asked_for_c1() {
    let (server, _status) = with_status().await;
    let mut streams = Vec::new();
    for node in ["edge-1", "edge-2", "core"] {
        let mut stream = server.open::<Delta>(ADS_DELTA).await;
        stream.asks_as(node, kind("CDS").type_url(), &[]).await;
        stream.hears().await.unwrap();
        streams.push(stream);
    }
    let mut csds = ClientStatusDiscoveryServiceClient::new(server.channel().await);
    let mut asked = async |request: ClientStatusRequest| {
        let answer = csds.fetch_client_status(request).await?.into_inner();
        Ok::<_, tonic::Status>(answer.config.into_iter().map(|client| client.node.unwrap().id).collect::<Vec<_>>())
    };
    assert_eq!(asked(ClientStatusRequest::default()).await.unwrap(), ["core", "edge-1", "edge-2"]);
    assert_eq!(asked(node_id(MatchPattern::Exact("core".into()), false)).await.unwrap(), ["core"]);
    assert_eq!(asked(node_id(MatchPattern::Prefix("EDGE".into()), true)).await.unwrap(), ["edge-1", "edge-2"]);
    assert_eq!(asked(node_id(MatchPattern::Suffix("-2".into()), false)).await.unwrap(), ["edge-2"]);
    assert_eq!(asked(node_id(MatchPattern::Contains("or".into()), false)).await.unwrap(), ["core"]);
    let by_metadata = NodeMatcher { node_metadatas: vec![StructMatcher::default()], ..NodeMatcher::default() };
    let refused = asked(ClientStatusRequest { node_matchers: vec![by_metadata], ..Default::default() }).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);

    let (questions, outgoing) = mpsc::channel(1);
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let mut answers = csds.stream_client_status(outgoing).await.unwrap().into_inner();
    for (question, count) in
        [(ClientStatusRequest::default(), 3), (node_id(MatchPattern::Exact("core".into()), false), 1)]
    {
        questions.send(question).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap().config.len(), count);
    }
}

#[tokio::test]
async fn reflection_names_the_services_and_describes_them() {
    let (server, _status) = with_status().await;
    let mut reflection = ServerReflectionClient::new(server.channel().await);
    let asks = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("envoy.service.status.v3.ClientStatusDiscoveryService".into()),
        MessageRequest::FileByFilename("envoy/config/core/v3/base.proto".into()),
    ];
    let asks = asks.map(|ask| ServerReflectionRequest { host: String::new(), message_request: Some(ask) });
    let mut answers = reflection.server_reflection_info(tokio_stream::iter(asks)).await.unwrap().into_inner();
    let mut next = async || answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = next().await else { panic!("no list") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in [
        "envoy.service.discovery.v3.AggregatedDiscoveryService",
        "envoy.service.status.v3.ClientStatusDiscoveryService",
        "grpc.health.v1.Health",
    ] {
        assert!(names.iter().any(|it| it == name), "{names:?}");
    }
    for _ in 0..2 {
        let MessageResponse::FileDescriptorResponse(file) = next().await else { panic!("no file") };
        assert!(!file.file_descriptor_proto.is_empty());
    }
}
