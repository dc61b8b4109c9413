//! What a client holds of one kind, beside what it should hold: only names are looked at that may differ.

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

/// How a kind is compared.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The client can be told that resources are gone.
    pub(super) removes: bool,
    /// And may be told so now; else they linger.
    pub(super) remove_now: bool,
    /// A response holds everything, so that what lingers is sent along.
    pub(super) whole: bool,
    /// All that the client should have is to be listed.
    pub(super) list: bool,
    /// What the client refused with these rejections is sent again.
    pub(super) acquitted: BTreeSet<u64>,
}

/// What a comparison finds.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// What is to be sent.
    pub(super) update: Update,
    /// What the client had and then loses.
    pub(super) lost: Vec<Arc<str>>,
    /// What it holds then.
    pub(super) holding: Holding,
    /// Some of what the client has is gone, but may not be removed yet.
    pub(super) lingering: bool,
    /// Some of what the client should have, or lose, is what it refused.
    pub(super) refused: bool,
    /// Removals that the client refused. They are not sent for their own sake (G7).
    refused_removals: Vec<Arc<str>>,
}

impl Comparison {
    /// Compares what is held with what is wanted of `target`. Names that are owed are sent whatever is held.
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
                // It is answered below, or the client forgot it by itself (D8).
                None if owed.contains(&name) => None,
                None => held.and_then(|held| found.gone(&name, held, &rules)),
            };
            except.extend(stays.map(|held| (name, Some(held))));
        }
        if rules.removes {
            // A name that does not exist is answered: in delta as removed (D6), in a whole state by leaving it out (S3).
            let unknown = owed.iter().filter(|name| !target.resources().contains_key(*name));
            found.update.removed.extend(unknown.cloned());
        }
        if found.update.is_empty() {
            // While something else waits to be removed, what the client refused to lose is not all there is to say: it is
            // said with that.
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

    /// A resource that the client wants, and what it holds at the same version. Gives what there is to say of it once it is
    /// sent.
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

    /// A resource that the client has and that is gone. Gives what it then still has of it.
    fn gone(&mut self, name: &Arc<str>, held: Held, rules: &Rules) -> Option<Held> {
        if !rules.removes {
            // Should it come back, what the client refused or only says it has is tried again.
            return Some(held).filter(|held| held.resource.is_some() && held.refused.is_none());
        }
        let acquitted = held.refused.is_some_and(|rejection| rules.acquitted.contains(&rejection));
        if held.version.is_none() && !acquitted {
            self.refused_removals.push(name.clone());
            return Some(held);
        }
        // In a whole state, one that the client never accepted must not be sent again, and nothing refers to it.
        if rules.remove_now || (rules.whole && held.resource.is_none()) {
            self.lost.push(name.clone());
            self.update.removed.push(name.clone());
            return None;
        }
        self.lingering = true;
        // What it refused is tried again if it comes back before it could be removed.
        Some(if held.refused.is_some() { Held { version: Some(Arc::default()), refused: None, ..held } } else { held })
    }

    /// Lists what the client should have then, with what lingers.
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

/// The resources that a client wants, sorted by name.
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

/// The names that may be held otherwise than they should be, sorted: those that changed since the generation that the client
/// holds, those of which it holds something else, and those that are owed.
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
        // What is owed, or known to be held, is among them.
        return subscription.names().iter().cloned().collect();
    }
    names.extend(owed.iter().cloned());
    names.extend(holding.except.keys().cloned());
    // Sorted runs: merged, not sorted anew.
    names.sort();
    names.dedup();
    names
}
