//! `api_key`: the gateway filter asks for a key.

use super::{Draft, policy};
use crate::model::route::api_key::Meaning;

pub(super) fn apply(api_key: &Meaning, draft: &mut Draft<'_>) {
    if api_key.is_some() {
        policy::judge(draft);
    }
}
