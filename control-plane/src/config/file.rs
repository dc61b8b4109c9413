//! The whole file: what stands at its top, and what its parts mean together.
//!
//! A function of this stage returns `None` where it has reported an error, or where decoding has.
//! Whatever is valid enough is still checked, so that one fault never hides another.

use std::collections::BTreeSet;

use super::{
    cluster::{self, Cluster},
    code,
    consumer::Consumer,
    decode::{List, Unsaid, mapping},
    defaults::{self, Defaults},
    envoy::{self, RawNode},
    leaf::{FilePath, Names, Version},
    listener::{self, Listener},
    named_file,
    node::{Node, Span},
    plan::Plan,
    report::Report,
    route::{self, Route},
    rules_of_filter,
};
use crate::model::{FileKind, Model};

mapping! {
    /// The whole file.
    File, "the file", "{version: 1, listeners: [{name: http, port: 8000}]}" {
        /// The version of the file's format.
        required version: Version,
        /// Where connections come in.
        optional listeners: List<Listener>,
        /// Which request goes where.
        optional routes: List<Route>,
        /// Where requests go.
        optional clusters: List<Cluster>,
        /// Who calls.
        optional consumers: List<Consumer>,
        /// What consumers may use.
        optional plans: List<Plan>,
        /// Resources in Envoy's own words, served as they are.
        optional envoy: List<RawNode>,
        /// What holds for the whole file.
        optional defaults: Defaults,
        /// A file with a secret of at least 16 bytes, by which the gateway makes digests of keys
        /// (HMAC-SHA-256).
        optional key_pepper_file: FilePath,
    }
    planned: include jwt_providers oauth2_providers aws telemetry consumers_file;
}

/// What the names in the file stand for.
pub struct Known<'a> {
    pub listeners: Names<'a, Listener>,
    pub clusters: Names<'a, Cluster>,
    pub raw: &'a [envoy::Found],
    pub raw_clusters: BTreeSet<&'a str>,
}

/// The file's meaning. `node` is the tree that `file` was decoded from. The caller may use the
/// result only if no error was reported.
pub fn resolve(file: &File, node: &Node, report: &mut Report) -> Option<Model> {
    check_version(file, report)?;
    let raw = envoy::resolve(file, report);
    let known = Known {
        listeners: Names::new(file.listeners.items(), report),
        clusters: Names::new(file.clusters.items(), report),
        raw: &raw,
        raw_clusters: envoy::clusters(file),
    };
    Names::<Route>::new(file.routes.items(), report);

    let listeners = listener::resolve(file, &known, report);
    let routes = route::resolve(file, &listeners, &known, report);
    let clusters = cluster::resolve(file, &known, report);
    let of_filter = rules_of_filter::check(file, node, report);
    let unsaid = Defaults::unsaid(Span::START);
    let defaults = file.defaults.get().map_or(&unsaid, |said| &said.value);
    let key_pepper = named_file(&file.key_pepper_file, FileKind::KeyPepper, report);
    let raw = raw.into_iter().map(|found| found.resource).collect();
    Some(Model {
        listeners,
        routes,
        clusters,
        consumers: of_filter.consumers,
        plans: of_filter.plans,
        raw,
        rollout: defaults::rollout(defaults)?,
        rate_limit_headers: defaults.rate_limit_headers.get()?.0,
        key_pepper: key_pepper?,
        origin: report.origin(Span::START),
    })
}

/// Another version has other rules. Diagnostics by these rules would only mislead.
fn check_version(file: &File, report: &mut Report) -> Option<()> {
    match file.version.get() {
        Some(version) if version.0 != Version::KNOWN => {
            let message = format!("version {} of the file's format is not known; this is version 1", version.0);
            report.error(code::UNSUPPORTED_VERSION, version.span, message);
            None
        }
        _ => Some(()),
    }
}
