//! A file that is a static Envoy bootstrap: its listeners and clusters, to be served.

use legation_filter::config::RateLimitHeaders;
use legation_protos::ResourceType;

use super::{
    code, envoy,
    envoy_message::{self as message, Path},
    node::{Entry, Node, Span, Value},
    places::Places,
    report::{Report, quoted},
};
use crate::model::Model;

const TYPE_URL: &str = "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap";

/// Fields that only a bootstrap has, each in both spellings of protobuf.
const TELLING: &[&str] =
    &["static_resources", "staticResources", "dynamic_resources", "dynamicResources", "admin", "node"];

/// Which lists of `static_resources` are served, and how.
const SERVED: &[(&str, ResourceType)] = &[("listeners", ResourceType::Listener), ("clusters", ResourceType::Cluster)];

/// Whether the file is a bootstrap: it has fields of one, and no `version`.
pub fn is_one(node: &Node) -> bool {
    let Value::Mapping(entries) = &node.value else { return false };
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    !has("version") && TELLING.iter().any(|key| has(key))
}

/// The resources of a bootstrap. The whole file must have the form of one. A warning names each
/// part that cannot be served.
pub fn resolve(node: &Node, report: &mut Report) -> Option<Model> {
    let descriptor = message::descriptor(TYPE_URL, node, report)?;
    message::message(node, &descriptor, Path::ROOT, report)?;

    let mut found = Vec::new();
    let mut taken = Places::default();
    for part in entries(node) {
        if !matches!(part.key.as_str(), "static_resources" | "staticResources") {
            stays(part, report);
            continue;
        }
        for list in entries(&part.node) {
            let Some((_, kind)) = SERVED.iter().find(|(name, _)| *name == list.key) else {
                stays(list, report);
                continue;
            };
            let within = Path::ROOT.field(&part.key);
            let within = within.field(&list.key);
            for (index, item) in items(&list.node).iter().enumerate() {
                let resource = envoy::of_kind(item, *kind, within.item(index), report);
                found.extend(resource.and_then(|resource| envoy::unique(resource, &mut taken, report)));
            }
        }
    }
    if !found.iter().any(|found| found.resource.kind == ResourceType::Listener) {
        let message = "there are no listeners among the `static_resources`: the gateway accepts nothing";
        report.warning(code::NO_LISTENERS, Span::START, message, None);
    }
    Some(Model {
        listeners: Vec::new(),
        routes: Vec::new(),
        clusters: Vec::new(),
        consumers: Vec::new(),
        plans: Vec::new(),
        key_pepper: None,
        rate_limit_headers: RateLimitHeaders::default(),
        raw: found.into_iter().map(|found| found.resource).collect(),
        rollout: crate::model::Rollout::default(),
        origin: report.origin(Span::START),
    })
}

fn stays(part: &Entry, report: &mut Report) {
    let message = format!("{} is not served: it stays in Envoy's bootstrap", quoted(&part.key));
    let help = "Envoy reads it at its start only; `legation bootstrap` prints what else must be there".to_owned();
    report.warning(code::STAYS_IN_BOOTSTRAP, part.key_span, message, Some(help));
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Mapping(entries) => entries,
        _ => &[],
    }
}

fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}
