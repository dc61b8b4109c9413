//! What runs where: the file's diagnostics, the generations, and what each node has accepted or
//! rejected.
//!
//! The reloader, the events of sessions and the draining listeners of a local Envoy feed it.
//! `/status` and CSDS read it. It decides nothing.

pub mod admin;
mod clients;
mod drains;
pub mod metrics;
mod propagation;
mod report;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use legation_protos::ResourceType;

use crate::{
    diagnostic::{Diagnostic, Severity},
    xds::{Event, NodeInfo, Observer, Rejection, StreamId},
};

use self::{drains::DrainingOfNode, metrics::Metrics, propagation::Propagation};
pub use drains::DrainingListener;
pub use report::Report;

/// A response without an answer for this long makes its node stale.
const STALE: Duration = Duration::from_secs(5);

/// How many nodes the status remembers after they went away.
const MOST_GONE: usize = 100;

/// What runs where.
#[derive(Debug)]
pub struct Status {
    path: String,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    serving: Option<u64>,
    confirmed: Option<u64>,
    canary: Option<u64>,
    rejected: Option<(u64, Diagnostic)>,
    diagnostics: Vec<Diagnostic>,
    /// The draining listeners of the local Envoy.
    drains: DrainingOfNode,
    propagation: Propagation,
    streams: BTreeMap<StreamId, Stream>,
    /// How many streams each node has: one, or one for each kind where the node does not aggregate.
    open: BTreeMap<String, usize>,
    /// Nodes without a stream, in the order in which they went.
    gone: BTreeMap<u64, NodeInfo>,
    gone_count: u64,
}

/// One stream of a node.
#[derive(Debug)]
struct Stream {
    node: NodeInfo,
    types: BTreeMap<ResourceType, TypeState>,
    /// The generation that the client has whole.
    whole: Option<u64>,
}

#[derive(Debug, Default)]
struct TypeState {
    acked: Option<u64>,
    acked_at: Option<SystemTime>,
    pending_since: Option<Instant>,
    rejected: Option<Rejected>,
}

#[derive(Debug)]
struct Rejected {
    rejection: Arc<Rejection>,
    when: SystemTime,
}

impl Rejected {
    /// The place in the file of what the node blames.
    fn at(&self) -> Option<String> {
        self.rejection.culprit.as_ref().map(|culprit| culprit.origin.to_string())
    }

    /// The node's words.
    fn error(&self) -> &str {
        self.rejection.message.trim()
    }
}

impl Status {
    /// A status of a control plane that serves nothing yet, and that no node has joined.
    pub fn new(path: String, metrics: Arc<Metrics>) -> Self {
        Self { path, metrics, state: Mutex::default() }
    }

