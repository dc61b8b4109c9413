//! `rate_limit`: the gateway filter counts requests.

use super::{Draft, policy};
use crate::model::route::rate_limit::Meaning;

pub(super) fn apply(rate_limit: &Meaning, draft: &mut Draft<'_>) {
    if !rate_limit.is_empty() {
        policy::judge(draft);
    }
}
