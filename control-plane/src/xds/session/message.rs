//! A response whose resources are shared with other streams.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::snapshot::Parcel;

/// A response.
#[derive(Clone, Debug)]
pub struct Message {
    /// All fields except the resources, encoded. Fields of a protobuf message may come in any order
    /// and in pieces.
    head: Bytes,
    parcel: Arc<Parcel>,
}

/// The bytes before a gRPC message: a flag, here "not compressed", and the length (gRPC over
/// HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;

/// Resources up to this size, in bytes, are copied. Larger ones get a frame of their own.
const WORTH_SHARING: usize = 4096;

impl Message {
    /// Makes a response of its resources and of these other fields.
    pub(super) fn new(head: &impl prost::Message, parcel: Arc<Parcel>) -> Self {
        Self { head: head.encode_to_vec().into(), parcel }
    }

    /// Decodes the response as a client does.
    ///
    /// # Errors
    ///
    /// The message is of another type.
    pub fn read<Response: prost::Message + Default>(&self) -> Result<Response, prost::DecodeError> {
        Response::decode([&*self.head, &*self.parcel.bytes].concat().as_slice())
    }

    /// Returns the message in its gRPC frame, in pieces.
    ///
    /// # Errors
    ///
    /// It is larger than a frame can be, 4 GiB.
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
