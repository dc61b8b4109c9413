//! TLS of the xDS port: the certificate that the port shows, and the certificates that it asks for.
//!
//! The files can be read again while connections are open. New connections then use the new
//! contents. Files that can't be used change nothing.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};

/// More than any chain or bundle of certificates.
const LARGEST_FILE: u64 = 4 << 20;

/// The files, all PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// The server's certificate, and the certificates between it and its authority.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities that must have issued clients' certificates. Without them, clients need
    /// none.
    pub client_ca: Option<PathBuf>,
}

impl Files {
    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }
}

/// Why the files can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .file.display())]
pub struct TlsError {
    /// The file that is to blame.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// What the xDS port shows now.
pub struct Tls {
    files: Files,
    current: RwLock<Current>,
}

struct Current {
    contents: Contents,
    config: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One can't be read, or they don't belong together.
    pub fn new(files: Files) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let config = contents.config(&files)?;
        Ok(Self { files, current: RwLock::new(Current { contents, config }) })
    }

    /// The files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Reads the files again. Returns whether they say something new.
    ///
    /// # Errors
    /// As [`Self::new`]. The port then keeps what it used before.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let contents = Contents::read(&self.files)?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).contents == contents {
            return Ok(false);
        }
        let config = contents.config(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { contents, config };
        Ok(true)
    }

    /// Does the handshake on a new connection.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.current.read().unwrap_or_else(PoisonError::into_inner).config.clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// The DNS names in the verified certificate that a client has shown.
pub(super) fn client_names(stream: &TlsStream<TcpStream>) -> Vec<String> {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    let parsed = certificate.and_then(|certificate| webpki::EndEntityCert::try_from(certificate).ok());
    parsed.map(|certificate| certificate.valid_dns_names().map(str::to_owned).collect()).unwrap_or_default()
}

#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Contents {
    fn read(files: &Files) -> Result<Self, TlsError> {
        let client_ca = files.client_ca.as_deref().map(read).transpose()?;
        Ok(Self { cert: read(&files.cert)?, key: read(&files.key)?, client_ca })
    }

    fn config(&self, files: &Files) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| blame(&files.cert, error))?;
        let builder = match (&files.client_ca, &self.client_ca) {
            (Some(file), Some(pem)) => builder.with_client_cert_verifier(verifier(file, pem, provider)?),
            _ => builder.with_no_client_auth(),
        };
        let chain = certificates(&files.cert, &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| blame(&files.key, error))?;
        let mut config = builder.with_single_cert(chain, key).map_err(|error| blame(&files.key, error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

fn verifier(
    file: &Path,
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, pem)? {
        roots.add(certificate).map_err(|error| blame(file, error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|error| blame(file, error))
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates =
        CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|error| blame(file, error))?;
    if certificates.is_empty() { Err(blame(file, "it holds no certificate in PEM")) } else { Ok(certificates) }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let length = fs::metadata(file).map_err(|error| blame(file, error))?.len();
    if length > LARGEST_FILE {
        return Err(blame(file, format_args!("it has {length} bytes; at most {LARGEST_FILE} are read")));
    }
    fs::read(file).map_err(|error| blame(file, error))
}

fn blame(file: &Path, reason: impl fmt::Display) -> TlsError {
    TlsError { file: file.to_owned(), reason: reason.to_string() }
}
