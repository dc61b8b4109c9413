//! The filter's configuration as written: one JSON document, in the words of the gateway file.
//!
//! The control plane sends the document by ECDS. In a mesh, a person writes it (`pluginConfig`).
//! These types only mirror it; [`crate::compile`] checks it and builds the tables. The control
//! plane writes the document with the same types, so the two cannot drift apart.

mod forms;
mod json_path;
mod protobuf_struct;
pub(crate) mod read;
mod text;

use std::collections::BTreeMap;
use std::fmt;

use forms::few;
use serde::{Deserialize, Serialize};

pub use read::MAX_BYTES;

/// The whole document. Its `version` is 1. There may be very many consumers, so their texts are
/// `S`: their own memory, or a part of the read bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config<S = String> {
    /// The version of this format: 1.
    pub version: u32,
    /// The secret of keys' digests, at least 16 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_pepper: Option<Pepper>,
    /// The variable of the VM's environment with the secret, instead of `key_pepper`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_pepper_env: Option<String>,
    /// The response fields in which clients see their limits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate_limit_headers: RateLimitHeaders,
    /// The `payload_in_metadata` of Envoy's JWT filter, where it keeps the claims that limits count
    /// by. By default `jwt_payload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_in_metadata: Option<String>,
    /// The consumers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<Consumer<S>>,
    /// The plans of consumers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<Plan>,
    /// Each route carries its policy itself, in its metadata:
    /// `filter_metadata: {legation: {policy: "…"}}`, where the text is the JSON of a [`Policy`].
    /// Envoy then changes a route and its policy in one step. The document has neither `policies`
    /// nor `rules` then, and a request whose route carries no policy gets 503.
    #[serde(default, skip_serializing_if = "is_false")]
    pub route_policies: bool,
    /// The demands on requests, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// The rules that choose the policy of a request. The first rule that matches decides. A
    /// request that matches none gets 503, since nobody said that it may pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// A secret: never shown.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pepper(pub String);

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// The response fields by which clients see their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum RateLimitHeaders {
    /// `RateLimit-Policy` and `RateLimit` of the IETF's draft.
    #[default]
    #[serde(rename = "ratelimit")]
    RateLimit,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` of the limit that is nearest to its end.
    #[serde(rename = "x-ratelimit")]
    XRateLimit,
    /// None.
    #[serde(rename = "off")]
    Off,
}

/// A caller, known by any of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer<S = String> {
    /// What the upstream sees as `x-consumer-id`.
    pub name: S,
    /// The name of its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<S>,
    /// Its keys. Several may be valid at once, so that keys can be rotated.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few")]
    pub api_keys: Vec<ApiKey<S>>,
    /// What else is known of it: names, which become parts of header names, and values. A policy
    /// with `forward_metadata` shows them to upstreams as `x-consumer-metadata-NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// One key of a consumer, as the digest of the secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey<S = String> {
    /// A name for the key that is not secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<S>,
    /// SHA-256 of the key's bytes as 64 hexadecimal digits. With a pepper it may be HMAC-SHA-256
    /// (RFC 2104) by the pepper instead.
    pub sha256: S,
    /// When it expires: RFC 3339 such as `2027-01-31T00:00:00Z`, or a date such as `2027-01-31`,
    /// which is its first second in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<S>,
    /// When it becomes valid, in the forms of `expires`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<S>,
}

/// What consumers of the plan may use where a policy says `plan: true`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What the upstream sees as `x-consumer-plan`.
    pub name: String,
    /// All of these limits hold at once. Each consumer has its own counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// How many requests a day or month of the calendar has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// A number of requests for each day or month. Both begin at midnight UTC.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Requests, 1 or more.
    pub limit: u64,
    /// The period in which so many requests may come.
    pub window: Period,
}

/// A period of the calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first day's midnight to the next month's.
    Month,
}

/// How requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// A bucket that refills steadily (GCRA).
    #[default]
    TokenBucket,
    /// The count of this window, and a share of the count of the window before.
    SlidingWindow,
}

/// `limit` requests for each `window`. `burst` of them may come at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Its name in `RateLimit`. The default is the plan's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Requests a window, 1 or more.
    pub limit: u64,
    /// A duration such as `1s`, `1m`, `1d`.
    pub window: String,
    /// Requests that may come at once. The default is `limit`. A sliding window has no burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// How it is counted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub algorithm: Algorithm,
}

/// What is asked of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The name by which rules refer to it.
    pub name: String,
    /// Asks for an API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKeyRule>,
    /// All of these limits hold at once: a request is charged to all of them or to none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limit: Vec<RateLimit>,
    /// Tells proxies further out not to hold back responses that stream, and not to change them:
    /// `x-accel-buffering: no` and `cache-control: no-transform`, by content type.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stream_headers: bool,
}

/// Where the key is and who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRule {
    /// A request header that may carry the key. If the rule names no place at all, the place is the
    /// header `x-api-key`. If it names some, only these count, in the order header, bearer, cookie,
    /// query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Whether `authorization: Bearer` may carry it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bearer: bool,
    /// A cookie that may carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// A parameter of the query that may carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Whether a request without a key passes, with no consumer. A request with a bad key is
    /// refused all the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// The plan of callers without a key. Only with `optional`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_plan: Option<String>,
    /// The consumers who may call. If neither `consumers` nor `plans` is given, all may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<String>,
    /// The plans whose consumers may call. A consumer named in `consumers` needs no plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
    /// Leaves the key in the request that the upstream sees. Otherwise the filter removes it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep: bool,
    /// Shows the consumer's metadata to the upstream.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forward_metadata: bool,
}

/// A limit of a policy: its own (`limit` and `window`), or the limits of the consumer's plan
/// (`plan: true`), never both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Its name in `RateLimit`. The default is the policy's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Requests a window, 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// A duration such as `1s`, `1m`, `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Requests that may come at once. The default is `limit`. A sliding window has no burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// How it is counted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub algorithm: Algorithm,
    /// Whose requests are counted together. The default is `route`.
    #[serde(default)]
    pub by: By,
    /// Takes the limits of the consumer's plan. All policies that say so share their counts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub plan: bool,
    /// With `plan`: consumers of these plans have these limits here, in place of their plan's. This
    /// policy counts them on its own. A plan's quota holds all the same.
    #[serde(default, rename = "override", skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, Vec<Limit>>,
    /// How much a request is charged. The default is 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cost: Cost,
    /// Counts requests, apart from the limits that are enforced, and refuses none.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

/// How much a request is charged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cost {
    /// This much, 1 or more.
    Fixed(u64),
    /// The whole number in the request header of this name, or 1 without such a header. Written
    /// `header:NAME`.
    Header(String),
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum By {
    /// One count for all.
    #[default]
    Route,
    /// The consumer whose key it is.
    Consumer,
    /// All consumers of a plan.
    Plan,
    /// The client's address as Envoy knows it.
    Ip,
    /// The value of the request header of this name. Written `header:NAME`.
    Header(String),
    /// The claim of the JWT that Envoy verified. A dot leads into a claim that is an object.
    /// Written `jwt:CLAIM`.
    Jwt(String),
}

/// Which request has which policy: by the name of Envoy's route, or by host and path. A condition
/// that is left out always holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name of the route that Envoy chose (`xds.route_name`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Host names without port; `*.example.com` is any host under it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// A path prefix of whole segments: `/api` is `/api` and `/api/x`, not `/apix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The policy's name.
    pub policy: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
