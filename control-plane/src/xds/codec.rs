//! How requests are read from the wire.
//!
//! A request is looked over before it is decoded: a few bytes of protobuf may become a hundred times as many in memory
//! (an empty string takes two bytes on the wire), and what is too much is refused before it does.

use std::marker::PhantomData;

use bytes::{Buf, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, decode_key, skip_field},
};
use tonic::{
    Status,
    codec::{DecodeBuf, Decoder},
};

use super::{Variant, session::MOST_NAMES};

/// How long what a client says of itself, or of why it rejects, may be in one request. Envoy's node names its extensions,
/// which are some 100 kB.
const LONGEST_MESSAGE: usize = 1 << 20;

/// More than the names that one request can add, take out and hold.
const MOST_FIELDS: usize = 3 * MOST_NAMES + 16;

/// Reads the requests of a variant.
#[derive(Debug)]
pub(super) struct RequestDecoder<V>(PhantomData<V>);

impl<V> Default for RequestDecoder<V> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<V: Variant> Decoder for RequestDecoder<V> {
    type Item = V::Request;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<V::Request>, Status> {
        let request = buf.copy_to_bytes(buf.remaining());
        match look_over(request.clone(), V::MESSAGES) {
            Ok(true) => {}
            Ok(false) => {
                return Err(Status::resource_exhausted("the request has too many names, or too long a node or error"));
            }
            Err(error) => return Err(invalid(&error)),
        }
        V::Request::decode(request).map(Some).map_err(|error| invalid(&error))
    }
}

fn invalid(error: &DecodeError) -> Status {
    Status::invalid_argument(format!("the request cannot be read: {error}"))
}

/// Whether a request is small enough to be decoded. `messages` are the numbers of its fields that hold messages of any depth;
/// one that comes more than once is merged, so that all its parts count together.
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
    use legation_protos::{
        discovery::{DeltaDiscoveryRequest, DiscoveryRequest},
        pb::{envoy::config::core::v3::Node, google::rpc},
    };

    use super::*;
    use crate::xds::{delta::Delta, sotw::Sotw};

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

    #[test]
    fn bytes_that_are_no_message_are_an_error() {
        assert!(look_over(Bytes::from_static(b"\x0a\xff\xff\xff\xff\x0f"), Delta::MESSAGES).is_err());
    }
}
