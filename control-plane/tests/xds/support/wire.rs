//! A client that speaks to a session without a wire, and shows both sides as text.
//!
//! A resource is written `name@version`, and a snapshot `CDS a@1 b@1, EDS a@1`. A delta response
//! shows as `CDS +a@1 -b` (brought, removed), and a response of state of the world as `CDS a@1
//! b@1` (carried).

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use legation::{
    origin::Origin,
    snapshot::{Resource, Snapshot},
    xds::{Delta, Event, Next, Refusal, Rejection, Session, Sotw, Variant, VariantName},
};
use legation_protos::{
    ResourceType,
    discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse},
    pb::{envoy::config::core::v3::Node, google::rpc::Status},
};

/// The resource that is written `name@version`; or `name@version/service`, a cluster with another
/// `service_name`.
pub fn resource(text: &str) -> Resource {
    let (name, version) = text.split_once('@').expect("name@version");
    let (version, service_name) = version.split_once('/').map_or((version, None), |(v, name)| (v, Some(name.into())));
    Resource {
        name: name.into(),
        version: version.into(),
        body: format!("{name}@{version}").into(),
        origin: Origin { file: "gateway.yaml".into(), line: 1, column: 1 },
        service_name,
    }
}

/// The snapshot that is written `CDS a@1 b@1, EDS a@1`.
pub fn snapshot(generation: u64, text: &str) -> Arc<Snapshot> {
    let resources = text.split(',').flat_map(|part| {
        let mut words = part.split_whitespace();
        let kind = words.next().map(kind);
        words.map(move |word| (kind.expect("a kind comes first"), resource(word)))
    });
    Arc::new(Snapshot::new(generation, resources))
}

/// The kind that people abbreviate like this.
pub fn kind(short: &str) -> ResourceType {
    ResourceType::ALL.into_iter().find(|kind| kind.short() == short).unwrap_or_else(|| panic!("no such kind: {short}"))
}

/// What differs between the variants for a client.
pub trait Wire: Variant<Request: Clone, Response: std::fmt::Debug> {
    /// What Envoy calls the variant in its bootstrap (`api_type`).
    const API_TYPE: &'static str;

    /// What is expected in delta, or in state of the world.
    fn either<T>(delta: T, state_of_the_world: T) -> T {
        match Self::NAME {
            VariantName::Delta => delta,
            VariantName::Sotw => state_of_the_world,
        }
    }

    /// A request. In state of the world `names` is the whole subscription. In delta they are the
    /// names to add and, with a `-`, to take out.
    fn request(type_url: &str, names: &[String], nonce: &str, error: Option<&str>) -> Self::Request;
    /// The request with what the client says it holds.
    fn holding(request: Self::Request, held: &[(String, String)]) -> Self::Request;
    /// The request with who asks.
    fn from_node(request: Self::Request, id: &str) -> Self::Request;
    /// The response's type URL and nonce.
    fn head(response: &Self::Response) -> (String, String);
    /// What a response brings, and what it removes by name.
    fn contents(response: &Self::Response) -> (Vec<String>, Vec<String>);
    /// The response as text.
    fn shown(response: &Self::Response) -> String;
}

fn status(error: Option<&str>) -> Option<Status> {
    error.map(|message| Status { code: 13, message: message.to_owned(), details: vec![] })
}

fn node(id: &str) -> Option<Node> {
    Some(Node { id: id.to_owned(), cluster: "edge".to_owned(), ..Node::default() })
}

impl Wire for Delta {
    const API_TYPE: &'static str = "DELTA_GRPC";

    fn request(type_url: &str, names: &[String], nonce: &str, error: Option<&str>) -> Self::Request {
        let (out, into): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| name.starts_with('-'));
        DeltaDiscoveryRequest {
            type_url: type_url.to_owned(),
            resource_names_subscribe: into,
            resource_names_unsubscribe: out.iter().map(|name| name[1..].to_owned()).collect(),
            response_nonce: nonce.to_owned(),
            error_detail: status(error),
            ..Default::default()
        }
    }

    fn holding(mut request: Self::Request, held: &[(String, String)]) -> Self::Request {
        request.initial_resource_versions = held.iter().cloned().collect();
        request
    }

    fn from_node(request: Self::Request, id: &str) -> Self::Request {
        DeltaDiscoveryRequest { node: node(id), ..request }
    }

    fn head(response: &DeltaDiscoveryResponse) -> (String, String) {
        (response.type_url.clone(), response.nonce.clone())
    }

    fn contents(response: &DeltaDiscoveryResponse) -> (Vec<String>, Vec<String>) {
        let brought = response.resources.iter().map(|resource| {
            let any = resource.resource.as_ref().expect("a resource has a body");
            assert_eq!(any.type_url, response.type_url, "G4");
            let text = format!("{}@{}", resource.name, resource.version);
            assert_eq!(any.value, text.as_bytes(), "the body belongs to the name");
            text
        });
        (brought.collect(), response.removed_resources.clone())
    }

    fn shown(response: &DeltaDiscoveryResponse) -> String {
        let (brought, removed) = Self::contents(response);
        let words =
            brought.iter().map(|text| format!(" +{text}")).chain(removed.iter().map(|name| format!(" -{name}")));
        short(&response.type_url) + &words.collect::<String>()
    }
}

