//! `tls` of a cluster.

use legation_protos::pb::envoy::{
    config::core::v3::TransportSocket,
    extensions::transport_sockets::tls::v3::{
        CertificateValidationContext, SubjectAltNameMatcher, TlsParameters, UpstreamTlsContext,
        subject_alt_name_matcher::SanType, tls_parameters::TlsProtocol,
    },
    r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
};

use crate::{
    model::{ClusterTls, Protocol},
    translate::tls::{Owner, Secrets, socket},
};

/// Returns the transport socket of a cluster's connections.
pub(in crate::translate) fn upstream(
    name: &str,
    tls: &ClusterTls,
    protocol: Protocol,
    secrets: Secrets<'_>,
) -> TransportSocket {
    let of = Owner { list: "clusters", name, secrets };
    let mut common = of.common(tls.certificate.as_ref());
    // By default Envoy as a client offers at most TLS 1.2.
    common.tls_params = Some(TlsParameters {
        tls_minimum_protocol_version: TlsProtocol::TlSv12.into(),
        tls_maximum_protocol_version: TlsProtocol::TlSv13.into(),
        ..TlsParameters::default()
    });
    common.alpn_protocols = match protocol {
        Protocol::Http1 => vec!["http/1.1".to_owned()],
        Protocol::Http2 => vec!["h2".to_owned()],
        // Envoy offers both by default.
        Protocol::Auto => Vec::new(),
    };
    let matching = SubjectAltNameMatcher {
        san_type: SanType::Dns.into(),
        matcher: Some(StringMatcher {
            match_pattern: Some(MatchPattern::Exact(tls.server_name.clone())),
            ..StringMatcher::default()
        }),
        ..SubjectAltNameMatcher::default()
    };
    let validation =
        CertificateValidationContext { match_typed_subject_alt_names: vec![matching], ..Default::default() };
    common.validation_context_type = Some(of.verified(tls.ca.as_ref(), validation));
    let context = UpstreamTlsContext {
        common_tls_context: Some(common),
        sni: tls.server_name.clone(),
        ..UpstreamTlsContext::default()
    };
    socket(&context)
}
