//! A listener's `tls`. `files` reads what the named files hold.

use crate::{
    config::{
        decode::mapping,
        leaf::{FilePath, Word, words},
        named_file,
        report::Report,
    },
    model::{CertificateFiles, FileKind, ListenerTls, TlsVersion},
};

words! {
    /// A version of TLS.
    TlsVersion, "TLS version" {
        /// TLS 1.2, RFC 5246.
        "1.2" => TlsVersion::V1_2,
        /// TLS 1.3, RFC 8446.
        "1.3" => TlsVersion::V1_3,
    }
}

mapping! {
    /// TLS of a listener.
    Tls, "a listener's `tls`", "{cert_file: certificates/gateway.pem, key_file: certificates/gateway.key}" {
        /// The certificate chain in PEM, the listener's own certificate first.
        unless_planned cert_file: FilePath,
        /// The private key of the certificate in PEM.
        unless_planned key_file: FilePath,
        /// Authorities in PEM. With it, each client must show a certificate that one of them
        /// issued.
        optional client_ca_file: FilePath,
        /// The oldest version of TLS that is spoken.
        optional min_version: Word<TlsVersion> = Word(TlsVersion::V1_2),
    }
    planned: certificates client_certificate client_crl_file strict_sni;
}

/// What the model has of it.
pub fn resolve(tls: &Tls, report: &mut Report) -> Option<ListenerTls> {
    let certificate = named_file(&tls.cert_file, FileKind::Certificate, report);
    let key = named_file(&tls.key_file, FileKind::Key, report);
    let client_ca = named_file(&tls.client_ca_file, FileKind::ClientAuthorities, report);
    let min_version = tls.min_version.get()?.0;
    // A required field that is not written was reported.
    let certificate = CertificateFiles { certificate: certificate??, key: key?? };
    Some(ListenerTls { certificate, client_ca: client_ca?, min_version })
}