impl Wire for Sotw {
    const API_TYPE: &'static str = "GRPC";

    fn request(type_url: &str, names: &[String], nonce: &str, error: Option<&str>) -> Self::Request {
        DiscoveryRequest {
            type_url: type_url.to_owned(),
            resource_names: names.to_vec(),
            response_nonce: nonce.to_owned(),
            error_detail: status(error),
            ..Default::default()
        }
    }

    fn holding(request: Self::Request, _: &[(String, String)]) -> Self::Request {
        request
    }

    fn from_node(request: Self::Request, id: &str) -> Self::Request {
        DiscoveryRequest { node: node(id), ..request }
    }

    fn head(response: &DiscoveryResponse) -> (String, String) {
        (response.type_url.clone(), response.nonce.clone())
    }

    fn contents(response: &DiscoveryResponse) -> (Vec<String>, Vec<String>) {
        let brought = response.resources.iter().map(|any| {
            assert_eq!(any.type_url, response.type_url, "G4");
            String::from_utf8(any.value.to_vec()).unwrap()
        });
        (brought.collect(), Vec::new())
    }

    fn shown(response: &DiscoveryResponse) -> String {
        let words = Self::contents(response).0.into_iter().map(|text| format!(" {text}"));
        short(&response.type_url) + &words.collect::<String>()
    }
}

fn short(type_url: &str) -> String {
    ResourceType::from_type_url(type_url).map_or_else(|| type_url.to_owned(), |kind| kind.short().to_owned())
}

/// A client and the session that serves it.
pub struct Client<V: Wire> {
    pub session: Session<V>,
    pub now: Duration,
    /// The generation that the session last said the client has whole, unless another was
    /// published or the client rejected something since.
    pub confirmed: Option<u64>,
    /// Events that no test has looked at yet.
    events: Vec<Event>,
    /// What the client last asked for, by kind, in state of the world.
    names: BTreeMap<ResourceType, Vec<String>>,
    /// Nonces of responses that are not answered yet, by kind, and the last nonce of each kind.
    unanswered: BTreeMap<ResourceType, Vec<String>>,
    last: BTreeMap<ResourceType, String>,
}

impl<V: Wire> Client<V> {
    /// A client on an aggregated stream, whose server has no snapshot yet.
    pub fn new() -> Self {
        Self::of(None)
    }

