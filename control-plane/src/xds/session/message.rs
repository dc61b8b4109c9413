//! A response, encoded except for its resources, which all streams share.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::snapshot::Parcel;

/// A response.
#[derive(Clone, Debug)]
pub struct Message {
    /// All fields but the resources, encoded. The fields of a protobuf message may come in any
    /// order, and in pieces.
    head: Bytes,
    parcel: Arc<Parcel>,
}

/// A frame of a gRPC message begins with a flag, here "not compressed", and its length (gRPC over
/// HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;

/// Up to this size in bytes, a message copies the resources and sends no frame of their own.
const WORTH_SHARING: usize = 4096;

impl Message {
    /// Makes a response of its resources and of these other fields.
    pub(super) fn new(head: &impl prost::Message, parcel: Arc<Parcel>) -> Self {
        Self { head: head.encode_to_vec().into(), parcel }
    }

    /// The message as a client reads it.
    ///
    /// # Errors
    ///
    /// The bytes are no such message.
    pub fn read<Response: prost::Message + Default>(&self) -> Result<Response, prost::DecodeError> {
        Response::decode([&*self.head, &*self.parcel.bytes].concat().as_slice())
    }

    /// Returns the message in its gRPC frame, in pieces.
    ///
    /// # Errors
    ///
    /// The message is larger than a frame can be, 4 GiB.
    pub fn frames(self) -> Result<Vec<Bytes>, std::num::TryFromIntError> {
        let body = &self.parcel.bytes;
        let length = u32::try_from(self.head.len() + body.len())?;
        let copied = if body.len() <= WORTH_SHARING { body.len() } else { 0 };
        let mut first = BytesMut::with_capacity(PREFIX + self.head.len() + copied);
        first.put_u8(0);
        first.put_u32(length);
        first.put_slice(&self.head);
        if copied == body.len() {
            first.put_slice(body);
            return Ok(vec![first.freeze()]);
        }
        Ok(vec![first.freeze(), body.clone()])
    }
}
