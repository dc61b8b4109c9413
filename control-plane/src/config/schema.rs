//! The file's shape, with a place at every leaf and no rules. [`resolve`](super::resolve) has the rules.
//!
//! What the design plans and is not built yet is listed as `planned` and refused by name.

use super::{
    code,
    decode::{Decode, Flag, Integer, List, OneOrMany, Pairs, Text, mapping},
    node::{Node, Value},
    report::Report,
};

mapping! {
    /// The whole file.
    File, "the file" {
        /// The version of the format: 1.
        required version: Integer,
        /// Where connections come in.
        optional listeners: List<Listener>,
        /// Which request goes where.
        optional routes: List<Route>,
        /// Where requests go.
        optional clusters: List<Cluster>,
        /// Who calls.
        optional consumers: List<Consumer>,
        /// What a consumer may use.
        optional plans: List<Plan>,
        /// Resources in Envoy's own words.
        optional envoy: List<RawNode>,
        /// What holds for all.
        optional defaults: Defaults,
        /// A file with the secret by which digests of keys are made. Its path is relative to the file's folder.
        optional key_pepper_file: Text,
    }
    planned: jwt_providers telemetry
}

/// One of `envoy`: what it says is told by the descriptors of Envoy's messages.
#[derive(Debug)]
pub struct RawNode(pub Node);

impl Decode for RawNode {
    fn decode(node: &Node, _: &str, _: &mut Report) -> Option<Self> {
        Some(Self(node.clone()))
    }
}

mapping! {
    /// `defaults`.
    Defaults, "`defaults`" {
        /// How a new configuration reaches the nodes.
        optional rollout: Rollout,
        /// By which response fields clients see their limits; `ratelimit` unless said.
        optional rate_limit_headers: Text,
    }
    planned: timeouts errors
}

mapping! {
    /// `rollout` in `defaults`.
    Rollout, "`rollout`" {
        /// How many nodes get it first; 0, which is all at once, unless said.
        optional canary: Integer,
    }
}

mapping! {
    /// One of `listeners`.
    Listener, "a listener" {
        /// Its name.
        required name: Text,
        /// The IP address to bind; `0.0.0.0` unless said.
        optional address: Text,
        /// The port to bind.
        required port: Integer,
        /// TLS; clear text unless said.
        optional tls: ListenerTls,
        /// What clients may take.
        optional limits: ListenerLimits,
    }
    planned: redirect_to proxy_protocol trusted_hops
}

mapping! {
    /// A listener's `limits`.
    ListenerLimits, "a listener's `limits`" {
        /// Open connections; no limit of its own unless said.
        optional connections: Integer,
        /// Requests at once over a connection of HTTP/2; 100 unless said.
        optional streams_per_connection: Integer,
        /// All headers of a request together; 60KiB unless said.
        optional header_bytes: Text,
        /// Headers of a request; 100 unless said.
        optional header_count: Integer,
        /// The body of a request on routes that take no long ones and say nothing of their own; no limit unless said.
        optional request_body: Text,
    }
}

mapping! {
    /// A listener's `tls`. Paths are relative to the file's folder.
    ListenerTls, "a listener's `tls`" {
        /// The certificate chain in PEM, the listener's own certificate first.
        required cert_file: Text,
        /// Its private key in PEM.
        required key_file: Text,
        /// The authorities in PEM, one of which must have issued each client's certificate.
        optional client_ca_file: Text,
        /// The oldest version of TLS; 1.2 unless said.
        optional min_version: Text,
    }
}

