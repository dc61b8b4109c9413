//! The state of one stream. It takes in requests and snapshots, and gives out responses and events.
//! It does no input or output and has no clock: all times are durations since one moment, which may
//! be any.
//!
//! The caller repeats [`Session::poll`] until there is nothing to send. Then it waits for a
//! request, a snapshot or the time that `poll` named. The caller only says which snapshot the
//! client should be at; a roll-back is a snapshot like any other.

use std::{marker::PhantomData, mem::take, sync::Arc, time::Duration};

use legation_protos::ResourceType;

mod comparison;
mod delta;
mod event;
mod holding;
mod message;
mod name_set;
mod order;
mod sotw;
mod subscription;
mod substream;
mod variant;

pub use delta::Delta;
pub use event::{Event, NodeInfo, Observer, Rejection, StreamId};
pub use message::Message;
pub use sotw::Sotw;
pub use variant::{Variant, VariantName};

use self::{
    order::{GATE, SETTLING, Until, Wait},
    substream::{Answer, Due, Nack, Standing, Substream},
};
use crate::snapshot::Snapshot;

/// How many names of a kind a stream may subscribe to, or claim to hold.
pub const MOST_NAMES: usize = 200_000;

/// The most bytes of all names of a kind that a stream subscribes to.
pub const MOST_NAME_BYTES: usize = 16 << 20;

/// The memory of a name beside its bytes: in the subscription and in what the client holds.
const NAME_OVERHEAD: usize = 64;

/// The longest name or version, of a resource or of the node, in bytes.
pub const LONGEST_NAME: usize = 4096;

/// How much of a client's words the session keeps, in bytes. Envoy seldom says more than a line for
/// each resource.
const LONGEST_MESSAGE: usize = 8 << 10;

/// Why the server ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// G3.
    #[error("the first request of a stream must say who asks: node.id is missing")]
    NoNode,
    /// G2.
    #[error("type_url is missing: on an aggregated stream every request must say what it asks for")]
    NoType,
    /// The client asked for another kind on a stream of one kind.
    #[error("this service serves {} only", .0.type_url())]
    OtherType(ResourceType),
    /// [`MOST_NAMES`] or [`MOST_NAME_BYTES`].
    #[error(
        "too many resource names: at most {MOST_NAMES} of a kind, of {MOST_NAME_BYTES} bytes together, are served on one stream"
    )]
    TooManyNames,
    /// [`LONGEST_NAME`].
    #[error("a name or version, of a resource or of the node, is longer than {LONGEST_NAME} bytes")]
    NameTooLong,
}

/// What the caller does next.
#[derive(Debug)]
pub enum Next {
    /// Send this, then poll again.
    Send(Message),
    /// Wait for a request or a snapshot, or until this time.
    Wait(Option<Duration>),
}

/// The state of one stream.
#[derive(Debug)]
pub struct Session<V> {
    /// The one kind that the stream carries; none on an aggregated stream.
    scope: Option<ResourceType>,
    opened: bool,
    target: Option<Arc<Snapshot>>,
    published_at: Duration,
    /// When the client last answered a response or changed a subscription.
    heard_at: Duration,
    substreams: Substreams,
    nonces: u64,
    confirmed: Option<u64>,
    events: Vec<Event>,
    variant: PhantomData<V>,
}

impl<V: Variant> Session<V> {
    /// A stream that just began. `scope` is the one kind that it carries; none on an aggregated
    /// stream (ADS).
    pub fn new(scope: Option<ResourceType>) -> Self {
        Self {
            scope,
            opened: false,
            target: None,
            published_at: Duration::ZERO,
            heard_at: Duration::ZERO,
            substreams: Substreams::default(),
            nonces: 0,
            confirmed: None,
            events: Vec::new(),
            variant: PhantomData,
        }
    }

    /// The client should be at this snapshot from now on. Before the first one the session answers
    /// nothing (G15).
    pub fn publish(&mut self, snapshot: Arc<Snapshot>, now: Duration) {
        self.target = Some(snapshot);
        self.published_at = now;
        self.confirmed = None;
        for kind in ResourceType::ALL {
            self.substreams.get_mut(kind).touch();
        }
    }

