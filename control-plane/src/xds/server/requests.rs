//! Reads requests: from the frames of HTTP/2 to gRPC's messages to what a session takes.
//!
//! The stream's share of the budget holds the part of a request that has come, and nothing of a
//! request that is complete. (A library's buffer would stay as large as the stream's largest
//! request, for as long as the stream lives.)
//!
//! Each request is looked over before it is decoded, and refused if it is too large. A few bytes of
//! protobuf may become a hundred times as many in memory: an empty string takes two bytes on the
//! wire.

use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, decode_key, skip_field},
};
use tonic::{Status, codegen::StdError};

use super::{
    super::{Variant, session::MOST_NAMES},
    budget::Share,
};

/// How long the node and the reason of a rejection may be in one request. Envoy's node names its
/// extensions, which are some 100 kB.
const LONGEST_MESSAGE: usize = 1 << 20;

/// More than the names that one request can add, take out and hold.
const MOST_FIELDS: usize = 3 * MOST_NAMES + 16;

/// A frame of a message begins with a flag, which says whether it is compressed, and its length
/// (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;

/// The requests of a stream.
pub(super) struct Requests<V, B> {
    body: B,
    /// What has come of requests that were not taken yet.
    buffer: BytesMut,
    /// The largest request in bytes.
    limit: usize,
    share: Share,
    variant: PhantomData<V>,
}

impl<V: Variant, B: Body<Data = Bytes, Error: Into<StdError>> + Unpin> Requests<V, B> {
    /// The requests in a body, each of this size at most. The share holds the part of a request
    /// that has come.
    pub(super) fn new(body: B, limit: usize, share: Share) -> Self {
        Self { body, buffer: BytesMut::new(), limit, share, variant: PhantomData }
    }

