//! One route in Envoy's form. Each word of the file has a module that applies it to the route.

use std::collections::HashMap;

use legation_filter::config::Policy;
use legation_protos::{
    pack,
    pb::{
        envoy::config::{
            core::v3::Metadata,
            route::v3::{FilterConfig, Route, RouteAction, route},
        },
        google::protobuf::{Any, Struct, Value, value},
    },
};

use super::FILTER_NAME;
use crate::{
    model::{self, Action, route::Features},
    route_features::route_features,
};

mod action;
mod r#match;

/// A route in the making.
pub(super) struct Draft<'a> {
    /// The route that it is made from.
    route: &'a model::Route,
    /// The listener that serves it.
    listener: &'a model::Listener,
    /// The action that forwards requests. `None` if Envoy answers by itself.
    forward: Option<RouteAction>,
    /// The configurations that turn filters of the chain on, by the filters' names.
    filters: HashMap<String, Any>,
}

impl Draft<'_> {
    /// Turns on, for this route, a filter that is disabled in the chain.
    fn turn_on(&mut self, filter: &str, config: Any) {
        let config = pack(&FilterConfig { config: Some(config), ..FilterConfig::default() });
        self.filters.insert(filter.to_owned(), config);
    }
}

/// A word of the file. Each does at least one of these.
trait Word {
    /// What the word means on a route.
    type Meaning;

    /// Applies the word to the route.
    fn apply(_: &Self::Meaning, _: &mut Draft<'_>) {}

    /// Writes into the route's policy what the gateway filter is to do.
    fn ask(_: &Self::Meaning, _: &mut Policy) {}
}

macro_rules! features {
    ($($word:ident),* $(,)?) => {
        $(pub(super) mod $word;)*

        fn apply(features: &Features, draft: &mut Draft<'_>) {
            let Features { $($word),* } = features;
            $($word::Feature::apply($word, draft);)*
        }

        fn ask(features: &Features, policy: &mut Policy) {
            let Features { $($word),* } = features;
            $($word::Feature::ask($word, policy);)*
        }
    };
}
route_features!(features);

/// Returns the policy by which the gateway filter judges a route's requests. `None` if no word of
/// the route asks anything of the filter.
pub fn policy(route: &model::Route) -> Option<Policy> {
    let nothing = Policy { name: route.name.clone(), ..Policy::default() };
    let mut policy = nothing.clone();
    ask(&route.features, &mut policy);
    Some(policy).filter(|policy| *policy != nothing)
}

/// Returns the route for one of its listeners.
pub(super) fn build(route: &model::Route, listener: &model::Listener) -> Route {
    let forward = match &route.action {
        Action::Forward(forward) => Some(action::forward(&route.matcher.path, forward)),
        Action::Respond { .. } => None,
    };
    let mut draft = Draft { route, listener, forward, filters: HashMap::new() };
    apply(&route.features, &mut draft);
    let policy = policy(route);
    if policy.is_some() {
        draft.turn_on(FILTER_NAME, Any::default());
    }
    let Draft { forward, filters, .. } = draft;
    let action = match &route.action {
        Action::Forward(_) => forward.map(route::Action::Route),
        Action::Respond { status, body } => Some(route::Action::DirectResponse(action::respond(*status, body))),
    };
    Route {
        name: route.name.clone(),
        r#match: Some(r#match::matcher(&route.matcher)),
        action,
        metadata: policy.as_ref().map(carrying),
        typed_per_filter_config: filters,
        ..Route::default()
    }
}

/// Returns the metadata from which the filter reads the policy. Envoy thus gets a route and its
/// policy in one update. No request is judged by another route's policy, nor by an older or newer
/// one, whatever is renamed, moved or slow.
fn carrying(policy: &Policy) -> Metadata {
    let text = serde_json::to_string(policy).unwrap_or_default();
    let text = Value { kind: Some(value::Kind::StringValue(text)) };
    let fields = Struct { fields: HashMap::from([("policy".to_owned(), text)]) };
    Metadata { filter_metadata: HashMap::from([(FILTER_NAME.to_owned(), fields)]), ..Metadata::default() }
}
