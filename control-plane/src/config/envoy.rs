//! `envoy`: resources in Envoy's own words, served as they are.

use std::collections::BTreeSet;

use legation_protos::{ResourceType, descriptors::EnvoyMessage};
use serde_json::Value as Json;

use super::{
    cluster::Cluster,
    code,
    decode::{Decode, What},
    describe::Shape,
    envoy_message::{self as message, Path},
    file::File,
    leaf::Named,
    node::{Node, Span, Value},
    places::Places,
    report::{Report, one_of, quoted},
};
use crate::model::RawResource;

/// The name that the filter's configuration has in ECDS.
const FILTER: &str = "legation";

/// One of `envoy`. The descriptors of Envoy's messages say what may stand there.
#[derive(Debug)]
pub struct RawNode(pub Node);

impl Decode for RawNode {
    fn decode(node: &Node, _: What<'_>, _: &mut Report) -> Option<Self> {
        Some(Self(node.clone()))
    }

    fn shape() -> Shape {
        Shape::EnvoyResource
    }
}

/// A resource, with the place of its name for messages about the name.
#[derive(Debug)]
pub struct Found {
    /// What goes into the model.
    pub resource: RawResource,
    /// Where it begins.
    pub span: Span,
}

/// The valid ones of `envoy`, with names that nothing else of the file has.
pub fn resolve(file: &File, report: &mut Report) -> Vec<Found> {
    let mut taken = names_of(file);
    let entries: Vec<&Node> = file.envoy.items().map(|entry| &entry.value.0).collect();
    entries.into_iter().filter_map(|node| unique(one(node, report)?, &mut taken, report)).collect()
}

/// A resource of a known kind. The caller has looked at its `@type`.
pub fn of_kind(node: &Node, kind: ResourceType, path: Path<'_>, report: &mut Report) -> Option<Found> {
    let descriptor = message::descriptor(kind.type_url(), node, report)?;
    let json = message::message(node, &descriptor, path, report)?;
    let field = name_field(kind);
    let Some(name) = json.get(field).and_then(Json::as_str).filter(|name| !name.is_empty()).map(str::to_owned) else {
        let message = format!("a resource needs a name, in its field `{field}`");
        report.error(code::MISSING_FIELD, node.span, message);
        return None;
    };
    let span = entry_of(node, field).unwrap_or(node.span);
    if name == "*" || name.chars().any(char::is_control) {
        report.error(code::INVALID_NAME, span, format!("{} is no name for a resource", quoted(&name)));
    }
    if kind == ResourceType::Secret && (name.starts_with("listeners/") || name.starts_with("clusters/")) {
        let message = format!("{} is a name that the gateway gives to secrets of its own", quoted(&name));
        report.error(code::INVALID_NAME, span, message);
    }
    if kind == ResourceType::Cluster && Cluster::KIND.is_reserved(&name) {
        let message = format!("a cluster cannot be called {}: the gateway has one of its own", quoted(&name));
        report.error(code::INVALID_NAME, span, message);
    }
    match EnvoyMessage::from_value(kind.type_url(), json) {
        Ok(message) => {
            let origin = report.origin(node.span);
            Some(Found { resource: RawResource { kind, name, message, origin }, span })
        }
        // Faults that only the decoder finds have no better place.
        Err(error) => {
            report.error(code::INVALID_VALUE, node.span, error.to_string());
            None
        }
    }
}

/// The resource, unless its name is taken.
pub fn unique(found: Found, taken: &mut Places<(ResourceType, String)>, report: &mut Report) -> Option<Found> {
    let RawResource { kind, name, .. } = &found.resource;
    match taken.earlier((*kind, name.clone()), found.span) {
        None => Some(found),
        Some(first) => {
            let message =
                format!("{} already has a resource {} from {}", kind.short(), quoted(name), report.origin(first));
            report.error(code::DUPLICATE_NAME, found.span, message);
            None
        }
    }
}

/// The names of all raw clusters, the faulty ones too: a fault is reported at the cluster, not at
/// its routes.
pub fn clusters(file: &File) -> BTreeSet<&str> {
    let entries = file.envoy.items().filter_map(|entry| match &entry.value.0.value {
        Value::Mapping(entries) => Some(entries),
        _ => None,
    });
    let is_cluster = |type_url| ResourceType::from_type_url(type_url) == Some(ResourceType::Cluster);
    let clusters = entries.filter(|entries| message::type_of(entries).is_some_and(|(_, url)| is_cluster(url)));
    let names = clusters.flatten().filter(|entry| entry.key == "name").filter_map(|entry| match &entry.node.value {
        Value::Scalar(name) => Some(name.text.as_str()),
        _ => None,
    });
    names.collect()
}

/// All texts in raw resources. A raw resource may use a cluster whose name is among them.
pub fn texts(resources: &[Found]) -> BTreeSet<&str> {
    let mut texts = BTreeSet::new();
    let mut rest: Vec<&Json> = resources.iter().map(|found| found.resource.message.value()).collect();
    while let Some(value) = rest.pop() {
        match value {
            Json::String(text) => drop(texts.insert(text.as_str())),
            Json::Array(values) => rest.extend(values),
            Json::Object(fields) => rest.extend(fields.values()),
            _ => {}
        }
    }
    texts
}

/// The names that the rest of the file uses already. A listener's routes have its name, and a
/// cluster's endpoints have the cluster's.
fn names_of(file: &File) -> Places<(ResourceType, String)> {
    let mut taken = Places::default();
    taken.earlier((ResourceType::Extension, FILTER.to_owned()), Span::START);
    for name in file.listeners.items().filter_map(|listener| listener.name.get()) {
        taken.earlier((ResourceType::Listener, name.text.clone()), name.span);
        taken.earlier((ResourceType::Route, name.text.clone()), name.span);
    }
    for name in file.clusters.items().filter_map(|cluster| cluster.name.get()) {
        taken.earlier((ResourceType::Cluster, name.text.clone()), name.span);
        taken.earlier((ResourceType::Endpoints, name.text.clone()), name.span);
    }
    taken
}

fn one(node: &Node, report: &mut Report) -> Option<Found> {
    let types: Vec<&str> = ResourceType::ALL.into_iter().map(ResourceType::type_url).collect();
    let help = format!("it may be {}", one_of(&types));
    let Value::Mapping(entries) = &node.value else {
        report.error_with_help(code::WRONG_TYPE, node.span, "a resource must be a mapping with an `@type`", Some(help));
        return None;
    };
    let Some((at, type_url)) = message::type_of(entries) else {
        report.error_with_help(code::MISSING_FIELD, node.span, "a resource needs an `@type`", Some(help));
        return None;
    };
    let Some(kind) = ResourceType::from_type_url(type_url) else {
        let nearest = report.did_you_mean(type_url, types.iter().copied());
        let message = "this `@type` is none of the resources that are served";
        report.error_with_help(code::INVALID_VALUE, at.span, message, Some(nearest.unwrap_or(help)));
        return None;
    };
    of_kind(node, kind, Path::ROOT, report)
}

/// The field that holds a resource's name.
fn name_field(kind: ResourceType) -> &'static str {
    if kind == ResourceType::Endpoints { "cluster_name" } else { "name" }
}

fn entry_of(node: &Node, field: &str) -> Option<Span> {
    let Value::Mapping(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.key == field).map(|entry| entry.node.span)
}
