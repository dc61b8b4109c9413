//! Counters of decisions, by policy and plan. Envoy never forgets a counter, so their number has a
//! bound, and none is by consumer.

use std::collections::BTreeMap;

use super::imports;
use super::metric_names::{MOST, OTHER, name};
use crate::decide::Tally;

/// The counters that a VM has defined, by their labels. Envoy returns a new id for each definition,
/// even of a known name, so each is defined once.
#[derive(Default)]
pub(super) struct Metrics {
    ids: BTreeMap<String, Option<u32>>,
    /// To look up without an allocation.
    scratch: String,
}

impl Metrics {
    /// Counts a decision.
    pub(super) fn count(&mut self, tally: &Tally<'_>, code: &str) {
        self.add(tally, code);
        if tally.dry_run_refused {
            self.add(tally, "dry_run_rate_limited");
        }
    }

    fn add(&mut self, tally: &Tally<'_>, code: &str) {
        self.scratch.clear();
        name(tally.policy, tally.plan, code, &mut self.scratch);
        let mut known = self.ids.get(&self.scratch).copied();
        if known.is_none() && self.ids.len() >= MOST {
            self.scratch.clear();
            name(OTHER, OTHER, code, &mut self.scratch);
            known = self.ids.get(&self.scratch).copied();
        }
        let id = known.unwrap_or_else(|| {
            let id = imports::define_counter(&self.scratch);
            self.ids.insert(self.scratch.clone(), id);
            id
        });
        if let Some(id) = id {
            imports::increment(id);
        }
    }
}
