//! One kind of resource on one stream: what the client wants, what it holds, and what the server
//! still owes it.
//!
//! The substream writes down what the client holds when a response goes out, not when the client
//! ACKs it, since nothing else of the kind goes out in between. A NACK then says which of it is in
//! doubt. So an ACK costs no more than the response that it answers.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use legation_protos::ResourceType;

use super::{
    VariantName,
    comparison::{Comparison, Rules},
    event::culprit,
    holding::{Held, Holding},
    subscription::Subscription,
    variant::{Names, Size, Update},
};
use crate::snapshot::{Collection, Resource};

/// How many responses of a kind may be unanswered: one, and one more that warms clusters (O4, O7).
const MOST_IN_FLIGHT: usize = 2;

/// One kind of resource on one stream.
#[derive(Debug, Default)]
pub(super) struct Substream {
    subscription: Subscription,
    /// What the client has.
    holding: Holding,
    /// Names that the server must answer whatever the client holds.
    owed: BTreeSet<Arc<str>>,
    /// Names to send when the client first asks for the kind, whatever it says it holds (O4).
    owed_on_asking: BTreeSet<Arc<str>>,
    /// The server must answer a first wildcard request, if only with nothing (S4, D10).
    answer: bool,
    /// What the server owes cannot wait for an ACK (O4).
    urgent: bool,
    /// The client claims to hold resources from an earlier stream.
    held_before: bool,
    /// Something changed since the last comparison of the client's state with the snapshot.
    dirty: bool,
    /// There are resources that the client is to lose once nothing refers to them any more.
    lingering: bool,
    /// Whether the snapshot holds a resource at a version that the client rejected.
    refused: bool,
    /// How many responses the client has rejected.
    refusals: u64,
    in_flight: VecDeque<InFlight>,
    last_nonce: String,
    rejected: Option<Nack>,
    /// The rejections that still stand, by their numbers.
    standing: BTreeMap<u64, Nack>,
    /// The generation of this kind that the client is known to have.
    current: Option<u64>,
}

/// A response that the client has not answered yet.
#[derive(Debug)]
pub(super) struct InFlight {
    nonce: String,
    /// The generation that it brings.
    pub(super) generation: u64,
    /// When it was sent.
    pub(super) at: Duration,
    /// The resources that it carries.
    carried: Arc<[Arc<Resource>]>,
    /// Those of them that it adds or changes. None if it adds or changes them all.
    changed: Option<Vec<Arc<Resource>>>,
    /// The names that the client loses.
    lost: Vec<Arc<str>>,
    /// What the client held before.
    before: Holding,
}

impl InFlight {
    /// Whether it adds or changes a resource. A response may be empty, or only remove.
    pub(super) fn brings_changes(&self) -> bool {
        !self.changed().is_empty()
    }

    fn changed(&self) -> &[Arc<Resource>] {
        self.changed.as_deref().unwrap_or(&self.carried)
    }
}

/// An update to send, and what it changes for the client.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) update: Update,
    /// The names that the client loses.
    lost: Vec<Arc<str>>,
    /// What the client held before.
    before: Holding,
}

/// A response that the client rejected.
#[derive(Clone, Debug)]
pub(super) struct Nack {
    /// Its number, from 1.
    number: u64,
    /// The generation that the rejection counts against.
    pub(super) generation: u64,
    /// When the response was sent.
    pub(super) at: Duration,
    /// The client's error message.
    pub(super) message: String,
    /// The resource that it blames, where that is known.
    pub(super) culprit: Option<Arc<Resource>>,
    /// The resources that it may blame as well: all that the response brought.
    suspects: Arc<[Arc<Resource>]>,
    /// Whether the response only removed names, so that the client can blame no resource.
    only_removed: bool,
}

/// A client's answer to a response.
#[derive(Debug)]
pub(super) enum Answer {
    /// It accepts it, and has this generation.
    Ack(u64),
    /// It rejects it.
    Nack(Nack),
}

