//! Checks the certificate files that the gateway file names as Envoy would use them, before they
//! are served.
//!
//! Pure: the contents and the time come in as arguments. No message shows what a file holds.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    Error, InconsistentKeys, SignatureAlgorithm,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::{CertifiedKey, SigningKey},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{
    config::code,
    diagnostic::{Diagnostic, Severity},
    model::{CertificateFiles, Hidden, Model, NamedFile, Secret, SecretContent},
};

/// The contents of the named files, by path as the gateway file names them, or why one can't be
/// read.
pub type Contents = BTreeMap<String, Result<Vec<u8>, String>>;

/// Returns the paths of all files that a model names.
pub fn paths(model: &Model) -> BTreeSet<String> {
    let files = wanted(model).into_iter().flat_map(|wanted| match wanted.of {
        Of::Pair(pair) => vec![&pair.certificate, &pair.key],
        Of::Authorities(file) => vec![file],
    });
    files.map(|file| file.path.clone()).collect()
}

/// The secrets that a model needs, and what is wrong with the files. `now` is in seconds since
/// 1970. All secrets are there unless a diagnostic is an error.
pub fn check(model: &Model, contents: &Contents, now: i64) -> (Vec<Secret>, Vec<Diagnostic>) {
    let mut check = Check { contents, now, found: Vec::new() };
    let mut secrets = Vec::new();
    for Wanted { list, owner, of } in wanted(model) {
        let (file, content) = match of {
            Of::Pair(pair) => (&pair.certificate, check.pair(pair)),
            Of::Authorities(file) => (file, check.authorities(file)),
        };
        let (name, origin) = (Secret::name(list, owner, file.field()), file.origin.clone());
        secrets.extend(content.map(|content| Secret { name, content, origin }));
    }
    (secrets, check.found)
}

struct Wanted<'a> {
    list: &'static str,
    owner: &'a str,
    of: Of<'a>,
}

enum Of<'a> {
    Pair(&'a CertificateFiles),
    Authorities(&'a NamedFile),
}

fn wanted(model: &Model) -> Vec<Wanted<'_>> {
    let mut wanted = Vec::new();
    let mut add = |list, owner, pair: Option<_>, authorities: Option<_>| {
        wanted.extend(pair.map(|pair| Wanted { list, owner, of: Of::Pair(pair) }));
        wanted.extend(authorities.map(|file| Wanted { list, owner, of: Of::Authorities(file) }));
    };
    for listener in &model.listeners {
        if let Some(tls) = &listener.tls {
            add("listeners", listener.name.as_str(), Some(&tls.certificate), tls.client_ca.as_ref());
        }
    }
    for cluster in &model.clusters {
        if let Some(tls) = &cluster.tls {
            add("clusters", cluster.name.as_str(), tls.certificate.as_ref(), tls.ca.as_ref());
        }
    }
    wanted
}

struct Check<'a> {
    contents: &'a Contents,
    now: i64,
    found: Vec<Diagnostic>,
}

