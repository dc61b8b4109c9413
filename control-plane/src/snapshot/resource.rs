//! One resource, encoded.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;

use crate::origin::Origin;

/// One resource, encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name, unique among resources of its kind.
    pub name: Arc<str>,
    /// A hash of the resource's source: equal across restarts and replicas as long as the resource
    /// means the same.
    pub version: Arc<str>,
    /// The encoded message, without the `Any` around it.
    pub body: Bytes,
    /// Its place in the file, for rejections.
    pub origin: Origin,
    /// The name of a cluster's endpoints in EDS (`service_name`), where that is not the cluster's
    /// own.
    pub service_name: Option<Arc<str>>,
}

impl Resource {
    /// The name of a cluster's endpoints in EDS.
    pub fn endpoints(&self) -> &Arc<str> {
        self.service_name.as_ref().unwrap_or(&self.name)
    }
}

/// Leaves the body out, since it may hold a private key.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, body, origin, .. } = self;
        write!(f, "{name} {version} ({} bytes, {origin})", body.len())
    }
}

/// The resources of one kind, by name.
pub type Resources = BTreeMap<Arc<str>, Arc<Resource>>;