    /// Takes in a request.
    ///
    /// # Errors
    ///
    /// The request breaks a rule, so that the server must end the stream.
    pub fn request(&mut self, request: V::Request, now: Duration) -> Result<(), Refusal> {
        let ask = V::read(request);
        if !self.opened {
            let node = ask.node.filter(|node| !node.id.is_empty()).ok_or(Refusal::NoNode)?;
            let node = NodeInfo::from(node);
            if [&node.id, &node.cluster, &node.build_version].iter().any(|text| text.len() > LONGEST_NAME) {
                return Err(Refusal::NameTooLong);
            }
            self.opened = true;
            self.events.push(Event::Opened { node, variant: V::NAME });
        }
        let kind = match (self.scope, ask.type_url.as_str()) {
            (Some(kind), "") => kind,
            (Some(kind), url) if url == kind.type_url() => kind,
            (Some(kind), _) => return Err(Refusal::OtherType(kind)),
            (None, "") => return Err(Refusal::NoType),
            (None, url) => match ResourceType::from_type_url(url) {
                Some(kind) => kind,
                // The session does not answer a kind that is not served. The stream carries others
                // (G14).
                None => return Ok(()),
            },
        };
        if ask.names.longest() > LONGEST_NAME {
            return Err(Refusal::NameTooLong);
        }
        let substream = self.substreams.get_mut(kind);
        let asked = ask.names.asked();
        let after = asked + if ask.names.replaces() { substream.owed_size() } else { substream.wanted_size() };
        if after.count > MOST_NAMES || after.bytes > MOST_NAME_BYTES {
            return Err(Refusal::TooManyNames);
        }
        if let Some(answer) = substream.answer(&ask.nonce, ask.error.map(shortened)) {
            self.heard_at = now;
            self.events.push(match answer {
                Answer::Ack(generation) => Event::Acked { kind, generation },
                Answer::Nack(nack) => {
                    self.confirmed = None;
                    nacked(kind, nack)
                }
            });
        }
        if substream.is_superseded(V::NAME, &ask.nonce) {
            return Ok(());
        }
        if !substream.asked() {
            self.events.push(Event::Subscribed { kind });
        }
        if substream.subscribe(ask.names, kind, ask.holds) {
            self.heard_at = now;
        }
        Ok(())
    }

    /// Returns what to do next.
    pub fn poll(&mut self, now: Duration) -> Next {
        let Some(target) = self.target.clone() else { return Next::Wait(None) };
        loop {
            let mut wait = Earliest::default();
            let mut again = false;
            for kind in ResourceType::ALL {
                match self.step(kind, &target, now, &mut wait) {
                    Step::Send(response) => return Next::Send(response),
                    Step::Compared => again = true,
                    Step::Nothing => {}
                }
            }
            // One kind may have settled what an earlier kind waits for.
            if !again {
                self.confirm(&target, now, &mut wait);
                return Next::Wait(wait.0);
            }
        }
    }

