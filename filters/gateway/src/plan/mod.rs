//! `plans`: what a consumer may use, and the limits of which plans and policies are made.

pub mod algorithm;
mod compile;
mod limit;

use std::collections::BTreeMap;

pub use limit::{Limit, MAX_LIMIT, MAX_WINDOW, MIN_INTERVAL};

pub(crate) use compile::plans;
pub(crate) use limit::{Names, Written, counted, limits};

/// What a consumer may use.
#[derive(Debug)]
pub struct Plan {
    /// What the upstream sees as `x-consumer-plan`.
    pub name: String,
    /// All of them hold at once.
    pub limits: Vec<Limit>,
    /// How much the calendar's day or month has.
    pub quota: Option<Limit>,
}

impl Plan {
    /// All limits of its consumers on a route where some plans have other limits: those, or its
    /// own, and its quota.
    pub fn limits_here<'a>(&'a self, overrides: &'a BTreeMap<String, Vec<Limit>>) -> impl Iterator<Item = &'a Limit> {
        overrides.get(&self.name).unwrap_or(&self.limits).iter().chain(&self.quota)
    }
}