mapping! {
    /// One of `routes`.
    Route, "a route" {
        /// Its name.
        required name: Text,
        /// Which requests.
        required r#match: Match,
        /// The cluster that they go to.
        optional cluster: Text,
        /// The clusters that share them.
        optional clusters: List<WeightedCluster>,
        /// What the gateway answers by itself.
        optional respond: Respond,
        /// What changes on the way to the cluster.
        optional rewrite: Rewrite,
        /// How long things may take.
        optional timeouts: Timeouts,
        /// A kind of long-lived exchange.
        optional stream: Text,
        /// The body of a request; what the listener says unless said.
        optional max_request_body: Text,
        /// A key is asked for.
        optional api_key: ApiKeyRule,
        /// Limits on the rate of requests.
        optional rate_limit: OneOrMany<RateLimit>,
    }
    planned: listeners hosts redirect retry headers jwt cors allow deny oauth2 basic_auth ext_authz cache
        mirror aggregate graphql token_limit
}

mapping! {
    /// A route's `match`.
    Match, "`match`" {
        /// A path prefix of whole segments.
        optional prefix: Text,
        /// A path.
        optional path: Text,
        /// Any of these methods.
        optional methods: List<Text>,
        /// All of these headers.
        optional headers: Pairs<HeaderCondition>,
    }
    planned: regex query
}

/// What a header's value must be: a text, or a mapping that says how to compare.
#[derive(Debug)]
pub enum HeaderCondition {
    /// This very text.
    Exactly(Text),
    /// As the mapping says.
    As(HeaderComparison),
}

impl Decode for HeaderCondition {
    fn decode(node: &Node, what: &str, report: &mut Report) -> Option<Self> {
        match node.value {
            Value::Mapping(_) => HeaderComparison::decode(node, what, report).map(Self::As),
            _ => Text::decode(node, what, report).map(Self::Exactly),
        }
    }
}

mapping! {
    /// How to compare a header's value.
    HeaderComparison, "a header's condition" {
        /// This very text.
        optional exact: Text,
        /// A text that begins so.
        optional prefix: Text,
        /// Any text, or no such header.
        optional present: Flag,
    }
    planned: regex suffix contains
}

mapping! {
    /// One of a route's `clusters`.
    WeightedCluster, "one of a route's clusters" {
        /// The cluster's name.
        required name: Text,
        /// Its share; 1 unless said.
        optional weight: Integer,
    }
}

mapping! {
    /// A route's `respond`.
    Respond, "`respond`" {
        /// The status.
        required status: Integer,
        /// The body; empty unless said.
        optional body: Text,
    }
}

mapping! {
    /// A route's `rewrite`.
    Rewrite, "`rewrite`" {
        /// What the matched prefix becomes.
        unless_planned prefix: Text,
    }
    planned: path host
}

mapping! {
    /// A route's `timeouts`: durations, of which `0s` is none.
    Timeouts, "`timeouts`" {
        /// From the end of the request to the end of the response.
        optional request: Text,
        /// Without a byte either way.
        optional idle: Text,
        /// To the first byte of the response.
        optional first_byte: Text,
        /// The longest life of an exchange.
        optional max_stream: Text,
    }
}

mapping! {
    /// A route's `api_key`.
    ApiKeyRule, "`api_key`" {
        /// A request header that may carry the key.
        optional header: Text,
        /// Whether `authorization: Bearer` may carry it.
        optional bearer: Flag,
        /// A cookie that may carry it.
        optional cookie: Text,
        /// A parameter of the query that may carry it.
        optional query: Text,
        /// Whether a request without a key passes.
        optional optional: Flag,
        /// The plan of those who come without a key.
        optional anonymous_plan: Text,
        /// The consumers who may.
        optional consumers: List<Text>,
        /// The plans whose consumers may.
        optional plans: List<Text>,
        /// Whether the cluster sees the key.
        optional keep: Flag,
        /// Whether the cluster sees the consumer's metadata.
        optional forward_metadata: Flag,
    }
}