    /// A client on the stream of one kind, or on an aggregated one.
    pub fn of(scope: Option<ResourceType>) -> Self {
        Self {
            session: Session::new(scope),
            now: Duration::ZERO,
            confirmed: None,
            events: Vec::new(),
            names: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// A client whose server is at this snapshot, as generation 1.
    pub fn at(text: &str) -> Self {
        let mut client = Self::new();
        client.publish(1, text);
        client
    }

    /// A client that has asked for these parts of a snapshot, one after the other, and had time to
    /// ask for more.
    pub fn with_all(text: &str, asks: &[&str]) -> Self {
        let mut client = Self::at(text);
        for ask in asks {
            client.asks(ask);
            client.hears_and_acks();
        }
        client.later(2000);
        client.hears_and_acks();
        client.events();
        client
    }

    /// The server gets a snapshot.
    pub fn publish(&mut self, generation: u64, text: &str) {
        self.confirmed = None;
        self.session.publish(snapshot(generation, text), self.now);
    }

    /// Time passes.
    pub fn later(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// The client asks: `CDS * a`, in delta also `EDS a -b`. In state of the world this is the
    /// whole subscription, with the last nonce, as Envoy sends it.
    pub fn asks(&mut self, text: &str) {
        self.try_asks(text).expect("the request is accepted");
    }

    /// As `asks`. Returns why the session refuses the request.
    pub fn try_asks(&mut self, text: &str) -> Result<(), Refusal> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let kind = kind(&words.next().unwrap());
        let names = words.collect::<Vec<_>>();
        let nonce = V::either(String::new(), self.last.get(&kind).cloned().unwrap_or_default());
        self.names.insert(kind, names.clone());
        self.sends(V::request(kind.type_url(), &names, &nonce, None))
    }

    /// The client asks and says what it holds: `EDS a`, `a@1`.
    pub fn asks_holding(&mut self, text: &str, held: &str) {
        let mut words = text.split_whitespace().map(str::to_owned);
        let kind = kind(&words.next().unwrap());
        let names = words.collect::<Vec<_>>();
        let held = held.split_whitespace().map(|word| word.split_once('@').expect("name@version"));
        let held = held.map(|(name, version)| (name.to_owned(), version.to_owned())).collect::<Vec<_>>();
        self.names.insert(kind, names.clone());
        self.sends(V::holding(V::request(kind.type_url(), &names, "", None), &held)).unwrap();
    }

    /// The client sends a request, with its node.
    pub fn sends(&mut self, request: V::Request) -> Result<(), Refusal> {
        self.session.request(V::from_node(request, "envoy-1"), self.now)
    }

    /// The client accepts the oldest response of this kind that it has not answered.
    pub fn acks(&mut self, short: &str) {
        self.answers(short, None);
    }

    /// The client rejects it.
    pub fn nacks(&mut self, short: &str, error: &str) {
        self.answers(short, Some(error));
    }

    fn answers(&mut self, short: &str, error: Option<&str>) {
        let kind = kind(short);
        let nonce = self.unanswered.get_mut(&kind).filter(|nonces| !nonces.is_empty()).expect("there is one").remove(0);
        let names = V::either(Vec::new(), self.names.get(&kind).cloned().unwrap_or_default());
        self.sends(V::request(kind.type_url(), &names, &nonce, error)).unwrap();
    }

    /// What the server says now, until it waits.
    pub fn hears(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Next::Send(message) = self.session.poll(self.now) {
            let response = message.read::<V::Response>().expect("a response");
            let (type_url, nonce) = V::head(&response);
            assert!(!nonce.is_empty(), "G5");
            let kind = ResourceType::from_type_url(&type_url).expect("a kind that is served");
            self.unanswered.entry(kind).or_default().push(nonce.clone());
            assert!(self.last.insert(kind, nonce.clone()).is_none_or(|last| last != nonce), "G5");
            heard.push(V::shown(&response));
            assert!(heard.len() < 100, "the server does not stop: {heard:?}");
        }
        self.take_events();
        heard
    }

    /// The events since the last call.
    pub fn raw_events(&mut self) -> Vec<Event> {
        self.take_events();
        std::mem::take(&mut self.events)
    }

    fn take_events(&mut self) {
        for event in self.session.events() {
            match event {
                Event::Confirmed { generation } => self.confirmed = Some(generation),
                Event::Nacked(_) => self.confirmed = None,
                _ => {}
            }
            self.events.push(event);
        }
    }

    /// What the server says now. The client accepts everything at once, until there is nothing
    /// more.
    pub fn hears_and_acks(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let now = self.hears();
            if now.is_empty() {
                return heard;
            }
            heard.extend(now);
            assert!(heard.len() < 100, "the server does not stop: {heard:?}");
            for kind in ResourceType::ALL {
                while self.unanswered.get(&kind).is_some_and(|nonces| !nonces.is_empty()) {
                    self.acks(kind.short());
                }
            }
        }
    }

    /// Until when the server waits.
    pub fn wait(&mut self) -> Option<Duration> {
        match self.session.poll(self.now) {
            Next::Wait(until) => until,
            Next::Send(message) => panic!("it says {}", V::shown(&message.read().expect("a response"))),
        }
    }

    /// The events since the last call: `sent CDS 1`, `acked CDS 1`, `nacked CDS 1: why (a@1)`,
    /// `confirmed 1`.
    pub fn events(&mut self) -> Vec<String> {
        let shown = self.raw_events().into_iter().map(|event| match event {
            Event::Opened { node, variant } => format!("opened {} {variant}", node.id),
            Event::Subscribed { kind } => format!("subscribed {kind}"),
            Event::Sent { kind, generation, .. } => format!("sent {kind} {generation}"),
            Event::Acked { kind, generation } => format!("acked {kind} {generation}"),
            Event::Nacked(rejection) => {
                let Rejection { kind, generation, message, culprit } = &*rejection;
                let culprit = culprit.as_ref().map_or("?".to_owned(), |it| format!("{}@{}", it.name, it.version));
                format!("nacked {kind} {generation}: {message} ({culprit})")
            }
            Event::Confirmed { generation } => format!("confirmed {generation}"),
        });
        shown.collect()
    }
}
