//! Runs a session with a client that sends any bytes as requests, mixed with snapshots, answers and
//! time.
//!
//! The first byte chooses the variant and the services. Then one byte chooses what happens
//! ([`Conversation::step`]), and the bytes after it choose how. Missing bytes are 0.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use legation::{
    snapshot::Snapshot,
    xds::{Delta, Next, Session, Sotw, VariantName},
};
use legation_protos::ResourceType;
use prost::Message;

use crate::support::{Wire, resource};

const NAMES: [&str; 4] = ["a", "b", "c", "xdstp://authority/d"];

/// More responses to one event mean that the server does not stop.
const MOST_RESPONSES: usize = 64;

/// Checks that no client causes a panic, a storm of responses, a nonce or name twice, or more
/// responses in flight than allowed.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let first = input.byte();
    let scope = ResourceType::ALL.into_iter().nth(usize::from(first >> 1));
    if first & 1 == 0 {
        Conversation::<Delta>::new(scope).run(input);
    } else {
        Conversation::<Sotw>::new(scope).run(input);
    }
}

/// Bytes to take from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn kind(&mut self) -> ResourceType {
        ResourceType::ALL[usize::from(self.byte()) % ResourceType::ALL.len()]
    }

    /// Returns some of the names, and whether a wildcard is among them.
    fn names(&mut self) -> Vec<String> {
        let chosen = self.byte();
        let names = NAMES.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1);
        let wildcard = (chosen >> NAMES.len() & 1 == 1).then(|| "*".to_owned());
        names.map(|(_, name)| (*name).to_owned()).chain(wildcard).collect()
    }
}

struct Conversation<V: Wire> {
    scope: Option<ResourceType>,
    session: Session<V>,
    now: Duration,
    generation: u64,
    published: Option<Arc<Snapshot>>,
    /// The nonces without an answer, in the order in which they came.
    unanswered: BTreeMap<ResourceType, Vec<String>>,
    nonces: BTreeSet<String>,
    held: BTreeMap<ResourceType, BTreeMap<String, String>>,
}

impl<V: Wire> Conversation<V> {
    fn new(scope: Option<ResourceType>) -> Self {
        Self {
            scope,
            session: Session::new(scope),
            now: Duration::ZERO,
            generation: 0,
            published: None,
            unanswered: BTreeMap::new(),
            nonces: BTreeSet::new(),
            held: BTreeMap::new(),
        }
    }

    fn run(mut self, mut input: Input<'_>) {
        while !input.0.is_empty() {
            self.step(&mut input);
            self.hear();
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0 => self.publish(input),
            1 => {
                let (kind, names) = (input.kind(), input.names());
                let nonce = self.last(kind);
                self.say(V::request(kind.type_url(), &names, &nonce, None));
            }
            2 => {
                let kind = input.kind();
                self.answer(kind, None);
            }
            3 => {
                let kind = input.kind();
                self.answer(kind, Some("no"));
            }
            4 => self.now += Duration::from_millis(u64::from(input.byte()) * 100),
            5 => {
                let length = input.byte();
                if let Ok(request) = V::Request::decode(input.take(length.into())) {
                    self.say(V::from_node(request, "client"));
                }
            }
            6 => {
                // In delta: some names to add, some to remove.
                let (kind, into, out) = (input.kind(), input.names(), input.names());
                let names = into.into_iter().chain(out.into_iter().map(|name| format!("-{name}"))).collect::<Vec<_>>();
                self.say(V::request(kind.type_url(), &names, "", None));
            }
            _ => self.reconnect(input),
        }
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        self.generation += 1;
        let mut resources = Vec::new();
        for kind in ResourceType::ALL {
            // Two bits a name: absent, or one of three versions.
            let versions = input.byte();
            for (index, name) in NAMES.iter().enumerate() {
                let version = versions >> (2 * index) & 3;
                if version > 0 {
                    resources.push((kind, resource(&format!("{name}@{version}"))));
                }
            }
        }
        let snapshot = Arc::new(Snapshot::new(self.generation, resources));
        self.published = Some(snapshot.clone());
        self.session.publish(snapshot, self.now);
    }

