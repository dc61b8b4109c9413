//! `protocol`: the version of HTTP that a cluster speaks.

use legation_protos::pb::envoy::extensions::upstreams::http::v3::{
    HttpProtocolOptions,
    http_protocol_options::{
        AutoHttpConfig, ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
        explicit_http_config::ProtocolConfig,
    },
};

use super::lb;
use crate::{
    model::{self, Protocol},
    translate::{flow_control, trailers},
};

/// Returns the HTTP options of the cluster.
pub(in crate::translate) fn options(cluster: &model::Cluster) -> HttpProtocolOptions {
    let explicit =
        |config| UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(config) });
    let upstream_protocol_options = match cluster.protocol {
        Protocol::Http1 => explicit(ProtocolConfig::HttpProtocolOptions(trailers::http1())),
        Protocol::Http2 => explicit(ProtocolConfig::Http2ProtocolOptions(flow_control::http2(flow_control::STREAMS))),
        Protocol::Auto if cluster.tls.is_some() => UpstreamProtocolOptions::AutoConfig(AutoHttpConfig {
            http_protocol_options: Some(trailers::http1()),
            http2_protocol_options: Some(flow_control::http2(flow_control::STREAMS)),
            ..AutoHttpConfig::default()
        }),
        Protocol::Auto => UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http_protocol_options: Some(trailers::http1()),
            http2_protocol_options: Some(flow_control::http2(flow_control::STREAMS)),
            ..UseDownstreamHttpConfig::default()
        }),
    };
    HttpProtocolOptions {
        upstream_protocol_options: Some(upstream_protocol_options),
        hash_policy: lb::hash_policy(cluster.lb),
        ..HttpProtocolOptions::default()
    }
}
