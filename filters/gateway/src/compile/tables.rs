//! What requests are looked up in: the configuration, checked and indexed. It never changes once it
//! is built.
//!
//! Things refer to each other by [`Arc`], so that no lookup can dangle. Only keys, of which there
//! may be very many, refer to their consumer by its place.

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
    /// Where Envoy's JWT filter keeps the claims, where that is said.
    pub(super) payload: Option<String>,
    pub(super) route_policies: bool,
    pub(super) rules: Rules,
    pub(super) has_limits: bool,
    pub(super) rate_limit_headers: RateLimitHeaders,
}

impl Tables {
    /// What is held of a key, and the consumer whose it is. With a pepper, a digest may be from
    /// before there was one.
    #[must_use]
    pub fn key(&self, secret: &[u8]) -> Option<(&Key, Consumer<'_>)> {
        let peppered = self.pepper.as_ref().and_then(|pepper| self.keys.get(&pepper.digest(secret)));
        let key = peppered.or_else(|| self.keys.get(&Sha256::digest(secret).into()))?;
        Some((key, self.consumers.get(key.consumer)?))
    }

    /// By which response fields clients see their limits.
    #[must_use]
    pub fn rate_limit_headers(&self) -> RateLimitHeaders {
        self.rate_limit_headers
    }

    /// Which request has which policy.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether routes carry their policies, in place of rules.
    #[must_use]
    pub fn route_policies(&self) -> bool {
        self.route_policies
    }

    /// Whether anything is counted, or may be by a policy that a route carries.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        self.has_limits
    }
}
