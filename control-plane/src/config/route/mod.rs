//! `routes`: which request goes where, and on what terms. Each feature of a route has a room of
//! its own, see [`route_features`].

mod action;
mod hosts;
mod listeners;
mod r#match;
mod rerouting;
mod rewrite;
mod shadow;
mod unsaid_stream;

pub use rate_limit::RateLimit;

use legation_filter::config;

use self::{
    action::{Respond, WeightedCluster},
    r#match::Match,
    rewrite::Rewrite,
};
use super::{
    clashes,
    cluster::Cluster,
    code,
    decode::{self, Field, List, Part, Said, mapping},
    describe,
    file::{File, Known},
    leaf::{
        self, Name, Named, Ref,
        name::{self, Kind},
    },
    listener::Listener,
    node::{Entry, Span},
    report::Report,
};
use crate::{
    model,
    route_features::{PLANNED, route_features},
};

mapping! {
    /// A route takes the requests that match, and says what becomes of them. The most specific
    /// route wins, wherever it stands: exact hosts come before longer wildcards, these before any
    /// host; then exact paths come before prefixes, longer prefixes before shorter ones, then more
    /// conditions before fewer.
    Route, "a route", "{name: api, match: {prefix: /api}, cluster: svc}" {
        /// The route's name. Access logs and metrics use it.
        required name: Name<Route>,
        /// The listeners that serve the route. Without it, all of the file's listeners do.
        optional listeners: List<Ref<Listener>>,
        /// The hosts whose requests the route takes: `api.example.com`, `*.example.com`. Case and
        /// port do not count. Without it, the route takes the requests of any host.
        optional hosts: List<leaf::Host>,
        /// Which requests the route takes.
        required r#match: Match,
        /// The cluster that the requests go to.
        optional cluster: Ref<Cluster>,
        /// The clusters that share the requests.
        optional clusters: List<WeightedCluster>,
        /// What the gateway answers by itself.
        optional respond: Respond,
        /// What changes in a request on its way to the cluster.
        optional rewrite: Rewrite,
    }
    one_of: cluster clusters respond;
    part: features: Features;
    planned: redirect aggregate;
}

impl Named for Route {
    const KIND: Kind = Kind::plain("route", code::INVALID_VALUE);

    fn name(&self) -> &Field<Name<Self>> {
        &self.name
    }
}

/// A header that a feature changes or takes away once a route is chosen.
pub struct Edit {
    /// Its name in lower case.
    pub header: String,
    /// The place in the file that has it changed.
    pub at: Span,
    /// What happens to it once a route is chosen, as the end of a sentence. `{}` stands for the
    /// route and the place.
    pub why: &'static str,
    /// What to write instead of a condition on it.
    pub help: &'static str,
}

/// The rules of a feature. Most need only the first.
trait Rules {
    /// What the feature means on a route.
    type Meaning;

