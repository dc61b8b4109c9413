//! A node that is not an Envoy. It takes all listeners by delta, except those that the test makes
//! it reject. Like Envoy, it applies the good listeners of a response that it rejects.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use legation_protos::{
    ResourceType,
    discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse},
    pb::{envoy::config::core::v3::Node as Identity, google::rpc::Status},
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use super::eventually;

const DELTA: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

#[derive(Default)]
struct State {
    /// Listeners, by name, with their versions.
    listeners: BTreeMap<String, String>,
    /// The names of all listeners that it ever got.
    sent: Vec<String>,
}

/// A connected node. Dropping it disconnects it.
pub struct Node {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Node {
    /// Joins with this id. It will reject the listener of this name.
    pub async fn join(xds: u16, id: &str, rejects: &'static str) -> Self {
        let channel = Channel::from_shared(format!("http://127.0.0.1:{xds}")).expect("a URL").connect().await;
        let mut grpc = Grpc::new(channel.expect("it connects")).max_decoding_message_size(64 << 20);
        grpc.ready().await.expect("it is ready");
        let (requests, outgoing) = mpsc::channel(16);
        let codec = ProstCodec::<DeltaDiscoveryRequest, DeltaDiscoveryResponse>::default();
        let path = http::uri::PathAndQuery::from_static(DELTA);
        let answer = grpc.streaming(tonic::Request::new(ReceiverStream::new(outgoing)), path, codec).await;
        let mut responses = answer.expect("the stream opens").into_inner();
        for kind in ResourceType::ALL {
            let node = Some(Identity { id: id.to_owned(), ..Identity::default() });
            let everything = DeltaDiscoveryRequest {
                node,
                type_url: kind.type_url().to_owned(),
                resource_names_subscribe: vec!["*".to_owned()],
                ..DeltaDiscoveryRequest::default()
            };
            requests.send(everything).await.expect("the stream is open");
        }
        let state = Arc::<Mutex<State>>::default();
        let task = tokio::spawn({
            let state = state.clone();
            async move {
                while let Ok(Some(response)) = responses.message().await {
                    let error = state.lock().expect("nobody panics").apply(&response, rejects);
                    let answer = DeltaDiscoveryRequest {
                        type_url: response.type_url,
                        response_nonce: response.nonce,
                        error_detail: error.map(|message| Status { code: 13, message, details: Vec::new() }),
                        ..DeltaDiscoveryRequest::default()
                    };
                    if requests.send(answer).await.is_err() {
                        return;
                    }
                }
            }
        });
        Self { state, task }
    }

    /// The names of its listeners.
    pub fn listeners(&self) -> Vec<String> {
        self.state.lock().expect("nobody panics").listeners.keys().cloned().collect()
    }

    /// Returns whether it ever got the listener of this name.
    pub fn was_sent(&self, name: &str) -> bool {
        self.state.lock().expect("nobody panics").sent.iter().any(|sent| sent == name)
    }

    /// Waits until it has just these listeners.
    pub async fn has_listeners(&self, names: &[&str]) {
        eventually(&format!("listeners {names:?}"), || async { self.listeners() == names }).await;
    }
}

impl State {
    /// Applies the good listeners. Returns the reason for rejecting another one, if there is one.
    fn apply(&mut self, response: &DeltaDiscoveryResponse, rejects: &str) -> Option<String> {
        if response.type_url != ResourceType::Listener.type_url() {
            return None;
        }
        for name in &response.removed_resources {
            self.listeners.remove(name);
        }
        let mut error = None;
        for listener in &response.resources {
            self.sent.push(listener.name.clone());
            if listener.name == rejects {
                error = Some(format!("listener {rejects}: cannot bind: Address already in use"));
            } else {
                self.listeners.insert(listener.name.clone(), listener.version.clone());
            }
        }
        error
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}
