//! The version of a resource: a hash of its fragment.

use std::{io, sync::Arc};

use legation_protos::ResourceType;
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use crate::model::Route;

/// A hash of the sources that shape resources. If a new build writes a resource differently, the
/// resource gets another version. `build.rs` sets it.
const BUILD: &str = env!("LEGATION_TRANSLATE_BUILD");

/// Returns the version of the resource that is made from a fragment: 16 hexadecimal digits.
pub(super) fn of(kind: ResourceType, fragment: &(impl Serialize + ?Sized)) -> Arc<str> {
    let mut hash = Hash(Xxh3Default::new());
    hash.0.update(kind.type_url().as_bytes());
    hash.0.update(BUILD.as_bytes());
    format!("{:016x}", hash.digest(fragment)).into()
}

/// Returns a short hash of a fragment, which does not depend on the build: 8 hexadecimal digits.
pub(super) fn mark(fragment: &(impl Serialize + ?Sized)) -> String {
    format!("{:08x}", Hash(Xxh3Default::new()).digest(fragment) >> 32)
}

/// Returns a hash of a route: 16 hexadecimal digits.
pub(super) fn mark_of_route(route: &Route) -> String {
    format!("{:016x}", Hash(Xxh3Default::new()).digest(route))
}

struct Hash(Xxh3Default);

impl Hash {
    fn digest(mut self, fragment: &(impl Serialize + ?Sized)) -> u64 {
        // Writing to a hash cannot fail, and every key of a fragment is a string. If that ever
        // changes, the version covers only the part before such a key. The test that every
        // fragment's version moves would show it.
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
