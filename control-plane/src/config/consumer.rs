//! `consumers`: who calls, known by the digests of keys. The filter's compiler has the rules, see
//! [`rules_of_filter`](super::rules_of_filter).

use legation_filter::config;

use super::{
    code,
    decode::{Field, List, Pairs, Said, mapping},
    leaf::{
        Digest, MetadataName, MetadataValue, Name, Named, Ref, Time,
        name::{self, Kind},
    },
    plan::Plan,
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
        /// What else is known of the consumer. Clusters see it in headers
        /// `x-consumer-metadata-NAME`, on routes whose `api_key` says `forward_metadata: true`.
        optional metadata: Pairs<MetadataName, MetadataValue>,
    }
    planned: password_hash user certificate jwt;
}

impl Named for Consumer {
    const KIND: Kind = Kind::plain("consumer", code::UNKNOWN_CONSUMER).visible().of_filter();

    fn name(&self) -> &Field<Name<Self>> {
        &self.name
    }
}

mapping! {
    /// A key, by its digest. `legation key new` makes one and prints these lines.
    ApiKey, "a key", "{id: laptop, sha256: 4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd}" {
        /// A name for the key, which is not secret.
        optional id: Name<ApiKey>,
        /// The SHA-256 of the key as hexadecimal digits, or with `key_pepper_file` the
        /// HMAC-SHA-256.
        unless_planned sha256: Digest,
        /// When the key ceases to be valid.
        optional expires: Time,
        /// From when the key is valid.
        optional not_before: Time,
    }
    planned: sha256_file;
}

impl Named for ApiKey {
    const KIND: Kind = Kind::plain("key", code::INVALID_VALUE).visible().of_filter();

    fn name(&self) -> &Field<Name<Self>> {
        &self.id
    }
}

/// The consumers in the filter's words, as many as are written. Something empty takes the place of
/// whatever decoding has reported. What the filter says of that is not shown.
pub fn of_filter(consumers: &Field<List<Consumer>>) -> Vec<config::Consumer> {
    let one = |consumer: &Option<Said<Consumer>>| consumer.as_ref().map(|consumer| one(consumer)).unwrap_or_default();
    consumers.slots().iter().map(one).collect()
}

fn one(consumer: &Consumer) -> config::Consumer {
    let metadata = consumer.metadata.items().map(|(name, value)| (name.0.clone(), value.0.clone()));
    config::Consumer {
        name: name::of(&consumer.name).unwrap_or_default(),
        plan: consumer.plan.get().map(|plan| plan.text.clone()),
        api_keys: consumer.api_keys.slots().iter().map(key).collect(),
        metadata: metadata.collect(),
    }
}

fn key(key: &Option<Said<ApiKey>>) -> config::ApiKey {
    let Some(key) = key else {
        return config::ApiKey { id: None, sha256: String::new(), expires: None, not_before: None };
    };
    let time = |field: &Field<Time>| field.get().map(|time| time.0.clone());
    config::ApiKey {
        id: name::of(&key.id),
        sha256: key.sha256.get().map(|digest| digest.0.to_ascii_lowercase()).unwrap_or_default(),
        expires: time(&key.expires),
        not_before: time(&key.not_before),
    }
}
