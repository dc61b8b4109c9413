//! The tables for requests: the configuration, checked and indexed. They never change.
//!
//! Entries refer to each other by [`Arc`], so that no look-up can dangle. Only keys refer to their
//! consumer by its place, since there may be very many keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::config::RateLimitHeaders;
use crate::consumer::pepper::Pepper;
use crate::consumer::{Consumer, Consumers, Key, Keys};
use crate::plan::Plan;
use crate::policy::Rules;

/// The compiled configuration.
#[derive(Debug, Default)]
pub struct Tables {
    pub(super) pepper: Option<Pepper>,
    pub(super) keys: Keys,
    pub(super) consumers: Consumers,
    pub(super) plans: BTreeMap<String, Arc<Plan>>,
    /// The field in which Envoy's JWT filter keeps the claims, if the configuration names it.
    pub(super) payload: Option<String>,
    pub(super) route_policies: bool,
    pub(super) rules: Rules,
    pub(super) has_limits: bool,
    pub(super) rate_limit_headers: RateLimitHeaders,
}

impl Tables {
    /// Returns the entry of a key, and its consumer. With a pepper, it also accepts digests from
    /// before there was one.
    #[must_use]
    pub fn key(&self, secret: &[u8]) -> Option<(&Key, Consumer<'_>)> {
        let peppered = self.pepper.as_ref().and_then(|pepper| self.keys.get(&pepper.digest(secret)));
        let key = peppered.or_else(|| self.keys.get(&Sha256::digest(secret).into()))?;
        Some((key, self.consumers.get(key.consumer)?))
    }

    /// Returns the response fields in which clients see their limits.
    #[must_use]
    pub fn rate_limit_headers(&self) -> RateLimitHeaders {
        self.rate_limit_headers
    }

    /// Returns the rules that choose the policy of a request.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns whether routes carry their policies, instead of rules.
    #[must_use]
    pub fn route_policies(&self) -> bool {
        self.route_policies
    }

    /// Returns whether a limit exists, or may come with a policy of a route.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        self.has_limits
    }
}
