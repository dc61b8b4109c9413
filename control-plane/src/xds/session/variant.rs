//! What the two variants of the protocol have in common, as a session sees them.

use std::{collections::BTreeMap, fmt, iter::Sum, ops::Add, sync::Arc};

use legation_protos::{ResourceType, pb::envoy::config::core::v3::Node};

use super::subscription::{Change, Subscription, WILDCARD};
use crate::snapshot::{Form, Resource};

/// The server's name in responses.
pub(super) const IDENTIFIER: &str = "legation";

/// A variant of the protocol: how to read requests and write responses. A session is the same for
/// both.
pub trait Variant: Send + 'static {
    /// The client's message.
    type Request: prost::Message + Default + 'static;
    /// The server's message.
    type Response: prost::Message + Default + 'static;

    /// Its name.
    const NAME: VariantName;

    /// The numbers of the request's fields for the node and for the reason of a rejection
    /// (`discovery.proto`).
    const MESSAGES: [u32; 2];

    /// Reads a request.
    fn read(request: Self::Request) -> Ask;

    /// The message around a resource in a response.
    const FORM: Form;

    /// Writes a response without its resources. `generation` is for people who debug, where the
    /// variant has room for it.
    fn write(kind: ResourceType, update: &Update, nonce: &str, generation: u64) -> Self::Response;
}

/// The name of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantName {
    /// State of the world.
    Sotw,
    /// Delta, also called incremental.
    Delta,
}

impl VariantName {
    /// Returns whether the variant can tell a client that resources of this kind are gone.
    pub fn removes(self, kind: ResourceType) -> bool {
        match self {
            // A response that always holds all resources can leave them out (S3). The other kinds
            // have no way to say it.
            Self::Sotw => self.whole(kind),
            // A listener whose filter's configuration is removed answers 500 at once, and some
            // Envoys reject a removed secret (D13). A client that does not need one any more
            // unsubscribes by itself.
            Self::Delta => !matches!(kind, ResourceType::Extension | ResourceType::Secret),
        }
    }

    /// Returns whether a response has everything that the client should have, not only changes
    /// (S1).
    pub fn whole(self, kind: ResourceType) -> bool {
        self == Self::Sotw && kind.has_wildcard()
    }
}

impl fmt::Display for VariantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sotw => "sotw",
            Self::Delta => "delta",
        })
    }
}

/// A request of either variant.
#[derive(Debug)]
pub struct Ask {
    /// The client, if the request names it.
    pub node: Option<Node>,
    /// The kind of resource.
    pub type_url: String,
    /// The nonce of the response that this answers. May be empty.
    pub nonce: String,
    /// Why the client rejected that response, if it did.
    pub error: Option<String>,
    /// Whether the client claims to hold resources of the kind. The first request of a stream says
    /// so: in delta by their versions, in state of the world by the last version.
    pub holds: bool,
    /// The names in the request.
    pub names: Names,
}

/// The subscription as a request states it.
#[derive(Debug)]
pub enum Names {
    /// State of the world: the whole subscription.
    All(Vec<String>),
    /// Delta: the changes.
    Change {
        /// Names to add.
        subscribe: Vec<String>,
        /// Names to remove.
        unsubscribe: Vec<String>,
        /// What the client holds from an earlier stream: name to version.
        initial: BTreeMap<String, String>,
    },
}

impl Names {
    /// Whether they contain the name that stands for all resources.
    pub fn wildcard(&self) -> bool {
        let (Self::All(names) | Self::Change { subscribe: names, .. }) = self;
        names.iter().any(|name| name == WILDCARD)
    }

    /// Returns the size of the names that they ask for.
    pub fn asked(&self) -> Size {
        let (Self::All(names) | Self::Change { subscribe: names, .. }) = self;
        names.iter().map(|name| Size::of(name)).sum()
    }

    /// Returns the length of the longest name or version, in bytes.
    pub fn longest(&self) -> usize {
        let longest = |names: &[String]| names.iter().map(String::len).max().unwrap_or_default();
        match self {
            Self::All(names) => longest(names),
            Self::Change { subscribe, unsubscribe, initial } => {
                let held = initial.iter().map(|(name, version)| name.len().max(version.len())).max();
                longest(subscribe).max(longest(unsubscribe)).max(held.unwrap_or_default())
            }
        }
    }

    /// Whether they replace what the client asked for before.
    pub fn replaces(&self) -> bool {
        matches!(self, Self::All(_))
    }

    /// Changes a subscription. Returns what changed, and what the client says that it holds.
    pub fn apply(self, subscription: &mut Subscription, kind: ResourceType) -> (Change, BTreeMap<String, String>) {
        let first = !subscription.asked();
        match self {
            Self::All(names) => (subscription.replace(names, kind.has_wildcard()), BTreeMap::new()),
            Self::Change { subscribe, unsubscribe, initial } => {
                let change = subscription.change(subscribe, unsubscribe, kind.has_wildcard());
                // Only the first request of a kind may claim this (D9).
                (change, if first { initial } else { BTreeMap::new() })
            }
        }
    }
}

/// The size of some names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The number of names.
    pub count: usize,
    /// Their length together, in bytes.
    pub bytes: usize,
}

impl Size {
    /// The size of one name.
    pub fn of(name: &str) -> Self {
        Self { count: 1, bytes: name.len() }
    }
}

impl Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { count: self.count + other.count, bytes: self.bytes + other.bytes }
    }
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), Add::add)
    }
}

/// What a response brings.
#[derive(Debug, Default)]
pub struct Update {
    /// Resources that the client lacks or has at another version, sorted by name.
    pub changed: Vec<Arc<Resource>>,
    /// Names of resources that are gone.
    pub removed: Vec<Arc<str>>,
    /// State of the world: everything that the client should have then, sorted by name. Empty in
    /// delta.
    pub all: Vec<Arc<Resource>>,
}

impl Update {
    /// Returns whether it changes and removes nothing.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}
