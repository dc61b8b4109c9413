//! The rules of `consumers`, and of the pepper of their keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pepper::Pepper;
use super::{Consumers, Digest, Key, Keys};
use crate::config::{self, Config};
use crate::headers::is_token;
use crate::identity::METADATA_PREFIX;
use crate::names::{self, Names};
use crate::plan::Plan;
use crate::problem::{At, Problems, code, text, value};
use crate::units;

/// Compiles the consumers, in order, with all their keys and names.
pub(crate) fn consumers<'a, S: AsRef<str>>(
    written: &'a [config::Consumer<S>],
    plans: &BTreeMap<String, Arc<Plan>>,
    problems: &mut Problems,
) -> (Consumers, Keys, Names<'a>) {
    let list = At::Whole.field("consumers");
    let names = written.iter().map(|consumer| consumer.name.as_ref());
    let names = Names::new(names::CONSUMER, &list, names, problems);
    let mut consumers = Consumers::with_capacity(written.len());
    let mut keys = Vec::with_capacity(written.len());
    for (place, written) in written.iter().enumerate() {
        let at = list.item(place);
        let plan = written.plan.as_ref().and_then(|name| {
            let plan = plans.get(name.as_ref()).cloned();
            if plan.is_none() {
                unknown_plan(&at.field("plan"), name.as_ref(), problems);
            }
            plan
        });
        consumers.push(written.name.as_ref(), plan, metadata(&at.field("metadata"), &written.metadata, problems));
        let at = at.field("api_keys");
        check_ids(&at, &written.api_keys, problems);
        let written = written.api_keys.iter().enumerate();
        keys.extend(written.filter_map(|(index, written)| key(&at.item(index), place, written, problems)));
    }
    let keys = Keys::new(keys);
    if keys.may_repeat() {
        same_keys(&list, written, problems);
    }
    (consumers, keys, names)
}

/// Reports a plan that the document does not have.
pub(crate) fn unknown_plan(at: &At<'_>, name: &str, problems: &mut Problems) {
    problems.error(at, code::UNKNOWN_PLAN, [text("there is no plan "), value(name)]);
}

fn key<S: AsRef<str>>(
    at: &At<'_>,
    consumer: usize,
    written: &config::ApiKey<S>,
    problems: &mut Problems,
) -> Option<Key> {
    let not_before = time(at, "not_before", written.not_before.as_ref(), problems);
    let expires = time(at, "expires", written.expires.as_ref(), problems);
    let digest = digest(written.sha256.as_ref());
    if digest.is_none() {
        // Never quoted: it may be the key itself by mistake, and messages go to a log.
        let message = "`sha256` must be the 64 hexadecimal digits of a SHA-256, not the key itself";
        let help = "`legation key hash` makes it from a key";
        problems.error_with_help(&at.field("sha256"), code::BAD_DIGEST, message, help);
    }
    // With a problem these tables are good for nothing, and the other problems are still found.
    let (not_before, expires) = (not_before.flatten(), expires.flatten());
    if not_before.zip(expires).is_some_and(|(from, to)| from >= to) {
        problems.error(&at.field("not_before"), code::CONFLICT, "the key is never valid: it expires before that");
    }
    Some(Key { digest: digest?, not_before, expires, consumer })
}

/// Returns a point in time in seconds since 1970, if one is written.
fn time<S: AsRef<str>>(
    at: &At<'_>,
    field: &'static str,
    written: Option<&S>,
    problems: &mut Problems,
) -> Option<Option<i64>> {
    let Some(written) = written.map(AsRef::as_ref) else { return Some(None) };
    let time = units::parse_time(written).ok();
    if time.is_none() {
        let rule = "must be a date such as `2027-01-31` or RFC 3339 such as `2027-01-31T12:00:00Z`, not ";
        problems.error(&at.field(field), code::INVALID_VALUE, [text(format!("`{field}` {rule}")), value(written)]);
    }
    time.map(Some)
}

