//! Helpers for several kinds of resource, and for the bootstrap.

use std::time::Duration;

use legation_protos::pb::{
    envoy::{
        config::{
            common::mutation_rules::v3::{
                HeaderMutation,
                header_mutation::{Action, RemoveOnMatch},
            },
            core::v3::{
                Address, AggregatedConfigSource, ApiVersion, ConfigSource, SocketAddress, address,
                config_source::ConfigSourceSpecifier, socket_address::PortSpecifier,
            },
        },
        r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher::MatchPattern},
    },
    google::protobuf,
};
/// Returns the source of resources that come from the control plane by ADS.
pub(crate) fn from_ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..ConfigSource::default()
    }
}

/// Returns a TCP address. `host` is an address without brackets, or a name where Envoy resolves
/// names.
pub(crate) fn tcp_address(host: String, port: u16) -> Address {
    Address {
        address: Some(address::Address::SocketAddress(SocketAddress {
            address: host,
            port_specifier: Some(PortSpecifier::PortValue(port.into())),
            ..SocketAddress::default()
        })),
    }
}

/// Returns a duration in protobuf's form. More than 2^63 seconds saturate.
pub(crate) fn duration(duration: Duration) -> protobuf::Duration {
    protobuf::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

/// Returns a limit for fields in which zero means no limit.
pub(crate) fn limit(limit: Option<Duration>) -> protobuf::Duration {
    duration(limit.unwrap_or_default())
}

pub(crate) fn bool_value(value: bool) -> Option<protobuf::BoolValue> {
    Some(protobuf::BoolValue { value })
}

pub(crate) fn u32_value(value: u32) -> Option<protobuf::UInt32Value> {
    Some(protobuf::UInt32Value { value })
}

/// Removes a header.
pub(crate) fn remove(header: &str) -> HeaderMutation {
    HeaderMutation { action: Some(Action::Remove(header.to_owned())) }
}

/// Removes all headers that begin with a prefix.
pub(crate) fn remove_all(prefix: &str) -> HeaderMutation {
    let pattern = MatchPattern::Prefix(prefix.to_owned());
    let matcher = StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() };
    HeaderMutation { action: Some(Action::RemoveOnMatch(RemoveOnMatch { key_matcher: Some(matcher) })) }
}

/// Returns a matcher of a regular expression in RE2's syntax.
pub(crate) fn regex(regex: String) -> RegexMatcher {
    RegexMatcher { regex, ..RegexMatcher::default() }
}
