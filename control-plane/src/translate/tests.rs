//! Which change of the model moves which resource's version.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use legation_filter::config::{ApiKeyRule, By, Consumer, Policy, RateLimit, RateLimitHeaders};
use legation_protos::descriptors::EnvoyMessage;

use super::*;
use crate::model::{
    Action, CertificateFiles, Cluster, Domain, FileKind, Forward, Hidden, Host, Listener, ListenerTls, LoadBalancing,
    NamedFile, PathMatch, Protocol, RawResource, Route, RouteMatch, SecretContent, Stream, Timeouts, TlsVersion,
    WeightedCluster, route::Features,
};

const MODULE: Module = Module { bytes: b"\0asm", sha256: "abc" };

fn at(line: u32) -> Origin {
    Origin { file: "gateway.yaml".into(), line, column: 1 }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn model() -> Model {
    Model {
        rollout: crate::model::Rollout::default(),
        listeners: vec![Listener {
            name: "http".into(),
            address: [0, 0, 0, 0].into(),
            port: 8000,
            tls: None,
            limits: crate::model::ListenerLimits::default(),
            origin: at(2),
        }],
        routes: vec![route("api", "/api"), route("long", "/api/long"), route("any", "/")],
        clusters: vec![Cluster {
            name: "svc".into(),
            endpoints: Endpoints::Addresses(vec![address("127.0.0.1:1")]),
            protocol: Protocol::Http1,
            tls: None,
            lb: LoadBalancing::RoundRobin,
            connect_timeout: Duration::from_secs(5),
            origin: at(9),
        }],
        consumers: vec![Consumer { name: "alice".into(), plan: None, api_keys: vec![], metadata: BTreeMap::new() }],
        plans: vec![],
        key_pepper: None,
        rate_limit_headers: RateLimitHeaders::default(),
        raw: vec![],
        origin: at(1),
    }
}

fn route(name: &str, prefix: &str) -> Route {
    Route {
        name: name.into(),
        matcher: RouteMatch { path: PathMatch::Prefix(prefix.into()), methods: vec![], headers: vec![] },
        action: Action::Forward(Forward {
            clusters: vec![WeightedCluster { cluster: "svc".into(), weight: 1 }],
            rewrite_prefix: None,
        }),
        listeners: None,
        hosts: [Host::Any].into(),
        features: Features::default(),
        origin: at(5),
    }
}

/// The kinds whose resources have other versions, or are others, after an edit.
fn moved(edit: impl FnOnce(&mut Model)) -> Vec<&'static str> {
    let versions = |model: &Model| -> Vec<_> {
        let resources = resources(model, &[], &MODULE).into_iter();
        resources.map(|(kind, resource)| (kind, resource.name, resource.version)).collect()
    };
    let before = versions(&model());
    let mut edited = model();
    edit(&mut edited);
    let after = versions(&edited);
    let of =
        |all: &[(ResourceType, _, _)], kind| all.iter().filter(|(of, ..)| *of == kind).cloned().collect::<Vec<_>>();
    ResourceType::ALL
        .into_iter()
        .filter(|kind| of(&before, *kind) != of(&after, *kind))
        .map(ResourceType::short)
        .collect()
}

#[test]
fn the_same_model_has_the_same_versions_wherever_it_stands_in_the_file() {
    assert!(
        moved(|model| {
            model.origin.line += 1;
            model.listeners[0].origin.line += 1;
            model.routes[0].origin.line += 1;
            model.clusters[0].origin.line += 1;
        })
        .is_empty()
    );
}

#[test]
fn an_endpoint_that_moves_moves_its_assignment_alone() {
    assert_eq!(
        moved(|model| model.clusters[0].endpoints = Endpoints::Addresses(vec![address("127.0.0.1:2")])),
        ["EDS"]
    );
}

#[test]
fn a_clusters_own_setting_moves_the_cluster_alone() {
    assert_eq!(moved(|model| model.clusters[0].connect_timeout = Duration::from_secs(1)), ["CDS"]);
}

