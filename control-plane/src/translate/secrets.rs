//! Secrets (SDS): certificates with their keys, and authorities. A renewed one changes no listener
//! and no cluster.

use legation_protos::pb::envoy::{
    config::core::v3::{DataSource, data_source::Specifier},
    extensions::transport_sockets::tls::v3::{CertificateValidationContext, Secret, TlsCertificate, secret::Type},
};
use serde::Serialize;

use crate::model::{self, SecretContent};

/// The fragment of a secret's version. Versions are shown, so the fragment has a digest of the key
/// instead of the key.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SecretFragment<'a> {
    Certificate { chain: &'a str, key_sha256: String },
    Authorities(&'a str),
}

/// Returns `None` for a secret that SDS does not serve.
pub(super) fn fragment(secret: &model::Secret) -> Option<SecretFragment<'_>> {
    Some(match &secret.content {
        SecretContent::Certificate { chain, key } => SecretFragment::Certificate { chain, key_sha256: key.sha256() },
        SecretContent::Authorities(authorities) => SecretFragment::Authorities(authorities),
        SecretContent::KeyPepper(_) => return None,
    })
}

/// Returns `None` for a secret that SDS does not serve.
pub(super) fn secret(secret: &model::Secret) -> Option<Secret> {
    let inline = |text: &str| {
        Some(DataSource { specifier: Some(Specifier::InlineString(text.to_owned())), ..DataSource::default() })
    };
    let content = match &secret.content {
        SecretContent::Certificate { chain, key } => Type::TlsCertificate(TlsCertificate {
            certificate_chain: inline(chain),
            private_key: inline(&key.0),
            ..TlsCertificate::default()
        }),
        SecretContent::Authorities(authorities) => Type::ValidationContext(CertificateValidationContext {
            trusted_ca: inline(authorities),
            ..CertificateValidationContext::default()
        }),
        SecretContent::KeyPepper(_) => return None,
    };
    Some(Secret { name: secret.name.clone(), r#type: Some(content) })
}
