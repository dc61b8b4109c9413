//! The list of route features: the words of a route besides its match and its action.
//!
//! Three stages use the list. Each hands its own macro to [`route_features`], which declares one
//! module a word, and one struct with one field a word:
//!
//! | stage | a word's module has |
//! |---|---|
//! | `config::route` | its shape and its rules |
//! | `model::route` | `Meaning`: the word with every rule checked and every default filled in |
//! | `translate::route` | `apply`: its effect on the route that Envoy gets |
//!
//! A word without a module in one of the stages does not compile.

/// Calls the macro `$stage` with the list of words.
macro_rules! route_features {
    ($stage:ident) => {
        $stage! { timeouts, stream, max_request_body, api_key, rate_limit, mirror }
    };
}

pub(crate) use route_features;

/// Words that are planned. The reader refuses them as not supported yet. A word that is built moves
/// from here to the list above.
pub const PLANNED: &[&str] = &[
    "retry",
    "headers",
    "transcode",
    "grpc_web",
    "decompress",
    "sticky",
    "cors",
    "errors",
    "callers",
    "any_of",
    "compress",
    "allow",
    "deny",
    "jwt",
    "basic_auth",
    "oauth2",
    "ext_authz",
    "key_service",
    "csrf",
    "version",
    "cache",
    "graphql",
    "token_limit",
    "fault",
];