#[test]
fn a_route_moves_the_routes_alone() {
    assert_eq!(moved(|model| model.routes.push(route("new", "/new"))), ["RDS"]);
}

#[test]
fn the_first_key_in_a_file_is_no_listener_change() {
    let with_key = |model: &mut Model| {
        model.routes[0].features.api_key = Some(ApiKeyRule::default());
    };
    assert_eq!(moved(with_key), ["RDS"]);
}

#[test]
fn a_changed_policy_moves_the_routes_alone() {
    let limit = |limit| {
        vec![RateLimit { limit: Some(limit), window: Some("1m".into()), by: By::Route, ..RateLimit::default() }]
    };
    let changed = |one: Vec<RateLimit>, other: Vec<RateLimit>| -> Vec<_> {
        let with = |limits| {
            let mut model = model();
            model.routes[0].features.rate_limit = limits;
            resources(&model, &[], &MODULE)
        };
        let pairs = with(one).into_iter().zip(with(other));
        pairs.filter(|((_, a), (_, b))| a.version != b.version).map(|((kind, _), _)| kind.short()).collect()
    };
    assert_eq!(changed(vec![], limit(1)), ["RDS"]);
    assert_eq!(changed(limit(1), limit(2)), ["RDS"]);
    assert_eq!(changed(limit(2), limit(2)), [""; 0]);
}

#[test]
fn a_route_carries_its_policy_as_the_filter_reads_it() {
    let mut model = model();
    model.routes[0].features.api_key = Some(ApiKeyRule::default());
    model.routes[1].features.stream = Some(Stream::Sse);
    let configuration = routes::Ordered::new(&model.routes).configuration(&model.listeners[0]);
    let carried = |name: &str| {
        let route = configuration.virtual_hosts[0].routes.iter().find(|route| route.name == name).expect("it is there");
        let text = route.metadata.as_ref()?.filter_metadata[FILTER_NAME].fields["policy"].kind.clone()?;
        let legation_protos::pb::google::protobuf::value::Kind::StringValue(text) = text else { return None };
        serde_json::from_str::<Policy>(&text).ok()
    };
    let (keyed, marked) = (carried("api").expect("a policy"), carried("long").expect("a policy"));
    assert_eq!((keyed.name.as_str(), keyed.api_key, keyed.stream_headers), ("api", Some(ApiKeyRule::default()), false));
    assert_eq!((marked.name.as_str(), marked.api_key, marked.stream_headers), ("long", None, true));
    assert_eq!(carried("any"), None);
}

#[test]
fn a_consumer_moves_the_filters_configuration_alone() {
    assert_eq!(moved(|model| model.consumers[0].plan = Some("pro".into())), ["ECDS"]);
}

#[test]
fn a_raw_resource_moves_its_own_kind_alone() {
    let raw = |timeout: &str, line| {
        let json = serde_json::json!({"name": "raw", "connect_timeout": timeout});
        let message = EnvoyMessage::from_value(ResourceType::Cluster.type_url(), json).expect("it is one");
        RawResource { kind: ResourceType::Cluster, name: "raw".into(), message, origin: at(line) }
    };
    assert_eq!(moved(|model| model.raw = vec![raw("1s", 7)]), ["CDS"]);
    let version = |raw| {
        let model = Model { raw: vec![raw], ..model() };
        resources(&model, &[], &MODULE).last().expect("it is there").1.version.clone()
    };
    assert_eq!(version(raw("1s", 7)), version(raw("1s", 8)));
    assert_ne!(version(raw("1s", 7)), version(raw("2s", 7)));
}

#[test]
fn moving_consumers_about_moves_nothing() {
    let bob = || Consumer { name: "bob".into(), plan: None, api_keys: vec![], metadata: BTreeMap::new() };
    let version = |model: &Model| resources(model, &[], &MODULE)[0].1.version.clone();
    let mut first = model();
    first.consumers.insert(0, bob());
    let mut last = model();
    last.consumers.push(bob());
    assert_eq!(version(&first), version(&last));
}

