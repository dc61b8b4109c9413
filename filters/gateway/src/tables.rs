//! What requests are looked up in: the configuration, checked and indexed, immutable once built by [`crate::compile`].
//!
//! Things refer to each other by [`Arc`], so that no lookup can dangle; keys alone, of which there may be very many, to their
//! consumer by its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::algorithm::Algorithm;
use crate::config::RateLimitHeaders;
use crate::consumers::{Consumer, Consumers};
use crate::credential::Source;
use crate::pepper::Pepper;
use crate::rules::Rules;

/// A SHA-256 digest, or an HMAC by it.
pub type Digest = [u8; 32];

/// The compiled configuration.
#[derive(Debug, Default)]
pub struct Tables {
    pub(crate) pepper: Option<Pepper>,
    pub(crate) keys: Keys,
    pub(crate) consumers: Consumers,
    pub(crate) plans: BTreeMap<String, Arc<Plan>>,
    /// Where Envoy's JWT filter keeps the claims, where that is said.
    pub(crate) payload: Option<String>,
    pub(crate) route_policies: bool,
    pub(crate) rules: Rules,
    pub(crate) has_limits: bool,
    pub(crate) rate_limit_headers: RateLimitHeaders,
}

/// All keys, to be found by digest.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    /// Of each key the first bytes of its digest, and its place. Sorted; the keys are not, since to move so much about takes
    /// longer than all else.
    order: Vec<(u64, usize)>,
}

/// A key that some consumer holds.
#[derive(Debug)]
pub struct Key {
    /// HMAC-SHA-256 of the key by the pepper, or SHA-256.
    pub digest: Digest,
    /// Seconds since 1970 from which it is valid.
    pub not_before: Option<i64>,
    /// Seconds since 1970 from which it is no longer valid.
    pub expires: Option<i64>,
    /// Whose it is: a place in the list of consumers.
    pub(crate) consumer: usize,
}

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
    /// All that holds for its consumers where some plans have other limits: those, or its own, and its quota.
    pub fn limits_here<'a>(&'a self, overrides: &'a BTreeMap<String, Vec<Limit>>) -> impl Iterator<Item = &'a Limit> {
        overrides.get(&self.name).unwrap_or(&self.limits).iter().chain(&self.quota)
    }
}

/// What is asked of a request.
#[derive(Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The key that is asked for.
    pub api_key: Option<ApiKeyRule>,
    /// All of them hold at once.
    pub limits: Vec<PolicyLimit>,
    /// Whether responses that stream are marked as such for proxies further out.
    pub stream_headers: bool,
}

/// Where the key is and who may use it.
#[derive(Debug)]
pub struct ApiKeyRule {
    /// Where the key may be: the first place that has one decides. Never empty.
    pub sources: Vec<Source>,
    /// Whether a request without a key passes.
    pub optional: bool,
    /// The plan of those who come without a key.
    pub anonymous_plan: Option<Arc<Plan>>,
    /// Who may; everyone where `None`.
    pub allowed: Option<Allowed>,
    /// Whether the upstream sees the key.
    pub keep: bool,
    /// Whether the upstream sees the consumer's metadata.
    pub forward_metadata: bool,
}

/// The consumers who may use a policy: those named and those of the plans named.
#[derive(Debug, Default)]
pub struct Allowed {
    pub(crate) consumers: BTreeSet<String>,
    pub(crate) plans: BTreeSet<String>,
}

/// A limit of a policy.
#[derive(Debug)]
pub struct PolicyLimit {
    /// Which limit.
    pub what: What,
    /// How much a request is charged.
    pub cost: Cost,
    /// Whether it counts, but refuses nothing.
    pub is_dry_run: bool,
}

/// Which limit it is.
#[derive(Debug)]
pub enum What {
    /// The policy's own.
    Own {
        /// Whose requests are counted together.
        by: By,
        /// The limit.
        limit: Limit,
    },
    /// Those of the consumer's plan.
    Plan {
        /// What `RateLimit` calls them instead of the plan's name.
        name: Option<String>,
        /// The limits that consumers of these plans have instead.
        overrides: BTreeMap<String, Vec<Limit>>,
    },
}

/// Whose requests are counted together.
#[derive(Debug)]
pub enum By {
    /// Everyone's.
    Route,
    /// The consumer's.
    Consumer,
    /// Those of all consumers of its plan.
    Plan,
    /// Those from the client's address.
    Ip,
    /// Those that have the same value in this header; its name is in lower case.
    Header(String),
    /// Those whose token has the same value at this path of Envoy's properties.
    Claim(Vec<u8>),
}

/// How much a request is charged.
#[derive(Debug)]
pub enum Cost {
    /// So much.
    Fixed(u64),
    /// What this header says; its name is in lower case.
    Header(String),
}

/// A limit and the name of its count.
#[derive(Debug)]
pub struct Limit {
    /// What `RateLimit` calls it.
    pub name: String,
    /// What tells its count from those of other limits, the same after a reload.
    pub id: String,
    /// Requests a window.
    pub quota: u64,
    /// The window in seconds, where it is a whole number of them.
    pub window_seconds: Option<u64>,
    /// How it is counted.
    pub algorithm: Algorithm,
}

impl Tables {
    /// What is held of a key, and the consumer whose it is. With a pepper, a digest may be from before there was one.
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

impl Keys {
    pub(crate) fn new(keys: Vec<Key>) -> Self {
        let mut order: Vec<_> = keys.iter().enumerate().map(|(place, key)| (first_bytes(&key.digest), place)).collect();
        order.sort_unstable();
        Self { keys, order }
    }

    /// Whether some digests begin alike: where none do, no key is there twice.
    pub(crate) fn may_repeat(&self) -> bool {
        !self.order.is_sorted_by(|(one, _), (other, _)| one < other)
    }

    fn get(&self, digest: &Digest) -> Option<&Key> {
        let first = first_bytes(digest);
        let place = self.order.partition_point(|(other, _)| *other < first);
        let alike = self.order.iter().skip(place).take_while(|(other, _)| *other == first);
        alike.filter_map(|(_, place)| self.keys.get(*place)).find(|key| key.digest == *digest)
    }
}

fn first_bytes(digest: &Digest) -> u64 {
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Allowed {
    /// Whether this consumer is named, or its plan is.
    #[must_use]
    pub fn contains(&self, consumer: Consumer<'_>) -> bool {
        self.consumers.contains(consumer.name) || consumer.plan.is_some_and(|plan| self.plans.contains(&plan.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_whose_digests_begin_alike_are_told_apart() {
        let digest = |last: u8| {
            let mut digest = [7; 32];
            digest[31] = last;
            digest
        };
        let key = |last| Key { digest: digest(last), not_before: None, expires: None, consumer: last.into() };
        let keys = Keys::new([3, 1, 2].map(key).into());
        assert!(keys.may_repeat());
        for last in 0..5 {
            let found = keys.get(&digest(last)).map(|key| key.consumer);
            assert_eq!(found, (1..=3).contains(&last).then_some(last.into()));
        }
        assert!(keys.get(&[0; 32]).is_none() && keys.get(&[8; 32]).is_none());
        assert!(!Keys::new(vec![key(1)]).may_repeat());
    }
}
