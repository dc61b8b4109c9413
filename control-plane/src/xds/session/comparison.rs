//! Compares what a client holds of one kind with what it should hold. The comparison looks only at
//! names that may differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    holding::{Held, Holding},
    subscription::Subscription,
    variant::Update,
};
use crate::snapshot::{Collection, Resource};

/// How to compare a kind.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The server can tell the client that resources are gone.
    pub(super) removes: bool,
    /// The server may tell it now. Otherwise the resources linger.
    pub(super) remove_now: bool,
    /// A response holds everything, so it also carries what lingers.
    pub(super) whole: bool,
    /// The update lists all that the client should have.
    pub(super) list: bool,
    /// The server sends again what the client refused with these rejections.
    pub(super) acquitted: BTreeSet<u64>,
}

/// The result of a comparison.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// The update to send.
    pub(super) update: Update,
    /// The names that the client had and then loses.
    pub(super) lost: Vec<Arc<str>>,
    /// What the client holds once it has the update.
    pub(super) holding: Holding,
    /// Some of what the client has is gone, but must not be removed yet.
    pub(super) lingering: bool,
    /// The client refused some of what it should have or lose.
    pub(super) refused: bool,
    /// Removals that the client refused. The server does not repeat them for their own sake (G7).
    refused_removals: Vec<Arc<str>>,
}

impl Comparison {
    /// Compares what the client holds with what it wants of `target`. Names that are owed go out
    /// whatever the client holds.
    pub(super) fn of(
        holding: &Holding,
        subscription: &Subscription,
        owed: &BTreeSet<Arc<str>>,
        target: &Arc<Collection>,
        rules: Rules,
    ) -> Self {
        let mut found = Self::default();
        let mut wanted = if holding.base.resources().is_empty() { Some(0) } else { holding.wanted };
        let mut except = BTreeMap::new();
        for name in in_question(holding, subscription, owed, target) {
            let (resource, held) = (target.resources().get(&name), holding.get(&name));
            let was_there = holding.base.resources().contains_key(&name);
            wanted = wanted.map(|count| count + usize::from(resource.is_some()) - usize::from(was_there));
            let stays = match resource {
                Some(resource) => {
                    let held = held.filter(|held| held.is_at(resource) && !owed.contains(&name));
                    let acquitted = |held: &Held| held.refused.is_some_and(|it| rules.acquitted.contains(&it));
                    found.wanted(resource, held.filter(|held| !acquitted(held)))
                }
                // The answer follows below, or the client forgot it by itself (D8).
                None if owed.contains(&name) => None,
                None => held.and_then(|held| found.gone(&name, held, &rules)),
            };
            except.extend(stays.map(|held| (name, Some(held))));
        }
        if rules.removes {
            // A name that does not exist gets an answer: in delta as removed (D6), in a whole state
            // by its absence (S3).
            let unknown = owed.iter().filter(|name| !target.resources().contains_key(*name));
            found.update.removed.extend(unknown.cloned());
        }
        if found.update.is_empty() {
            // While something else waits to be removed, the server repeats the refused removals
            // along with that.
            found.refused |= !found.refused_removals.is_empty() && !found.lingering;
        } else {
            for name in found.refused_removals.drain(..) {
                except.remove(&name);
                found.lost.push(name.clone());
                found.update.removed.push(name);
            }
        }
        if rules.list {
            found.list(subscription, target, &except, &rules);
        }
        let wanted = wanted.unwrap_or_else(|| wanted_of(subscription, target).count());
        found.holding = Holding { base: target.clone(), except, wanted: Some(wanted) };
        found
    }

    /// Takes in a resource that the client wants, and what it holds at the same version. Returns
    /// what stays to be said of it once the update is sent.
    fn wanted(&mut self, resource: &Arc<Resource>, held: Option<Held>) -> Option<Held> {
        match held {
            None => self.update.changed.push(resource.clone()),
            Some(held) if held.refused.is_some() => {
                self.refused = true;
                return Some(held);
            }
            Some(_) => {}
        }
        None
    }

    /// Takes in a resource that the client has and that is gone. Returns what the client then still
    /// has of it.
    fn gone(&mut self, name: &Arc<str>, held: Held, rules: &Rules) -> Option<Held> {
        if !rules.removes {
            // If it comes back, the server tries again what the client refused or only says it has.
            return Some(held).filter(|held| held.resource.is_some() && held.refused.is_none());
        }
        let acquitted = held.refused.is_some_and(|rejection| rules.acquitted.contains(&rejection));
        if held.version.is_none() && !acquitted {
            self.refused_removals.push(name.clone());
            return Some(held);
        }
        // A whole state must not carry a resource that the client never accepted. Nothing refers to
        // it.
        if rules.remove_now || (rules.whole && held.resource.is_none()) {
            self.lost.push(name.clone());
            self.update.removed.push(name.clone());
            return None;
        }
        self.lingering = true;
        // If it comes back before it could be removed, the server tries again what the client
        // refused.
        Some(if held.refused.is_some() { Held { version: Some(Arc::default()), refused: None, ..held } } else { held })
    }

    /// Lists what the client should have after the update, with lingering resources.
    fn list(
        &mut self,
        subscription: &Subscription,
        target: &Collection,
        except: &BTreeMap<Arc<str>, Option<Held>>,
        rules: &Rules,
    ) {
        let all = &mut self.update.all;
        all.extend(wanted_of(subscription, target).cloned());
        if self.lingering && rules.whole {
            let gone = except.iter().filter(|(name, _)| !target.resources().contains_key(*name));
            all.extend(gone.filter_map(|(_, held)| held.as_ref()?.resource.clone()));
            all.sort_by(|one, other| one.name.cmp(&other.name));
        }
    }
}

/// Returns the resources that a client wants, sorted by name.
fn wanted_of<'a>(
    subscription: &'a Subscription,
    target: &'a Collection,
) -> Box<dyn Iterator<Item = &'a Arc<Resource>> + 'a> {
    let target = target.resources();
    if subscription.wildcard() {
        Box::new(target.values())
    } else {
        Box::new(subscription.names().iter().filter_map(|name| target.get(name)))
    }
}

/// The names that the client may hold otherwise than it should, sorted: names that changed since
/// the generation that it holds, names of which it holds something else, and names that are owed.
fn in_question(
    holding: &Holding,
    subscription: &Subscription,
    owed: &BTreeSet<Arc<str>>,
    target: &Collection,
) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    if !holding.base.resources().is_empty() {
        let changes = target.changes_since(&holding.base);
        names.extend(changes.iter().filter(|name| subscription.covers(name)).cloned());
    } else if subscription.wildcard() {
        names.extend(target.resources().keys().cloned());
    } else {
        // The subscription has all owed names and all exceptions.
        return subscription.names().iter().cloned().collect();
    }
    names.extend(owed.iter().cloned());
    names.extend(holding.except.keys().cloned());
    // These are sorted runs, so sorting merges them.
    names.sort();
    names.dedup();
    names
}
