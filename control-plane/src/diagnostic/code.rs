//! The stable words by which programs know a diagnostic. A word never gets a new meaning; a test
//! pins the list.

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
    /// A file that is not there, is a directory, or may not be read. Whoever reads the file says
    /// it.
    UNREADABLE = "unreadable";
    /// More bytes than the file or the filter's configuration may have.
    TOO_LARGE = "too_large";
    /// A byte that is not UTF-8.
    NOT_UTF8 = "not_utf8";
    /// Nothing in it.
    EMPTY = "empty";
    /// Not YAML.
    SYNTAX = "syntax";
    /// Nested too deep, too many nodes, or aliases that expand to too much.
    TOO_COMPLEX = "too_complex";
    /// A key twice in one mapping.
    DUPLICATE_KEY = "duplicate_key";
    /// A variable that is not set and has no default.
    UNSET_VARIABLE = "unset_variable";

    // The shape.
    /// A list where a text belongs, and the like.
    WRONG_TYPE = "wrong_type";
    /// A field that nobody knows.
    UNKNOWN_FIELD = "unknown_field";
    /// A field or value that is planned and not built.
    NOT_SUPPORTED_YET = "not_supported_yet";
    /// A field that must be there.
    MISSING_FIELD = "missing_field";
    /// A version of the file's format other than 1.
    UNSUPPORTED_VERSION = "unsupported_version";

    // The rules.
    /// A value that its field does not allow.
    INVALID_VALUE = "invalid_value";
    /// A name with characters that names do not have, or a reserved one.
    INVALID_NAME = "invalid_name";
    /// Not a duration.
    BAD_DURATION = "bad_duration";
    /// A number or duration below or above what is allowed.
    OUT_OF_RANGE = "out_of_range";
    /// Not a SHA-256. The renderer masks the place: a key may stand there by mistake.
    BAD_DIGEST = "bad_digest";
    /// A file for `key_pepper_file` that holds no text, or too short a one.
    BAD_PEPPER = "bad_pepper";
    /// Two of one kind with one name.
    DUPLICATE_NAME = "duplicate_name";
    /// One thing said twice: an address, an endpoint, a digest, a header.
    DUPLICATE_VALUE = "duplicate_value";
    /// A cluster that the file does not have.
    UNKNOWN_CLUSTER = "unknown_cluster";
    /// A plan that the file does not have.
    UNKNOWN_PLAN = "unknown_plan";
    /// A consumer that the file does not have.
    UNKNOWN_CONSUMER = "unknown_consumer";
    /// Not a certificate in PEM, or not the one that belongs to the key.
    BAD_CERTIFICATE = "bad_certificate";
    /// Not a private key in PEM, or of a kind that is not served.
    BAD_PRIVATE_KEY = "bad_private_key";
    /// Fields that exclude one another.
    CONFLICT = "conflict";
    /// Something by consumer on a route that asks for no key.
    NEEDS_API_KEY = "needs_api_key";
    /// More diagnostics than are listed.
    TOO_MANY = "too_many";

    // Found by nodes.
    /// A node rejected a part of what the file says. Whoever serves the file says it.
    REJECTED_BY_ENVOY = "rejected_by_envoy";

    // Warnings: the file can be used, but it probably does not say what was meant.
    /// A part of an Envoy bootstrap that cannot be served.
    STAYS_IN_BOOTSTRAP = "stays_in_bootstrap";
    /// Nothing listens.
    NO_LISTENERS = "no_listeners";
    /// A cluster with nowhere to go.
    NO_ENDPOINTS = "no_endpoints";
    /// A cluster that no route uses.
    UNUSED_CLUSTER = "unused_cluster";
    /// A route that another one leaves nothing to.
    SHADOWED_ROUTE = "shadowed_route";
    /// A route that asks for a key that nobody has.
    NOBODY_ADMITTED = "nobody_admitted";
    /// A limit by plan, and a caller without a plan or with a plan without limits.
    WITHOUT_PLAN = "without_plan";
    /// A route whose requests want a stream, and that does not say so.
    UNSAID_STREAM = "unsaid_stream";
    /// A certificate whose time is over, or has not come.
    EXPIRED_CERTIFICATE = "expired_certificate";
    /// A chain in which one certificate is not issued by the next.
    CERTIFICATE_ORDER = "certificate_order";
    /// A timeout that another one always comes before.
    USELESS_TIMEOUT = "useless_timeout";
    /// gRPC to a cluster that speaks HTTP/1.1, or WebSocket to one that speaks HTTP/2.
    PROTOCOL_MISMATCH = "protocol_mismatch";
}