    /// Returns the nonce of a request that changes the subscription. Delta requests have none.
    fn last(&self, kind: ResourceType) -> String {
        match V::NAME {
            VariantName::Sotw => {
                self.unanswered.get(&kind).and_then(|nonces| nonces.last().cloned()).unwrap_or_default()
            }
            VariantName::Delta => String::new(),
        }
    }

    fn answer(&mut self, kind: ResourceType, error: Option<&str>) {
        let Some(nonce) = self.unanswered.get(&kind).and_then(|nonces| nonces.first().cloned()) else { return };
        self.say(V::request(kind.type_url(), &[], &nonce, error));
    }

    fn say(&mut self, request: V::Request) {
        let ask = V::read(request.clone());
        let kind = self.scope.filter(|_| ask.type_url.is_empty()).or(ResourceType::from_type_url(&ask.type_url));
        if self.session.request(V::from_node(request, "client"), self.now).is_err() {
            // The stream has ended. The client opens another one.
            return self.begin();
        }
        // An answer also answers all responses before it.
        let waiting = kind.and_then(|kind| self.unanswered.get_mut(&kind));
        if let Some((nonces, position)) =
            waiting.and_then(|nonces| nonces.iter().position(|nonce| *nonce == ask.nonce).map(|at| (nonces, at)))
        {
            nonces.drain(..=position);
        }
    }

    fn begin(&mut self) {
        self.session = Session::new(self.scope);
        self.unanswered.clear();
        self.nonces.clear();
        if let Some(snapshot) = &self.published {
            self.session.publish(snapshot.clone(), self.now);
        }
    }

    /// The client opens another stream and says what it holds of a kind, perhaps things that it
    /// never had.
    fn reconnect(&mut self, input: &mut Input<'_>) {
        self.begin();
        let (kind, names) = (input.kind(), input.names());
        let mut held = self.held.get(&kind).cloned().unwrap_or_default();
        held.extend(input.names().into_iter().map(|name| (name, "other".to_owned())));
        let held = held.into_iter().collect::<Vec<_>>();
        self.say(V::holding(V::request(kind.type_url(), &names, "", None), &held));
    }

    fn hear(&mut self) {
        for _ in 0..MOST_RESPONSES {
            let Next::Send(message) = self.session.poll(self.now) else {
                self.session.events().for_each(drop);
                return;
            };
            assert!(self.published.is_some(), "G15");
            let response = message.read::<V::Response>().unwrap();
            let (type_url, nonce) = V::head(&response);
            let kind = ResourceType::from_type_url(&type_url).expect("a kind that is served");
            assert!(self.scope.is_none_or(|scope| scope == kind), "another kind than the stream carries");
            assert!(!nonce.is_empty() && self.nonces.insert(nonce.clone()), "G5: {nonce}");
            let waiting = self.unanswered.entry(kind).or_default();
            waiting.push(nonce);
            // Endpoints may follow a changed cluster over others (O4).
            let most = if kind == ResourceType::Endpoints { 2 } else { 1 };
            assert!(waiting.len() <= most, "O7: {kind} {waiting:?}");
            let (brought, removed) = V::contents(&response);
            let held = self.held.entry(kind).or_default();
            let mut names = BTreeSet::new();
            for text in brought {
                let (name, version) = text.split_once('@').expect("name@version");
                assert!(names.insert(name.to_owned()), "G10: {name}");
                held.insert(name.to_owned(), version.to_owned());
            }
            for name in removed {
                assert!(names.insert(name.clone()), "G10: {name}");
                held.remove(&name);
            }
        }
        panic!("more than {MOST_RESPONSES} responses in a row");
    }
}
