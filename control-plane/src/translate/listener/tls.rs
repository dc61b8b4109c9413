//! `tls` of a listener.

use legation_protos::pb::envoy::{
    config::core::v3::TransportSocket,
    extensions::transport_sockets::tls::v3::{
        CertificateValidationContext, DownstreamTlsContext, TlsParameters, tls_parameters::TlsProtocol,
    },
};

use crate::{
    model::{ListenerTls, TlsVersion},
    translate::{
        common::bool_value,
        tls::{Owner, Secrets, socket},
    },
};

/// Returns the transport socket of a listener's connections.
pub(in crate::translate) fn downstream(name: &str, tls: &ListenerTls, secrets: Secrets<'_>) -> TransportSocket {
    let of = Owner { list: "listeners", name, secrets };
    let mut common = of.common(Some(&tls.certificate));
    common.tls_params = Some(TlsParameters {
        tls_minimum_protocol_version: match tls.min_version {
            TlsVersion::V1_2 => TlsProtocol::TlSv12.into(),
            TlsVersion::V1_3 => TlsProtocol::TlSv13.into(),
        },
        ..TlsParameters::default()
    });
    common.alpn_protocols = vec!["h2".to_owned(), "http/1.1".to_owned()];
    common.validation_context_type =
        tls.client_ca.as_ref().map(|file| of.verified(Some(file), CertificateValidationContext::default()));
    let context = DownstreamTlsContext {
        common_tls_context: Some(common),
        require_client_certificate: if tls.client_ca.is_some() { bool_value(true) } else { None },
        ..DownstreamTlsContext::default()
    };
    socket(&context)
}