/// What it means that a comparison found nothing to send.
#[derive(Debug)]
pub(super) enum Standing {
    /// The client has the generation.
    Current,
    /// The generation still holds what the client rejected of an earlier one.
    StillRejected(Nack),
    /// There is nothing new to say.
    Unchanged,
}

impl Substream {
    /// Returns whether the client now wants anything of this kind.
    pub(super) fn is_subscribed(&self) -> bool {
        !self.subscription.is_empty()
    }

    /// Returns whether the client ever asked for this kind.
    pub(super) fn asked(&self) -> bool {
        self.subscription.asked()
    }

    /// Returns whether it ever got a response of this kind.
    fn was_sent_any(&self) -> bool {
        !self.last_nonce.is_empty()
    }

    /// Returns whether it may hold resources of this kind: from this stream, or by its own claim
    /// from an earlier one.
    pub(super) fn may_hold_any(&self) -> bool {
        self.was_sent_any() || self.held_before
    }

    /// The size of the names that the client asked for. Names that it asks for no more count while
    /// an answer is owed.
    pub(super) fn wanted_size(&self) -> Size {
        let Size { count, bytes } = self.owed_size();
        let names = self.subscription.size();
        Size { count: count.max(names.count), bytes: bytes.max(names.bytes) }
    }

    /// The size of the names that are owed. The client asked for most of them.
    pub(super) fn owed_size(&self) -> Size {
        self.owed.iter().map(|name| Size::of(name)).sum()
    }

    /// The size of all that is kept of what the client said.
    pub(super) fn kept(&self) -> Size {
        let in_flight = self
            .in_flight
            .iter()
            .flat_map(|sent| sent.lost.iter().map(|name| Size::of(name)).chain([sent.before.claimed()]));
        let words = self.standing.values().map(|rejection| Size::of(&rejection.message)).sum();
        self.wanted_size() + self.holding.claimed() + in_flight.sum() + words
    }

    /// Returns how many resources of the snapshot the client wants, as of the last comparison.
    pub(super) fn wanted(&self) -> usize {
        self.holding.wanted.unwrap_or_default()
    }

    /// Returns whether something changed since the last comparison.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether there are removals that wait until nothing refers to the resources.
    pub(super) fn is_lingering(&self) -> bool {
        self.lingering
    }

    /// The newest response that the client has not answered yet.
    pub(super) fn in_flight(&self) -> Option<&InFlight> {
        self.in_flight.back()
    }

    /// The rejection that stands: the snapshot still holds what the client rejected.
    pub(super) fn rejected(&self) -> Option<&Nack> {
        self.rejected.as_ref()
    }

    /// Returns whether a response may go out now (O7).
    pub(super) fn may_send(&self) -> bool {
        self.in_flight.len() < if self.urgent { MOST_IN_FLIGHT } else { 1 }
    }

    /// Whether there is nothing of this kind left to send, and no response unanswered.
    pub(super) fn is_settled(&self) -> bool {
        !self.dirty && !self.lingering && self.in_flight.is_empty() && self.rejected.is_none()
    }

    /// There is a new snapshot.
    pub(super) fn touch(&mut self) {
        self.dirty |= self.asked();
    }

    /// Sends these names even if they are unchanged, and without waiting for an ACK (O4).
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

    /// Whether the names of a request with this nonce are superseded. In state of the world they
    /// are when the nonce is not the newest: another request will answer that nonce (S8). In delta
    /// every request counts (D2).
    pub(super) fn is_superseded(&self, variant: VariantName, nonce: &str) -> bool {
        variant == VariantName::Sotw && self.was_sent_any() && !nonce.is_empty() && nonce != self.last_nonce
    }

