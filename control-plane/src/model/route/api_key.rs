//! `api_key`: the key that callers need, in the filter's own words.

use legation_filter::config::ApiKeyRule;

/// Where the key may be and who may use it. `None` means that the route asks for no key.
pub type Meaning = Option<ApiKeyRule>;
