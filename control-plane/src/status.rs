//! What runs where: the file's diagnostics, the generations, and what each node has accepted or rejected.
//!
//! Fed by the reloader and by the sessions' events; read by `/status`. It decides nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use legation_protos::ResourceType;
use serde::Serialize;

use crate::{
    diagnostic::{Diagnostic, Severity},
    metrics::Metrics,
    xds::{Event, NodeInfo, Observer, StreamId, culprit},
};

/// A response without an answer for this long makes its node stale.
const STALE: Duration = Duration::from_secs(5);

/// Nodes that went away are remembered, the latest so many.
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
    streams: BTreeMap<StreamId, Stream>,
    /// Nodes without a stream, by when they went.
    gone: BTreeMap<u64, NodeInfo>,
    gone_count: u64,
}

/// One stream of a node.
#[derive(Debug)]
struct Stream {
    node: NodeInfo,
    types: BTreeMap<ResourceType, TypeState>,
}

#[derive(Debug, Default)]
struct TypeState {
    acked: Option<u64>,
    pending_since: Option<Instant>,
    rejection: Option<Rejection>,
}

#[derive(Debug)]
struct Rejection {
    at: Option<String>,
    error: String,
}

impl Status {
    /// Nothing is served yet, and nobody is there.
    pub fn new(path: String, metrics: Arc<Metrics>) -> Self {
        Self { path, metrics, state: Mutex::default() }
    }

    /// What was wrong with the file at the last look.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.state().diagnostics.clone()
    }

    pub(crate) fn file_is_good(&self, warnings: Vec<Diagnostic>) {
        self.state().diagnostics = warnings;
    }

    pub(crate) fn file_is_bad(&self, diagnostics: Vec<Diagnostic>) {
        self.state().diagnostics = diagnostics;
    }

    pub(crate) fn serving(&self, generation: u64) {
        self.state().serving = Some(generation);
        self.metrics.serving(generation);
    }

    pub(crate) fn confirmed(&self, generation: u64) {
        self.state().confirmed = Some(generation);
        self.metrics.confirmed(generation);
    }

    /// What Envoy found bad of the file, and the generation that it came from; none when nothing stands rejected.
    pub(crate) fn rejected(&self, rejected: Option<(u64, Diagnostic)>) {
        self.state().rejected = rejected;
    }

    /// The generation that only some nodes have yet.
    pub(crate) fn in_canary(&self, generation: Option<u64>) {
        self.state().canary = generation;
    }

    /// Whether a good file is loaded.
    pub fn is_ready(&self) -> bool {
        self.state().serving.is_some()
    }

    /// What `/status` says, at a time.
    pub fn report(&self, now: Instant) -> Report {
        let state = self.state();
        let mut nodes: BTreeMap<String, NodeReport> = BTreeMap::new();
        for info in state.gone.values() {
            nodes.insert(info.id.clone(), NodeReport { id: info.id.clone(), state: "GONE", types: BTreeMap::new() });
        }
        // In the order in which the streams were opened: of two with one node id the later is shown.
        for stream in state.streams.values() {
            nodes.insert(stream.node.id.clone(), stream.report(now));
        }
        Report {
            generation: Generations {
                serving: state.serving,
                confirmed: state.confirmed,
                canary: state.canary,
                rejected: state.rejected.as_ref().map(|(generation, _)| *generation),
            },
            file: FileReport {
                path: self.path.clone(),
                diagnostics: state.all_diagnostics().map(DiagnosticReport::from).collect(),
            },
            nodes: nodes.into_values().collect(),
        }
    }

    /// No code that holds the lock can panic; should it, what it wrote is still the best there is.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Status {
    fn event(&self, id: StreamId, event: Event) {
        let mut state = self.state();
        match event {
            Event::Opened { node, .. } => {
                tracing::info!("node {} connected", node.id);
                state.gone.retain(|_, gone| gone.id != node.id);
                state.streams.insert(id, Stream { node, types: BTreeMap::new() });
                self.metrics.connected(state.streams.len());
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
                    *of_type = TypeState { acked: Some(generation), ..TypeState::default() };
                }
            }
            Event::Nacked { kind, generation, message, resources } => {
                let message = message.trim().to_owned();
                self.metrics.nacked(kind);
                let at = culprit(&message, &resources).map(|resource| resource.origin.to_string());
                let node = state.streams.get(&id).map_or("?", |stream| &stream.node.id);
                let place = at.as_deref().unwrap_or("the file");
                tracing::error!(
                    "{place}: error[rejected_by_envoy]: node {node} rejected {kind} of generation {generation}: {message}"
                );
                if let Some(of_type) = state.type_state(id, kind) {
                    of_type.pending_since = None;
                    of_type.rejection = Some(Rejection { at, error: message });
                }
            }
            // One node alone confirms nothing: the rollout says when a generation is.
            Event::Confirmed { .. } => {}
        }
    }

    fn closed(&self, id: StreamId) {
        let mut state = self.state();
        let Some(stream) = state.streams.remove(&id) else { return };
        self.metrics.connected(state.streams.len());
        let still_there = state.streams.values().any(|other| other.node.id == stream.node.id);
        if still_there {
            return;
        }
        tracing::info!("node {} is gone", stream.node.id);
        state.gone_count += 1;
        let count = state.gone_count;
        state.gone.insert(count, stream.node);
        while state.gone.len() > MOST_GONE {
            state.gone.pop_first();
        }
    }
}