#[test]
fn longer_prefixes_and_more_conditions_come_first() {
    let mut exact = route("exact", "/");
    exact.matcher.path = PathMatch::Exact("/".into());
    let mut only_get = route("get", "/api");
    only_get.matcher.methods = vec!["GET".into()];
    let mut all = model().routes;
    all.extend([exact, only_get]);
    let configuration = Ordered::new(&all).configuration(&model().listeners[0]);
    let names: Vec<_> = configuration.virtual_hosts[0].routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["exact", "long", "get", "api", "any"]);
}

fn exact(host: &str) -> Host {
    Host::Exact(host.into())
}

fn below(domain: &str) -> Host {
    Host::Below(Domain(domain.into()))
}

fn on_hosts<const N: usize>(name: &str, prefix: &str, hosts: [Host; N]) -> Route {
    Route { hosts: hosts.into(), ..route(name, prefix) }
}

/// Each virtual host: its domains, and the names of its routes.
fn virtual_hosts(routes: &[Route], listener: &Listener) -> Vec<(Vec<String>, Vec<String>)> {
    let hosts = Ordered::new(routes).configuration(listener).virtual_hosts.into_iter();
    let mut hosts: Vec<_> =
        hosts.map(|host| (host.domains, host.routes.into_iter().map(|route| route.name).collect())).collect();
    hosts.sort();
    hosts
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_hosts_own_routes_come_first_then_those_of_longer_wildcards_then_those_of_any_host() {
    let routes = [
        route("any", "/long/path"),
        on_hosts("com", "/", [below("com")]),
        on_hosts("example", "/", [below("example.com")]),
        on_hosts("api", "/", [exact("api.example.com")]),
        on_hosts("other", "/", [exact("example.org")]),
    ];
    assert_eq!(
        virtual_hosts(&routes, &model().listeners[0]),
        [
            (texts(&["*"]), texts(&["any"])),
            (texts(&["*.com", "*.com."]), texts(&["com", "any"])),
            (texts(&["*.example.com", "*.example.com."]), texts(&["example", "com", "any"])),
            (texts(&["api.example.com", "api.example.com."]), texts(&["api", "example", "com", "any"])),
            (texts(&["example.org", "example.org."]), texts(&["other", "any"])),
        ]
    );
}

#[test]
fn hosts_that_the_same_routes_serve_share_a_virtual_host() {
    let routes = [
        on_hosts("shop", "/", [exact("b.test"), exact("a.test"), Host::Any]),
        on_hosts("one", "/x", [exact("c.test")]),
    ];
    assert_eq!(
        virtual_hosts(&routes, &model().listeners[0]),
        [
            (texts(&["a.test", "a.test.", "b.test", "b.test.", "*"]), texts(&["shop"])),
            (texts(&["c.test", "c.test."]), texts(&["one", "shop"])),
        ]
    );
}

#[test]
fn a_route_on_one_listener_moves_the_routes_of_no_other() {
    let mut two = model();
    two.listeners.push(Listener { name: "other".into(), port: 8001, ..two.listeners[0].clone() });
    let versions = |model: &Model| -> Vec<_> {
        let resources = resources(model, &[], &MODULE).into_iter();
        let routes = resources.filter(|(kind, _)| *kind == ResourceType::Route);
        routes.map(|(_, resource)| (resource.name, resource.version)).collect()
    };
    let before = versions(&two);
    two.routes.push(Route { listeners: Some(["other".to_owned()].into()), ..route("new", "/new") });
    let after = versions(&two);
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1].1, after[1].1);
    assert_eq!(virtual_hosts(&two.routes, &two.listeners[0])[0].1, texts(&["long", "api", "any"]));
    assert_eq!(virtual_hosts(&two.routes, &two.listeners[1])[0].1, texts(&["long", "api", "new", "any"]));
}

