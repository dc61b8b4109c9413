//! What a client holds of one kind, beside what it should hold: one walk over both, sorted by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{subscription::Subscription, variant::Update};
use crate::snapshot::{Resource, Resources};

/// A resource at the client.
#[derive(Debug)]
pub(super) struct Held {
    /// The version that it was last sent, or says it has. None if it was told to remove the resource and refused.
    pub(super) version: Option<Arc<str>>,
    /// Whether it rejected what it was last sent. It then may have it or not; it is sent another version, but not this one
    /// again (G7).
    pub(super) refused: bool,
    /// What it accepted or was just sent, to send it once more while others still refer to it (state of the world).
    pub(super) resource: Option<Arc<Resource>>,
}

impl Held {
    /// Whether this version of the resource is what the client was last sent.
    pub(super) fn is_at(&self, resource: &Resource) -> bool {
        self.version.as_ref() == Some(&resource.version)
    }
}

/// How a kind is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The client can be told that resources are gone.
    pub(super) removes: bool,
    /// And may be told so now; else they linger.
    pub(super) remove_now: bool,
    /// A response holds everything, so that what lingers is sent along.
    pub(super) whole: bool,
    /// All that the client should have is to be listed.
    pub(super) list: bool,
}

/// What a comparison finds.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// What is to be sent.
    pub(super) update: Update,
    /// How many resources there are that the client wants.
    pub(super) wanted: usize,
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
        held: &mut BTreeMap<Arc<str>, Held>,
        subscription: &Subscription,
        owed: &BTreeSet<Arc<str>>,
        target: &Resources,
        rules: Rules,
    ) -> Self {
        let mut found = Self::default();
        for name in owed.iter().filter(|name| !target.contains_key(*name)) {
            // It is answered below, or the client forgot it by itself (D8).
            held.remove(name);
        }
        let wanted: Box<dyn Iterator<Item = &Arc<Resource>>> = if subscription.wildcard() {
            Box::new(target.values())
        } else {
            Box::new(subscription.names().iter().filter_map(|name| target.get(name)))
        };
        let mut held = held.iter_mut().peekable();
        for resource in wanted {
            while let Some((name, old)) = held.next_if(|(name, _)| **name < resource.name) {
                found.gone(name, old, rules);
            }
            let held = held.next_if(|(name, _)| **name == resource.name).map(|(_, held)| held);
            found.wanted(resource, held.filter(|_| !owed.contains(&resource.name)), rules);
        }
        for (name, old) in held {
            found.gone(name, old, rules);
        }
        if rules.removes {
            // A name that does not exist is answered: in delta as removed (D6), in a whole state by leaving it out (S3).
            found.update.removed.extend(owed.iter().filter(|name| !target.contains_key(*name)).cloned());
        }
        if found.update.is_empty() {
            // While something else waits to be removed, what the client refused to lose is not all there is to say: it is
            // said with that.
            found.refused |= !found.refused_removals.is_empty() && !found.lingering;
        } else {
            found.update.removed.append(&mut found.refused_removals);
        }
        found
    }

    /// A resource that the client wants.
    fn wanted(&mut self, resource: &Arc<Resource>, held: Option<&mut Held>, rules: Rules) {
        self.wanted += 1;
        match held.filter(|held| held.is_at(resource)) {
            None => self.update.changed.push(resource.clone()),
            Some(held) if held.refused => self.refused = true,
            // An equal resource of the newest snapshot, so that the older snapshot can be freed.
            Some(held) => held.resource = Some(resource.clone()),
        }
        if rules.list {
            self.update.all.push(resource.clone());
        }
    }

    /// A resource that the client has and that is gone.
    fn gone(&mut self, name: &Arc<str>, held: &Held, rules: Rules) {
        match &held.resource {
            _ if !rules.removes => {}
            _ if held.version.is_none() => self.refused_removals.push(name.clone()),
            _ if rules.remove_now => self.update.removed.push(name.clone()),
            // The client never accepted it, so nothing refers to it, and it must not be sent again.
            None if rules.whole => self.update.removed.push(name.clone()),
            resource => {
                self.lingering = true;
                if let Some(resource) = resource.as_ref().filter(|_| rules.whole) {
                    self.update.all.push(resource.clone());
                }
            }
        }
    }
}
