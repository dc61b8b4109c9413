//! `api_key`: who calls, by the key that the request carries.

mod compile;
mod refusal;
pub mod source;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::caller::Caller;
use crate::consumer::key_format::is_mistyped;
use crate::consumer::{Consumer, Key};
use crate::headers::Pair;
use crate::plan::Plan;
use crate::reply::Refusal;
use source::{Found, Source};

pub use compile::{DEFAULT_KEY_HEADER, key_cookie, key_header, key_parameter};

pub(crate) use compile::sources;

/// Where the key is and who may use it.
#[derive(Debug)]
pub struct ApiKeyRule {
    /// Where the key may be: the first place that has one decides. Never empty.
    pub sources: Vec<Source>,
    /// Whether a request without a key passes.
    pub optional: bool,
    /// The plan of those who come without a key.
    pub anonymous_plan: Option<Arc<Plan>>,
    /// Who may; everyone where `None`.
    pub allowed: Option<Allowed>,
    /// Whether the upstream sees the key.
    pub keep: bool,
    /// Whether the upstream sees the consumer's metadata.
    pub forward_metadata: bool,
}

/// The consumers who may use a policy: those named and those of the plans named.
#[derive(Debug, Default)]
pub struct Allowed {
    pub(crate) consumers: BTreeSet<String>,
    pub(crate) plans: BTreeSet<String>,
}

impl Allowed {
    /// Whether this consumer is named, or its plan is.
    #[must_use]
    pub fn contains(&self, consumer: Consumer<'_>) -> bool {
        self.consumers.contains(consumer.name) || consumer.plan.is_some_and(|plan| self.plans.contains(&plan.name))
    }
}

/// Who calls. `held` finds what is held of a key, and the consumer whose it is; `now` is asked for
/// nanoseconds since 1970 only where a key has a time.
pub(crate) fn authenticate<'a>(
    rule: &'a ApiKeyRule,
    headers: &[Pair<'a>],
    held: impl FnOnce(&[u8]) -> Option<(&'a Key, Consumer<'a>)>,
    now: impl FnOnce() -> u64,
) -> Result<Caller<'a>, Refusal> {
    let sources = &*rule.sources;
    let Some(secret) = secret(sources, headers)? else {
        let anonymous = Caller { consumer: None, plan: rule.anonymous_plan.as_deref() };
        return if rule.optional { Ok(anonymous) } else { Err(refusal::missing(sources)) };
    };
    let (key, consumer) = held(&secret).ok_or_else(|| {
        // A key that a consumer holds is good, whatever it looks like.
        if is_mistyped(&secret) { refusal::mistyped(sources) } else { refusal::unknown(sources) }
    })?;
    if key.not_before.is_some() || key.expires.is_some() {
        let seconds = i64::try_from(now().div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        if key.not_before.is_some_and(|from| seconds < from) {
            return Err(refusal::not_yet_valid(sources));
        }
        if key.expires.is_some_and(|end| seconds >= end) {
            return Err(refusal::expired(sources));
        }
    }
    if rule.allowed.as_ref().is_some_and(|allowed| !allowed.contains(consumer)) {
        return Err(refusal::not_allowed());
    }
    Ok(Caller { consumer: Some(consumer), plan: consumer.plan })
}

/// The key of the first place that has one. Two in one place are refused before another is looked
/// at.
fn secret<'a>(sources: &[Source], headers: &[Pair<'a>]) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
    for source in sources {
        match source.find(headers) {
            Found::Nothing => {}
            Found::Key(secret) => return Ok(Some(secret)),
            Found::Several => return Err(refusal::duplicate(source, sources)),
        }
    }
    Ok(None)
}
