//! CSDS: the clients and how each stands, for tools that speak gRPC (C1).
//!
//! The server answers each request once, with the clients that it asks for, or all. It never shows
//! the contents of resources.

use std::{pin::Pin, sync::Arc};

use legation_protos::pb::envoy::{
    service::status::v3::{
        ClientConfig, ClientStatusRequest, ClientStatusResponse,
        client_status_discovery_service_server::ClientStatusDiscoveryService,
    },
    r#type::matcher::v3::{NodeMatcher, StringMatcher, string_matcher::MatchPattern},
};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// The name of the service.
pub(super) const SERVICE: &str = "envoy.service.status.v3.ClientStatusDiscoveryService";

/// Knows the clients.
pub trait Clients: Send + Sync {
    /// All connected clients, each once.
    fn client_configs(&self) -> Vec<ClientConfig>;
}

/// The service.
pub(super) struct Csds(pub(super) Arc<dyn Clients>);

#[tonic::async_trait]
impl ClientStatusDiscoveryService for Csds {
    type StreamClientStatusStream = Pin<Box<dyn Stream<Item = Result<ClientStatusResponse, Status>> + Send>>;

    async fn stream_client_status(
        &self,
        request: Request<Streaming<ClientStatusRequest>>,
    ) -> Result<Response<Self::StreamClientStatusStream>, Status> {
        let clients = self.0.clone();
        let answers = request.into_inner().map(move |request| answer(&*clients, &request?));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn fetch_client_status(
        &self,
        request: Request<ClientStatusRequest>,
    ) -> Result<Response<ClientStatusResponse>, Status> {
        answer(&*self.0, request.get_ref()).map(Response::new)
    }
}

fn answer(clients: &dyn Clients, request: &ClientStatusRequest) -> Result<ClientStatusResponse, Status> {
    let patterns = request.node_matchers.iter().map(Pattern::of).collect::<Result<Vec<_>, _>>()?;
    let mut config = clients.client_configs();
    config.retain(|client| {
        let id = client.node.as_ref().map_or("", |node| &node.id);
        // One match is enough (`csds.proto`, node_matchers).
        patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(id))
    });
    Ok(ClientStatusResponse { config })
}

/// What a request asks of a node's id.
struct Pattern {
    ignore_case: bool,
    /// `None` matches any id.
    pattern: Option<MatchPattern>,
}

impl Pattern {
    fn of(matcher: &NodeMatcher) -> Result<Self, Status> {
        if !matcher.node_metadatas.is_empty() {
            return Err(Status::invalid_argument("nodes are matched by node_id only: their metadata is not kept"));
        }
        let Some(StringMatcher { ignore_case, match_pattern }) = matcher.node_id.clone() else {
            return Ok(Self { ignore_case: false, pattern: None });
        };
        let pattern = match match_pattern {
            Some(MatchPattern::Exact(text)) => MatchPattern::Exact(folded(&text, ignore_case)),
            Some(MatchPattern::Prefix(text)) => MatchPattern::Prefix(folded(&text, ignore_case)),
            Some(MatchPattern::Suffix(text)) => MatchPattern::Suffix(folded(&text, ignore_case)),
            Some(MatchPattern::Contains(text)) => MatchPattern::Contains(folded(&text, ignore_case)),
            _ => return Err(Status::invalid_argument("node_id is matched by exact, prefix, suffix or contains")),
        };
        Ok(Self { ignore_case, pattern: Some(pattern) })
    }

    fn matches(&self, id: &str) -> bool {
        let id = folded(id, self.ignore_case);
        match &self.pattern {
            None => true,
            Some(MatchPattern::Exact(text)) => id == *text,
            Some(MatchPattern::Prefix(text)) => id.starts_with(text.as_str()),
            Some(MatchPattern::Suffix(text)) => id.ends_with(text.as_str()),
            Some(MatchPattern::Contains(text)) => id.contains(text.as_str()),
            // `of` refuses it.
            Some(_) => false,
        }
    }
}

fn folded(text: &str, ignore_case: bool) -> String {
    if ignore_case { text.to_lowercase() } else { text.to_owned() }
}
