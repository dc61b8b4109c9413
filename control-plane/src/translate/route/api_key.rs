//! `api_key`: the gateway filter asks for a key.

use legation_filter::config::Policy;

use super::Word;
use crate::model::route::api_key::Meaning;

pub(super) enum Feature {}

impl Word for Feature {
    type Meaning = Meaning;

    fn ask(api_key: &Meaning, policy: &mut Policy) {
        policy.api_key.clone_from(api_key);
    }
}