#[test]
fn every_filter_that_a_route_turns_on_stands_disabled_in_the_chain() {
    let chain = chain::discovered();
    let disabled: Vec<_> = chain.iter().filter(|filter| filter.disabled).map(|filter| filter.name.as_str()).collect();
    let mut full = route("full", "/full");
    full.features = Features {
        timeouts: Timeouts { max_stream: None, ..Timeouts::default() },
        stream: Some(Stream::Sse),
        max_request_body: Some(1),
        api_key: Some(ApiKeyRule::default()),
        rate_limit: vec![RateLimit::default()],
        ..Features::default()
    };
    let built = route::build(&full, &model().listeners[0]);
    let mut turned_on: Vec<_> = built.typed_per_filter_config.keys().map(String::as_str).collect();
    turned_on.sort_unstable();
    assert_eq!(turned_on.len(), 3, "{turned_on:?}");
    for filter in turned_on {
        assert!(disabled.contains(&filter), "no slot `{filter}`: Envoy takes the route, and nothing guards it");
    }
}

fn tls(file: &str) -> ListenerTls {
    let named = |kind| NamedFile { path: file.to_owned(), kind, origin: at(2), width: 1 };
    let certificate = CertificateFiles { certificate: named(FileKind::Certificate), key: named(FileKind::Key) };
    ListenerTls { certificate, client_ca: None, min_version: TlsVersion::V1_2 }
}

#[test]
fn tls_is_a_change_of_the_listener_but_another_file_is_not() {
    assert_eq!(moved(|model| model.listeners[0].tls = Some(tls("a.pem"))), ["LDS"]);
    let mut with_tls = model();
    with_tls.listeners[0].tls = Some(tls("a.pem"));
    let mut other_file = model();
    other_file.listeners[0].tls = Some(tls("b.pem"));
    assert_eq!(resources(&with_tls, &[], &MODULE), resources(&other_file, &[], &MODULE));
}

#[test]
fn a_secret_moves_itself_alone_by_its_certificate_and_by_its_key() {
    let secret = |chain: &str, key: &str| {
        let content = SecretContent::Certificate { chain: chain.into(), key: Hidden(key.into()) };
        [Secret { name: "listeners/http/cert_file".into(), content, origin: at(2) }]
    };
    let changed = |a: &[Secret], b: &[Secret]| -> Vec<_> {
        let pairs = resources(&model(), a, &MODULE).into_iter().zip(resources(&model(), b, &MODULE));
        pairs.filter(|((_, a), (_, b))| a.version != b.version).map(|((kind, _), _)| kind.short()).collect()
    };
    let first = secret("chain", "key");
    assert_eq!(changed(&first, &first), Vec::<&str>::new());
    assert_eq!(changed(&first, &secret("other", "key")), ["SDS"]);
    assert_eq!(changed(&first, &secret("chain", "other")), ["SDS"]);
}

#[test]
fn a_pepper_moves_the_filters_version_alone_and_is_in_no_version() {
    let with = |text: &str| {
        let content = SecretContent::KeyPepper(Hidden(text.into()));
        let secret = Secret { name: "key_pepper_file".into(), content, origin: at(3) };
        let resources = resources(&model(), &[secret], &MODULE).into_iter();
        resources.map(|(kind, resource)| (kind.short(), resource.version)).collect::<Vec<_>>()
    };
    let (one, other) = (with("sixteen bytes or more"), with("sixteen bytes or else"));
    let moved: Vec<_> = one.iter().zip(&other).filter(|(one, other)| one != other).map(|(one, _)| one.0).collect();
    assert_eq!(moved, ["ECDS"]);
    assert!(one.iter().all(|(kind, _)| *kind != "SDS"), "it is no secret of SDS");
    let fragment = |text: &str| {
        let content = SecretContent::KeyPepper(Hidden(text.into()));
        let secrets = [Secret { name: "key_pepper_file".into(), content, origin: at(3) }];
        serde_json::to_string(&extensions::fragment(&Inputs {
            model: &model(),
            module: &MODULE,
            pepper: PepperSource::Held(&secrets),
        }))
        .expect("JSON")
    };
    assert!(!fragment("sixteen bytes or more").contains("sixteen"));
}
