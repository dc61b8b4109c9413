//! One route in Envoy's form. Each word of the file has a module that applies it to the route.

use std::collections::HashMap;

use legation_protos::{
    pack,
    pb::{
        envoy::config::{
            core::v3::Metadata,
            route::v3::{FilterConfig, Route, RouteAction, route},
        },
        google::protobuf::Any,
    },
};

use crate::{
    model::{self, Action, route::Features},
    route_features::route_features,
};

mod action;
mod r#match;
mod policy;

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
    /// The metadata that filters of the chain read.
    metadata: Option<Metadata>,
}

impl Draft<'_> {
    /// Turns on, for this route, a filter that is disabled in the chain.
    fn turn_on(&mut self, filter: &str, config: Any) {
        let config = pack(&FilterConfig { config: Some(config), ..FilterConfig::default() });
        self.filters.insert(filter.to_owned(), config);
    }
}

macro_rules! features {
    ($($word:ident),* $(,)?) => {
        $(pub(super) mod $word;)*

        /// Applies each word of the file to the route.
        fn apply(features: &Features, draft: &mut Draft<'_>) {
            let Features { $($word),* } = features;
            $($word::apply($word, draft);)*
        }
    };
}
route_features!(features);

/// Returns the route for one of its listeners.
pub(super) fn build(route: &model::Route, listener: &model::Listener) -> Route {
    let forward = match &route.action {
        Action::Forward(forward) => Some(action::forward(&route.matcher.path, forward)),
        Action::Respond { .. } => None,
    };
    let mut draft = Draft { route, listener, forward, filters: HashMap::new(), metadata: None };
    apply(&route.features, &mut draft);
    let Draft { forward, filters, metadata, .. } = draft;
    let action = match &route.action {
        Action::Forward(_) => forward.map(route::Action::Route),
        Action::Respond { status, body } => Some(route::Action::DirectResponse(action::respond(*status, body))),
    };
    Route {
        name: route.name.clone(),
        r#match: Some(r#match::matcher(&route.matcher)),
        action,
        metadata,
        typed_per_filter_config: filters,
        ..Route::default()
    }
}