    /// Takes the events since the last call, in order.
    pub fn events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.events.drain(..)
    }

    /// How much the session holds of what the client said, in bytes: the names that the client
    /// asked for, and what it says it has.
    pub fn bytes(&self) -> usize {
        let kept = ResourceType::ALL.into_iter().map(|kind| self.substreams.get(kind).kept());
        kept.map(|size| size.bytes + size.count * NAME_OVERHEAD).sum()
    }

    fn step(&mut self, kind: ResourceType, target: &Snapshot, now: Duration, wait: &mut Earliest) -> Step {
        let substream = self.substreams.get(kind);
        if !(substream.is_dirty() || substream.is_lingering()) || !substream.may_send() {
            return Step::Nothing;
        }
        if let Some(until) = self.gate(kind).filter(|until| now < *until) {
            wait.or(until);
            return Step::Nothing;
        }
        let remove = self.may_remove(kind, target, now, wait);
        if !(substream.is_dirty() || remove) {
            return Step::Nothing;
        }
        let substream = self.substreams.get_mut(kind);
        let retries = target.retries() && substream.rejected().is_some_and(|it| it.generation < target.generation());
        match substream.update(V::NAME, kind, target.collection(kind), remove, retries) {
            Some(due) => Step::Send(self.send(kind, due, target, now)),
            None => {
                let generation = target.generation();
                match substream.standing(generation) {
                    Standing::Current => self.events.push(Event::Acked { kind, generation }),
                    Standing::StillRejected(nack) => self.events.push(nacked(kind, nack)),
                    Standing::Unchanged => {}
                }
                Step::Compared
            }
        }
    }

    /// Until when at most a change of this kind waits for other kinds.
    fn gate(&self, kind: ResourceType) -> Option<Duration> {
        order::waits(kind).filter_map(|wait| Some(self.since(kind, wait)? + GATE)).max()
    }

    /// Since when a change of this kind waits for another kind, if it waits.
    fn since(&self, kind: ResourceType, wait: Wait) -> Option<Duration> {
        let other = self.substreams.get(wait.of);
        if !other.is_subscribed() {
            return None;
        }
        match (other.in_flight(), other.rejected()) {
            _ if wait.until == Until::Sent => other.is_dirty().then_some(self.published_at),
            // What was published since goes out after this response, and then takes its own time.
            // But a file that is saved all the time must not hold up this kind for ever.
            (Some(sent), _) if other.is_dirty() => Some(self.published_at.clamp(sent.at, sent.at + GATE)),
            (Some(sent), _) if sent.brings_changes() => Some(sent.at),
            // A client without resources of the kind has nothing that could change too early.
            _ if !self.substreams.get(kind).may_hold_any() => None,
            // The other kind itself waits.
            (None, _) if other.is_dirty() => Some(self.published_at),
            // The client keeps what it had, and with it its old routes. A roll-back is on its way.
            (_, Some(rejection)) => Some(rejection.at),
            _ => None,
        }
    }

    /// Whether the client may lose what is gone of this kind, because nothing that it has refers to
    /// it any more (O1). A client that rejected the resources that stop referring still has the old
    /// ones, so it loses nothing.
    fn may_remove(&self, kind: ResourceType, target: &Snapshot, now: Duration, wait: &mut Earliest) -> bool {
        if self.substreams.get(kind).rejected().is_some() {
            return false;
        }
        for &kind in order::referrers(kind) {
            let referrer = self.substreams.get(kind);
            if referrer.is_dirty() || referrer.is_lingering() || referrer.rejected().is_some() {
                return false;
            }
            let answered = referrer.in_flight().map(|sent| sent.at + GATE);
            // On a new stream the client may be about to say what it has. With a new listener it
            // may be about to ask for its routes.
            let asking =
                self.scope.is_none() && (!referrer.asked() || referrer.wanted() < target.resources(kind).len());
            let asked = asking.then_some(self.heard_at + SETTLING);
            if let Some(until) = answered.max(asked).filter(|until| now < *until) {
                wait.or(until);
                return false;
            }
        }
        true
    }

    fn send(&mut self, kind: ResourceType, mut due: Due, target: &Snapshot, now: Duration) -> Message {
        self.nonces += 1;
        let nonce = self.nonces.to_string();
        let generation = target.generation();
        let response = V::write(kind, &due.update, &nonce, generation);
        let carried = if V::NAME.whole(kind) { take(&mut due.update.all) } else { due.update.changed.clone() };
        let carried = target.collection(kind).parcel(kind, V::FORM, carried);
        self.events.push(Event::Sent {
            kind,
            generation,
            resources: carried.resources.len(),
            removed: due.update.removed.len(),
            bytes: carried.bytes.len(),
        });
        if kind == ResourceType::Cluster {
            // A cluster that is added or changed warms with its endpoints. Delta Envoy does not ask
            // for endpoints that it has, and then waits 15 s (O4).
            let endpoints = target.resources(ResourceType::Endpoints);
            let names = due.update.changed.iter().map(|cluster| cluster.endpoints().clone());
            let with_endpoints = names.filter(|name| endpoints.contains_key(name));
            self.substreams.get_mut(ResourceType::Endpoints).owe(with_endpoints);
        }
        self.substreams.get_mut(kind).sent(due, carried.resources.clone(), nonce, generation, now);
        Message::new(&response, carried)
    }

    /// Reports once that the client has all of the snapshot that it asked for. A client that has
    /// not asked for everything may be about to.
    fn confirm(&mut self, target: &Snapshot, now: Duration, wait: &mut Earliest) {
        let mut kinds = ResourceType::ALL.into_iter().filter(|kind| self.scope.is_none_or(|scope| scope == *kind));
        let complete = |kind| self.substreams.get(kind).wanted() == target.resources(kind).len();
        let all = |test: fn(&Substream) -> bool| ResourceType::ALL.iter().all(|kind| test(self.substreams.get(*kind)));
        if self.confirmed == Some(target.generation())
            || all(|substream| !substream.is_subscribed())
            || !all(Substream::is_settled)
        {
            return;
        }
        let until = self.heard_at.max(self.published_at) + SETTLING;
        if kinds.all(complete) || until <= now {
            self.confirmed = Some(target.generation());
            self.events.push(Event::Confirmed { generation: target.generation() });
        } else {
            wait.or(until);
        }
    }
}

enum Step {
    Send(Message),
    /// There was nothing to send, but only the comparison showed that.
    Compared,
    Nothing,
}

/// The earliest of some times.
#[derive(Default)]
struct Earliest(Option<Duration>);

impl Earliest {
    fn or(&mut self, time: Duration) {
        self.0 = Some(self.0.map_or(time, |earliest| earliest.min(time)));
    }
}

fn nacked(kind: ResourceType, nack: Nack) -> Event {
    let Nack { generation, message, culprit, .. } = nack;
    Event::Nacked(Arc::new(Rejection { kind, generation, message, culprit }))
}

/// A client's words, as far as the session keeps them.
fn shortened(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        message.shrink_to_fit();
        message.push('…');
    }
    message
}

/// One substream for each kind.
#[derive(Debug, Default)]
struct Substreams {
    extension: Substream,
    secret: Substream,
    cluster: Substream,
    endpoints: Substream,
    listener: Substream,
    route: Substream,
}

impl Substreams {
    fn get(&self, kind: ResourceType) -> &Substream {
        match kind {
            ResourceType::Extension => &self.extension,
            ResourceType::Secret => &self.secret,
            ResourceType::Cluster => &self.cluster,
            ResourceType::Endpoints => &self.endpoints,
            ResourceType::Listener => &self.listener,
            ResourceType::Route => &self.route,
        }
    }

    fn get_mut(&mut self, kind: ResourceType) -> &mut Substream {
        match kind {
            ResourceType::Extension => &mut self.extension,
            ResourceType::Secret => &mut self.secret,
            ResourceType::Cluster => &mut self.cluster,
            ResourceType::Endpoints => &mut self.endpoints,
            ResourceType::Listener => &mut self.listener,
            ResourceType::Route => &mut self.route,
        }
    }
}