mapping! {
    /// A route's `rate_limit`, or one of them.
    RateLimit, "`rate_limit`" {
        /// Requests a window.
        optional limit: Integer,
        /// A duration.
        optional window: Text,
        /// Requests that may come at once.
        optional burst: Integer,
        /// Whose requests are counted together.
        optional by: Text,
        /// How it is counted.
        optional algorithm: Text,
        /// What clients read it as.
        optional name: Text,
        /// Whether the consumer's plan says the limits.
        optional plan: Flag,
        /// With `plan`: the limits that consumers of these plans have here instead.
        optional r#override: Pairs<OneOrMany<Limit>>,
        /// How much a request is charged: a number, or `header:NAME`; 1 unless said.
        optional cost: Text,
        /// Whether it counts, but refuses nothing.
        optional dry_run: Flag,
    }
    planned: scope
}

mapping! {
    /// One of `clusters`.
    Cluster, "a cluster" {
        /// Its name.
        required name: Text,
        /// Where it is.
        unless_planned endpoints: List<Endpoint>,
        /// What it speaks.
        optional protocol: Text,
        /// How a request's endpoint is chosen.
        optional lb: Text,
        /// How long a connection may take to come about.
        optional connect_timeout: Text,
        /// TLS; clear text unless said.
        optional tls: ClusterTls,
    }
    planned: health_check circuit_breaker outlier_detection endpoints_file aws_lambda_url aws_kinesis aws_s3
}

mapping! {
    /// A cluster's `tls`. Paths are relative to the file's folder.
    ClusterTls, "a cluster's `tls`" {
        /// The name that the endpoints' certificates must have; that of the first endpoint with a name unless said.
        optional sni: Text,
        /// The authorities in PEM that the certificates are verified with; those of Envoy's system unless said.
        optional ca_file: Text,
        /// Envoy's own certificate chain in PEM, for endpoints that ask for one.
        optional cert_file: Text,
        /// Its private key in PEM.
        optional key_file: Text,
    }
}

/// One of a cluster's `endpoints`: `host:port`.
#[derive(Debug)]
pub struct Endpoint(pub Text);

impl Decode for Endpoint {
    fn decode(node: &Node, what: &str, report: &mut Report) -> Option<Self> {
        if let Value::Mapping(_) = node.value {
            let help = "write `host:port`".to_owned();
            let message = "an endpoint with fields of its own is not supported yet";
            report.error_with_help(code::NOT_SUPPORTED_YET, node.span, message, Some(help));
            return None;
        }
        Text::decode(node, what, report).map(Self)
    }
}

mapping! {
    /// One of `consumers`.
    Consumer, "a consumer" {
        /// Its name.
        required name: Text,
        /// The name of its plan.
        optional plan: Text,
        /// Its keys.
        optional api_keys: List<ApiKey>,
        /// What else is known of it.
        optional metadata: Pairs<Text>,
    }
}

mapping! {
    /// One of a consumer's `api_keys`.
    ApiKey, "a key" {
        /// A name for it that is not secret.
        optional id: Text,
        /// SHA-256 of the key as hexadecimal digits.
        unless_planned sha256: Text,
        /// When it ceases to be valid.
        optional expires: Text,
        /// From when it is valid.
        optional not_before: Text,
    }
    planned: sha256_file
}

mapping! {
    /// One of `plans`.
    Plan, "a plan" {
        /// Its name.
        required name: Text,
        /// All of them hold at once.
        optional limits: OneOrMany<Limit>,
        /// How much the calendar's day or month has.
        optional quota: Quota,
    }
}

mapping! {
    /// A plan's `quota`.
    Quota, "`quota`" {
        /// Requests.
        required limit: Integer,
        /// `day` or `month`.
        required window: Text,
    }
}

mapping! {
    /// One of a plan's `limits`.
    Limit, "a limit" {
        /// What clients read it as; the plan's name unless said.
        optional name: Text,
        /// Requests a window.
        required limit: Integer,
        /// A duration.
        required window: Text,
        /// Requests that may come at once.
        optional burst: Integer,
        /// How it is counted.
        optional algorithm: Text,
    }
}
