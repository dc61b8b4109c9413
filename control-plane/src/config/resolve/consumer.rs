//! `consumers`: who calls, known by the digests of keys.

use std::collections::BTreeMap;

use legation_filter::{
    compile::metadata_name,
    config::{ApiKey, Consumer},
    units,
};

use super::Known;
use crate::config::{
    code,
    decode::{Field, Text},
    names,
    places::Places,
    report::Report,
    schema, value,
};

/// All that are whole. A digest belongs to one consumer alone.
pub fn resolve(consumers: &[schema::Consumer], known: &Known<'_>, report: &mut Report) -> Vec<Consumer> {
    let mut digests = Places::default();
    consumers.iter().filter_map(|consumer| one(consumer, known, &mut digests, report)).collect()
}

fn one(
    consumer: &schema::Consumer,
    known: &Known<'_>,
    digests: &mut Places<String>,
    report: &mut Report,
) -> Option<Consumer> {
    let plan = consumer.plan.resolve(|plan| known.plans.find(plan, report).map(|_| plan.value.clone()));
    let mut ids = Places::default();
    let api_keys = value::all(consumer.api_keys.items().iter().map(|key| {
        if let Some(id) = key.id.get() {
            check_id(id, &mut ids, report);
        }
        api_key(key, digests, report)
    }));
    let metadata = metadata(consumer.metadata.items(), report);
    Some(Consumer { name: names::of(&consumer.name)?, plan: plan?, api_keys: api_keys?, metadata: metadata? })
}

/// What clusters see of it in headers.
fn metadata(written: &[(Text, Text)], report: &mut Report) -> Option<BTreeMap<String, String>> {
    let pairs = value::all(written.iter().map(|(name, value)| {
        if let Err(problem) = metadata_name(&name.value) {
            report.error(code::INVALID_VALUE, name.span, format!("{} {problem}", name.shown()));
            return None;
        }
        let is_value =
            value.value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) && value.value.trim() == value.value;
        if !is_value {
            let message =
                "a value of metadata is printable ASCII with no space at its ends: clusters see it in a header";
            report.error(code::INVALID_VALUE, value.span, message);
        }
        is_value.then(|| (name.value.clone(), value.value.clone()))
    }));
    pairs.map(|pairs| pairs.into_iter().collect())
}

fn check_id<'a>(id: &'a Text, ids: &mut Places<&'a str>, report: &mut Report) {
    names::check(names::KEY, id, report);
    if let Some(first) = ids.earlier(&id.value, id.span) {
        let message = format!("this consumer already has a key {} at {}", id.shown(), report.origin(first));
        report.error(code::DUPLICATE_NAME, id.span, message);
    }
}

fn api_key(key: &schema::ApiKey, digests: &mut Places<String>, report: &mut Report) -> Option<ApiKey> {
    let sha256 = key.sha256.get().and_then(|text| digest(text, digests, report));
    let expires = key.expires.resolve(|text| time("expires", text, report));
    let not_before = key.not_before.resolve(|text| time("not_before", text, report));
    if let (Some(from), Some(to)) = (seconds(&key.not_before), seconds(&key.expires))
        && from >= to
        && let Some(at) = key.not_before.get()
    {
        report.error(code::CONFLICT, at.span, "the key is never valid: it expires before that");
    }
    Some(ApiKey { id: names::of(&key.id), sha256: sha256?, expires: expires?, not_before: not_before? })
}

/// The digest in lower case. Never shown: neither it nor what may stand there by mistake.
fn digest(text: &Text, digests: &mut Places<String>, report: &mut Report) -> Option<String> {
    if text.value.len() != 64 || !text.value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = "`sha256` must be the 64 hexadecimal digits of a SHA-256, not the key itself";
        let help = "`legation key hash` makes it from a key".to_owned();
        report.error_with_help(code::BAD_DIGEST, text.span, message, Some(help));
        return None;
    }
    let digest = text.value.to_ascii_lowercase();
    if let Some(first) = digests.earlier(digest.clone(), text.span) {
        let message = format!("this key is already given at {}: a key belongs to one consumer", report.origin(first));
        report.error(code::DUPLICATE_VALUE, text.span, message);
        return None;
    }
    Some(digest)
}

fn seconds(time: &Field<Text>) -> Option<i64> {
    units::parse_time(&time.get()?.value).ok()
}

fn time(field: &str, text: &Text, report: &mut Report) -> Option<String> {
    if units::parse_time(&text.value).is_err() {
        let message = format!(
            "`{field}` must be a date such as `2027-01-31` or RFC 3339 such as `2027-01-31T12:00:00Z`, not {}",
            text.shown()
        );
        report.error(code::INVALID_VALUE, text.span, message);
        return None;
    }
    Some(text.value.clone())
}
