//! A client that accepts everything, and reads only the nonce and the number of resources of a
//! response.

use bytes::Buf;
use legation_protos::{ResourceType, discovery::DeltaDiscoveryRequest, pb::envoy::config::core::v3::Node};
use prost::encoding::{WireType, decode_key, decode_varint};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder},
    transport::Channel,
};
use tonic_prost::ProstCodec;

const DELTA_ADS: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/// One stream on one connection.
pub struct Client {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<Response>,
    /// The bytes of responses that it received.
    pub bytes: usize,
}

impl Client {
    /// Makes a client that has asked for the endpoints of all clusters.
    pub async fn connect(port: u16, number: usize, clusters: usize) -> Self {
        let endpoint = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        // Envoy's windows.
        let endpoint = endpoint.initial_stream_window_size(16 << 20).initial_connection_window_size(24 << 20);
        let channel = endpoint.tcp_nodelay(true).connect().await.unwrap();
        let mut grpc = Grpc::new(channel).max_decoding_message_size(64 << 20);
        grpc.ready().await.unwrap();
        let (requests, outgoing) = mpsc::channel(1);
        let subscription = DeltaDiscoveryRequest {
            node: Some(Node { id: format!("node-{number}"), cluster: "fleet".to_owned(), ..Node::default() }),
            resource_names_subscribe: (0..clusters).map(super::server::cluster).collect(),
            ..request("")
        };
        requests.send(subscription).await.unwrap();
        let path = http::uri::PathAndQuery::from_static(DELTA_ADS);
        let answer = grpc.streaming(tonic::Request::new(ReceiverStream::new(outgoing)), path, Skimming).await.unwrap();
        Self { requests, responses: answer.into_inner(), bytes: 0 }
    }

    /// Returns the client once it has received this many resources and accepted them.
    pub async fn hears(mut self, resources: usize) -> Self {
        let mut heard = 0;
        while heard < resources {
            let response = self.responses.message().await.unwrap().expect("the stream goes on");
            heard += response.resources;
            self.bytes += response.bytes;
            self.requests.send(request(&response.nonce)).await.unwrap();
        }
        assert_eq!(heard, resources, "nothing is sent twice");
        self
    }
}

fn request(nonce: &str) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: ResourceType::Endpoints.type_url().to_owned(),
        response_nonce: nonce.to_owned(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// The parts of a response that the client reads.
struct Response {
    nonce: String,
    resources: usize,
    bytes: usize,
}

/// Writes requests as usual, and only skims responses.
struct Skimming;

impl Codec for Skimming {
    type Encode = DeltaDiscoveryRequest;
    type Decode = Response;
    type Encoder = <ProstCodec<DeltaDiscoveryRequest, ()> as Codec>::Encoder;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<DeltaDiscoveryRequest, ()>::default().encoder()
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Decoder for Skimming {
    type Item = Response;
    type Error = Status;

    /// `DeltaDiscoveryResponse` has only fields with a length. Field 2 is a resource, field 5 the
    /// nonce.
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Response>, Status> {
        let mut response = Response { nonce: String::new(), resources: 0, bytes: buffer.remaining() };
        while buffer.has_remaining() {
            let (field, wire_type) = decode_key(buffer).unwrap();
            assert_eq!(wire_type, WireType::LengthDelimited);
            let length = usize::try_from(decode_varint(buffer).unwrap()).unwrap();
            match field {
                5 => response.nonce = String::from_utf8(buffer.copy_to_bytes(length).to_vec()).unwrap(),
                field => {
                    response.resources += usize::from(field == 2);
                    buffer.advance(length);
                }
            }
        }
        Ok(Some(response))
    }
}
