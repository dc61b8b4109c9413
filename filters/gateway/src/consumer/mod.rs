//! `consumers`: the callers, and the keys that identify them.
//!
//! There may be 100,000 consumers. A worker answers nobody while an edit allocates their memory and
//! frees that of the previous ones. So all their names are one piece of memory.

mod compile;
pub mod key_format;
mod keys;
pub mod pepper;

use std::sync::Arc;

use crate::plan::Plan;

pub use compile::metadata_name;
pub use keys::{Digest, Key};

pub(crate) use compile::{consumers, pepper_of, unknown_plan};
pub(crate) use keys::Keys;

/// A consumer.
#[derive(Clone, Copy, Debug)]
pub struct Consumer<'a> {
    /// Its name, which upstreams see as `x-consumer-id`.
    pub name: &'a str,
    /// Its plan.
    pub plan: Option<&'a Plan>,
    /// The headers with its metadata, for policies that forward it.
    pub metadata: &'a [(String, String)],
}

/// All consumers, each at its place.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    names: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    /// Where its name begins in `names`.
    start: usize,
    end: usize,
    plan: Option<Arc<Plan>>,
    metadata: Vec<(String, String)>,
}

impl Consumers {
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { names: String::new(), rows: Vec::with_capacity(count) }
    }

    pub(crate) fn push(&mut self, name: &str, plan: Option<Arc<Plan>>, metadata: Vec<(String, String)>) {
        let start = self.names.len();
        self.names.push_str(name);
        self.rows.push(Row { start, end: self.names.len(), plan, metadata });
    }

    pub(crate) fn get(&self, place: usize) -> Option<Consumer<'_>> {
        let row = self.rows.get(place)?;
        let name = self.names.get(row.start..row.end)?;
        Some(Consumer { name, plan: row.plan.as_deref(), metadata: &row.metadata })
    }
}
