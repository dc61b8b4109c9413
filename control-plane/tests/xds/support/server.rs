//! A server over real gRPC, and a client made by hand.

use std::{sync::Arc, time::Duration};

use legation::{
    snapshot::Snapshot,
    xds::{
        Observer, Plan, Variant,
        server::{self, Options},
    },
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use super::{Wire, recorder::Recorder};

pub const ADS_SOTW: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
pub const ADS_DELTA: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/// A running server.
pub struct Server {
    pub port: u16,
    pub plans: watch::Sender<Plan>,
    pub recorder: Arc<Recorder>,
    stop: Option<oneshot::Sender<()>>,
    pub task: JoinHandle<()>,
}

impl Server {
    /// A server at this snapshot, or at none.
    pub async fn start(snapshot: Option<Arc<Snapshot>>) -> Self {
        Self::start_with(Options::default(), snapshot).await
    }

    /// The same, with options.
    pub async fn start_with(options: Options, snapshot: Option<Arc<Snapshot>>) -> Self {
        let recorder = Recorder::new();
        Self { recorder: recorder.clone(), ..Self::observed(options, snapshot, recorder).await }
    }

    /// The same, with an observer of the test's own.
    pub async fn observed(options: Options, snapshot: Option<Arc<Snapshot>>, observer: Arc<dyn Observer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plans = watch::Sender::new(Plan::all(snapshot));
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = server::serve_with(options, listener, plans.subscribe(), observer, async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async { serve.await.unwrap() });
        Self { port, plans, recorder: Recorder::new(), stop: Some(stop), task }
    }

    /// Tells it to stop.
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// A connection.
    pub async fn channel(&self) -> Channel {
        self.try_channel().await.unwrap()
    }

    /// A connection, or why there is none.
    pub async fn try_channel(&self) -> Result<Channel, tonic::transport::Error> {
        Channel::from_shared(format!("http://127.0.0.1:{}", self.port)).unwrap().connect().await
    }

    /// Opens a stream.
    pub async fn open<V: Wire>(&self, path: &'static str) -> Stream<V> {
        self.try_open(path).await.expect("the stream opens")
    }

    /// Opens a stream over a connection of its own.
    pub async fn try_open<V: Wire>(&self, path: &'static str) -> Result<Stream<V>, Status> {
        Stream::open(self.channel().await, path).await
    }
}

/// The client's end of a stream.
pub struct Stream<V: Variant> {
    pub requests: mpsc::Sender<V::Request>,
    pub responses: Streaming<V::Response>,
}

impl<V: Wire> Stream<V> {
    /// Opens a stream over a connection.
    pub async fn open(channel: Channel, path: &'static str) -> Result<Self, Status> {
        let mut grpc = Grpc::new(channel).max_decoding_message_size(64 << 20);
        grpc.ready().await.unwrap();
        let (requests, outgoing) = mpsc::channel(8);
        let codec = ProstCodec::<V::Request, V::Response>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        let answer = grpc.streaming(tonic::Request::new(ReceiverStream::new(outgoing)), path, codec).await?;
        Ok(Self { requests, responses: answer.into_inner() })
    }

    /// Asks, as the node `client`.
    pub async fn asks(&self, type_url: &str, names: &[&str]) {
        self.asks_as("client", type_url, names).await;
    }

    /// Asks, as this node.
    pub async fn asks_as(&self, node: &str, type_url: &str, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let request = V::from_node(V::request(type_url, &names, "", None), node);
        self.requests.send(request).await.unwrap();
    }

    /// The next response, as text.
    pub async fn hears(&mut self) -> Result<String, Status> {
        let message = tokio::time::timeout(Duration::from_secs(20), self.responses.message());
        let response = message.await.expect("an answer within 20 s")?.expect("not the end");
        Ok(V::shown(&response))
    }
}
