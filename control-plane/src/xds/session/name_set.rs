//! A set of names that shares most of them with other streams. A thousand nodes that want the same
//! ten thousand names hold them once, and each node holds only how it differs.

use std::{collections::BTreeSet, iter, sync::Arc};

use super::variant::Size;
use crate::snapshot::Collection;

/// A set with no more differences than this need not settle.
const FEW: usize = 64;

/// A set of names.
#[derive(Clone, Debug, Default)]
pub struct NameSet {
    common: Arc<BTreeSet<Arc<str>>>,
    /// Whether other streams may have equal common names that are not shared yet.
    unshared: bool,
    /// The names besides the common ones.
    more: BTreeSet<Arc<str>>,
    /// The common names that are not in the set.
    less: BTreeSet<Arc<str>>,
    /// The length of all names together.
    bytes: usize,
}

impl NameSet {
    /// Whether the set contains the name.
    pub fn contains(&self, name: &str) -> bool {
        self.more.contains(name) || (self.common.contains(name) && !self.less.contains(name))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.common.len() + self.more.len() - self.less.len()
    }

    /// The number of names, and their length.
    pub fn size(&self) -> Size {
        Size { count: self.len(), bytes: self.bytes }
    }

    /// All names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        let mut common = self.common.iter().filter(|name| !self.less.contains(*name)).peekable();
        let mut more = self.more.iter().peekable();
        iter::from_fn(move || match (common.peek(), more.peek()) {
            (Some(one), Some(other)) if other < one => more.next(),
            (None, _) => more.next(),
            _ => common.next(),
        })
    }

    /// Puts a name in. Returns whether it is new.
    pub fn insert(&mut self, name: Arc<str>) -> bool {
        let length = name.len();
        let is_new = self.less.remove(&name) || (!self.common.contains(&name) && self.more.insert(name));
        if is_new {
            self.bytes += length;
        }
        is_new
    }

    /// Takes a name out, and returns it.
    pub fn take(&mut self, name: &str) -> Option<Arc<str>> {
        let taken = self.more.take(name).or_else(|| {
            let common = self.common.get(name)?;
            self.less.insert(common.clone()).then(|| common.clone())
        })?;
        self.bytes -= taken.len();
        Some(taken)
    }

    /// Turns many differences into common names, which other streams may have, too. Call it after
    /// some names were put in or taken out.
    pub fn settle(&mut self) {
        if self.more.len() + self.less.len() > FEW + self.common.len() / 8 {
            *self = self.iter().cloned().collect();
        }
    }

    /// Shares the names with other streams that want the same.
    pub fn share(&mut self, collection: &Collection) {
        if std::mem::take(&mut self.unshared) {
            self.common = collection.shared_names(&self.common);
        }
    }
}

impl FromIterator<Arc<str>> for NameSet {
    fn from_iter<I: IntoIterator<Item = Arc<str>>>(names: I) -> Self {
        let common = names.into_iter().collect::<BTreeSet<_>>();
        let bytes = common.iter().map(|name| name.len()).sum();
        Self { common: Arc::new(common), unshared: true, bytes, ..Self::default() }
    }
}

impl PartialEq for NameSet {
    fn eq(&self, other: &Self) -> bool {
        self.size() == other.size() && self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The set does what a plain set does, step by step. An even number is put in; for an odd one
    /// the number before it is taken out.
    #[test]
    fn it_does_what_a_plain_set_does() {
        let mut set = NameSet::default();
        let mut plain = BTreeSet::<Arc<str>>::new();
        let mut step = 7_u64;
        for _ in 0..5000 {
            step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (step >> 40) % 700;
            let name = Arc::<str>::from(format!("{}", number / 2));
            if number.is_multiple_of(2) {
                assert_eq!(set.insert(name.clone()), plain.insert(name));
            } else {
                assert_eq!(set.take(&name), plain.take(&name));
            }
            set.settle();
        }
        assert!(set.iter().eq(plain.iter()), "sorted, each once");
        assert_eq!(set.size(), plain.iter().map(|name| Size::of(name)).sum());
        assert!((0..350).map(|number| number.to_string()).all(|name| set.contains(&name) == plain.contains(&*name)));
        assert!(set == plain.into_iter().collect());
    }

    #[test]
    fn equal_names_of_two_streams_are_shared_and_one_more_is_its_own() {
        let collection = Collection::default();
        let names = || (0..1000).map(|number| Arc::<str>::from(number.to_string())).collect::<NameSet>();
        let (mut one, mut other) = (names(), names());
        one.share(&collection);
        other.share(&collection);
        one.insert("more".into());
        one.settle();
        assert!(Arc::ptr_eq(&one.common, &other.common));
        assert!(one.contains("more") && !other.contains("more"));
    }
}