    /// What the route says. `None` where that is wrong, which is then reported.
    fn resolve(route: &Said<Route>, known: &Known<'_>, report: &mut Report) -> Option<Self::Meaning>;

    /// The request headers that the feature changes or takes away.
    fn edits(_: &Features) -> Vec<Edit> {
        Vec::new()
    }

    /// The clusters that the feature sends requests to.
    fn clusters(_: &Features) -> Vec<&Said<Ref<Cluster>>> {
        Vec::new()
    }
}

/// Declares what the schema and the reference say of a feature, and the type that it is read as.
macro_rules! shape {
    ($(#[doc = $doc:literal])* $type:ty) => {
        /// The feature, as the one that has [`Rules`](super::Rules).
        pub enum Feature {}
        /// How the feature is written.
        pub type Shape = $type;
        /// What the schema and the reference say of it.
        pub const ABOUT: &str = concat!($($doc, "\n"),*);
    };
}
use shape;

macro_rules! features {
    ($($word:ident),* $(,)?) => {
        $(mod $word;)*

        /// The features of a route, as they are written.
        #[derive(Debug, Default)]
        pub struct Features {
            $(
                #[doc = concat!("`", stringify!($word), "`.")]
                pub $word: Field<$word::Shape>,
            )*
        }

        impl Part for Features {
            const NAMES: &'static [&'static str] = &[$(decode::word(stringify!($word))),*];
            const PLANNED: &'static [&'static str] = PLANNED;

            fn take(&mut self, entry: &Entry, report: &mut Report) -> bool {
                match entry.key.as_str() {
                    $( key if key == const { decode::word(stringify!($word)) } => {
                        self.$word = Field::decode(entry, report);
                    } )*
                    _ => return false,
                }
                true
            }

            fn fields() -> Vec<describe::Field> {
                vec![$( describe::Field {
                    name: decode::word(stringify!($word)),
                    doc: $word::ABOUT,
                    required: false,
                    default: None,
                    shape: <$word::Shape as decode::Decode>::shape(),
                } ),*]
            }
        }

        impl Features {
            /// The headers that the features change or take away.
            fn edits(&self) -> Vec<Edit> {
                [$( $word::Feature::edits(self) ),*].into_iter().flatten().collect()
            }

            /// The clusters that the features send requests to.
            fn clusters(&self) -> Vec<&Said<Ref<Cluster>>> {
                [$( $word::Feature::clusters(self) ),*].into_iter().flatten().collect()
            }
        }

        /// What the features mean.
        fn features(route: &Said<Route>, known: &Known<'_>, report: &mut Report) -> Option<model::route::Features> {
            $( let $word = $word::Feature::resolve(route, known, report); )*
            Some(model::route::Features { $($word: $word?),* })
        }
    };
}
route_features!(features);

/// The clusters that the route sends requests to.
pub fn clusters(route: &Route) -> impl Iterator<Item = &Said<Ref<Cluster>>> {
    let shared = route.clusters.items().filter_map(|cluster| cluster.name.get());
    route.cluster.get().into_iter().chain(shared).chain(route.features.clusters())
}

/// What the filter is to judge the route's requests by, in its own words. `None` where it has
/// nothing to do.
pub fn of_filter(route: &Route) -> Option<config::Policy> {
    let (api_key, rate_limit) = (api_key::of_filter(&route.features), rate_limit::of_filter(&route.features));
    let asks = api_key.is_some() || !rate_limit.is_empty();
    let name = name::of(&route.name).unwrap_or_default();
    asks.then(|| config::Policy { name, api_key, rate_limit, ..config::Policy::default() })
}

/// The valid routes.
pub fn resolve(
    file: &File,
    listeners: &[model::Listener],
    known: &Known<'_>,
    report: &mut Report,
) -> Vec<model::Route> {
    let resolved: Vec<_> = file.routes.items().filter_map(|route| one(route, known, report)).collect();
    shadow::warn(&resolved, report);
    hosts::check(&resolved, listeners, report);
    rerouting::check(file.routes.items(), report);
    resolved.into_iter().map(|(route, _)| route).collect()
}

/// The route, and where its name is.
fn one(route: &Said<Route>, known: &Known<'_>, report: &mut Report) -> Option<(model::Route, Span)> {
    clashes::check(clashes::ROUTE, &route.value, report);
    let listeners = listeners::resolve(route, known, report);
    let hosts = hosts::resolve(route, report);
    let matcher = route.r#match.get().and_then(|matcher| r#match::resolve(matcher, report));
    let features = features(route, known, report);
    let action = action::resolve(route, report);
    for cluster in clusters(route) {
        action::check_cluster(cluster, route, known, report);
    }
    unsaid_stream::warn(route, report);
    let name = route.name.get()?;
    let model = model::Route {
        name: name.text.clone(),
        listeners: listeners?,
        hosts: hosts?,
        matcher: matcher?,
        action: action?,
        features: features?,
        origin: report.origin(route.span),
    };
    Some((model, name.span))
}
