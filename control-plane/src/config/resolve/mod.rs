//! [`schema`] → [`Model`]: every rule of the file, and the defaults.
//!
//! A function returns none where it has reported an error, or where decoding has; so whatever is whole enough is
//! checked, and one fault never hides another.

use std::collections::BTreeSet;

use super::{
    code, names,
    names::Names,
    node::Span,
    report::Report,
    schema::{self, File},
};
use crate::model::Model;

mod action;
mod cluster;
mod consumer;
mod defaults;
mod endpoint;
mod listener;
mod path;
mod plan;
mod policy;
pub mod raw;
mod request;
mod rerouting;
mod rollout;
mod route;
mod shadow;
mod tls;
mod unsaid;

/// What the names in the file stand for.
struct Known<'a> {
    clusters: Names<'a, schema::Cluster>,
    consumers: Names<'a, schema::Consumer>,
    plans: Names<'a, schema::Plan>,
    raw: &'a [raw::Found],
    raw_clusters: BTreeSet<&'a str>,
    audience: policy::Audience<'a>,
}

/// The file's meaning. It may be used only if nothing was reported as an error.
pub fn resolve(file: &File, report: &mut Report) -> Option<Model> {
    check_version(file, report)?;
    let raw = raw::resolve(file, report);
    let known = Known {
        clusters: Names::new(names::CLUSTER, file.clusters.items(), |cluster| &cluster.name, report),
        consumers: Names::new(names::CONSUMER, file.consumers.items(), |consumer| &consumer.name, report),
        plans: Names::new(names::PLAN, file.plans.items(), |plan| &plan.name, report),
        raw: &raw,
        raw_clusters: raw::clusters(file),
        audience: policy::Audience::new(file.consumers.items()),
    };
    Names::new(names::LISTENER, file.listeners.items(), |listener| &listener.name, report);
    Names::new(names::ROUTE, file.routes.items(), |route| &route.name, report);

    let listeners = listener::resolve(file, &known, report);
    let routes = route::resolve(file.routes.items(), &known, report);
    rerouting::check(file.routes.items(), report);
    let clusters = cluster::resolve(file, &known, report);
    let consumers = consumer::resolve(file.consumers.items(), &known, report);
    let plans = plan::resolve(file.plans.items(), report);
    let rollout = rollout::resolve(file.defaults.get(), report);
    let rate_limit_headers = defaults::rate_limit_headers(file.defaults.get(), report);
    let key_pepper = tls::file(&file.key_pepper_file, "key_pepper_file", report);
    let raw = raw.into_iter().map(|found| found.resource).collect();
    Some(Model {
        listeners,
        routes,
        clusters,
        consumers,
        plans,
        raw,
        rollout: rollout?,
        rate_limit_headers: rate_limit_headers?,
        key_pepper: key_pepper?,
        origin: report.origin(Span::START),
    })
}

/// Another version has other rules: to apply these would only mislead.
fn check_version(file: &File, report: &mut Report) -> Option<()> {
    match file.version.get() {
        Some(version) if version.value != 1 => {
            let message = format!("version {} of the file's format is not known; this is version 1", version.value);
            report.error(code::UNSUPPORTED_VERSION, version.span, message);
            None
        }
        _ => Some(()),
    }
}