    /// What was wrong with the file at the last look.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.state().diagnostics.clone()
    }

    pub(crate) fn file_is_good(&self, warnings: Vec<Diagnostic>) {
        self.state().diagnostics = warnings;
        self.metrics.file_errors(0);
    }

    pub(crate) fn file_is_bad(&self, diagnostics: Vec<Diagnostic>) {
        self.metrics.file_errors(diagnostics.iter().filter(|it| it.severity == Severity::Error).count());
        self.state().diagnostics = diagnostics;
    }

    /// A generation is published. The time that it takes counts from when its change was noticed.
    /// If it is older than the one before, all nodes go back to it, and nobody waits for that.
    pub fn serving(&self, generation: u64, noticed: Instant) {
        let mut state = self.state();
        let State { serving, propagation, streams, .. } = &mut *state;
        let before = serving.replace(generation);
        if before.is_some_and(|before| before > generation) {
            propagation.cancel();
        } else {
            // Canaries have it before all nodes do.
            let awaited = streams.iter().filter(|(_, stream)| stream.whole != Some(generation)).map(|(id, _)| *id);
            propagation.published(generation, noticed, awaited);
        }
        self.metrics.serving(generation);
    }

    pub(crate) fn confirmed(&self, generation: u64) {
        self.state().confirmed = Some(generation);
        self.metrics.confirmed(generation);
    }

    /// What Envoy rejected of the file, and the generation that it came from; none when nothing is
    /// rejected.
    pub(crate) fn rejected(&self, rejected: Option<(u64, Diagnostic)>) {
        let mut state = self.state();
        self.metrics.rejected(rejected.as_ref().map(|(generation, _)| *generation));
        let before = std::mem::replace(&mut state.rejected, rejected);
        if let (Some((undone, _)), None) = (before, &state.rejected) {
            for of_type in state.streams.values_mut().flat_map(|stream| stream.types.values_mut()) {
                // A node that accepted nothing since still rejects it.
                of_type.rejected.take_if(|it| it.rejection.generation == undone && of_type.acked.is_some());
            }
        }
    }

    /// The generation that only some nodes have yet.
    pub(crate) fn in_canary(&self, generation: Option<u64>) {
        self.state().canary = generation;
    }

    /// Whether a good file is loaded.
    pub fn is_ready(&self) -> bool {
        self.state().serving.is_some()
    }

    /// All nodes that were there when the generation was published have it.
    fn arrived(&self, generation: u64, took: Duration) {
        tracing::info!("generation {generation}: every node has it after {took:.3?}");
        self.metrics.arrived(took);
    }

    /// No code that holds the lock can panic. If it did, what it wrote would still be the best
    /// there is.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Status {
    fn event(&self, id: StreamId, event: Event) {
        let mut state = self.state();
        match event {
            Event::Opened { node, .. } => {
                let streams = state.open.entry(node.id.clone()).or_default();
                *streams += 1;
                if *streams == 1 {
                    tracing::info!("node {} connected", node.id);
                    state.gone.retain(|_, gone| gone.id != node.id);
                }
                state.streams.insert(id, Stream { node, types: BTreeMap::new(), whole: None });
                self.metrics.connected(state.open.len());
            }
            Event::Subscribed { kind } => {
                state.type_state(id, kind);
            }
            Event::Sent { kind, generation, resources, removed, .. } => {
                self.metrics.sent(kind, resources);
                tracing::debug!("{kind} {generation}: {resources} resources, {removed} removed");
                if let Some(of_type) = state.type_state(id, kind) {
                    of_type.pending_since.get_or_insert_with(Instant::now);
                }
            }
            Event::Acked { kind, generation } => {
                self.metrics.acked(kind);
                if let Some(of_type) = state.type_state(id, kind) {
                    // The node was put back to an older generation. That it rejected the newer one
                    // stays visible.
                    let stands = |it: &Rejected| generation < it.rejection.generation;
                    *of_type = TypeState {
                        acked: Some(generation),
                        acked_at: Some(SystemTime::now()),
                        pending_since: None,
                        rejected: of_type.rejected.take().filter(stands),
                    };
                }
            }
            // The reloader logs the rejection, with what follows from it.
            Event::Nacked(rejection) => {
                self.metrics.nacked(rejection.kind);
                if let Some(of_type) = state.type_state(id, rejection.kind) {
                    of_type.pending_since = None;
                    of_type.rejected = Some(Rejected { rejection, when: SystemTime::now() });
                }
            }
            // One node alone confirms no generation: the rollout decides that.
            Event::Confirmed { generation } => {
                if let Some(stream) = state.streams.get_mut(&id) {
                    stream.whole = Some(generation);
                }
                if let Some(took) = state.propagation.confirmed(id, generation, Instant::now()) {
                    self.arrived(generation, took);
                }
            }
        }
    }

    fn closed(&self, id: StreamId) {
        let mut state = self.state();
        let Some(stream) = state.streams.remove(&id) else { return };
        if let (Some(took), Some(generation)) = (state.propagation.closed(id), state.serving) {
            self.arrived(generation, took);
        }
        if let Some(streams) = state.open.get_mut(&stream.node.id) {
            *streams -= 1;
            if *streams > 0 {
                return;
            }
        }
        state.open.remove(&stream.node.id);
        self.metrics.connected(state.open.len());
        tracing::info!("node {} is gone", stream.node.id);
        state.gone_count += 1;
        let count = state.gone_count;
        state.gone.insert(count, stream.node);
        while state.gone.len() > MOST_GONE {
            state.gone.pop_first();
        }
    }
}

/// A node and how it stands with each kind of resource that it asked for.
type Standing<'a> = (&'a NodeInfo, BTreeMap<ResourceType, &'a TypeState>);

impl State {
    /// The diagnostics of the last look. What Envoy rejected is left out where the file can't be
    /// used any more: it came from the file before.
    fn all_diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let is_bad = self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        let rejected = self.rejected.as_ref().filter(|_| !is_bad).map(|(_, diagnostic)| diagnostic);
        rejected.into_iter().chain(&self.diagnostics)
    }

    /// The connected nodes by id, in the order in which their streams were opened. Where two
    /// streams of a node carry one kind, the later one counts.
    fn nodes(&self) -> BTreeMap<&str, Standing<'_>> {
        let mut nodes: BTreeMap<&str, Standing<'_>> = BTreeMap::new();
        for Stream { node, types, .. } in self.streams.values() {
            let (latest, of_node) = nodes.entry(&node.id).or_insert_with(|| (node, BTreeMap::new()));
            *latest = node;
            of_node.extend(types.iter().map(|(kind, of_type)| (*kind, of_type)));
        }
        nodes
    }

    fn type_state(&mut self, id: StreamId, kind: ResourceType) -> Option<&mut TypeState> {
        Some(self.streams.get_mut(&id)?.types.entry(kind).or_default())
    }
}
