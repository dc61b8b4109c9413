//! Who calls, by the key that the request carries.

use std::borrow::Cow;

use crate::consumers::Consumer;
use crate::credential::{Found, Source};
use crate::decide::Outside;
use crate::key_format::is_mistyped;
use crate::pairs::Pair;
use crate::reply::Refusal;
use crate::tables::{ApiKeyRule, Plan, Tables};

/// Who calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Identity<'a> {
    /// None without a key.
    pub(crate) consumer: Option<Consumer<'a>>,
    pub(crate) plan: Option<&'a Plan>,
}

pub(crate) fn authenticate<'a>(
    rule: &'a ApiKeyRule,
    tables: &'a Tables,
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
) -> Result<Identity<'a>, Refusal<'a>> {
    let sources = &*rule.sources;
    let Some(secret) = secret(sources, headers)? else {
        let anonymous = Identity { consumer: None, plan: rule.anonymous_plan.as_deref() };
        return if rule.optional { Ok(anonymous) } else { Err(Refusal::MissingKey { sources }) };
    };
    let (key, consumer) = tables.key(&secret).ok_or_else(|| {
        // A key that a consumer holds is good, whatever it looks like.
        if is_mistyped(&secret) { Refusal::MistypedKey { sources } } else { Refusal::UnknownKey { sources } }
    })?;
    if key.not_before.is_some() || key.expires.is_some() {
        let seconds = i64::try_from(outside.now().div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        if key.not_before.is_some_and(|from| seconds < from) {
            return Err(Refusal::KeyNotYetValid { sources });
        }
        if key.expires.is_some_and(|end| seconds >= end) {
            return Err(Refusal::ExpiredKey { sources });
        }
    }
    if rule.allowed.as_ref().is_some_and(|allowed| !allowed.contains(consumer)) {
        return Err(Refusal::ConsumerNotAllowed);
    }
    Ok(Identity { consumer: Some(consumer), plan: consumer.plan })
}

/// The key of the first place that has one. Two in one place are refused before another is looked at.
fn secret<'a>(sources: &'a [Source], headers: &[Pair<'a>]) -> Result<Option<Cow<'a, [u8]>>, Refusal<'a>> {
    for source in sources {
        match source.find(headers) {
            Found::Nothing => {}
            Found::Key(secret) => return Ok(Some(secret)),
            Found::Several => return Err(Refusal::DuplicateKey { source, sources }),
        }
    }
    Ok(None)
}