impl State {
    /// Those of the last look. What Envoy rejected came from the file before, if that can't be read or used any more.
    fn all_diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let is_bad = self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        let rejected = self.rejected.as_ref().filter(|_| !is_bad).map(|(_, diagnostic)| diagnostic);
        rejected.into_iter().chain(&self.diagnostics)
    }

    fn type_state(&mut self, id: StreamId, kind: ResourceType) -> Option<&mut TypeState> {
        Some(self.streams.get_mut(&id)?.types.entry(kind).or_default())
    }
}

impl Stream {
    fn report(&self, now: Instant) -> NodeReport {
        let types: BTreeMap<_, _> =
            self.types.iter().map(|(kind, of_type)| (kind.short(), of_type.report(now))).collect();
        let worst = ["NACKED", "STALE"].into_iter().find(|state| types.values().any(|of_type| of_type.state == *state));
        NodeReport { id: self.node.id.clone(), state: worst.unwrap_or("SYNCED"), types }
    }
}

impl TypeState {
    fn report(&self, now: Instant) -> TypeReport {
        let stale = self.pending_since.is_some_and(|since| now.saturating_duration_since(since) > STALE);
        TypeReport {
            state: match &self.rejection {
                Some(_) => "NACKED",
                None if stale => "STALE",
                None => "SYNCED",
            },
            generation: self.acked,
            at: self.rejection.as_ref().and_then(|rejection| rejection.at.clone()),
            error: self.rejection.as_ref().map(|rejection| rejection.error.clone()),
        }
    }
}

/// What `/status` says.
#[derive(Debug, Serialize)]
pub struct Report {
    generation: Generations,
    file: FileReport,
    nodes: Vec<NodeReport>,
}

#[derive(Debug, Serialize)]
struct Generations {
    /// What a node that joins is served.
    serving: Option<u64>,
    /// The newest that nodes have accepted.
    confirmed: Option<u64>,
    /// The candidate that only some nodes have yet.
    canary: Option<u64>,
    /// What a node rejected, until the file changes.
    rejected: Option<u64>,
}

#[derive(Debug, Serialize)]
struct FileReport {
    path: String,
    diagnostics: Vec<DiagnosticReport>,
}

#[derive(Debug, Serialize)]
struct DiagnosticReport {
    at: String,
    severity: Severity,
    code: &'static str,
    message: String,
}

impl From<&Diagnostic> for DiagnosticReport {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            at: diagnostic.at.to_string(),
            severity: diagnostic.severity,
            code: diagnostic.code,
            message: diagnostic.message.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
struct NodeReport {
    id: String,
    /// SYNCED, STALE (a response is unanswered for more than 5 s), NACKED or GONE.
    state: &'static str,
    types: BTreeMap<&'static str, TypeReport>,
}

#[derive(Debug, Serialize)]
struct TypeReport {
    state: &'static str,
    /// The newest generation that the node accepted.
    generation: Option<u64>,
    /// Where in the file is what the node rejects.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Why, in Envoy's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}
