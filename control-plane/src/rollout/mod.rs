//! Which generation each node is to be at, and what becomes of a new one: a candidate is confirmed by the nodes that accept
//! it, or rejected by the first that does not, and then undone everywhere.
//!
//! ```text
//!                     ┌─ every canary, or any node where there are none, has ACKed all ─> confirmed: it goes to all
//! new ─> candidate ───┤
//!                     └─ a node NACKs it ─> rejected: all are at the last confirmed one
//! ```
//!
//! After a confirmation a NACK is the node's own trouble (a port that is taken on its host): it alone goes back, to what it last
//! accepted whole. So it is, too, where it rejects in a candidate what others have confirmed before. Pure: it is told what
//! happens and says who is to be where.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use legation_protos::ResourceType;

pub mod relay;
pub mod reload;
pub mod state;

use crate::{
    snapshot::{Resource, Snapshot},
    xds::{Plan, StreamId},
};

/// So many nodes that went away with a trouble of their own are remembered: they come back to what they accepted.
const MOST_REMEMBERED: usize = 1000;

/// What has happened on a stream.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client said who it is.
    Opened {
        /// The node's id.
        node: Arc<str>,
    },
    /// The client has accepted all that it subscribed to of a generation.
    Confirmed {
        /// Which.
        generation: u64,
    },
    /// The client rejected a part of a generation.
    Nacked {
        /// Of what kind.
        kind: ResourceType,
        /// Which.
        generation: u64,
        /// What it blames, where that is known.
        culprit: Option<Arc<Resource>>,
    },
    /// The stream ended.
    Closed,
}

/// What an [`Input`] has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The generation is confirmed from now on.
    Confirmed(u64),
    /// The generation is undone.
    Rejected {
        /// Which.
        generation: u64,
        /// The node that rejected it.
        node: Arc<str>,
        /// What all are served instead; none if nothing was confirmed before, so that it stays.
        instead: Option<u64>,
    },
    /// The node alone goes back.
    PutBack {
        /// Which node.
        node: Arc<str>,
        /// What it could not take.
        generation: u64,
        /// What it is served instead; none if it accepted nothing whole before, so that it stays.
        instead: Option<u64>,
    },
}

/// What became of a proposed configuration.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// It is a new generation, and a candidate.
    New(Arc<Snapshot>),
    /// It is what is served or about to be.
    Unchanged,
    /// It is the last confirmed one, to which all went back already; what was rejected is forgotten.
    Reverted(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Candidate,
    Confirmed,
    Rejected,
}

/// All generations that matter, and where each node stands.
#[derive(Debug, Default)]
pub struct Rollout {
    /// The number of the last generation that was made.
    generation: u64,
    /// How many nodes get a candidate before the others; 0 is all at once.
    canary: usize,
    newest: Option<(Arc<Snapshot>, Stage)>,
    /// The last one confirmed; the newest, if that is.
    confirmed: Option<Arc<Snapshot>>,
    /// The last one confirmed is so by an earlier process only.
    only_kept: bool,
    /// The candidate before the newest: word that it is confirmed may be on its way.
    superseded: Option<Arc<Snapshot>>,
    nodes: BTreeMap<Arc<str>, Node>,
    streams: BTreeMap<StreamId, Arc<str>>,
    /// The nodes that have the candidate before the others.
    canaries: BTreeSet<Arc<str>>,
    /// The nodes that rejected something that matters.
    troubled: BTreeSet<Arc<str>>,
}

#[derive(Debug, Default)]
struct Node {
    /// Its streams, and the generation that each has whole. One where it aggregates, else one a kind.
    streams: BTreeMap<StreamId, Option<u64>>,
    /// What it last accepted whole.
    whole: Option<Arc<Snapshot>>,
    /// What it rejected of the newest and the last confirmed generation.
    rejected: BTreeSet<u64>,
}

impl Rollout {
    /// A configuration that an earlier process saw confirmed: it is served until there is a newer one, and what a rejected one
    /// falls back to.
    pub fn start_from(&mut self, confirmed: impl FnOnce(u64) -> Snapshot) {
        let snapshot = self.make(confirmed);
        self.confirmed = Some(snapshot.clone());
        self.newest = Some((snapshot, Stage::Confirmed));
        self.only_kept = true;
    }

