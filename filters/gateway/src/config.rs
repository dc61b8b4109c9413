//! The filter's configuration as it is written: one JSON document, in the words of the gateway file.
//!
//! The same document comes from the control plane (by ECDS) and, in a mesh, from a person's hand (`pluginConfig`). These
//! types only mirror it; [`crate::compile`] checks it and builds the tables that requests are looked up in. The control
//! plane writes the document with these very types, so the two cannot drift apart.

use serde::{Deserialize, Serialize};

/// The whole document. Its `version` is 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of this format: 1.
    pub version: u32,
    /// Who may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<Consumer>,
    /// What a consumer may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<Plan>,
    /// What is asked of a request, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Which request has which policy. The first rule that matches decides; a request that none matches is refused with
    /// 503, since it reached the filter and nobody said that it may pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// A caller, known by any of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// What the upstream sees as `x-consumer-id`.
    pub name: String,
    /// The name of its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Its keys; several may be live at once, for rotation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKey>,
}

/// One key of a consumer, as the digest of the secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// A name for the key that is not secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// SHA-256 of the key's bytes as 64 hexadecimal digits.
    pub sha256: String,
    /// When it ceases to be valid: RFC 3339, `2027-01-31T00:00:00Z` or `2027-01-31` (its first second, UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// When it becomes valid, as `expires`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
}

/// What consumers of the plan may use, wherever a policy says `plan: true`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What the upstream sees as `x-consumer-plan`.
    pub name: String,
    /// All of them hold at once, counted for each consumer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
}

/// `limit` requests a `window`, of which `burst` may come at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Requests a window, 1 or more.
    pub limit: u64,
    /// A duration such as `1s`, `1m`, `1d`.
    pub window: String,
    /// Requests that may come at once; `limit` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
}

/// What is asked of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What rules call it.
    pub name: String,
    /// A key is asked for, where this is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKeyRule>,
    /// All of them hold at once: a request is charged to all or to none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limit: Vec<RateLimit>,
}

/// Where the key is and who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRule {
    /// A request header that may carry the key. Where no place is said, it is `x-api-key`; where one is, only those said
    /// count, in the order header, bearer, cookie, query.
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
    /// Whether a request without a key passes, as nobody's. One with a key that is not good does not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// The plan of those who come without a key; only with `optional`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_plan: Option<String>,
    /// The consumers who may; all, unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<String>,
    /// The plans whose consumers may; all, unless said. A consumer named in `consumers` needs no plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
    /// Leave the key in the request that the upstream sees; else it is removed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep: bool,
}

/// A limit of a policy: its own (`limit` and `window`) or the consumer's plan's (`plan: true`), never both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// What `RateLimit` calls it; the policy's name unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Requests a window, 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// A duration such as `1s`, `1m`, `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Requests that may come at once; `limit` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// Whose requests are counted together; `route` unless said.
    #[serde(default)]
    pub by: By,
    /// Take the limits of the consumer's plan, counted over all policies that say so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub plan: bool,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// One count for all.
    #[default]
    Route,
    /// The consumer whose key it is.
    Consumer,
    /// The client's address as Envoy knows it.
    Ip,
}

/// Which request has which policy: by the name of Envoy's route, or by host and path. A condition left out holds.
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
