//! All resources of one generation, encoded once for all streams.

use std::sync::Arc;

use legation_protos::ResourceType;

mod collection;
mod resource;

pub use collection::{Collection, Form, Parcel};
pub use resource::{Resource, Resources};

/// All resources of one generation. A snapshot never changes; the next generation is another
/// snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    generation: u64,
    retries: bool,
    kinds: [Arc<Collection>; ResourceType::COUNT],
}

impl Snapshot {
    /// Makes a snapshot of resources in any order. Of two with the same kind and name the later one
    /// stays.
    pub fn new(generation: u64, resources: impl IntoIterator<Item = (ResourceType, Resource)>) -> Self {
        let mut kinds = <[Resources; ResourceType::COUNT]>::default();
        for (kind, resource) in resources {
            if let Some(of_kind) = kinds.get_mut(kind.index()) {
                of_kind.insert(resource.name.clone(), Arc::new(resource));
            }
        }
        Self { generation, retries: false, kinds: kinds.map(|of_kind| Arc::new(Collection::new(of_kind))) }
    }

    /// Returns the same resources as another generation.
    #[must_use]
    pub fn at(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// The same resources. Clients that rejected some of them before try again.
    #[must_use]
    pub fn retried(self) -> Self {
        Self { retries: true, ..self }
    }

    /// Whether the server sends clients again what they rejected of an earlier generation.
    pub fn retries(&self) -> bool {
        self.retries
    }

    /// The generation, from 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns all resources of a kind, sorted by name.
    pub fn resources(&self, kind: ResourceType) -> &Resources {
        self.collection(kind).resources()
    }

    /// All resources of a kind, with their differences and encodings.
    pub fn collection(&self, kind: ResourceType) -> &Arc<Collection> {
        // `index` is below COUNT by construction; the fallback only spares an indexing that could
        // panic.
        let [first, ..] = &self.kinds;
        self.kinds.get(kind.index()).unwrap_or(first)
    }

    /// Returns one resource.
    pub fn get(&self, kind: ResourceType, name: &str) -> Option<&Arc<Resource>> {
        self.resources(kind).get(name)
    }

    /// The listeners that another snapshot changes or lacks. Envoy drains them when it goes over to
    /// that snapshot.
    pub fn drained_by<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = &'a str> {
        let listeners = self.resources(ResourceType::Listener).iter();
        let stays = |name: &str, version: &str| {
            next.get(ResourceType::Listener, name).is_some_and(|after| *after.version == *version)
        };
        listeners.filter(move |(name, before)| !stays(name, &before.version)).map(|(name, _)| &**name)
    }

    /// Returns whether both have the same resources, whatever their generations and places in the
    /// file.
    pub fn same_resources(&self, other: &Self) -> bool {
        self.kinds.iter().zip(&other.kinds).all(|(a, b)| {
            let (a, b) = (a.resources(), b.resources());
            a.len() == b.len() && a.iter().zip(b).all(|((an, ar), (bn, br))| an == bn && ar.version == br.version)
        })
    }
}