    /// A configuration that an earlier process saw rejected: it is not served. Gives the generation's number.
    pub fn start_rejected(&mut self, rejected: impl FnOnce(u64) -> Snapshot) -> u64 {
        let snapshot = self.make(rejected);
        self.newest = Some((snapshot, Stage::Rejected));
        self.generation
    }

    /// A configuration that is to be served: a candidate, if it is new. One that was rejected is tried again.
    pub fn propose(&mut self, snapshot: impl FnOnce(u64) -> Snapshot, canary: usize) -> Proposal {
        self.canary = canary;
        let proposed = snapshot(self.generation + 1);
        match &self.newest {
            Some((newest, Stage::Candidate | Stage::Confirmed))
                if newest.same_resources(&proposed) && (!proposed.retries() || self.troubled.is_empty()) =>
            {
                // Its resources may stand elsewhere in the file now.
                let generation = newest.generation();
                self.replace(Arc::new(proposed.at(generation)));
                self.choose_canaries();
                return Proposal::Unchanged;
            }
            Some((_, Stage::Rejected)) => {
                if let Some(confirmed) = self.confirmed.clone().filter(|it| it.same_resources(&proposed)) {
                    let generation = confirmed.generation();
                    self.newest = Some((confirmed, Stage::Confirmed));
                    self.forget_old_trouble();
                    return Proposal::Reverted(generation);
                }
            }
            _ => {}
        }
        let before = self.newest.take();
        self.superseded = before.filter(|(_, stage)| *stage == Stage::Candidate).map(|(snapshot, _)| snapshot);
        let proposed = self.make(|_| proposed);
        self.newest = Some((proposed.clone(), Stage::Candidate));
        self.forget_old_trouble();
        self.choose_canaries();
        Proposal::New(proposed)
    }

    /// Takes in what has happened on a stream.
    pub fn take(&mut self, stream: StreamId, input: Input) -> Option<Outcome> {
        match input {
            Input::Opened { node } => {
                self.nodes.entry(node.clone()).or_default().streams.insert(stream, None);
                self.streams.insert(stream, node);
                self.choose_canaries();
                None
            }
            Input::Confirmed { generation } => {
                let node = self.streams.get(&stream)?.clone();
                *self.nodes.get_mut(&node)?.streams.get_mut(&stream)? = Some(generation);
                self.accepted(&node)
            }
            Input::Nacked { kind, generation, culprit } => {
                let node = self.streams.get(&stream)?.clone();
                self.nacked(node, generation, kind, culprit)
            }
            Input::Closed => self.closed(stream),
        }
    }

    /// Who is to be where.
    pub fn plan(&self) -> Plan {
        let all = self.base(false);
        let mut plan = Plan::all(all.cloned());
        for id in self.canaries.union(&self.troubled) {
            if let Some(target) = self.target(id).filter(|target| !all.is_some_and(|all| Arc::ptr_eq(target, all))) {
                plan.except(id.clone(), target.clone());
            }
        }
        plan
    }

    /// The generation that was rejected, until another is proposed.
    pub fn rejected(&self) -> Option<u64> {
        self.newest.as_ref().filter(|(_, stage)| *stage == Stage::Rejected).map(|(snapshot, _)| snapshot.generation())
    }

    /// The candidate that only some nodes have yet.
    pub fn in_canary(&self) -> Option<u64> {
        self.is_in_canary().then(|| self.newest.as_ref().map(|(snapshot, _)| snapshot.generation())).flatten()
    }

    /// Puts a snapshot in the place of that of the same generation.
    fn replace(&mut self, snapshot: Arc<Snapshot>) {
        let newest = self.newest.as_mut().map(|(newest, _)| newest);
        let whole = self.nodes.values_mut().filter_map(|node| node.whole.as_mut());
        for old in newest.into_iter().chain(self.confirmed.as_mut()).chain(whole) {
            if old.generation() == snapshot.generation() {
                old.clone_from(&snapshot);
            }
        }
    }

