//! Certificates, a client and an upstream that speak TLS.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use bytes::Bytes;
use http::{Request, Response as HttpResponse, Version};
use http_body_util::{Empty, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::{
    net::{TcpListener, TcpStream},
    time,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        version::TLS13,
    },
};

use super::PATIENCE;

/// An authority that issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key in PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for a host name.
    pub fn issue(&self, host: &str) -> Pair {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

impl Pair {
    /// Writes both, each under another name first: the key may be there before its certificate.
    pub fn write(&self, directory: &Path, name: &str) {
        for (ending, text) in [("key", &self.key), ("pem", &self.certificate)] {
            let path = directory.join(format!("{name}.{ending}"));
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<_, _>>().unwrap()
    }

    /// The certificate, as a peer shows it.
    pub fn der(&self) -> CertificateDer<'static> {
        self.chain().remove(0)
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

/// Whom a client trusts and what it offers.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    pub authority: &'a Authority,
    pub versions: &'a [&'static SupportedProtocolVersion],
    pub alpn: &'static [&'static str],
    pub certificate: Option<&'a Pair>,
}

impl<'a> Offer<'a> {
    pub fn trusting(authority: &'a Authority) -> Self {
        Self { authority, versions: tokio_rustls::rustls::ALL_VERSIONS, alpn: &["http/1.1"], certificate: None }
    }
}

/// A connection whose server was verified to be `host`, or why there is none.
pub async fn connect(port: u16, host: &str, offer: Offer<'_>) -> Result<TlsStream<TcpStream>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(offer.authority.pem.as_bytes()).map(Result::unwrap));
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(offer.versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match offer.certificate {
        Some(pair) => builder.with_client_auth_cert(pair.chain(), pair.private_key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = offer.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connecting = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(host.to_owned()).unwrap(), stream).await
    };
    let connected = time::timeout(PATIENCE, connecting).await.map_err(|_| "no answer in time".to_owned())?;
    connected.map_err(|error| error.to_string())
}

/// The head of an answer to GET, by the protocol that was agreed on, or why there is none.
pub async fn get(stream: TlsStream<TcpStream>, path: &str) -> Result<HttpResponse<Incoming>, String> {
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let request = Request::builder().uri(format!("https://gateway.test{path}")).header("host", "gateway.test");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let answer = async {
        if h2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    };
    let answer = time::timeout(PATIENCE, answer).await.map_err(|_| "no answer in time".to_owned())?;
    answer.map_err(|error| format!("{error:?}"))
}

/// An upstream that speaks TLS, no older than 1.3, and says by which protocol it was asked, and whether it was shown a certificate.
pub async fn upstream(pair: &Pair, clients: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13]).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
            let verifier =
                tokio_rustls::rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder.with_single_cert(pair.chain(), pair.private_key()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(acceptor.clone(), stream));
        }
    });
    address
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    // A client that does not trust the upstream ends the handshake.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let shown = stream.get_ref().1.peer_certificates().is_some();
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request: Request<Incoming>| async move {
        let protocol = if request.version() == Version::HTTP_2 { "h2" } else { "http/1.1" };
        let body = format!("{protocol}{}", if shown { " with a certificate" } else { "" });
        Ok::<_, std::convert::Infallible>(HttpResponse::new(Full::new(Bytes::from(body))))
    });
    // How it ends is the client's business.
    if h2 {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}
