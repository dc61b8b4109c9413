//! TLS contexts of listeners and clusters. They name their secrets, which SDS brings, or in a static configuration the files.

use std::path::Path;

use legation_protos::{
    pack,
    pb::envoy::{
        config::core::v3::{DataSource, TransportSocket, data_source::Specifier, transport_socket::ConfigType},
        extensions::transport_sockets::tls::v3::{
            CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig,
            SubjectAltNameMatcher, TlsCertificate, TlsParameters, UpstreamTlsContext,
            common_tls_context::{CombinedCertificateValidationContext, ValidationContextType},
            subject_alt_name_matcher::SanType,
            tls_parameters::TlsProtocol,
        },
        r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
    },
};

use super::common::{bool_value, from_ads};
use crate::model::{CertificateFiles, ClusterTls, ListenerTls, NamedFile, Protocol, Secret, TlsVersion};

/// The authorities of Envoy's system: where Debian, Ubuntu, Alpine and Envoy's own images have them. Where there is no
/// such file Envoy rejects the cluster. (Its `system_root_certs` is not implemented in 1.40: it does not verify by it.)
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where secrets come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Secrets<'a> {
    /// SDS.
    Discovered,
    /// The named files, whose paths are relative to a folder.
    Files(&'a Path),
}

pub(super) fn downstream(name: &str, tls: &ListenerTls, secrets: Secrets<'_>) -> TransportSocket {
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
    socket(ConfigType::TypedConfig(pack(&context)))
}

pub(super) fn upstream(name: &str, tls: &ClusterTls, protocol: Protocol, secrets: Secrets<'_>) -> TransportSocket {
    let of = Owner { list: "clusters", name, secrets };
    let mut common = of.common(tls.certificate.as_ref());
    // As a client Envoy offers no more than TLS 1.2 unless told.
    common.tls_params = Some(TlsParameters {
        tls_minimum_protocol_version: TlsProtocol::TlSv12.into(),
        tls_maximum_protocol_version: TlsProtocol::TlSv13.into(),
        ..TlsParameters::default()
    });
    common.alpn_protocols = match protocol {
        Protocol::Http1 => vec!["http/1.1".to_owned()],
        Protocol::Http2 => vec!["h2".to_owned()],
        // Envoy offers both by itself.
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
    socket(ConfigType::TypedConfig(pack(&context)))
}

fn socket(config: ConfigType) -> TransportSocket {
    TransportSocket { name: "envoy.transport_sockets.tls".to_owned(), config_type: Some(config) }
}

/// Whose TLS it is.
struct Owner<'a> {
    list: &'static str,
    name: &'a str,
    secrets: Secrets<'a>,
}

impl Owner<'_> {
    fn common(&self, certificate: Option<&CertificateFiles>) -> CommonTlsContext {
        let mut common = CommonTlsContext::default();
        match (certificate, self.secrets) {
            (None, _) => {}
            (Some(files), Secrets::Discovered) => {
                common.tls_certificate_sds_secret_configs = vec![self.discovered(&files.certificate)];
            }
            (Some(files), Secrets::Files(folder)) => {
                common.tls_certificates = vec![TlsCertificate {
                    certificate_chain: Some(in_file(folder, &files.certificate.path)),
                    private_key: Some(in_file(folder, &files.key.path)),
                    ..TlsCertificate::default()
                }];
            }
        }
        common
    }

    /// The peer is verified with the authorities in a file, or with those of Envoy's system.
    fn verified(&self, file: Option<&NamedFile>, rules: CertificateValidationContext) -> ValidationContextType {
        let trusted = match (file, self.secrets) {
            (Some(file), Secrets::Discovered) => {
                return ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
                    default_validation_context: Some(rules),
                    validation_context_sds_secret_config: Some(self.discovered(file)),
                    ..Default::default()
                });
            }
            (Some(file), Secrets::Files(folder)) => in_file(folder, &file.path),
            (None, _) => in_file(Path::new("/"), SYSTEM_AUTHORITIES),
        };
        ValidationContextType::ValidationContext(CertificateValidationContext { trusted_ca: Some(trusted), ..rules })
    }

    fn discovered(&self, file: &NamedFile) -> SdsSecretConfig {
        SdsSecretConfig { name: Secret::name(self.list, self.name, file.field), sds_config: Some(from_ads()) }
    }
}

fn in_file(folder: &Path, path: &str) -> DataSource {
    let path = folder.join(path).display().to_string();
    DataSource { specifier: Some(Specifier::Filename(path)), ..DataSource::default() }
}