    fn make(&mut self, snapshot: impl FnOnce(u64) -> Snapshot) -> Arc<Snapshot> {
        self.generation += 1;
        Arc::new(snapshot(self.generation))
    }

    fn is_in_canary(&self) -> bool {
        self.canary > 0 && self.confirmed.is_some() && matches!(self.newest, Some((_, Stage::Candidate)))
    }

    /// What a node without a trouble of its own is to be at.
    fn base(&self, canary: bool) -> Option<&Arc<Snapshot>> {
        let (newest, stage) = self.newest.as_ref()?;
        let newest_for_all = *stage != Stage::Rejected && (canary || !self.is_in_canary());
        Some(self.confirmed.as_ref().filter(|_| !newest_for_all).unwrap_or(newest))
    }

    fn target(&self, id: &Arc<str>) -> Option<&Arc<Snapshot>> {
        let base = self.base(self.canaries.contains(id))?;
        let node = self.nodes.get(id).filter(|node| node.rejected.contains(&base.generation()));
        Some(node.and_then(|node| node.whole.as_ref()).unwrap_or(base))
    }

    fn known(&self, generation: u64) -> Option<Arc<Snapshot>> {
        let newest = self.newest.as_ref().filter(|(_, stage)| *stage != Stage::Rejected || self.confirmed.is_none());
        let known = [newest.map(|(snapshot, _)| snapshot), self.confirmed.as_ref(), self.superseded.as_ref()];
        known.into_iter().flatten().find(|snapshot| snapshot.generation() == generation).cloned()
    }

    /// A node's stream has accepted something whole, or one that had not is gone.
    fn accepted(&mut self, id: &Arc<str>) -> Option<Outcome> {
        let generation = self.nodes.get(id)?.generation()?;
        let snapshot = self.known(generation)?;
        let node = self.nodes.get_mut(id)?;
        node.whole = Some(snapshot.clone());
        node.rejected.remove(&generation);
        if node.rejected.is_empty() {
            self.troubled.remove(id);
        }
        let confirmed = self.confirmed.as_ref().map(|confirmed| confirmed.generation());
        if self.only_kept && confirmed == Some(generation) {
            return self.confirm(snapshot);
        }
        if self.is_in_canary() {
            return self.confirm_by_canaries();
        }
        if confirmed.is_some_and(|confirmed| generation <= confirmed) {
            return None;
        }
        self.confirm(snapshot)
    }

    fn confirm_by_canaries(&mut self) -> Option<Outcome> {
        let (newest, _) = self.newest.as_ref().filter(|_| self.is_in_canary())?;
        let has_it = |id| {
            let whole = self.nodes.get(id).and_then(|node| node.whole.as_ref());
            whole.is_some_and(|whole| whole.generation() == newest.generation())
        };
        if self.canaries.is_empty() || !self.canaries.iter().all(has_it) {
            return None;
        }
        self.confirm(newest.clone())
    }

    fn confirm(&mut self, snapshot: Arc<Snapshot>) -> Option<Outcome> {
        let generation = snapshot.generation();
        if let Some((newest, stage)) = &mut self.newest
            && newest.generation() == generation
        {
            *stage = Stage::Confirmed;
            self.superseded = None;
            self.canaries.clear();
        }
        self.confirmed = Some(snapshot);
        self.only_kept = false;
        self.forget_old_trouble();
        Some(Outcome::Confirmed(generation))
    }