    /// Takes in the names of a request. `holds` says whether the client claims to hold resources of
    /// the kind. Returns whether the subscription changed or the server owes an answer.
    pub(super) fn subscribe(&mut self, names: Names, kind: ResourceType, holds: bool) -> bool {
        let first = !self.asked();
        self.held_before |= first && holds;
        let had_wildcard = self.subscription.wildcard();
        let before = (!had_wildcard && names.wildcard()).then(|| self.subscription.clone());
        let (change, claimed) = names.apply(&mut self.subscription, kind);
        let subscription = &self.subscription;
        if change.wildcard_ended {
            self.holding.keep(subscription);
            self.owed.retain(|name| subscription.covers(name));
        }
        self.holding.forget(&change.lost);
        for name in &change.lost {
            self.owed.remove(name);
        }
        if !had_wildcard {
            change.owed.iter().for_each(|name| self.holding.lack(name));
        }
        if let Some(before) = before {
            self.holding.lack_all_but(&before);
        }
        let changed = first || change != Default::default();
        self.dirty |= changed;
        self.holding.subscribed(&change, subscription.wildcard());
        self.answer |= change.wildcard_began;
        // The comparison sends what the client says it holds only if that differs (D9) …
        let mut owed = change.owed.into_iter().filter(|name| !claimed.contains_key(&**name)).collect::<BTreeSet<_>>();
        // … unless the server just sent its cluster (O4).
        owed.extend(std::mem::take(&mut self.owed_on_asking).into_iter().filter(|name| subscription.covers(name)));
        self.owed.append(&mut owed);
        for (name, version) in claimed.into_iter().filter(|(name, _)| subscription.covers(name)) {
            self.holding.claim(name.into(), version.into());
        }
        changed
    }

    /// Takes in what a request says about a response. Returns none if the request answers no
    /// response, or one that is long settled.
    pub(super) fn answer(&mut self, nonce: &str, error: Option<String>) -> Option<Answer> {
        let position = self.in_flight.iter().position(|sent| sent.nonce == nonce)?;
        // The client passed over the responses before it. It need answer only the latest (S10).
        let sent = self.in_flight.drain(..=position).next_back()?;
        if let Some(message) = error {
            self.dirty = true;
            self.refused = true;
            self.refusals += 1;
            self.refuse(&sent);
            let only_removed = !sent.brings_changes();
            let culprit = culprit(&message, &sent.carried).cloned();
            let InFlight { generation, at, carried: suspects, .. } = sent;
            let rejection = Nack { number: self.refusals, generation, at, message, culprit, suspects, only_removed };
            self.standing.insert(self.refusals, rejection.clone());
            self.rejected = Some(rejection.clone());
            return Some(Answer::Nack(rejection));
        }
        self.accept(&sent);
        if self.refused {
            // The client accepted this response, but the snapshot still holds what it rejected
            // before.
            self.dirty = true;
        } else {
            self.rejected = None;
            self.current = Some(sent.generation);
        }
        Some(Answer::Ack(sent.generation))
    }

    /// The client rejected a response. Of what that brought or removed, the client may hold what it
    /// had before, or not. Names that it does not want any more, or that were sent again since, do
    /// not matter.
    fn refuse(&mut self, sent: &InFlight) {
        for resource in sent.changed().iter().filter(|resource| self.subscription.covers(&resource.name)) {
            let name = &resource.name;
            if let Some(held) = self.holding.get(name).filter(|held| held.is_at(resource)) {
                let before = sent.before.get(name).and_then(|held| held.resource);
                let refused = Held { refused: Some(self.refusals), resource: before, ..held };
                self.holding.except.insert(name.clone(), Some(refused));
            }
        }
        for name in sent.lost.iter().filter(|name| self.subscription.covers(name)) {
            if self.holding.get(name).is_none() {
                let refused = Held { version: None, refused: Some(self.refusals), resource: None };
                self.holding.except.insert(name.clone(), Some(refused));
            }
        }
    }

