//! What a client holds of one kind: a generation, with exceptions.
//!
//! A client that has everything it wants of a generation takes no memory of its own. Only names
//! that differ take some.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    subscription::{Change, Subscription},
    variant::Size,
};
use crate::snapshot::{Collection, Resource};

/// What a client holds of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Holding {
    /// The client holds these resources, as far as it wants them …
    pub(super) base: Arc<Collection>,
    /// … except that it holds this, or nothing, of these names. It wants all of these names.
    pub(super) except: BTreeMap<Arc<str>, Option<Held>>,
    /// How many resources of the base it wants. `None` means that they must be counted.
    pub(super) wanted: Option<usize>,
}

/// A resource at the client.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The version that it was last sent, or claims to have. `None` means that it refused to remove
    /// the resource.
    pub(super) version: Option<Arc<str>>,
    /// The number of the rejection, from 1, if the client rejected what it was last sent. Nobody
    /// knows whether it has the resource. It gets another version, but not this one again (G7),
    /// unless the cause of the rejection is gone.
    pub(super) refused: Option<u64>,
    /// The resource that it accepted or was just sent. State of the world repeats it while other
    /// resources still refer to it.
    pub(super) resource: Option<Arc<Resource>>,
}

impl Held {
    /// Returns whether the client was last sent this version of the resource.
    pub(super) fn is_at(&self, resource: &Resource) -> bool {
        self.version.as_ref() == Some(&resource.version)
    }
}

impl Holding {
    /// Returns what the client holds of a name that it wants.
    pub(super) fn get(&self, name: &str) -> Option<Held> {
        if let Some(held) = self.except.get(name) {
            return held.clone();
        }
        let resource = self.base.resources().get(name)?.clone();
        Some(Held { version: Some(resource.version.clone()), refused: None, resource: Some(resource) })
    }

    /// Records that the client claims to hold this version.
    pub(super) fn claim(&mut self, name: Arc<str>, version: Arc<str>) {
        self.except.insert(name, Some(Held { version: Some(version), refused: None, resource: None }));
    }

    /// Records that the client now wants this name and holds nothing of it.
    pub(super) fn lack(&mut self, name: &Arc<str>) {
        if self.base.resources().contains_key(name) {
            self.except.insert(name.clone(), None);
        }
    }

    /// Records that the client now wants all names, and holds only what it wanted before.
    pub(super) fn lack_all_but(&mut self, before: &Subscription) {
        let new = self.base.resources().keys().filter(|name| !before.covers(name) && !self.except.contains_key(*name));
        self.except.extend(new.map(|name| (name.clone(), None)).collect::<Vec<_>>());
    }

    /// Returns the size of what the client only claims to hold.
    pub(super) fn claimed(&self) -> Size {
        let said = |(name, held): (&Arc<str>, &Option<Held>)| {
            let version = held.as_ref().and_then(|held| held.version.as_deref()).unwrap_or_default();
            Size::of(name) + Size::of(version)
        };
        self.except.iter().map(said).sum()
    }

    /// Records a change of the subscription, and counts again what the client wants of the base.
    pub(super) fn subscribed(&mut self, change: &Change, wildcard: bool) {
        if change.wildcard_began || change.wildcard_ended {
            self.wanted = None;
        } else if !wildcard {
            let resources = self.base.resources();
            let of_base = |names: &[Arc<str>]| names.iter().filter(|name| resources.contains_key(*name)).count();
            let (gained, lost) = (of_base(&change.gained), of_base(&change.lost));
            self.wanted = self.wanted.map(|wanted| (wanted + gained).saturating_sub(lost));
        }
    }

    /// Records that the client no longer wants these names.
    pub(super) fn forget(&mut self, names: &[Arc<str>]) {
        for name in names {
            self.except.remove(name);
        }
    }

    /// Forgets names outside of this subscription.
    pub(super) fn keep(&mut self, subscription: &Subscription) {
        self.except.retain(|name, _| subscription.covers(name));
    }
}