    fn nacked(
        &mut self,
        id: Arc<str>,
        generation: u64,
        kind: ResourceType,
        culprit: Option<Arc<Resource>>,
    ) -> Option<Outcome> {
        let (newest, stage) = self.newest.clone()?;
        let confirmed = self.confirmed.as_ref().map(|confirmed| confirmed.generation());
        if generation != newest.generation() && Some(generation) != confirmed {
            return None;
        }
        let is_own_trouble = self.is_own_trouble(&id, kind, culprit.as_deref());
        let node = self.nodes.get_mut(&id)?;
        let first = node.rejected.insert(generation);
        self.troubled.insert(id.clone());
        // It may have been confirmed by a node that has it from an earlier stream, or that has this part of it.
        node.streams.values_mut().filter(|has| **has == Some(generation)).for_each(|has| *has = None);
        if node.whole.as_ref().is_some_and(|whole| whole.generation() == generation) {
            node.whole = None;
        }
        if generation == newest.generation() && stage == Stage::Candidate && !is_own_trouble {
            self.newest = Some((newest, Stage::Rejected));
            self.superseded = None;
            self.canaries.clear();
            if confirmed.is_some() {
                // Nobody goes back to what was rejected.
                for node in self.nodes.values_mut() {
                    node.whole.take_if(|whole| whole.generation() == generation);
                }
            }
            return Some(Outcome::Rejected { generation, node: id, instead: confirmed });
        }
        let is_served = self.base(self.canaries.contains(&id)).is_some_and(|base| base.generation() == generation);
        if self.canaries.remove(&id) {
            self.choose_canaries();
        }
        // A part more of what is undone already is no news.
        let instead = self.nodes.get(&id)?.whole.as_ref().map(|whole| whole.generation());
        (first && is_served).then_some(Outcome::PutBack { node: id, generation, instead })
    }

    /// Whether a node that is not at the last confirmed generation rejects what is part of that: others have accepted it.
    fn is_own_trouble(&self, id: &Arc<str>, kind: ResourceType, culprit: Option<&Resource>) -> bool {
        let Some((confirmed, culprit)) = self.confirmed.as_ref().zip(culprit) else { return false };
        let whole = self.nodes.get(id).and_then(|node| node.whole.as_ref());
        let accepted_it = whole.is_some_and(|whole| whole.generation() == confirmed.generation());
        !accepted_it && confirmed.get(kind, &culprit.name).is_some_and(|same| same.version == culprit.version)
    }

    fn closed(&mut self, stream: StreamId) -> Option<Outcome> {
        let id = self.streams.remove(&stream)?;
        let node = self.nodes.get_mut(&id)?;
        node.streams.remove(&stream);
        if !node.streams.is_empty() {
            return self.accepted(&id);
        }
        if self.troubled.len() > MOST_REMEMBERED {
            self.troubled.remove(&id);
        }
        if !self.troubled.contains(&id) {
            self.nodes.remove(&id);
        }
        if self.canaries.remove(&id) {
            self.choose_canaries();
            return self.confirm_by_canaries();
        }
        None
    }

    /// As many canaries as there should be, of the nodes that are there, by the order of their ids.
    fn choose_canaries(&mut self) {
        let Some((newest, _)) = self.newest.clone().filter(|_| self.is_in_canary()) else {
            return self.canaries.clear();
        };
        let missing = self.canary.saturating_sub(self.canaries.len());
        let fit = |(id, node): &(&Arc<str>, &Node)| {
            !node.streams.is_empty() && !self.canaries.contains(*id) && !node.rejected.contains(&newest.generation())
        };
        let more: Vec<_> = self.nodes.iter().filter(fit).take(missing).map(|(id, _)| id.clone()).collect();
        self.canaries.extend(more);
    }

    /// Only what nodes rejected of the newest and the last confirmed generation matters.
    fn forget_old_trouble(&mut self) {
        let newest = self.newest.as_ref().map(|(snapshot, _)| snapshot.generation());
        let confirmed = self.confirmed.as_ref().map(|snapshot| snapshot.generation());
        let nodes = &mut self.nodes;
        self.troubled.retain(|id| {
            let Some(node) = nodes.get_mut(id) else { return false };
            node.rejected.retain(|generation| [newest, confirmed].contains(&Some(*generation)));
            if node.rejected.is_empty() && node.streams.is_empty() {
                nodes.remove(id);
                return false;
            }
            !node.rejected.is_empty()
        });
    }
}

impl Node {
    /// The generation that all its streams have whole.
    fn generation(&self) -> Option<u64> {
        let mut generations = self.streams.values();
        let first = (*generations.next()?)?;
        generations.all(|generation| *generation == Some(first)).then_some(first)
    }
}

#[cfg(test)]
mod tests;