    /// The client accepted a response. The substream wrote down what the client then holds when the
    /// response went out. So only what the client rejected before or meanwhile has to change: an
    /// ACK accepts all that the response carried, also what it only repeated.
    fn accept(&mut self, sent: &InFlight) {
        if self.holding.except.is_empty() {
            return;
        }
        for resource in &*sent.carried {
            let held = self.holding.except.get_mut(&resource.name).and_then(Option::as_mut);
            if let Some(held) = held.filter(|held| held.is_at(resource)) {
                self.dirty |= held.refused.is_some();
                held.refused = None;
                held.resource = Some(resource.clone());
            }
        }
    }

    /// The rejections that do not stand any more. If what the client blamed is gone, or a part of
    /// what it may have blamed, the server sends the rest of the response again: nobody knows
    /// whether the client has it.
    fn acquitted(&self, target: &Collection, retries: bool) -> BTreeSet<u64> {
        let is_there = |resource: &Arc<Resource>| {
            let now = target.resources().get(&resource.name).filter(|now| self.subscription.covers(&now.name));
            now.is_some_and(|now| now.version == resource.version)
        };
        let guilty_is_there = |rejection: &Nack| match &rejection.culprit {
            Some(culprit) => is_there(culprit),
            None => rejection.suspects.iter().all(is_there),
        };
        let acquitted = self.standing.iter().filter(|(_, rejection)| retries || !guilty_is_there(rejection));
        acquitted.map(|(number, _)| *number).collect()
    }

    /// Compares what the client has with what it should have. Returns what to send, if there is
    /// anything. With `remove` the client may lose what is gone; without, that lingers. With
    /// `retries` the client gets again what it rejected.
    pub(super) fn update(
        &mut self,
        variant: VariantName,
        kind: ResourceType,
        target: &Arc<Collection>,
        remove: bool,
        retries: bool,
    ) -> Option<Due> {
        let rules = Rules {
            acquitted: self.acquitted(target, retries),
            removes: variant.removes(kind),
            remove_now: remove,
            whole: variant.whole(kind),
            list: variant == VariantName::Sotw,
        };
        self.subscription.share(target);
        let owed = std::mem::take(&mut self.owed);
        let found = Comparison::of(&self.holding, &self.subscription, &owed, target, rules);
        let before = std::mem::replace(&mut self.holding, found.holding);
        self.lingering = found.lingering;
        self.refused = found.refused;
        self.reconsider();
        self.urgent = false;
        self.dirty = false;
        let answer = std::mem::take(&mut self.answer);
        (answer || !found.update.is_empty()).then_some(Due { update: found.update, lost: found.lost, before })
    }

    /// Forgets the rejections of what the client does not refuse any more. The newest rejection
    /// that stands is what there is to report.
    fn reconsider(&mut self) {
        if self.standing.is_empty() {
            return;
        }
        let refused = self.holding.except.values().flatten().filter_map(|held| held.refused).collect::<BTreeSet<_>>();
        self.standing.retain(|number, _| refused.contains(number));
        let newest = self.standing.values().next_back().filter(|_| self.refused);
        let said = self.rejected.as_ref().map(|rejected| rejected.number);
        if let Some(newest) = newest.filter(|newest| said != Some(newest.number)) {
            self.rejected = Some(newest.clone());
        }
    }

    /// Writes down that what is due goes out under this nonce.
    pub(super) fn sent(
        &mut self,
        due: Due,
        carried: Arc<[Arc<Resource>]>,
        nonce: String,
        generation: u64,
        at: Duration,
    ) {
        let Due { update, lost, before } = due;
        self.last_nonce.clone_from(&nonce);
        // A whole state carries more than the changes.
        let changed = (update.changed.len() < carried.len()).then_some(update.changed);
        self.in_flight.push_back(InFlight { nonce, generation, at, carried, changed, lost, before });
    }

    /// Returns what it means that a comparison with this generation found nothing to send.
    pub(super) fn standing(&mut self, generation: u64) -> Standing {
        if !self.in_flight.is_empty() {
            // The answer to the response in flight will say it.
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
