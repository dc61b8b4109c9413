//! What `/status` says, as JSON.

use std::{collections::BTreeMap, time::Instant};

use legation_protos::ResourceType;
use serde::Serialize;

use super::{Rejected, STALE, Status, TypeState, drains::DrainingReport};
use crate::diagnostic::{Diagnostic, Severity};

impl Status {
    /// What `/status` says, at a time.
    pub fn report(&self, now: Instant) -> Report {
        let state = self.state();
        let mut nodes: BTreeMap<String, NodeReport> = BTreeMap::new();
        for info in state.gone.values() {
            nodes.insert(info.id.clone(), NodeReport { id: info.id.clone(), state: "GONE", types: BTreeMap::new() });
        }
        for (id, (_, types)) in state.nodes() {
            nodes.insert(id.to_owned(), NodeReport::new(id, &types, now));
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
            draining: state.drains.listeners.iter().map(|drain| drain.report(&state.drains.node)).collect(),
            nodes: nodes.into_values().collect(),
        }
    }
}

/// What `/status` says.
#[derive(Debug, Serialize)]
pub struct Report {
    generation: Generations,
    file: FileReport,
    /// Listeners of the local Envoy that an edit replaced or removed, and that still have
    /// connections.
    draining: Vec<DrainingReport>,
    nodes: Vec<NodeReport>,
}

#[derive(Debug, Serialize)]
struct Generations {
    /// The generation that a node gets when it joins.
    serving: Option<u64>,
    /// The newest generation that nodes have accepted.
    confirmed: Option<u64>,
    /// The candidate that only some nodes have yet.
    canary: Option<u64>,
    /// The generation that a node rejected, until the file changes.
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

impl NodeReport {
    fn new(id: &str, types: &BTreeMap<ResourceType, &TypeState>, now: Instant) -> Self {
        let types: BTreeMap<_, _> = types.iter().map(|(kind, of_type)| (kind.short(), of_type.report(now))).collect();
        let worst = ["NACKED", "STALE"].into_iter().find(|state| types.values().any(|of_type| of_type.state == *state));
        Self { id: id.to_owned(), state: worst.unwrap_or("SYNCED"), types }
    }
}

#[derive(Debug, Serialize)]
struct TypeReport {
    state: &'static str,
    /// The newest generation that the node accepted.
    generation: Option<u64>,
    /// The place in the file of what the node rejects.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Why, in Envoy's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl TypeState {
    fn report(&self, now: Instant) -> TypeReport {
        let stale = self.pending_since.is_some_and(|since| now.saturating_duration_since(since) > STALE);
        TypeReport {
            state: match &self.rejected {
                Some(_) => "NACKED",
                None if stale => "STALE",
                None => "SYNCED",
            },
            generation: self.acked,
            at: self.rejected.as_ref().and_then(Rejected::at),
            error: self.rejected.as_ref().map(|rejected| rejected.error().to_owned()),
        }
    }
}
