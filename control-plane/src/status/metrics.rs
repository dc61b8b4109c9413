//! What Prometheus scrapes: a fixed set of names. None of them holds anything that a client says,
//! and of the file only the names of listeners.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use legation_protos::ResourceType;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::DrainingListener;

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    generation: Family<GenerationLabels, Gauge<i64, AtomicI64>>,
    reloads: Family<ReloadLabels, Counter<u64, AtomicU64>>,
    nodes: Gauge<i64, AtomicI64>,
    responses: Family<TypeLabels, Counter<u64, AtomicU64>>,
    resources: Family<TypeLabels, Counter<u64, AtomicU64>>,
    acks: Family<TypeLabels, Counter<u64, AtomicU64>>,
    nacks: Family<TypeLabels, Counter<u64, AtomicU64>>,
    propagation: Histogram,
    file_errors: Gauge,
    draining_streams: Family<ListenerLabels, Gauge<i64, AtomicI64>>,
    drains_until: Family<ListenerLabels, Gauge<f64, AtomicU64>>,
}

/// In seconds: from one local Envoy to a slow fleet, and beyond the time that Envoy may take to
/// warm a cluster (15 s).
const PROPAGATION_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// What became of a changed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ReloadResult {
    /// A new generation.
    Published,
    /// It says the same as before.
    Unchanged,
    /// It can't be used.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: ReloadResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum GenerationState {
    Serving,
    /// The generation that a node rejected, until the file changes; 0 where none is rejected.
    Rejected,
    Confirmed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GenerationLabels {
    state: GenerationState,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabels {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: String,
}

fn of(kind: ResourceType) -> TypeLabels {
    TypeLabels { r#type: kind.short() }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("legation"),
            generation: Family::default(),
            reloads: Family::default(),
            nodes: Gauge::default(),
            responses: Family::default(),
            resources: Family::default(),
            acks: Family::default(),
            nacks: Family::default(),
            file_errors: Gauge::default(),
            propagation: Histogram::new(PROPAGATION_BUCKETS),
            draining_streams: Family::default(),
            drains_until: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "generation",
            "The newest generation that is served, that is confirmed, and that stands rejected (0: none)",
            metrics.generation.clone(),
        );
        registry.register("reloads", "Changed files, by what became of them", metrics.reloads.clone());
        registry.register(
            "file_errors",
            "Errors that keep the newest file from being used",
            metrics.file_errors.clone(),
        );
        registry.register("nodes", "Connected nodes", metrics.nodes.clone());
        registry.register("xds_responses", "Responses sent, by type", metrics.responses.clone());
        registry.register("xds_resources", "Resources sent, by type", metrics.resources.clone());
        registry.register("xds_acks", "Responses that nodes accepted, by type", metrics.acks.clone());
        registry.register("xds_nacks", "Responses that nodes rejected, by type", metrics.nacks.clone());
        registry.register_with_unit(
            "propagation",
            "From the moment that a saved file was noticed to the ACK of the last node that was connected when it was published",
            Unit::Seconds,
            metrics.propagation.clone(),
        );
        registry.register(
            "draining_streams",
            "Open streams on draining listeners of the local Envoy",
            metrics.draining_streams.clone(),
        );
        registry.register_with_unit(
            "drains_until_timestamp",
            "When Envoy cuts the first of these streams, in Unix time",
            Unit::Seconds,
            metrics.drains_until.clone(),
        );
        for result in [ReloadResult::Published, ReloadResult::Unchanged, ReloadResult::Refused] {
            drop(metrics.reloads.get_or_create(&ReloadLabels { result }));
        }
        for kind in ResourceType::ALL {
            for family in [&metrics.responses, &metrics.resources, &metrics.acks, &metrics.nacks] {
                drop(family.get_or_create(&of(kind)));
            }
        }
        metrics
    }
}

impl Metrics {
    /// All metrics in OpenMetrics' text form.
    ///
    /// # Errors
    /// Formatting fails, which it has no reason to.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    pub(crate) fn reload(&self, result: ReloadResult) {
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
    }

    pub(crate) fn rejected(&self, generation: Option<u64>) {
        self.set(GenerationState::Rejected, generation.unwrap_or_default());
    }

    /// How many errors keep the newest file from being used.
    pub(crate) fn file_errors(&self, count: usize) {
        self.file_errors.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn serving(&self, generation: u64) {
        self.set(GenerationState::Serving, generation);
    }

    pub(crate) fn confirmed(&self, generation: u64) {
        self.set(GenerationState::Confirmed, generation);
    }

    fn set(&self, state: GenerationState, generation: u64) {
        self.generation.get_or_create(&GenerationLabels { state }).set(generation.cast_signed());
    }

    pub(crate) fn connected(&self, nodes: usize) {
        self.nodes.set(i64::try_from(nodes).unwrap_or(i64::MAX));
    }

    pub(crate) fn sent(&self, kind: ResourceType, resources: usize) {
        self.responses.get_or_create(&of(kind)).inc();
        self.resources.get_or_create(&of(kind)).inc_by(resources as u64);
    }

    pub(crate) fn acked(&self, kind: ResourceType) {
        self.acks.get_or_create(&of(kind)).inc();
    }

    pub(crate) fn nacked(&self, kind: ResourceType) {
        self.nacks.get_or_create(&of(kind)).inc();
    }

    /// Shows all draining listeners, given those before. A listener that does not drain any more
    /// disappears.
    pub(crate) fn draining(&self, before: &[DrainingListener], now: &[DrainingListener]) {
        let labels = |drain: &DrainingListener| ListenerLabels { listener: drain.listener.clone() };
        for drain in now {
            let of_listener = || now.iter().filter(|it| it.listener == drain.listener);
            let streams: u64 = of_listener().map(|it| it.open_streams).sum();
            let until = of_listener().map(DrainingListener::until_unix).fold(f64::INFINITY, f64::min);
            self.draining_streams.get_or_create(&labels(drain)).set(i64::try_from(streams).unwrap_or(i64::MAX));
            self.drains_until.get_or_create(&labels(drain)).set(until);
        }
        for gone in before.iter().filter(|drain| now.iter().all(|it| it.listener != drain.listener)) {
            self.draining_streams.remove(&labels(gone));
            self.drains_until.remove(&labels(gone));
        }
    }

    pub(crate) fn arrived(&self, took: Duration) {
        self.propagation.observe(took.as_secs_f64());
    }
}