/// Checks the names of a consumer's keys.
fn check_ids<S: AsRef<str>>(at: &At<'_>, written: &[config::ApiKey<S>], problems: &mut Problems) {
    let mut places = BTreeMap::new();
    for (place, key) in written.iter().enumerate() {
        let Some(id) = key.id.as_ref().map(AsRef::as_ref) else { continue };
        let key = at.item(place);
        names::check(names::KEY, &key.field("id"), id, problems);
        // Most consumers have one key, whose name needs no look-up.
        if written.len() == 1 {
            return;
        }
        let first = *places.entry(id).or_insert(place);
        if first != place {
            let first = at.item(first).field("id").part();
            let message = [text("this consumer already has a key "), value(id), text(" at "), first];
            problems.error(&key.field("id"), code::DUPLICATE_NAME, message);
        }
    }
}

/// Reports keys that appear twice. It is slow, and is called only if there may be such keys.
fn same_keys<S: AsRef<str>>(list: &At<'_>, written: &[config::Consumer<S>], problems: &mut Problems) {
    let mut places = BTreeMap::new();
    for (place, consumer) in written.iter().enumerate() {
        for (index, key) in consumer.api_keys.iter().enumerate() {
            let Some(digest) = digest(key.sha256.as_ref()) else { continue };
            let (first, first_index) = *places.entry(digest).or_insert((place, index));
            if (first, first_index) != (place, index) {
                let first = list.item(first).field("api_keys").item(first_index).field("sha256").part();
                let message = [text("this key is already given at "), first, text(": a key belongs to one consumer")];
                let at = list.item(place);
                let at = at.field("api_keys");
                problems.error(&at.item(index).field("sha256"), code::DUPLICATE_VALUE, message);
            }
        }
    }
}

/// Returns the headers with its metadata.
fn metadata(at: &At<'_>, written: &BTreeMap<String, String>, problems: &mut Problems) -> Vec<(String, String)> {
    for (name, text) in written {
        if let Err(problem) = metadata_name(name) {
            let message = [value(name), crate::problem::text(format!(" {problem}"))];
            problems.error(&at.key(name), code::INVALID_VALUE, message);
        }
        let is_printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if !is_printable || text.trim() != text {
            let message =
                "a value of metadata is printable ASCII with no space at its ends: clusters see it in a header";
            problems.error(&at.field(name), code::INVALID_VALUE, message);
        }
    }
    written.iter().map(|(name, value)| (format!("{METADATA_PREFIX}{name}"), value.clone())).collect()
}

/// Checks whether a text may name a consumer's metadata.
///
/// # Errors
/// The problem, as the end of a sentence that begins with the name.
pub fn metadata_name(name: &str) -> Result<(), &'static str> {
    let is_name = is_token(name) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    is_name.then_some(()).ok_or("is not a name of metadata: small letters, digits and - are allowed")
}

fn digest(hex: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    // Does not branch on the digits, since they are random and there may be millions of them.
    let bytes = base16ct::mixed::decode(hex, &mut digest).ok()?;
    (bytes.len() == size_of::<Digest>()).then_some(digest)
}

/// Returns the pepper of keys, if the document has one. `environment` has the variables of the VM.
pub(crate) fn pepper_of<S>(
    config: &Config<S>,
    environment: impl Fn(&str) -> Option<Vec<u8>>,
    problems: &mut Problems,
) -> Option<Pepper> {
    let (at_text, at_variable) = (At::Whole.field("key_pepper"), At::Whole.field("key_pepper_env"));
    let (at, secret) = match (&config.key_pepper, &config.key_pepper_env) {
        (Some(_), Some(_)) => {
            let message = "the pepper is already given by `key_pepper`: leave out one of the two";
            problems.error(&at_variable, code::CONFLICT, message);
            return None;
        }
        (Some(pepper), None) => (at_text, pepper.0.clone().into_bytes()),
        (None, Some(name)) => match environment(name) {
            Some(secret) => (at_variable, secret),
            None => {
                let message = [text("the environment of the VM has no variable "), value(name)];
                problems.error(&at_variable, code::BAD_PEPPER, message);
                return None;
            }
        },
        (None, None) => return None,
    };
    Pepper::new(&secret).map_err(|problem| problems.error(&at, code::BAD_PEPPER, problem)).ok()
}
