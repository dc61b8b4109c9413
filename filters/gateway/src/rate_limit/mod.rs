//! `rate_limit`: which limits a request is charged to, how it is charged, and what its caller is
//! told.

mod apply;
pub mod charge;
mod compile;
pub mod counts;
pub mod fields;
mod refusal;

use std::collections::BTreeMap;

use crate::plan::Limit;

pub use apply::address_of;

pub(crate) use apply::{Limited, limit};
pub(crate) use compile::rate_limits;

/// An item of a policy's `rate_limit`.
#[derive(Debug)]
pub struct RateLimit {
    /// The limits that requests are charged to.
    pub limits: Limits,
    /// How much a request is charged.
    pub cost: Cost,
    /// Whether it counts, but refuses nothing.
    pub is_dry_run: bool,
}

/// The limits that requests are charged to.
#[derive(Debug)]
pub enum Limits {
    /// One of the policy's own.
    Own {
        /// Whose requests are counted together.
        by: By,
        /// The limit.
        limit: Limit,
    },
    /// Those of the consumer's plan.
    OfPlan {
        /// What `RateLimit` calls them instead of the plan's name.
        name: Option<String>,
        /// The limits that consumers of these plans have instead.
        overrides: BTreeMap<String, Vec<Limit>>,
    },
}

/// Whose requests are counted together.
#[derive(Debug)]
pub enum By {
    /// All requests.
    Route,
    /// Those of the consumer.
    Consumer,
    /// Those of all consumers of the caller's plan.
    Plan,
    /// Those from the client's address.
    Ip,
    /// Those with the same value in this header. Its name is in lower case.
    Header(String),
    /// Those whose token has the same value at this path of Envoy's properties.
    Claim(Vec<u8>),
}

/// How much a request is charged.
#[derive(Debug)]
pub enum Cost {
    /// This much.
    Fixed(u64),
    /// What this header says. Its name is in lower case.
    Header(String),
}
