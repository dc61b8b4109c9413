//! The version of a resource: a hash of what it was made from.

use std::{io, sync::Arc};

use legation_protos::ResourceType;
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use crate::model::Route;

/// Changes whenever the sources that shape resources change, so that a new build that would write a resource otherwise
/// gives it another version. Set by `build.rs`.
const BUILD: &str = env!("LEGATION_TRANSLATE_BUILD");

/// The version of the resource of a kind made from a fragment: 16 hexadecimal digits.
pub(super) fn of(kind: ResourceType, fragment: &(impl Serialize + ?Sized)) -> Arc<str> {
    let mut hash = Hash(Xxh3Default::new());
    hash.0.update(kind.type_url().as_bytes());
    hash.0.update(BUILD.as_bytes());
    format!("{:016x}", hash.digest(fragment)).into()
}

/// What tells two fragments apart, whatever the build: 8 hexadecimal digits.
pub(super) fn mark(fragment: &(impl Serialize + ?Sized)) -> String {
    format!("{:08x}", Hash(Xxh3Default::new()).digest(fragment) >> 32)
}

/// What a route says, in 16 hexadecimal digits.
pub(super) fn mark_of_route(route: &Route) -> String {
    format!("{:016x}", Hash(Xxh3Default::new()).digest(route))
}

struct Hash(Xxh3Default);

impl Hash {
    fn digest(mut self, fragment: &(impl Serialize + ?Sized)) -> u64 {
        // Writing to a hash cannot fail, and no fragment has a key that is not a string. Should one ever have, its resource
        // keeps the version of the part before it: seen at once by the test that every fragment's version moves.
        let _ = serde_json::to_writer(&mut self, fragment);
        self.0.digest()
    }
}

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
