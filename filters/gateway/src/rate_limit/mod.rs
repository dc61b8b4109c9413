//! `rate_limit`: the limits of a request, its charge, and the response fields for its caller.

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
    /// Whether it is a dry run, which counts but refuses nothing.
    pub is_dry_run: bool,
}

/// The limits that requests are charged to.
#[derive(Debug)]
pub enum Limits {
    /// One of the policy's own.
    Own {
        /// The callers whose requests count together.
        by: By,
        /// The limit.
        limit: Limit,
    },
    /// Those of the consumer's plan.
    OfPlan {
        /// Their name in `RateLimit`, instead of the plan's name.
        name: Option<String>,
        /// The limits that replace those of these plans.
        overrides: BTreeMap<String, Vec<Limit>>,
    },
}

/// The callers whose requests count together.
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
    /// This number.
    Fixed(u64),
    /// The number in this header, whose name is in lower case.
    Header(String),
}
