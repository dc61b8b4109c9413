//! A client and an upstream that speak TLS.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{net::TcpStream, time};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
        version::TLS13,
    },
};

use super::{
    Connection, Http, PATIENCE, Upstream, empty,
    pki::{Authority, Pair},
};

/// A client's trusted authority and its offers.
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

/// Returns a connection to a server that is verified as `host`, or the reason why there is none.
pub async fn connect(port: u16, host: &str, offer: Offer<'_>) -> Result<TlsStream<TcpStream>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(
        CertificateDer::pem_slice_iter(offer.authority.pem().as_bytes()).map(Result::unwrap),
    );
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

/// Sends GET over the agreed protocol. Returns the head of the answer, or the reason why there is
/// none.
pub async fn get(stream: TlsStream<TcpStream>, path: &str) -> Result<Response<Incoming>, String> {
    let http = agreed(stream.get_ref().1.alpn_protocol());
    let request = Request::builder().uri(format!("https://gateway.test{path}")).body(empty()).unwrap();
    let mut connection = Connection::over(http, stream).await?;
    let answer = connection.ask(request).await;
    // The body is still to come.
    connection.forget();
    answer
}

fn agreed(protocol: Option<&[u8]>) -> Http {
    if protocol == Some(b"h2") { Http::Two } else { Http::One }
}

/// Whether a client showed a certificate.
#[derive(Clone, Copy)]
struct Shown(bool);

/// Starts an upstream with TLS 1.3. Its answer says over which protocol the request came, and
/// whether the client showed a certificate.
pub async fn upstream(pair: &Pair, clients: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13]).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
            let verifier =
                tokio_rustls::rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder.with_single_cert(pair.chain(), pair.private_key()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connect = move |stream| {
        // A client that does not trust the upstream ends the handshake.
        let accepting = acceptor.accept(stream);
        async move {
            let stream = accepting.await.ok()?;
            let session = stream.get_ref().1;
            let (http, shown) = (agreed(session.alpn_protocol()), Shown(session.peer_certificates().is_some()));
            Some((http, shown, stream))
        }
    };
    let answer = async |request: Request<Incoming>| {
        let protocol = if request.version() == Version::HTTP_2 { "h2" } else { "http/1.1" };
        let Shown(shown) = request.extensions().get().expect("it came by a connection");
        let body = format!("{protocol}{}", if *shown { " with a certificate" } else { "" });
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
    };
    Upstream::start_over(connect, answer).await.address
}
