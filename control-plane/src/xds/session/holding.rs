//! What a client holds of one kind. A client that has all that it wants of a generation costs no
//! memory for it: it holds that generation, except for the names about which there is more to say.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    subscription::{Change, Subscription},
    variant::Size,
};
use crate::snapshot::{Collection, Resource};

/// What a client holds of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Holding {
    /// The client holds what it wants of these, as far as is known …
    pub(super) base: Arc<Collection>,
    /// … except that it holds this, or nothing, of these names. Only names that it wants are here.
    pub(super) except: BTreeMap<Arc<str>, Option<Held>>,
    /// How many of the base the client wants; none if that has to be counted.
    pub(super) wanted: Option<usize>,
}

/// A resource at the client.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The version that the client was last sent, or says it has. None if it was told to remove the
    /// resource and refused.
    pub(super) version: Option<Arc<str>>,
    /// The number of the client's rejection of what it was last sent, counted from 1. The client
    /// then may have it or not. The server sends it another version, but not this one again (G7),
    /// unless what it was rejected with is gone.
    pub(super) refused: Option<u64>,
    /// What the client accepted or was just sent. A whole state repeats it while others still refer
    /// to it.
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

    /// The size of what the client holds only by its own word.
    pub(super) fn claimed(&self) -> Size {
        let said = |(name, held): (&Arc<str>, &Option<Held>)| {
            let version = held.as_ref().and_then(|held| held.version.as_deref()).unwrap_or_default();
            Size::of(name) + Size::of(version)
        };
        self.except.iter().map(said).sum()
    }

    /// The client changed its subscription. Counts anew what it wants of the base.
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

    /// The client does not want these names any more.
    pub(super) fn forget(&mut self, names: &[Arc<str>]) {
        for name in names {
            self.except.remove(name);
        }
    }

    /// The client wants only what this subscription covers.
    pub(super) fn keep(&mut self, subscription: &Subscription) {
        self.except.retain(|name, _| subscription.covers(name));
    }
}
