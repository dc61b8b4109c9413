//! `api_key`: the key that callers need, in the filter's own words.

use legation_filter::config::ApiKeyRule;

/// What the word means on a route: where the key may be and who may use it. `None` where no key is asked for.
pub type Meaning = Option<ApiKeyRule>;
