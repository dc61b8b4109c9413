//! `consumers`: who calls, known by the digests of keys.

use std::collections::BTreeMap;

use legation_filter::{config, units};

use super::{
    code,
    decode::{Field, List, Pairs, Said, mapping},
    file::Known,
    leaf::{
        Digest, MetadataName, MetadataValue, Name, Named, Ref, Time,
        name::{self, Kind},
    },
    places::Places,
    plan::Plan,
    report::Report,
};

mapping! {
    /// Somebody who calls.
    Consumer, "a consumer", "{name: alice, plan: pro, metadata: {tier: gold}}" {
        /// The consumer's name. Clusters see it in the header `x-consumer-id`.
        required name: Name<Consumer>,
        /// The consumer's plan. Clusters see it in the header `x-consumer-plan`.
        optional plan: Ref<Plan>,
        /// The consumer's keys. Several may be valid at once, so that one can take another's place.
        optional api_keys: List<ApiKey>,
        /// What else is known of the consumer. Clusters see it in headers `x-consumer-metadata-NAME`, on routes whose `api_key`
        /// says `forward_metadata: true`.
        optional metadata: Pairs<MetadataName, MetadataValue>,
    }
    planned: password_hash user certificate jwt;
}

impl Named for Consumer {
    const KIND: Kind = Kind::visible("consumer", code::UNKNOWN_CONSUMER);

    fn name(&self) -> &Field<Name<Self>> {
        &self.name
    }
}

mapping! {
    /// A key, by its digest. `legation key new` makes one and prints these lines.
    ApiKey, "a key", "{id: laptop, sha256: 4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd}" {
        /// A name for the key, which is not secret.
        optional id: Name<ApiKey>,
        /// The SHA-256 of the key as hexadecimal digits, or with `key_pepper_file` the HMAC-SHA-256.
        unless_planned sha256: Digest,
        /// When the key ceases to be valid.
        optional expires: Time,
        /// From when the key is valid.
        optional not_before: Time,
    }
    planned: sha256_file;
}

impl Named for ApiKey {
    const KIND: Kind = Kind::visible("key", code::INVALID_VALUE);

    fn name(&self) -> &Field<Name<Self>> {
        &self.id
    }
}

/// The valid consumers. A digest belongs to one consumer alone.
pub fn resolve<'a>(
    consumers: impl Iterator<Item = &'a Said<Consumer>>,
    known: &Known<'_>,
    report: &mut Report,
) -> Vec<config::Consumer> {
    let mut digests = Places::default();
    consumers.filter_map(|consumer| one(consumer, known, &mut digests, report)).collect()
}

fn one<'a>(
    consumer: &'a Consumer,
    known: &Known<'_>,
    digests: &mut Places<&'a str>,
    report: &mut Report,
) -> Option<config::Consumer> {
    if let Some(plan) = consumer.plan.get() {
        known.plans.find(plan, report);
    }
    let mut ids = Places::default();
    let mut api_keys = Vec::with_capacity(consumer.api_keys.slots().len());
    for key in consumer.api_keys.items() {
        if let Some(id) = key.id.get()
            && let Some(first) = ids.earlier(&id.value.text, id.span)
        {
            let message = format!("this consumer already has a key {} at {}", id.shown(), report.origin(first));
            report.error(code::DUPLICATE_NAME, id.span, message);
        }
        api_keys.extend(api_key(key, digests, report));
    }
    let metadata = consumer.metadata.items().map(|(name, value)| (name.0.clone(), value.0.clone())).collect();
    let plan = consumer.plan.value()?.map(|plan| plan.text);
    Some(config::Consumer { name: name::of(&consumer.name)?, plan, api_keys, metadata })
}

fn api_key<'a>(key: &'a ApiKey, digests: &mut Places<&'a str>, report: &mut Report) -> Option<config::ApiKey> {
    if let (Some(from), Some(to)) = (seconds(&key.not_before), seconds(&key.expires))
        && from >= to
        && let Some(at) = key.not_before.get()
    {
        report.error(code::CONFLICT, at.span, "the key is never valid: it expires before that");
    }
    let digest = key.sha256.get()?;
    if let Some(first) = digests.earlier(&digest.value.0, digest.span) {
        let message = format!("this key is already given at {}: a key belongs to one consumer", report.origin(first));
        report.error(code::DUPLICATE_VALUE, digest.span, message);
        return None;
    }
    Some(config::ApiKey {
        id: name::of(&key.id),
        sha256: digest.0.clone(),
        expires: key.expires.value()?.map(|time| time.0),
        not_before: key.not_before.value()?.map(|time| time.0),
    })
}

fn seconds(time: &Field<Time>) -> Option<i64> {
    units::parse_time(&time.get()?.0).ok()
}

/// Who could call where a key is asked for; counted once for all routes.
pub struct Audience<'a> {
    /// By plan: somebody who has a key.
    pub keyed: BTreeMap<Option<&'a str>, &'a str>,
}

impl<'a> Audience<'a> {
    /// Of all consumers, one with a key for each plan and one for none.
    pub fn new(consumers: impl Iterator<Item = &'a Said<Consumer>>) -> Self {
        let mut keyed = BTreeMap::new();
        for consumer in consumers.filter(|consumer| !consumer.api_keys.is_empty()) {
            if let Some(name) = consumer.name.get() {
                keyed.entry(consumer.value.plan()).or_insert(name.value.text.as_str());
            }
        }
        Self { keyed }
    }
}

impl Consumer {
    /// The name of its plan.
    pub fn plan(&self) -> Option<&str> {
        self.plan.get().map(|plan| plan.value.text.as_str())
    }
}
