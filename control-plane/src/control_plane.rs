//! The whole control plane: it watches the file and serves xDS and the admin interface, until it is
//! told to end.

use std::{io, iter, net::SocketAddr, path::PathBuf, sync::Arc, time::Instant};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinSet,
    time,
};

use crate::{
    diagnostic::Diagnostic,
    files::watch::FileWatch,
    filter_module::MODULE,
    rollout::{
        relay::{Heard, Relay},
        reload::Reloader,
        state::State,
    },
    status::{Status, admin, metrics::Metrics},
    xds::{
        self,
        server::tls::{self, Tls, TlsError},
    },
};

/// How much the control plane takes in of what streams say before it makes a new plan.
const MOST_HEARD_AT_ONCE: usize = 10_000;

/// How long the parts of the control plane may take to end.
const PATIENCE: time::Duration = time::Duration::from_millis(800);

/// The options of a control plane.
#[derive(Clone, Debug)]
pub struct Options {
    /// The gateway file.
    pub file: PathBuf,
    /// Where to serve xDS. Port 0 is any free one.
    pub xds: SocketAddr,
    /// Where to serve the admin interface. Port 0 is any free one.
    pub admin: SocketAddr,
    /// How many nodes get a new configuration before the others; 0 is all at once. It outranks the
    /// file.
    pub canary: Option<usize>,
    /// The state that outlives the process.
    pub state: State,
    /// TLS on the xDS port.
    pub tls: Option<tls::Files>,
    /// Whether a client's node id must be a DNS name of its certificate.
    pub pin_node_ids: bool,
    /// A socket file for clients of this machine, beside the port and without TLS.
    pub local: Option<PathBuf>,
}

/// Why the control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file cannot be used, and the state has no confirmed one.
    #[error("the file cannot be used, and there is no earlier one to fall back on")]
    File(Vec<Diagnostic>),
    /// A port is not available.
    #[error("cannot listen on {address} for {what}: {error} (another address: {flag} HOST:PORT)")]
    Listen {
        /// The purpose of the port.
        what: &'static str,
        /// The option that names another address.
        flag: &'static str,
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// TLS cannot be served.
    #[error("cannot serve xDS with TLS: {0}")]
    Tls(#[from] TlsError),
    /// The socket file cannot be made.
    #[error("cannot listen on {} for xDS: {error} (another folder: --state DIR)", .path.display())]
    Local {
        /// The path that was asked for.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The process cannot listen for signals.
    #[error("cannot listen for signals: {0}")]
    Signal(io::Error),
}

/// A running control plane.
pub struct ControlPlane {
    /// The address of xDS.
    pub xds: SocketAddr,
    /// The address of the admin interface.
    pub admin: SocketAddr,
    /// The snapshot that each node gets.
    pub plans: watch::Receiver<xds::Plan>,
    /// What runs where.
    pub status: Arc<Status>,
    end: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl ControlPlane {
    /// Reads the file, takes the ports and starts to serve.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let tls = options.tls.map(Tls::new).transpose()?.map(Arc::new);
        let has_tls = tls.is_some();
        let (plans, _) = watch::channel(xds::Plan::default());
        let metrics = Arc::new(Metrics::default());
        let (tell, heard) = mpsc::unbounded_channel();
        let status = Arc::new(Status::new(options.file.display().to_string(), metrics.clone()));
        let relay = Arc::new(Relay::new(status.clone(), tell));
        // The watch begins before the file is read, so that it misses no change.
        let mut watch = FileWatch::new(&options.file);
        let mut reloader = Reloader::new(
            &options.file,
            MODULE,
            options.canary,
            options.state,
            plans.clone(),
            status.clone(),
            metrics.clone(),
        );
        reloader.start().map_err(StartError::File)?;
        watch_named(&mut reloader, &mut watch);
        let hangup = signal(SignalKind::hangup()).map_err(StartError::Signal)?;

        let xds = xds::server::listen(options.xds).map_err(cannot_listen(options.xds, "xDS", "--xds"))?;
        let admin = TcpListener::bind(options.admin).await;
        let admin = admin.map_err(cannot_listen(options.admin, "the admin interface", "--admin"))?;
        let local = options
            .local
            .map(|path| xds::server::listen_locally(&path).map_err(|error| StartError::Local { path, error }));
        let addresses = (address(&xds, options.xds), address(&admin, options.admin));

        let (end, ended) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let serving = xds::server::Options {
            tls: tls.clone(),
            pin_node_ids: options.pin_node_ids,
            local: local.transpose()?,
            clients: Some(status.clone()),
            ..xds::server::Options::default()
        };
        let server = xds::server::serve_with(serving, xds, plans.subscribe(), relay, told(ended.clone()));
        if let Some(tls) = tls {
            let ended = told(ended.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = renew(&tls) => {}
                    () = ended => {}
                }
            });
        }
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!("xDS is not served any more: {error}");
            }
        });
        let plans = plans.subscribe();
        let server = admin::serve(admin, status.clone(), metrics, told(ended.clone()));
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!("the admin interface is not served any more: {error}");
            }
        });
        tasks.spawn(async move {
            tokio::select! {
                () = follow(reloader, watch, hangup, heard) => {}
                () = told(ended) => {}
            }
        });
        let (xds, admin) = addresses;
        if !has_tls && !xds.ip().is_loopback() {
            tracing::warn!(
                "xDS on {xds} is in the clear, private keys and digests included: keep it in a trusted network, or give --tls-cert"
            );
        }
        tracing::info!("xDS on {xds}, status on http://{admin}/status");
        Ok(Self { xds, admin, plans, status, end, tasks })
    }

    /// Ends everything that was started. Aborts what does not end by itself in time.
    pub async fn end(mut self) {
        self.end.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if time::timeout(PATIENCE, all).await.is_err() {
            self.tasks.abort_all();
        }
    }
}

