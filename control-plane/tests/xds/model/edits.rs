//! Random edits and a client that behaves as Envoy does. It never leads to a cluster that is not
//! there, and never has routes of a generation whose listeners it has not accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::support::{Wire, resource};
use legation::{snapshot::Snapshot, xds::VariantName};
use legation_protos::ResourceType;
use proptest::prelude::*;

use super::{Model, NAMES, Received, Step, config};

/// Publications and ACKs of a client that behaves: the cluster of each route and listener, by the
/// name's index.
#[derive(Clone, Debug)]
enum Turn {
    Publish { routes: [usize; 2], listener: usize, versions: [u8; 3] },
    Ack(ResourceType),
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let kinds = [ResourceType::Cluster, ResourceType::Endpoints, ResourceType::Listener, ResourceType::Route];
    prop_oneof![
        1 => (prop::array::uniform2(0..3_usize), 0..3_usize, prop::array::uniform3(0..2_u8))
            .prop_map(|(routes, listener, versions)| Turn::Publish { routes, listener, versions }),
        3 => prop::sample::select(kinds.to_vec()).prop_map(Turn::Ack),
    ]
}

/// A client that behaves as Envoy does never loses a cluster that its routes or listeners lead to.
fn never_leads_nowhere<V: Wire>(turns: Vec<Turn>) {
    let mut model = Model::<V>::new();
    let publish = |model: &mut Model<V>, routes: [usize; 2], listener: usize, versions: [u8; 3]| {
        let mut resources = BTreeMap::new();
        for cluster in routes.into_iter().chain([listener]) {
            resources.insert((ResourceType::Cluster, NAMES[cluster]), versions[cluster].to_string());
        }
        // The version is the cluster.
        for (name, cluster) in NAMES.iter().zip(routes) {
            resources.insert((ResourceType::Route, name), NAMES[cluster].to_owned());
        }
        resources.insert((ResourceType::Listener, "l"), NAMES[listener].to_owned());
        let of =
            |((kind, name), version): (&(ResourceType, &str), &String)| (*kind, resource(&format!("{name}@{version}")));
        model.publish(Arc::new(Snapshot::new(model.generation + 1, resources.iter().map(of))));
        model.hear();
    };
    publish(&mut model, [0, 0], 0, [0; 3]);
    for kind in ResourceType::ALL {
        let names: &[Option<usize>] = if kind.has_wildcard() { &[None] } else { &[Some(0), Some(1)] };
        for name in names {
            model.step(Step::Subscribe(kind, *name));
        }
    }
    model.quiesce();

    for turn in turns {
        match turn {
            Turn::Publish { routes, listener, versions } => publish(&mut model, routes, listener, versions),
            Turn::Ack(kind) => model.step(Step::Ack(kind)),
        }
        // A cluster that a response leaves out or removes is gone when the response arrives. A
        // cluster that it brings is there once it is warm.
        let clusters = &model.kinds[&ResourceType::Cluster];
        let mut present = clusters.held.keys().cloned().collect::<BTreeSet<_>>();
        for received in &clusters.unanswered {
            let brought = received.brought.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
            present.retain(|name| {
                !received.removed.contains(name) && (V::NAME == VariantName::Delta || brought.contains(name))
            });
        }
        for kind in [ResourceType::Listener, ResourceType::Route] {
            let state = &model.kinds[&kind];
            let sent = state.unanswered.iter().flat_map(|received| &received.brought);
            for (name, cluster) in state.held.iter().chain(sent.map(|(name, version)| (name, version))) {
                assert!(present.contains(cluster), "{kind} {name} leads to {cluster}, which is not there");
            }
        }
    }
    model.quiesce();
    model.holds_what_it_wants();
}

