//! The stable words of diagnostics, for programs. A word never gets a new meaning. A test pins the
//! list.

macro_rules! codes {
    ($( $(#[doc = $doc:literal])* $name:ident = $word:literal; )*) => {
        $( $(#[doc = $doc])* pub const $name: &str = $word; )*
        /// Every code, in the order of this file.
        pub const ALL: &[&str] = &[$($name),*];
        /// What each code means, for the reference.
        pub const MEANINGS: &[(&str, &str)] = &[$(($name, concat!($($doc),*))),*];
    };
}

codes! {
    // The file as bytes and as YAML.
    /// The file does not exist, is a directory, or may not be read.
    UNREADABLE = "unreadable";
    /// The file, or the filter's configuration, has too many bytes.
    TOO_LARGE = "too_large";
    /// The file has a byte that is not UTF-8.
    NOT_UTF8 = "not_utf8";
    /// The file is empty.
    EMPTY = "empty";
    /// The file is not YAML.
    SYNTAX = "syntax";
    /// The YAML is nested too deep, has too many nodes, or has aliases that expand to too much.
    TOO_COMPLEX = "too_complex";
    /// A mapping has the same key twice.
    DUPLICATE_KEY = "duplicate_key";
    /// An environment variable is not set and has no default.
    UNSET_VARIABLE = "unset_variable";

    // The shape.
    /// The value has the wrong type, such as a list instead of a text.
    WRONG_TYPE = "wrong_type";
    /// The field does not exist.
    UNKNOWN_FIELD = "unknown_field";
    /// The field or value is planned, but not built yet.
    NOT_SUPPORTED_YET = "not_supported_yet";
    /// A required field is missing.
    MISSING_FIELD = "missing_field";
    /// The version of the file's format is not 1.
    UNSUPPORTED_VERSION = "unsupported_version";

    // The rules.
    /// The field does not allow this value.
    INVALID_VALUE = "invalid_value";
    /// The name has forbidden characters, or is reserved.
    INVALID_NAME = "invalid_name";
    /// The value is not a duration.
    BAD_DURATION = "bad_duration";
    /// The number or duration is too small or too large.
    OUT_OF_RANGE = "out_of_range";
    /// The value is not a SHA-256. It is not shown, since it may be a key by mistake.
    BAD_DIGEST = "bad_digest";
    /// The file of `key_pepper_file` has no text, or too short a text.
    BAD_PEPPER = "bad_pepper";
    /// Two things of one kind have the same name.
    DUPLICATE_NAME = "duplicate_name";
    /// An address, endpoint, digest or header is written twice.
    DUPLICATE_VALUE = "duplicate_value";
    /// The file has no cluster of this name.
    UNKNOWN_CLUSTER = "unknown_cluster";
    /// The file has no listener of this name.
    UNKNOWN_LISTENER = "unknown_listener";
    /// The file has no plan of this name.
    UNKNOWN_PLAN = "unknown_plan";
    /// The file has no consumer of this name.
    UNKNOWN_CONSUMER = "unknown_consumer";
    /// The file has no certificate in PEM, or not the one of the key.
    BAD_CERTIFICATE = "bad_certificate";
    /// The file has no private key in PEM, or one of a kind that cannot be served.
    BAD_PRIVATE_KEY = "bad_private_key";
    /// The fields exclude each other.
    CONFLICT = "conflict";
    /// The route uses consumers, but asks for no key.
    NEEDS_API_KEY = "needs_api_key";
    /// There are more diagnostics than are listed.
    TOO_MANY = "too_many";

    // Found by nodes.
    /// A node rejected this part of the file.
    REJECTED_BY_ENVOY = "rejected_by_envoy";

    // Warnings: the file can be used, but is probably not what its writer meant.
    /// This part of an Envoy bootstrap cannot be served.
    STAYS_IN_BOOTSTRAP = "stays_in_bootstrap";
    /// The file has no listeners.
    NO_LISTENERS = "no_listeners";
    /// The cluster has no endpoints.
    NO_ENDPOINTS = "no_endpoints";
    /// No route uses the cluster.
    UNUSED_CLUSTER = "unused_cluster";
    /// Another route takes all requests of this route.
    SHADOWED_ROUTE = "shadowed_route";
    /// The route asks for a key that no consumer has.
    NOBODY_ADMITTED = "nobody_admitted";
    /// A limit counts by plan, but a caller has no plan, or the plan has no limits.
    WITHOUT_PLAN = "without_plan";
    /// The route's requests want a stream, but the route has no `stream`.
    UNSAID_STREAM = "unsaid_stream";
    /// The certificate is expired or not valid yet.
    EXPIRED_CERTIFICATE = "expired_certificate";
    /// A certificate in the chain is not issued by the next one.
    CERTIFICATE_ORDER = "certificate_order";
    /// Another timeout always comes first.
    USELESS_TIMEOUT = "useless_timeout";
    /// A gRPC route leads to an HTTP/1.1 cluster, or a WebSocket route to an HTTP/2 cluster.
    PROTOCOL_MISMATCH = "protocol_mismatch";
}
