//! `plans`: the limits of consumers, and the limits that plans and policies consist of.

pub mod algorithm;
mod compile;
mod limit;

use std::collections::BTreeMap;

pub use limit::{Limit, MAX_LIMIT, MAX_WINDOW, MIN_INTERVAL};

pub(crate) use compile::plans;
pub(crate) use limit::{Names, Written, counted, limits};

/// The plan of a consumer.
#[derive(Debug)]
pub struct Plan {
    /// Its name, which upstreams see as `x-consumer-plan`.
    pub name: String,
    /// The limits, which all hold at once.
    pub limits: Vec<Limit>,
    /// The quota of a calendar day or month.
    pub quota: Option<Limit>,
}

impl Plan {
    /// Returns all limits of its consumers on a route that replaces the limits of some plans: the
    /// replacement or its own limits, and its quota.
    pub fn limits_here<'a>(&'a self, overrides: &'a BTreeMap<String, Vec<Limit>>) -> impl Iterator<Item = &'a Limit> {
        overrides.get(&self.name).unwrap_or(&self.limits).iter().chain(&self.quota)
    }
}