impl Check<'_> {
    fn pair(&mut self, pair: &CertificateFiles) -> Option<SecretContent> {
        let chain = self.certificates(&pair.certificate);
        let key = self.key(&pair.key);
        let (chain, (key, signing)) = (chain?, key?);
        let file = &pair.certificate;
        match CertifiedKey::new(chain.clone(), signing).keys_match() {
            Ok(()) => {}
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch | InconsistentKeys::Unknown)) => {
                let message = "the certificate in `cert_file` is not that of the key in `key_file`";
                let help = "the first certificate of the file must be that of the key, and those of its issuers follow";
                self.error(code::BAD_CERTIFICATE, file, message, Some(help));
                return None;
            }
            Err(error) => {
                self.error(code::BAD_CERTIFICATE, file, format!("the certificate cannot be served: {error}"), None);
                return None;
            }
        }
        self.order(&chain, file);
        self.times(&chain, file);
        Some(SecretContent::Certificate { chain: certificates_pem(&chain), key: Hidden(key_pem(&key)) })
    }

    fn authorities(&mut self, file: &NamedFile) -> Option<SecretContent> {
        let certificates = self.certificates(file)?;
        // Bundles hold expired certificates among others. That does no harm as long as one is good.
        if certificates.iter().all(|der| self.time_problem(der).is_some()) {
            self.times(&certificates, file);
        }
        Some(SecretContent::Authorities(certificates_pem(&certificates)))
    }

    /// The certificates in a file, at least one. Anything else in the file, such as a key, is left
    /// out.
    fn certificates(&mut self, file: &NamedFile) -> Option<Vec<CertificateDer<'static>>> {
        let bytes = self.content(file)?;
        let certificates = match CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => certificates,
            Ok(_) => {
                let message = format!("`{}` holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)", file.field());
                self.error(code::BAD_CERTIFICATE, file, message, None);
                return None;
            }
            Err(_) => {
                self.error(code::BAD_CERTIFICATE, file, format!("`{}` is not well-formed PEM", file.field()), None);
                return None;
            }
        };
        if let Some(position) = certificates.iter().position(|der| parse(der).is_none()) {
            let message = format!("certificate {} in `{}` is not an X.509 certificate", position + 1, file.field());
            self.error(code::BAD_CERTIFICATE, file, message, None);
            return None;
        }
        Some(certificates)
    }

    fn key(&mut self, file: &NamedFile) -> Option<(PrivateKeyDer<'static>, std::sync::Arc<dyn SigningKey>)> {
        let bytes = self.content(file)?;
        let key = match PrivateKeyDer::from_pem_slice(bytes) {
            Ok(key) => key,
            Err(error) => {
                let encrypted = bytes.windows(9).any(|word| word == b"ENCRYPTED");
                let message = match error {
                    _ if encrypted => "the key in `key_file` is encrypted; it must be readable without a passphrase",
                    pem::Error::NoItemsFound => {
                        "`key_file` holds no private key in PEM (`-----BEGIN PRIVATE KEY-----`)"
                    }
                    _ => "`key_file` is not well-formed PEM",
                };
                self.error(code::BAD_PRIVATE_KEY, file, message, None);
                return None;
            }
        };
        // Envoy does not serve Ed25519.
        match ring::sign::any_supported_type(&key) {
            Ok(signing) if signing.algorithm() != SignatureAlgorithm::ED25519 => Some((key, signing)),
            _ => {
                let message = "the key in `key_file` must be RSA of 2048 bits or more, or ECDSA on P-256 or P-384";
                self.error(code::BAD_PRIVATE_KEY, file, message, None);
                None
            }
        }
    }

    fn content(&mut self, file: &NamedFile) -> Option<&'_ [u8]> {
        let contents = self.contents;
        match contents.get(&file.path) {
            Some(Ok(bytes)) => return Some(bytes),
            Some(Err(reason)) => {
                let message = format!("cannot read `{}`: {reason}", file.field());
                let help = "a path is relative to the folder of the gateway file";
                self.error(code::UNREADABLE, file, message, Some(help));
            }
            None => self.error(code::UNREADABLE, file, format!("`{}` was not read", file.field()), None),
        }
        None
    }

    fn order(&mut self, chain: &[CertificateDer<'_>], file: &NamedFile) {
        for (position, pair) in chain.windows(2).enumerate() {
            if let [Some(issued), Some(issuer)] = pair.iter().map(parse).collect::<Vec<_>>().as_slice()
                && issued.issuer() != issuer.subject()
            {
                let (number, next) = (position + 1, position + 2);
                let message = format!("certificate {number} in `{}` is not issued by certificate {next}", file.field());
                let help =
                    "each certificate should be followed by that of its issuer: some clients accept no other order";
                self.warning(code::CERTIFICATE_ORDER, file, message, Some(help));
                return;
            }
        }
    }

    fn times(&mut self, certificates: &[CertificateDer<'_>], file: &NamedFile) {
        for (position, der) in certificates.iter().enumerate() {
            if let Some(problem) = self.time_problem(der) {
                let message = format!("certificate {} in `{}` {problem}", position + 1, file.field());
                self.warning(code::EXPIRED_CERTIFICATE, file, message, None);
            }
        }
    }

    fn time_problem(&self, der: &CertificateDer<'_>) -> Option<String> {
        let certificate = parse(der)?;
        let validity = certificate.validity();
        if validity.not_after.timestamp() < self.now {
            Some(format!("expired on {}", validity.not_after))
        } else if validity.not_before.timestamp() > self.now {
            Some(format!("is not valid before {}", validity.not_before))
        } else {
            None
        }
    }

    fn error(&mut self, code: &'static str, file: &NamedFile, message: impl Into<String>, help: Option<&str>) {
        self.push(Severity::Error, code, file, message.into(), help);
    }

    fn warning(&mut self, code: &'static str, file: &NamedFile, message: impl Into<String>, help: Option<&str>) {
        self.push(Severity::Warning, code, file, message.into(), help);
    }

    fn push(&mut self, severity: Severity, code: &'static str, file: &NamedFile, message: String, help: Option<&str>) {
        let (at, help) = (file.origin.clone(), help.map(str::to_owned));
        self.found.push(Diagnostic { severity, code, message, at, width: file.width, help });
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

fn certificates_pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|der| pem("CERTIFICATE", der)).collect()
}

fn key_pem(key: &PrivateKeyDer<'_>) -> String {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    pem(label, key.secret_der())
}

/// RFC 7468: lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests;
