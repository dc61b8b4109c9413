//! What a session tells the rest of the control plane: which node is there, what it was sent, and
//! what it answered.

use std::{fmt, sync::Arc};

use legation_protos::{
    ResourceType,
    pb::envoy::config::core::v3::{Node, node::UserAgentVersionType},
};

use super::VariantName;
use crate::snapshot::Resource;

/// Hears what happens on all streams. The streams' tasks call it, so it must not block.
pub trait Observer: Send + Sync {
    /// Something happened on a stream. The first event of every stream is [`Event::Opened`].
    fn event(&self, stream: StreamId, event: Event);

    /// The stream ended, and nothing follows. Each stream that was opened ends once.
    fn closed(&self, stream: StreamId);
}

/// A stream, numbered from 1 since the server's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that happened on a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The client said who it is.
    Opened {
        /// The node.
        node: NodeInfo,
        /// The protocol's variant that it speaks.
        variant: VariantName,
    },
    /// The client asked for a kind of resource for the first time.
    Subscribed {
        /// The kind.
        kind: ResourceType,
    },
    /// A response went out.
    Sent {
        /// The kind that it brings.
        kind: ResourceType,
        /// The generation that it brings, or brings a part of.
        generation: u64,
        /// How many resources it carries.
        resources: usize,
        /// How many names it removes: by name in delta, by leaving them out in state of the world.
        removed: usize,
        /// The size of the resources in bytes, as they are sent.
        bytes: usize,
    },
    /// The client accepted a response, or a new generation changed nothing of this kind for it.
    Acked {
        /// The kind.
        kind: ResourceType,
        /// The generation that the client has.
        generation: u64,
    },
    /// The client rejected a response, or a new generation still holds what it rejected. The
    /// session does not send that again.
    Nacked(Arc<Rejection>),
    /// The client has all that it subscribed to of this generation, and accepted it.
    Confirmed {
        /// The generation. After a roll-back it is older than the one before.
        generation: u64,
    },
}

/// What a client rejected, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The kind of the rejected resources.
    pub kind: ResourceType,
    /// The generation that they are a part of.
    pub generation: u64,
    /// The client's words.
    pub message: String,
    /// The resource that the client blames, where that is known. The client may have applied
    /// others of the response all the same.
    pub culprit: Option<Arc<Resource>>,
}

/// The resource that a rejection is about. It is the one that the client's words name, the longest
/// name where one is part of another; or the only resource there was.
pub(super) fn culprit<'a>(message: &str, resources: &'a [Arc<Resource>]) -> Option<&'a Arc<Resource>> {
    let named = resources.iter().filter(|resource| names(message, &resource.name));
    named.max_by_key(|resource| resource.name.len()).or(match resources {
        [only] => Some(only),
        _ => None,
    })
}

/// Whether a name stands in a message by itself, not as a part of a word.
fn names(message: &str, name: &str) -> bool {
    let part_of_a_word = |character: Option<char>| character.is_some_and(|it| it.is_alphanumeric() || it == '_');
    message.match_indices(name).any(|(at, _)| {
        let (before, after) = (message.get(..at).unwrap_or(""), message.get(at + name.len()..).unwrap_or(""));
        !part_of_a_word(before.chars().next_back()) && !part_of_a_word(after.chars().next())
    })
}

/// Who a client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// The node's id, never empty.
    pub id: String,
    /// The node's cluster; may be empty.
    pub cluster: String,
    /// The client's version, `1.40.0`; empty if it does not say.
    pub build_version: String,
}

impl From<Node> for NodeInfo {
    fn from(node: Node) -> Self {
        let build_version = match node.user_agent_version_type {
            Some(UserAgentVersionType::UserAgentVersion(version)) => version,
            Some(UserAgentVersionType::UserAgentBuildVersion(build)) => build
                .version
                .map(|version| format!("{}.{}.{}", version.major_number, version.minor_number, version.patch))
                .unwrap_or_default(),
            None => String::new(),
        };
        Self { id: node.id, cluster: node.cluster, build_version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;

    fn blamed(message: &str, names: &[&str]) -> Option<String> {
        let resource = |name: &&str| {
            let origin = Origin { file: "gateway.yaml".into(), line: 1, column: 1 };
            let (name, body) = ((*name).into(), name.to_string().into());
            Arc::new(Resource { name, version: "1".into(), body, origin, service_name: None })
        };
        let resources: Vec<_> = names.iter().map(resource).collect();
        culprit(message, &resources).map(|resource| resource.name.to_string())
    }

    #[test]
    fn the_culprit_is_what_the_message_names_as_a_whole_word_the_longest_first() {
        let message = "Error adding/updating listener(s) http-2: cannot bind '0.0.0.0:80': Address already in use";
        assert_eq!(blamed(message, &["http", "http-2", "in"]), Some("http-2".to_owned()));
        assert_eq!(blamed(message, &["a", "list", "bin"]), None);
        assert_eq!(blamed("something is wrong", &["only"]), Some("only".to_owned()));
    }
}
