//! `rate_limit`: the gateway filter counts requests.

use legation_filter::config::Policy;

use super::Word;
use crate::model::route::rate_limit::Meaning;

pub(super) enum Feature {}

impl Word for Feature {
    type Meaning = Meaning;

    fn ask(rate_limit: &Meaning, policy: &mut Policy) {
        policy.rate_limit.clone_from(rate_limit);
    }
}
