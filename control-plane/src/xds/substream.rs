//! One kind of resource on one stream: what the client wants, what it holds, and what is still owed to it.
//!
//! What the client holds is written down when a response goes out and not when it is ACKed, since nothing else of the kind
//! is sent in between; a NACK then says which of it is in doubt. So an ACK costs no more than the response that it answers.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use legation_protos::ResourceType;

use super::{
    VariantName,
    comparison::{Comparison, Held, Rules},
    subscription::Subscription,
    variant::{Names, Update},
};
use crate::snapshot::{Resource, Resources};

/// How many responses of a kind may be on their way: one, and one more that warms clusters (O4, O7).
const MOST_IN_FLIGHT: usize = 2;

/// One kind of resource on one stream.
#[derive(Debug, Default)]
pub(super) struct Substream {
    subscription: Subscription,
    /// What the client has, as far as is known. Only of names that it wants.
    held: BTreeMap<Arc<str>, Held>,
    /// Names that must be answered whatever the client holds.
    owed: BTreeSet<Arc<str>>,
    /// Names to send whatever the client will say it holds, when it first asks for the kind (O4).
    owed_on_asking: BTreeSet<Arc<str>>,
    /// A first wildcard request must be answered, if only with nothing (S4, D10).
    answer: bool,
    /// What is owed cannot wait for an ACK (O4).
    urgent: bool,
    /// Something changed since the client's state was last compared with the snapshot.
    dirty: bool,
    /// There are resources that the client is to lose when nothing refers to them any more.
    lingering: bool,
    /// How many resources of the snapshot the client wants.
    wanted: usize,
    /// Whether the snapshot holds a resource at a version that the client rejected.
    refused: bool,
    in_flight: VecDeque<InFlight>,
    last_nonce: String,
    rejected: Option<Rejection>,
    /// The generation that the client is known to have, of this kind.
    current: Option<u64>,
}

/// A response that was not answered yet.
#[derive(Debug)]
pub(super) struct InFlight {
    nonce: String,
    /// The generation that it brings.
    pub(super) generation: u64,
    /// When it was sent.
    pub(super) at: Duration,
    /// The resources that it adds or changes, with what the client had before.
    changed: Vec<(Arc<Resource>, Option<Arc<Resource>>)>,
    /// What the client had and is to lose.
    removed: Vec<Arc<str>>,
    /// All that it carries.
    carried: Vec<Arc<Resource>>,
}

impl InFlight {
    /// Whether it brings anything: a response may be empty, or only remove.
    pub(super) fn brings_changes(&self) -> bool {
        !self.changed.is_empty()
    }
}

/// A response that the client rejected.
#[derive(Clone, Debug)]
pub(super) struct Rejection {
    /// The generation that it is held against.
    pub(super) generation: u64,
    /// When the response was sent.
    pub(super) at: Duration,
    /// The client's words.
    pub(super) message: String,
    /// What the response carried.
    pub(super) resources: Vec<Arc<Resource>>,
    /// Whether the response only removed, so that no resource can be blamed.
    only_removed: bool,
}

/// What a client says to a response.
#[derive(Debug)]
pub(super) enum Answer {
    /// It accepts it, and has this generation.
    Ack(u64),
    /// It rejects it.
    Nack(Rejection),
}

/// What a comparison found that gave nothing to send.
#[derive(Debug)]
pub(super) enum Standing {
    /// The client has the generation.
    Current,
    /// The generation holds what the client rejected of an earlier one.
    StillRejected(Rejection),
    /// Nothing new to say.
    Unchanged,
}

impl Substream {
    /// Whether the client wants anything of this kind now.
    pub(super) fn is_subscribed(&self) -> bool {
        !self.subscription.is_empty()
    }

    /// Whether the client ever asked for this kind.
    pub(super) fn asked(&self) -> bool {
        self.subscription.asked()
    }

    /// Whether it was ever sent a response of this kind.
    pub(super) fn was_sent_any(&self) -> bool {
        !self.last_nonce.is_empty()
    }

