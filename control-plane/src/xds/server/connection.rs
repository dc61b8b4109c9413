//! Connections to the xDS port, from accepting to the first bytes of HTTP/2, and the client at the
//! other end.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt, future::ready, stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time,
};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::server::{Connected, TcpIncoming};
use tracing::debug;

use super::{
    Limits,
    tls::{self, Tls},
};

/// The first bytes of every HTTP/2 client (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The pause after a connection could not be accepted, for example for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The client at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A client that may open the socket file, which only this user may.
    Local,
    /// A client on the network. The names are those of its certificate, if it had to show one.
    Remote { names: Arc<[String]> },
}

impl Peer {
    /// Whether the client's certificate says that it is this node.
    pub(super) fn is(&self, node: &str) -> bool {
        match self {
            Self::Local => true,
            Self::Remote { names } => names.iter().any(|name| name == node),
        }
    }
}

/// Where clients come from.
pub(super) struct Doors {
    /// The port.
    pub(super) port: TcpListener,
    /// TLS on the port.
    pub(super) tls: Option<Arc<Tls>>,
    /// A socket file for clients of this machine.
    pub(super) local: Option<UnixListener>,
    /// How long a peer may be silent before the server asks whether it is there.
    pub(super) keepalive: Duration,
}

/// The connections that have begun to speak HTTP/2. The server closes others, and those beyond the
/// limit.
pub(super) fn incoming(doors: Doors, limits: &Limits) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let (connections, entered) = mpsc::channel(16);
    let hall = Hall { room: Arc::new(Semaphore::new(limits.connections)), patience: limits.handshake, connections };
    let local_hall = hall.clone();
    let local = stream::iter(doors.local.map(UnixListenerStream::new))
        .flatten()
        .then(move |accepted| admit(accepted.map(greet_locally), local_hall.clone()));
    let port = TcpIncoming::from(doors.port).with_nodelay(Some(true)).with_keepalive(Some(doors.keepalive));
    let port = port.then(move |accepted| {
        let tls = doors.tls.clone();
        admit(accepted.map(|stream| greet(stream, tls)), hall.clone())
    });
    let entered = ReceiverStream::new(entered).map(Some);
    stream::select(stream::select(local, port), entered).filter_map(|entered| ready(entered.map(Ok)))
}

/// Listens on a socket file that only this user may open. Takes over a file that an earlier run
/// left behind.
///
/// # Errors
/// What the system says: the path may be too long (107 bytes), or the folder not writable.
pub(crate) fn listen_locally(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Where connections wait until the server lets them in.
#[derive(Clone)]
struct Hall {
    room: Arc<Semaphore>,
    patience: Duration,
    connections: mpsc::Sender<Connection>,
}

impl Hall {
    /// Lets a connection in after its handshake, if there is room.
    fn enter(&self, handshake: impl Future<Output = io::Result<(Box<dyn Socket>, Peer)>> + Send + 'static) {
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            return debug!("refusing a connection: too many are open");
        };
        let Self { patience, connections, .. } = self.clone();
        tokio::spawn(async move {
            let entering = async {
                let (mut socket, peer) = handshake.await?;
                let mut preface = [0; PREFACE.len()];
                socket.read_exact(&mut preface).await?;
                if preface != *PREFACE {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP/2"));
                }
                Ok(Connection { socket, given: 0, peer, _room: room })
            };
            match time::timeout(patience, entering).await {
                // When the server stops, nobody takes connections any more.
                Ok(Ok(connection)) => drop(connections.send(connection).await),
                Ok(Err(error)) => debug!(%error, "a connection is closed before its first request"),
                Err(_) => debug!("a connection is closed: it did not begin to speak within {patience:?}"),
            }
        });
    }
}

/// Sends a connection on its way in. It arrives through the hall.
async fn admit<F>(accepted: io::Result<F>, hall: Hall) -> Option<Connection>
where
    F: Future<Output = io::Result<(Box<dyn Socket>, Peer)>> + Send + 'static,
{
    match accepted {
        Ok(greeting) => hall.enter(greeting),
        Err(error) => {
            tracing::warn!("cannot accept a connection for xDS: {error}");
            time::sleep(PAUSE).await;
        }
    }
    None
}

async fn greet_locally(stream: UnixStream) -> io::Result<(Box<dyn Socket>, Peer)> {
    Ok((Box::new(stream), Peer::Local))
}

async fn greet(stream: TcpStream, tls: Option<Arc<Tls>>) -> io::Result<(Box<dyn Socket>, Peer)> {
    let Some(tls) = tls else { return Ok((Box::new(stream), Peer::Remote { names: Arc::default() })) };
    let stream = tls.accept(stream).await?;
    let names = tls::client_names(&stream).into();
    Ok((Box::new(stream), Peer::Remote { names }))
}

/// What connections are made of.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A connection. It gives out its first bytes again, which were read to see whether it speaks
/// HTTP/2.
pub(super) struct Connection {
    socket: Box<dyn Socket>,
    /// How much of the preface it has given out again.
    given: usize,
    peer: Peer,
    _room: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match PREFACE.get(self.given..).filter(|rest| !rest.is_empty()) {
            Some(rest) => {
                let count = rest.len().min(buf.remaining());
                buf.put_slice(rest.get(..count).unwrap_or_default());
                self.given += count;
                Poll::Ready(Ok(()))
            }
            None => Pin::new(&mut self.socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
