//! One route, as Envoy gets it. What each word of the file does to it is in the word's own module.

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
    /// What it is made from.
    route: &'a model::Route,
    /// The listener whose routes it is one of.
    listener: &'a model::Listener,
    /// Where requests go. `None` where the gateway answers by itself.
    forward: Option<RouteAction>,
    /// What turns filters of the chain on, by their names there.
    filters: HashMap<String, Any>,
    /// What filters of the chain read from the route.
    metadata: Option<Metadata>,
}

impl Draft<'_> {
    /// Has the filter of this name in the chain, which is disabled there, see the route's requests.
    fn turn_on(&mut self, filter: &str, config: Any) {
        let config = pack(&FilterConfig { config: Some(config), ..FilterConfig::default() });
        self.filters.insert(filter.to_owned(), config);
    }
}

macro_rules! features {
    ($($word:ident),* $(,)?) => {
        $(pub(super) mod $word;)*

        /// What each word of the file does to the route.
        fn apply(features: &Features, draft: &mut Draft<'_>) {
            let Features { $($word),* } = features;
            $($word::apply($word, draft);)*
        }
    };
}
route_features!(features);

/// The route as one of this listener's.
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
