//! Which generation each node is to be at, and what becomes of a new one.
//!
//! A new generation is a candidate. The nodes that accept it confirm it. The first node that does
//! not accept it rejects it, and then it is undone everywhere.
//!
//! ```text
//!                     ┌─ every canary has ACKed all of it, or any node where there are no canaries
//!                     │  ─> confirmed: it goes to all nodes
//! new ─> candidate ───┤
//!                     └─ a node NACKs a part of it
//!                        ─> rejected: all nodes are at the last confirmed one
//! ```
//!
//! After a confirmation a NACK is the node's own trouble, such as a port that is taken on its host.
//! Only this node goes back, to what it last accepted whole. The same holds where a node rejects in
//! a candidate what others have confirmed before.
//!
//! Pure: the rollout is told what happens, and says which node is to be at which generation.

mod look;
pub mod relay;
pub mod reload;
pub mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    snapshot::Snapshot,
    xds::{Plan, Rejection, StreamId},
};

/// How many nodes with a trouble of their own the rollout remembers after they went away. They come
/// back to what they accepted.
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
        /// The generation.
        generation: u64,
    },
    /// The client rejected a part of a generation.
    Nacked(Arc<Rejection>),
    /// The stream ended.
    Closed,
}

/// What an [`Input`] has led to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A generation is confirmed from now on.
    Confirmed {
        /// Its resources.
        snapshot: Arc<Snapshot>,
        /// What this process saw confirmed before.
        before: Option<Arc<Snapshot>>,
    },
    /// A node rejected a part of a generation.
    Rejected {
        /// The node.
        node: Arc<str>,
        /// What it rejected, and why.
        rejection: Arc<Rejection>,
        /// What follows from it.
        consequence: Consequence,
    },
}

/// What follows from a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The generation is undone. All nodes are served the last confirmed one instead; where nothing
    /// was confirmed before, the rejected one stays.
    Undone {
        /// What all nodes are served instead.
        instead: Option<u64>,
    },
    /// The node alone goes back, to what it last accepted whole; where it accepted nothing whole,
    /// it stays.
    PutBack {
        /// What the node is served instead.
        instead: Option<u64>,
    },
    /// None: the generation is old, undone already, or the node is put back already.
    Nothing,
}

/// What became of a proposed configuration.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// It is a new generation, and a candidate.
    New(Arc<Snapshot>),
    /// It is what nodes are served or about to be served.
    Unchanged,
    /// It is the last confirmed one, to which all nodes went back already. What was rejected is
    /// forgotten.
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
    /// The last confirmed generation. It is the newest, if that is confirmed.
    confirmed: Option<Arc<Snapshot>>,
    /// Only an earlier process saw the last confirmed generation confirmed.
    only_kept: bool,
    /// The candidate before the newest: a node may still confirm it.
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
    /// Its streams, and the generation that each has whole: one stream where the node aggregates,
    /// else one for each kind.
    streams: BTreeMap<StreamId, Option<u64>>,
    /// What it last accepted whole.
    whole: Option<Arc<Snapshot>>,
    /// What it rejected of the newest and the last confirmed generation.
    rejected: BTreeSet<u64>,
}

impl Rollout {
    /// Takes a configuration that an earlier process saw confirmed. Nodes are served it until there
    /// is a newer one, and again when that is rejected.
    pub fn start_from(&mut self, confirmed: impl FnOnce(u64) -> Snapshot) {
        let snapshot = self.make(confirmed);
        self.confirmed = Some(snapshot.clone());
        self.newest = Some((snapshot, Stage::Confirmed));
        self.only_kept = true;
    }

    /// Takes a configuration that an earlier process saw rejected; no node is served it. Returns
    /// the generation's number.
    pub fn start_rejected(&mut self, rejected: impl FnOnce(u64) -> Snapshot) -> u64 {
        let snapshot = self.make(rejected);
        self.newest = Some((snapshot, Stage::Rejected));
        self.generation
    }

    /// Takes a configuration that is to be served. It is a candidate, if it is new. A configuration
    /// that was rejected is tried again.
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
            Input::Nacked(rejection) => {
                let node = self.streams.get(&stream)?.clone();
                let consequence = self.nacked(&node, &rejection);
                Some(Outcome::Rejected { node, rejection, consequence })
            }
            Input::Closed => self.closed(stream),
        }
    }

    /// Which node is to be at which generation.
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

    /// Replaces the snapshot of the same generation.
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

    /// The snapshot of a node without a trouble of its own.
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

    /// A stream of the node has accepted something whole, or a stream that had not is gone.
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
        let before = self.confirmed.replace(snapshot.clone()).filter(|_| !self.only_kept);
        self.only_kept = false;
        self.forget_old_trouble();
        Some(Outcome::Confirmed { snapshot, before })
    }

    fn nacked(&mut self, id: &Arc<str>, rejection: &Rejection) -> Consequence {
        let generation = rejection.generation;
        let Some((newest, stage)) = self.newest.clone() else { return Consequence::Nothing };
        let confirmed = self.confirmed.as_ref().map(|confirmed| confirmed.generation());
        if generation != newest.generation() && Some(generation) != confirmed {
            return Consequence::Nothing;
        }
        let is_own_trouble = self.is_own_trouble(id, rejection);
        let Some(node) = self.nodes.get_mut(id) else { return Consequence::Nothing };
        let first = node.rejected.insert(generation);
        self.troubled.insert(id.clone());
        // The node may have confirmed it on another stream, or with what it holds from an earlier
        // one.
        node.streams.values_mut().filter(|has| **has == Some(generation)).for_each(|has| *has = None);
        node.whole.take_if(|whole| whole.generation() == generation);
        if generation == newest.generation() && stage == Stage::Candidate && !is_own_trouble {
            self.newest = Some((newest, Stage::Rejected));
            self.superseded = None;
            self.canaries.clear();
            if confirmed.is_some() {
                // No node goes back to what was rejected.
                for node in self.nodes.values_mut() {
                    node.whole.take_if(|whole| whole.generation() == generation);
                }
            }
            return Consequence::Undone { instead: confirmed };
        }
        let is_served = self.base(self.canaries.contains(id)).is_some_and(|base| base.generation() == generation);
        if self.canaries.remove(id) {
            self.choose_canaries();
        }
        if !(first && is_served) {
            return Consequence::Nothing;
        }
        let whole = self.nodes.get(id).and_then(|node| node.whole.as_ref());
        Consequence::PutBack { instead: whole.map(|whole| whole.generation()) }
    }

    /// Whether a node that is not at the last confirmed generation rejects a part of that: others
    /// have accepted it.
    fn is_own_trouble(&self, id: &Arc<str>, rejection: &Rejection) -> bool {
        let Some((confirmed, culprit)) = self.confirmed.as_ref().zip(rejection.culprit.as_ref()) else { return false };
        let whole = self.nodes.get(id).and_then(|node| node.whole.as_ref());
        let accepted_it = whole.is_some_and(|whole| whole.generation() == confirmed.generation());
        let same = confirmed.get(rejection.kind, &culprit.name);
        !accepted_it && same.is_some_and(|same| same.version == culprit.version)
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

    /// Chooses as many canaries as there should be of the connected nodes, by the order of their
    /// ids.
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

    /// Forgets what nodes rejected of other generations than the newest and the last confirmed one.
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