/// Publications that change listeners and routes, and what a client that behaves as Envoy does
/// answers.
#[derive(Clone, Debug)]
enum Edit {
    /// Versions of two listeners; the routes change with every publication.
    Publish([Option<u8>; 2]),
    Ack(ResourceType),
    /// The client rejects the listeners, and the server goes back to what the client last accepted
    /// whole.
    RejectListeners,
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let kinds = [ResourceType::Cluster, ResourceType::Listener, ResourceType::Route];
    prop_oneof![
        2 => prop::array::uniform2(prop::option::weighted(0.8, 0..3_u8)).prop_map(Edit::Publish),
        5 => prop::sample::select(kinds.to_vec()).prop_map(Edit::Ack),
        1 => Just(Edit::RejectListeners),
    ]
}

/// A client that behaves never hears routes of a generation whose listeners it has not accepted.
/// The version of a route is the generation that it came with.
fn never_hears_routes_too_early<V: Wire>(edits: Vec<Edit>) {
    type Listeners = BTreeMap<String, String>;
    let mut model = Model::<V>::new();
    let mut generations: Vec<Listeners> = Vec::new();
    let publish = |model: &mut Model<V>, generations: &mut Vec<Listeners>, listeners: Listeners| {
        let generation = model.generation + 1;
        let mut resources = vec![(ResourceType::Cluster, "a@1".to_owned())];
        resources.push((ResourceType::Route, format!("a@{generation}")));
        let versions = listeners.iter().map(|(name, version)| format!("{name}@{version}"));
        resources.extend(versions.map(|text| (ResourceType::Listener, text)));
        generations.push(listeners);
        let of = |(kind, text): &(ResourceType, String)| (*kind, resource(text));
        model.publish(Arc::new(Snapshot::new(generation, resources.iter().map(of))));
        model.hear();
    };
    let listeners = |versions: [Option<u8>; 2]| -> Listeners {
        let present = NAMES.iter().zip(versions).filter_map(|(name, version)| Some((name, version?)));
        present.map(|(name, version)| ((*name).to_owned(), version.to_string())).collect()
    };
    publish(&mut model, &mut generations, listeners([Some(0), Some(0)]));
    for kind in [ResourceType::Cluster, ResourceType::Listener] {
        model.step(Step::Subscribe(kind, None));
    }
    model.step(Step::Subscribe(ResourceType::Route, Some(0)));
    model.quiesce();
    let mut accepted = generations[0].clone();

    for edit in edits {
        match edit {
            Edit::Publish(versions) => publish(&mut model, &mut generations, listeners(versions)),
            Edit::Ack(kind) => model.step(Step::Ack(kind)),
            Edit::RejectListeners => {
                let changes = |received: &Received| !received.changes.is_empty();
                if !model.kinds[&ResourceType::Listener].unanswered.front().is_some_and(changes) {
                    continue;
                }
                model.step(Step::Nack(ResourceType::Listener));
                publish(&mut model, &mut generations, accepted.clone());
            }
        }
        let state = &model.kinds[&ResourceType::Listener];
        if state.unanswered.is_empty() {
            accepted.clone_from(&state.held);
        }
        for received in &model.kinds[&ResourceType::Route].unanswered {
            for (_, generation) in &received.brought {
                let of_generation = &generations[generation.parse::<usize>().unwrap() - 1];
                let has_it = |(name, version): (&String, &String)| state.held.get(name) == Some(version);
                // The client may have newer listeners than an older generation.
                let is_newest = *generation == model.generation.to_string();
                assert!(
                    !is_newest || of_generation.iter().all(has_it),
                    "O9: routes {generation} before {of_generation:?}: {:?}",
                    state.held
                );
            }
        }
    }
    model.quiesce();
}

fn routes_and_listeners_never_lead_to_a_cluster_that_is_not_there_o1_o2<V: Wire>() {
    proptest!(config(), |(turns in prop::collection::vec(any_turn(), 0..80))| never_leads_nowhere::<V>(turns));
}

fn routes_of_a_generation_never_come_before_its_listeners_are_accepted_o9<V: Wire>() {
    proptest!(config(), |(edits in prop::collection::vec(any_edit(), 0..80))| never_hears_routes_too_early::<V>(edits));
}

both_variants! {
    routes_and_listeners_never_lead_to_a_cluster_that_is_not_there_o1_o2,
    routes_of_a_generation_never_come_before_its_listeners_are_accepted_o9,
}
