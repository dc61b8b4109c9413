//! The common part of TLS contexts of listeners and clusters. A context names its secrets, which
//! SDS serves, or in a static configuration the files.

use std::path::Path;

use legation_protos::pack;
use legation_protos::pb::envoy::{
    config::core::v3::{DataSource, TransportSocket, data_source::Specifier, transport_socket::ConfigType},
    extensions::transport_sockets::tls::v3::{
        CertificateValidationContext, CommonTlsContext, SdsSecretConfig, TlsCertificate,
        common_tls_context::{CombinedCertificateValidationContext, ValidationContextType},
    },
};
use prost::{Message, Name};

use super::common::from_ads;
use crate::model::{CertificateFiles, NamedFile, Secret};

/// The authorities of Envoy's system, where Debian, Ubuntu, Alpine and Envoy's own images have
/// them. If the file is missing, Envoy rejects the cluster. (Envoy 1.40 does not implement
/// `system_root_certs`.)
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The source of secrets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Secrets<'a> {
    /// SDS.
    Discovered,
    /// The named files, whose paths are relative to a folder.
    Files(&'a Path),
}

/// Returns the transport socket for a TLS context.
pub(super) fn socket<M: Message + Name>(context: &M) -> TransportSocket {
    TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack(context))),
    }
}

/// The owner of a TLS context.
pub(super) struct Owner<'a> {
    pub(super) list: &'static str,
    pub(super) name: &'a str,
    pub(super) secrets: Secrets<'a>,
}

impl Owner<'_> {
    /// Returns the common part of both kinds of context.
    pub(super) fn common(&self, certificate: Option<&CertificateFiles>) -> CommonTlsContext {
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

    /// Adds the verification of the peer: by the authorities in a file, or by those of Envoy's
    /// system.
    pub(super) fn verified(
        &self,
        file: Option<&NamedFile>,
        rules: CertificateValidationContext,
    ) -> ValidationContextType {
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
        SdsSecretConfig { name: Secret::name(self.list, self.name, file.field()), sds_config: Some(from_ads()) }
    }
}

fn in_file(folder: &Path, path: &str) -> DataSource {
    let path = folder.join(path).display().to_string();
    DataSource { specifier: Some(Specifier::Filename(path)), ..DataSource::default() }
}