    /// How many names it asked for, and how long they are together, in bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.subscription.names().len(), self.subscription.bytes())
    }

    /// How many resources of the snapshot the client wants, as of the last comparison.
    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Whether something changed since the last comparison.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether there are removals that wait for what refers to the resources.
    pub(super) fn is_lingering(&self) -> bool {
        self.lingering
    }

    /// The newest response that was not answered yet.
    pub(super) fn in_flight(&self) -> Option<&InFlight> {
        self.in_flight.back()
    }

    /// The rejection that stands: what was rejected is still in the snapshot.
    pub(super) fn rejected(&self) -> Option<&Rejection> {
        self.rejected.as_ref()
    }

    /// Whether a response may go out now (O7).
    pub(super) fn may_send(&self) -> bool {
        self.in_flight.len() < if self.urgent { MOST_IN_FLIGHT } else { 1 }
    }

    /// Whether nothing of this kind is left to say, and nothing unanswered.
    pub(super) fn is_settled(&self) -> bool {
        !self.dirty && !self.lingering && self.in_flight.is_empty() && self.rejected.is_none()
    }

    /// There is another snapshot.
    pub(super) fn touch(&mut self) {
        self.dirty |= self.asked();
    }

    /// These names are sent even if unchanged, and without waiting for an ACK (O4).
    pub(super) fn owe(&mut self, names: impl Iterator<Item = Arc<str>>) {
        if !self.asked() {
            return self.owed_on_asking.extend(names);
        }
        for name in names.filter(|name| self.subscription.covers(name)) {
            self.owed.insert(name);
            self.urgent = true;
            self.dirty = true;
        }
    }

    /// Whether the names of a request with this nonce are superseded. In state of the world they are, when the nonce is not
    /// the newest: another request will answer that one (S8). In delta every request counts (D2).
    pub(super) fn is_superseded(&self, variant: VariantName, nonce: &str) -> bool {
        variant == VariantName::Sotw && self.was_sent_any() && !nonce.is_empty() && nonce != self.last_nonce
    }

    /// Takes in what a request says about the subscription. Gives whether that changed it or owes an answer.
    pub(super) fn subscribe(&mut self, names: Names, kind: ResourceType) -> bool {
        let first = !self.asked();
        let (change, claimed) = names.apply(&mut self.subscription, kind);
        let subscription = &self.subscription;
        if change.wildcard_ended {
            self.held.retain(|name, _| subscription.covers(name));
            self.owed.retain(|name| subscription.covers(name));
        }
        for name in &change.lost {
            self.held.remove(name);
            self.owed.remove(name);
        }
        let changed = first || change != Default::default();
        self.dirty |= changed;
        self.answer |= change.wildcard_began;
        // What the client says it holds is compared, and sent only if it differs (D9) …
        self.owed.extend(change.owed.into_iter().filter(|name| !claimed.contains_key(&**name)));
        // … unless its cluster was just sent (O4).
        self.owed.extend(std::mem::take(&mut self.owed_on_asking).into_iter().filter(|name| subscription.covers(name)));
        for (name, version) in claimed.into_iter().filter(|(name, _)| subscription.covers(name)) {
            let held = Held { version: Some(version.into()), refused: false, resource: None };
            self.held.insert(name.into(), held);
        }
        changed
    }

    /// Takes in what a request says about a response. Nothing, if it answers none, or one that is long settled.
    pub(super) fn answer(&mut self, nonce: &str, error: Option<String>) -> Option<Answer> {
        let position = self.in_flight.iter().position(|sent| sent.nonce == nonce)?;
        // Those before it were passed over by the client, which need answer only the latest (S10).
        let mut sent = self.in_flight.drain(..=position).next_back()?;
        let refused = error.is_some();
        let only_removed = sent.changed.is_empty();
        for (resource, before) in std::mem::take(&mut sent.changed) {
            // The name may be gone by now, or have been sent again.
            if let Some(held) = self.held.get_mut(&resource.name).filter(|held| held.is_at(&resource)) {
                held.refused = refused;
                held.resource = if refused { before } else { Some(resource) };
            }
        }
        if let Some(message) = error {
            for name in sent.removed {
                if self.subscription.covers(&name) {
                    self.held.entry(name).or_insert(Held { version: None, refused: true, resource: None });
                }
            }
            self.dirty = true;
            let InFlight { generation, at, carried: resources, .. } = sent;
            let rejection = Rejection { generation, at, message, resources, only_removed };
            self.rejected = Some(rejection.clone());
            return Some(Answer::Nack(rejection));
        }
        if self.refused {
            // It accepted this response, but what it rejected before is still in the snapshot.
            self.dirty = true;
        } else {
            self.rejected = None;
            self.current = Some(sent.generation);
        }
        Some(Answer::Ack(sent.generation))
    }

    /// Compares what the client has with what it should have. Nothing, if there is nothing to send. With `remove` it may
    /// lose what is gone; without, that lingers.
    pub(super) fn update(
        &mut self,
        variant: VariantName,
        kind: ResourceType,
        target: &Resources,
        remove: bool,
    ) -> Option<Update> {
        let rules = Rules {
            removes: variant.removes(kind),
            remove_now: remove,
            whole: variant.whole(kind),
            list: variant == VariantName::Sotw,
        };
        let owed = std::mem::take(&mut self.owed);
        let found = Comparison::of(&mut self.held, &self.subscription, &owed, target, rules);
        self.wanted = found.wanted;
        self.lingering = found.lingering;
        self.refused = found.refused;
        self.urgent = false;
        self.dirty = false;
        let answer = std::mem::take(&mut self.answer);
        (answer || !found.update.is_empty()).then_some(found.update)
    }

    /// Writes down that an update goes out under this nonce.
    pub(super) fn sent(
        &mut self,
        update: Update,
        carried: Vec<Arc<Resource>>,
        nonce: String,
        generation: u64,
        at: Duration,
    ) {
        let Update { changed: brought, mut removed, .. } = update;
        removed.retain(|name| self.held.remove(name).is_some());
        let mut changed = Vec::with_capacity(brought.len());
        for resource in brought {
            let held =
                Held { version: Some(resource.version.clone()), refused: false, resource: Some(resource.clone()) };
            let before = self.held.insert(resource.name.clone(), held).and_then(|held| held.resource);
            changed.push((resource, before));
        }
        self.last_nonce.clone_from(&nonce);
        self.in_flight.push_back(InFlight { nonce, generation, at, changed, removed, carried });
    }

    /// Says what it means that a comparison with this generation gave nothing to send.
    pub(super) fn standing(&mut self, generation: u64) -> Standing {
        if !self.in_flight.is_empty() {
            // Said when it is answered.
            self.dirty = true;
            return Standing::Unchanged;
        }
        match &mut self.rejected {
            Some(rejected) if rejected.generation == generation && (self.refused || rejected.only_removed) => {
                return Standing::Unchanged;
            }
            Some(rejected) if self.refused => {
                rejected.generation = generation;
                return Standing::StillRejected(rejected.clone());
            }
            rejected => *rejected = None,
        }
        if self.lingering || self.current == Some(generation) {
            return Standing::Unchanged;
        }
        self.current = Some(generation);
        Standing::Current
    }
}
