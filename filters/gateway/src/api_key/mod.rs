//! `api_key`: finds the caller by the key of the request.

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

/// The places of the key, and who may use it.
#[derive(Debug)]
pub struct ApiKeyRule {
    /// The places of the key. The first place with a key decides. Never empty.
    pub sources: Vec<Source>,
    /// Whether a request without a key passes.
    pub optional: bool,
    /// The plan of callers without a key.
    pub anonymous_plan: Option<Arc<Plan>>,
    /// The admitted consumers. `None` means all.
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
    /// Returns whether it names this consumer or its plan.
    #[must_use]
    pub fn contains(&self, consumer: Consumer<'_>) -> bool {
        self.consumers.contains(consumer.name) || consumer.plan.is_some_and(|plan| self.plans.contains(&plan.name))
    }
}

/// Returns the caller. `held` looks a key up and returns its consumer. `now` returns nanoseconds
/// since 1970, and is called only for keys with a time.
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
        // A consumer's key is valid, whatever its form.
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

/// Returns the key of the first place that has one. Two keys in one place are refused before the
/// next place is looked at.
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
