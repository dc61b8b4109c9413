//! `defaults.rollout`: how a new configuration reaches the nodes.

use crate::{
    config::{report::Report, schema, value},
    model::Rollout,
};

/// The most nodes that can be told apart as canaries: as many as there may be streams.
const MOST_CANARIES: usize = 10_000;

/// All nodes at once, unless the file says otherwise.
pub fn resolve(defaults: Option<&schema::Defaults>, report: &mut Report) -> Option<Rollout> {
    let canary = defaults.and_then(|defaults| defaults.rollout.get()?.canary.get());
    let canary = match canary {
        Some(canary) => value::within(*canary, 0..=MOST_CANARIES, "`canary`", report)?,
        None => 0,
    };
    Some(Rollout { canary })
}
