//! TLS: what the file says of it, and what the files that it names hold.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::origin::Origin;

/// A file that the gateway file names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedFile {
    /// As it is written: relative to the folder of the gateway file, or absolute.
    pub path: String,
    /// The field that names it: `cert_file`.
    #[serde(skip)]
    pub field: &'static str,
    /// Where it is named.
    #[serde(skip)]
    pub origin: Origin,
    /// How many characters its name spans there.
    #[serde(skip)]
    pub width: u32,
}

/// A certificate with its private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFiles {
    /// The chain in PEM, the certificate of the key first.
    pub certificate: NamedFile,
    /// The private key in PEM.
    pub key: NamedFile,
}

/// A listener's TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListenerTls {
    /// What it shows to clients.
    pub certificate: CertificateFiles,
    /// The authorities in PEM, one of which must have issued each client's certificate. Without, clients show none.
    pub client_ca: Option<NamedFile>,
    /// The oldest version that is spoken.
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

/// A cluster's TLS. Its endpoints are always verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterTls {
    /// The host name that is asked for, and that the endpoints' certificates must have.
    pub server_name: String,
    /// The authorities in PEM; those of Envoy's system where it is not said.
    pub ca: Option<NamedFile>,
    /// What Envoy shows, where endpoints ask.
    pub certificate: Option<CertificateFiles>,
}

/// What named files hold, checked. One is served for each listener or cluster that needs it, under a name that does not
/// change with the files: neither a renewed certificate nor another file is a change of the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its name in SDS, see [`Secret::name`].
    pub name: String,
    /// What it holds.
    pub content: SecretContent,
    /// Where the file is named.
    pub origin: Origin,
}

impl Secret {
    /// The place of the field in the gateway file: `listeners/http/cert_file`.
    pub fn name(list: &str, owner: &str, field: &str) -> String {
        format!("{list}/{owner}/{field}")
    }
}

/// What a secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretContent {
    /// A certificate with its key.
    Certificate {
        /// The chain in PEM, and nothing else: it may be shown.
        chain: String,
        /// The private key in PEM.
        key: Hidden,
    },
    /// The certificates of authorities in PEM.
    Authorities(String),
    /// The secret by which digests of keys are made. It is a part of the filter's configuration, not of SDS.
    KeyPepper(Hidden),
}

/// A text that no message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl Hidden {
    /// SHA-256 in hexadecimal, which leads back to nothing: what versions, which are shown, are made from instead.
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.0).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}
