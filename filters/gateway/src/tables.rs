//! What requests are looked up in: the configuration, checked and indexed, immutable once built by [`crate::compile`].
//!
//! Things refer to each other by [`Arc`], so that no lookup can dangle; keys alone, of which there may be very many, to their
//! consumer by its place.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::algorithm::Algorithm;
use crate::config::RateLimitHeaders;
use crate::credential::Source;
use crate::pepper::Pepper;

/// A SHA-256 digest, or an HMAC by it.
pub type Digest = [u8; 32];

/// The compiled configuration.
#[derive(Debug, Default)]
pub struct Tables {
    pub(crate) pepper: Option<Pepper>,
    pub(crate) keys: Keys,
    pub(crate) consumers: Vec<Consumer>,
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

/// A caller.
#[derive(Debug)]
pub struct Consumer {
    /// What the upstream sees as `x-consumer-id`.
    pub name: String,
    /// What it may use.
    pub plan: Option<Arc<Plan>>,
    /// Headers by which upstreams see what else is known of it, where a policy says so.
    pub metadata: Vec<(String, String)>,
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

/// Which request has which policy.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// By the name of the route they ask for; each list in the order of the configuration.
    pub(crate) by_route: BTreeMap<Box<[u8]>, Vec<Rule>>,
    /// Those that ask for no route.
    pub(crate) any_route: Vec<Rule>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    /// Its place in the configuration: the first that matches decides.
    pub(crate) place: usize,
    /// None means all.
    pub(crate) hosts: Vec<HostPattern>,
    /// Without a slash at its end; so `/` is the empty prefix.
    pub(crate) prefix: Option<String>,
    pub(crate) policy: Arc<Policy>,
}

/// In lower case.
#[derive(Debug)]
pub(crate) enum HostPattern {
    Exact(String),
    /// What follows the `*`, with its dot.
    Under(String),
}

/// What rules look at beside the route.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// The value of `:authority`.
    pub authority: &'a [u8],
    /// The value of `:path`, with its query.
    pub path: &'a [u8],
}

impl Tables {
    /// What is held of a key, and the consumer whose it is. With a pepper, a digest may be from before there was one.
    #[must_use]
    pub fn key(&self, secret: &[u8]) -> Option<(&Key, &Consumer)> {
        let peppered = self.pepper.as_ref().and_then(|pepper| self.keys.get(&pepper.digest(secret)));
        let key = peppered.or_else(|| self.keys.get(&Sha256::digest(secret).into()))?;
        Some((key, self.consumers.get(key.consumer)?))
    }

    /// By which response fields clients see their limits.
    #[must_use]
    pub fn rate_limit_headers(&self) -> RateLimitHeaders {
        self.rate_limit_headers
    }

    /// Whether any rule asks for a route's name, so that it must be read.
    #[must_use]
    pub fn asks_for_route(&self) -> bool {
        !self.rules.by_route.is_empty()
    }

    /// Whether anything is counted.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        self.has_limits
    }

    /// The names of the routes that rules ask for.
    pub fn routes(&self) -> impl Iterator<Item = &[u8]> {
        self.rules.by_route.keys().map(AsRef::as_ref)
    }

    /// Whether a rule asks for this route.
    #[must_use]
    pub fn knows_route(&self, route: &[u8]) -> bool {
        self.rules.by_route.contains_key(route)
    }

    /// The policy of the first rule that matches.
    #[must_use]
    pub fn policy(&self, route: Option<&[u8]>, target: Target<'_>) -> Option<&Policy> {
        // Few rules look at the host, which is copied to be looked at.
        let host = LazyCell::new(|| host_of(target.authority));
        let path = path_of(target.path);
        let matches = |rule: &Rule| rule.is_for_path(path) && (rule.hosts.is_empty() || rule.is_for_host(&host));
        let first = |rules: &'_ [Rule]| rules.iter().position(matches);
        let of_route = route.and_then(|route| self.rules.by_route.get(route));
        let by_route = of_route.and_then(|rules| rules.get(first(rules)?));
        let any_route = first(&self.rules.any_route).and_then(|place| self.rules.any_route.get(place));
        let rule = match (by_route, any_route) {
            (Some(one), Some(other)) => Some(if one.place < other.place { one } else { other }),
            (one, other) => one.or(other),
        };
        rule.map(|rule| &*rule.policy)
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

impl Rule {
    fn is_for_host(&self, host: &[u8]) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    fn is_for_path(&self, path: &[u8]) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| is_under(path, prefix.as_bytes()))
    }
}

impl HostPattern {
    fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(name) => host == name.as_bytes(),
            Self::Under(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_bytes()),
        }
    }
}

impl Allowed {
    /// Whether this consumer is named, or its plan is.
    #[must_use]
    pub fn contains(&self, consumer: &Consumer) -> bool {
        self.consumers.contains(&consumer.name)
            || consumer.plan.as_ref().is_some_and(|plan| self.plans.contains(&plan.name))
    }
}

/// The host in lower case, without its port and without the dot that may end a full name: the same host to Envoy's
/// client and to DNS, so it must be the same to a rule.
fn host_of(authority: &[u8]) -> Vec<u8> {
    let after_address = authority.iter().rposition(|&byte| byte == b']').map_or(0, |place| place.saturating_add(1));
    let port = authority.iter().skip(after_address).position(|&byte| byte == b':');
    let host = port.and_then(|port| authority.get(..after_address.saturating_add(port))).unwrap_or(authority);
    host.strip_suffix(b".").unwrap_or(host).to_ascii_lowercase()
}

/// The path without query and fragment.
fn path_of(path: &[u8]) -> &[u8] {
    path.split(|&byte| byte == b'?' || byte == b'#').next().unwrap_or_default()
}

/// Whether the path is the prefix or is under it, in whole segments.
fn is_under(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
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

    #[test]
    fn a_host_has_no_port_no_case_and_no_dot_at_its_end() {
        for (authority, host) in [
            ("API.Example.com:8080", "api.example.com"),
            ("api.example.com.", "api.example.com"),
            ("api.example.com.:80", "api.example.com"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("", ""),
        ] {
            assert_eq!(host_of(authority.as_bytes()), host.as_bytes(), "{authority}");
        }
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        for (path, prefix, under) in [
            ("/api", "/api", true),
            ("/api/x", "/api", true),
            ("/apix", "/api", false),
            ("/ap", "/api", false),
            ("/anything", "", true),
            ("*", "", false),
            ("", "", true),
        ] {
            assert_eq!(is_under(path.as_bytes(), prefix.as_bytes()), under, "{path} under {prefix}");
        }
        assert_eq!(path_of(b"/api?x=/y"), b"/api");
        assert_eq!(path_of(b"/api#x"), b"/api");
    }

    #[test]
    fn a_wildcard_is_any_host_under_it_but_not_the_host_itself() {
        let pattern = HostPattern::Under(".example.com".to_owned());
        assert!(pattern.matches(b"a.example.com"));
        assert!(pattern.matches(b"a.b.example.com"));
        assert!(!pattern.matches(b"example.com"));
        assert!(!pattern.matches(b"badexample.com"));
        assert!(!pattern.matches(b".example.com"));
    }
}