    /// The next request; none if the client has said everything. A caller that drops the future
    /// loses nothing.
    ///
    /// # Errors
    /// The status to end the stream with.
    pub(super) async fn next(&mut self) -> Result<Option<V::Request>, Status> {
        loop {
            if let Some(request) = self.take()? {
                return read::<V>(request).map(Some);
            }
            let Some(frame) = self.body.frame().await else {
                return if self.buffer.is_empty() { Ok(None) } else { Err(Status::internal("a request is cut off")) };
            };
            if let Ok(data) = frame.map_err(|error| Status::from_error(error.into()))?.into_data() {
                self.share.add(data.len())?;
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    /// The first request, if it is complete.
    fn take(&mut self) -> Result<Option<Bytes>, Status> {
        let Some((mut prefix, rest)) = self.buffer.split_at_checked(PREFIX) else { return Ok(None) };
        let (flag, length) = (prefix.get_u8(), prefix.get_u32());
        if flag != 0 {
            return Err(Status::unimplemented("requests must not be compressed"));
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.limit {
            let limit = self.limit;
            return Err(Status::resource_exhausted(format!("a request has {length} bytes; at most {limit} are read")));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let mut request = self.buffer.split_to(PREFIX + length);
        request.advance(PREFIX);
        if self.buffer.is_empty() {
            // A part split off would keep the whole buffer alive.
            self.buffer = BytesMut::new();
        }
        self.share.set(self.buffer.len())?;
        Ok(Some(request.freeze()))
    }
}

fn read<V: Variant>(request: Bytes) -> Result<V::Request, Status> {
    match look_over(request.clone(), V::MESSAGES) {
        Ok(true) => V::Request::decode(request).map_err(|error| invalid(&error)),
        Ok(false) => Err(Status::resource_exhausted("the request has too many names, or too long a node or error")),
        Err(error) => Err(invalid(&error)),
    }
}

fn invalid(error: &DecodeError) -> Status {
    Status::invalid_argument(format!("the request cannot be read: {error}"))
}

/// Whether a request is small enough to decode. `messages` are the numbers of its fields that hold
/// messages of any depth. Decoding merges such a field that comes more than once, so all its parts
/// count together.
fn look_over(mut request: Bytes, messages: [u32; 2]) -> Result<bool, DecodeError> {
    let mut fields = 0;
    let mut bytes = 0;
    while request.has_remaining() {
        let before = request.remaining();
        let (number, wire_type) = decode_key(&mut request)?;
        skip_field(wire_type, number, &mut request, DecodeContext::default())?;
        fields += 1;
        if messages.contains(&number) {
            bytes += before - request.remaining();
        }
        if fields > MOST_FIELDS || bytes > LONGEST_MESSAGE {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use legation_protos::{
        discovery::{DeltaDiscoveryRequest, DiscoveryRequest},
        pb::{envoy::config::core::v3::Node, google::rpc},
    };

    use tonic::Code;

    use super::*;
    use crate::xds::{Delta, Sotw, server::budget::Budget};

    fn small_enough<V: Variant>(request: &impl Message) -> bool {
        look_over(request.encode_to_vec().into(), V::MESSAGES).unwrap()
    }

    #[test]
    fn as_many_names_as_are_served_may_come_and_not_many_more() {
        let asking = |count| DiscoveryRequest { resource_names: vec![String::new(); count], ..Default::default() };
        assert!(small_enough::<Sotw>(&asking(MOST_NAMES)));
        assert!(!small_enough::<Sotw>(&asking(4 * MOST_NAMES)));
    }

    #[test]
    fn a_long_node_or_error_is_refused_in_both_variants_also_in_parts() {
        let long = "x".repeat(LONGEST_MESSAGE);
        let node = |id: &str| Some(Node { id: id.to_owned(), ..Node::default() });
        let error = |message: &str| Some(rpc::Status { message: message.to_owned(), ..Default::default() });
        assert!(small_enough::<Sotw>(&DiscoveryRequest {
            node: node("a"),
            error_detail: error("b"),
            ..Default::default()
        }));
        assert!(!small_enough::<Sotw>(&DiscoveryRequest { node: node(&long), ..Default::default() }));
        assert!(!small_enough::<Sotw>(&DiscoveryRequest { error_detail: error(&long), ..Default::default() }));
        assert!(!small_enough::<Delta>(&DeltaDiscoveryRequest { node: node(&long), ..Default::default() }));
        assert!(!small_enough::<Delta>(&DeltaDiscoveryRequest { error_detail: error(&long), ..Default::default() }));
        let part = DeltaDiscoveryRequest { node: node(&long[..LONGEST_MESSAGE / 2]), ..Default::default() };
        let parts = part.encode_to_vec().repeat(3);
        assert!(!look_over(parts.into(), Delta::MESSAGES).unwrap());
    }

    /// The requests in these pieces of a body, and what ended them.
    async fn all_of(pieces: &[&[u8]], limit: usize) -> (Vec<DiscoveryRequest>, Result<(), Code>) {
        let frames = pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))));
        let body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()));
        let budget = Budget::new(1000);
        let mut requests = Requests::<Sotw, _>::new(body, limit, budget.share());
        let mut all = Vec::new();
        loop {
            match requests.next().await {
                Ok(Some(request)) => all.push(request),
                Ok(None) => return (all, Ok(())),
                Err(status) => return (all, Err(status.code())),
            }
        }
    }

    fn framed(names: &[&str]) -> Vec<u8> {
        let resource_names = names.iter().map(|name| (*name).to_owned()).collect();
        let body = DiscoveryRequest { resource_names, ..Default::default() }.encode_to_vec();
        [&[0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
    }

    #[tokio::test]
    async fn requests_are_whole_however_their_bytes_come() {
        let bytes = [framed(&["a", "b"]), framed(&[]), framed(&["c"])].concat();
        for size in [1, 2, 5, 7, bytes.len()] {
            let pieces = bytes.chunks(size).collect::<Vec<_>>();
            let (all, end) = all_of(&pieces, 100).await;
            assert_eq!(all.iter().map(|it| it.resource_names.concat()).collect::<Vec<_>>(), ["ab", "", "c"]);
            assert_eq!(end, Ok(()), "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_off_too_long_or_compressed_ends_the_stream() {
        let bytes = framed(&["a", "b"]);
        for (pieces, limit, code) in [
            (&bytes[..bytes.len() - 1], 100, Code::Internal),
            (&bytes[..3], 100, Code::Internal),
            (&[0, 0, 0, 0, 9][..], 8, Code::ResourceExhausted),
            (&[1, 0, 0, 0, 0][..], 8, Code::Unimplemented),
            (&[0, 0, 0, 0, 1, 255][..], 8, Code::InvalidArgument),
        ] {
            assert_eq!(all_of(&[pieces], limit).await, (Vec::new(), Err(code)));
        }
        let long = [0; 1001];
        assert_eq!(all_of(&[&[0, 0, 1, 0, 0], &long], 1 << 20).await.1, Err(Code::ResourceExhausted), "the budget");
    }

    #[test]
    fn bytes_that_are_no_message_are_an_error() {
        assert!(look_over(Bytes::from_static(b"\x0a\xff\xff\xff\xff\x0f"), Delta::MESSAGES).is_err());
    }
}