/// Reloads whenever the file may have changed, or on SIGHUP, and takes in what the streams say. It
/// never returns.
async fn follow(
    mut reloader: Reloader,
    mut watch: FileWatch,
    mut hangup: tokio::signal::unix::Signal,
    mut heard: mpsc::UnboundedReceiver<Heard>,
) {
    loop {
        tokio::select! {
            noticed = watch.changed() => tokio::task::block_in_place(|| {
                reloader.reload(noticed);
                watch_named(&mut reloader, &mut watch);
            }),
            _ = hangup.recv() => tokio::task::block_in_place(|| {
                tracing::info!("SIGHUP: looking at the file again");
                reloader.retry(Instant::now());
                watch_named(&mut reloader, &mut watch);
            }),
            Some(first) = heard.recv() => {
                // Events of thousands of streams at about the same time make one plan.
                let more = iter::from_fn(|| heard.try_recv().ok());
                reloader.hear(iter::once(first).chain(more).take(MOST_HEARD_AT_ONCE));
            }
        }
    }
}

/// Watches the files that the file names. They were read before the watch began, so they are read
/// once more.
fn watch_named(reloader: &mut Reloader, watch: &mut FileWatch) {
    if watch.watch(reloader.watched()) {
        reloader.reload(Instant::now());
    }
}

/// Reads the files of the xDS port's TLS again whenever one may have changed. It never returns.
async fn renew(tls: &Tls) {
    let mut watches: Vec<_> = tls.files().paths().map(FileWatch::new).collect();
    let mut refused = None;
    loop {
        match tokio::task::block_in_place(|| tls.reload()) {
            Ok(renewed) => {
                if renewed {
                    tracing::info!("xDS has a new certificate, for new connections");
                }
                refused = None;
            }
            // A certificate and its key are seldom written at one moment. The same reason again is
            // no news.
            Err(error) if refused.as_ref() != Some(&error) => {
                tracing::error!("the files of the xDS port's TLS are not used, those before go on: {error}");
                refused = Some(error);
            }
            Err(_) => {}
        }
        let changes = watches.iter_mut().map(|watch| Box::pin(watch.changed()));
        futures::future::select_all(changes).await;
    }
}

fn cannot_listen(address: SocketAddr, what: &'static str, flag: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::Listen { what, flag, address, error }
}

fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// Returns when the control plane is told to end, or nobody is left to tell it.
async fn told(mut ended: watch::Receiver<bool>) {
    let _ = ended.wait_for(|ended| *ended).await;
}

/// Returns with SIGTERM or SIGINT.
///
/// # Errors
/// The process cannot listen for signals.
pub fn end_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
