//! The list of what a route may say beside its match and its action: one word a feature.
//!
//! Three stages know the list, each by a macro of its own that it hands to [`route_features`]. Each
//! declares one module a word, and one struct with one field a word:
//!
//! | stage | module of a word | what it has there |
//! |---|---|---|
//! | `config::route` | shape and rules | how the word is written, and what is wrong with it |
//! | `model::route` | meaning | `Meaning`: what the word says once every rule is kept and every default filled in |
//! | `translate::route` | Envoy's form | `apply`: what the word does to the route that Envoy gets |
//!
//! A word that is added here and lacks a module in one of the stages does not compile.

/// Calls the macro `$stage` with the words.
macro_rules! route_features {
    ($stage:ident) => {
        $stage! { timeouts, stream, max_request_body, api_key, rate_limit }
    };
}

pub(crate) use route_features;
