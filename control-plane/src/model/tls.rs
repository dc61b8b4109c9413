//! TLS: the file's settings, and the contents of the files that it names.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::origin::Origin;

/// A file that the gateway file names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedFile {
    /// The path as written: relative to the folder of the gateway file, or absolute.
    pub path: String,
    /// What it holds.
    #[serde(skip)]
    pub kind: FileKind,
    /// The place of its name.
    #[serde(skip)]
    pub origin: Origin,
    /// The number of characters of its name there.
    #[serde(skip)]
    pub width: u32,
}

impl NamedFile {
    /// The field that names it, such as `cert_file`.
    pub fn field(&self) -> &'static str {
        self.kind.field()
    }
}

/// What a named file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A chain of certificates.
    Certificate,
    /// The private key of a certificate.
    Key,
    /// The authorities that verify a cluster's endpoints.
    Authorities,
    /// The authorities that verify a listener's clients.
    ClientAuthorities,
    /// The secret of API keys' digests.
    KeyPepper,
}

impl FileKind {
    /// The field that names a file of this kind.
    pub fn field(self) -> &'static str {
        match self {
            Self::Certificate => "cert_file",
            Self::Key => "key_file",
            Self::Authorities => "ca_file",
            Self::ClientAuthorities => "client_ca_file",
            Self::KeyPepper => "key_pepper_file",
        }
    }
}

/// A certificate with its private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFiles {
    /// The chain in PEM. The certificate of the key comes first.
    pub certificate: NamedFile,
    /// The private key in PEM.
    pub key: NamedFile,
}

/// A listener's TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListenerTls {
    /// The certificate that it shows to clients.
    pub certificate: CertificateFiles,
    /// The authorities in PEM. One of them must have issued each client's certificate. Without
    /// them, clients show no certificate.
    pub client_ca: Option<NamedFile>,
    /// The oldest version that it speaks.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
}

/// A cluster's TLS. Envoy always verifies the endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterTls {
    /// The host name to ask for. The endpoints' certificates must have it.
    pub server_name: String,
    /// The authorities in PEM. `None` means those of Envoy's system.
    pub ca: Option<NamedFile>,
    /// The certificate that Envoy shows to endpoints that ask.
    pub certificate: Option<CertificateFiles>,
}

/// The checked contents of named files. Each listener or cluster that needs them gets its own
/// secret, under a name that does not change with the files. So neither a renewed certificate nor
/// another file changes a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its name in SDS, see [`Secret::name`].
    pub name: String,
    /// Its contents.
    pub content: SecretContent,
    /// The place of the file's name.
    pub origin: Origin,
}

impl Secret {
    /// Returns the path of the field in the gateway file, such as `listeners/http/cert_file`.
    pub fn name(list: &str, owner: &str, field: &str) -> String {
        format!("{list}/{owner}/{field}")
    }
}

/// The contents of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretContent {
    /// A certificate with its key.
    Certificate {
        /// The chain in PEM and nothing else, so it may be shown.
        chain: String,
        /// The private key in PEM.
        key: Hidden,
    },
    /// Certificates of authorities in PEM.
    Authorities(String),
    /// The secret of API keys' digests. It travels in the filter's configuration, not by SDS.
    KeyPepper(Hidden),
}

/// A text that no message may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl Hidden {
    /// Returns the SHA-256 in hexadecimal. Versions, which are shown, hash this digest instead of
    /// the text.
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.0).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}
