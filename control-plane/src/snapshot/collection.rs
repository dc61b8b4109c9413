//! The resources of one kind of one generation, and what all streams need to know about them: how
//! they differ from another generation, and their encoding in the groups that go out together.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::{Bytes, BytesMut};
use legation_protos::{ResourceType, discovery};
use prost::encoding::message;

use super::{Resource, Resources};

/// The number of the field `resources` in responses of both variants.
const RESOURCES: u32 = 2;

/// The resources of one kind in one generation. A collection never changes.
#[derive(Debug, Default)]
pub struct Collection {
    resources: Resources,
    changes: Memo<Changes>,
    parcels: Memo<Arc<Parcel>>,
    names: Memo<Arc<BTreeSet<Arc<str>>>>,
}

/// Resources that go out together, and their encoding.
#[derive(Debug)]
pub struct Parcel {
    /// The resources, sorted by name. Whoever remembers them need not keep their encoding.
    pub resources: Arc<[Arc<Resource>]>,
    /// The field `resources` of a discovery response.
    pub bytes: Bytes,
    form: Form,
}

/// The message around a resource in a discovery response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `google.protobuf.Any`: state of the world.
    Any,
    /// `envoy.service.discovery.v3.Resource`, with name and version: delta.
    Resource,
}

/// The names whose resources differ from another collection.
#[derive(Clone, Debug)]
struct Changes {
    since: Weak<Collection>,
    names: Arc<[Arc<str>]>,
}

impl Collection {
    /// A collection of these resources.
    pub fn new(resources: Resources) -> Self {
        Self { resources, ..Self::default() }
    }

    /// Returns the resources by name.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The names of resources that are in only one of the two collections, or in both at different
    /// versions, sorted.
    pub fn changes_since(&self, other: &Arc<Self>) -> Arc<[Arc<str>]> {
        if std::ptr::eq(self, Arc::as_ptr(other)) {
            return Arc::default();
        }
        let known = |changes: &&Changes| std::ptr::eq(changes.since.as_ptr(), Arc::as_ptr(other));
        if let Some(changes) = self.changes.known(known) {
            return changes.names;
        }
        let names = differing(&other.resources, &self.resources).into();
        self.changes.keep(Changes { since: Arc::downgrade(other), names }).names
    }

    /// The same names as another stream holds them, if one wants the same.
    pub fn shared_names(&self, names: &Arc<BTreeSet<Arc<str>>>) -> Arc<BTreeSet<Arc<str>>> {
        self.names.known(|known| **known == *names).unwrap_or_else(|| self.names.keep(names.clone()))
    }

    /// These resources of the collection, encoded. Streams that get the same resources share their
    /// bytes.
    pub fn parcel(&self, kind: ResourceType, form: Form, resources: Vec<Arc<Resource>>) -> Arc<Parcel> {
        let known = |parcel: &&Arc<Parcel>| parcel.form == form && same(&parcel.resources, &resources);
        if let Some(parcel) = self.parcels.known(known) {
            return parcel;
        }
        let bytes = form.encode(kind, &resources);
        self.parcels.keep(Arc::new(Parcel { resources: resources.into(), bytes, form }))
    }
}

impl Form {
    fn encode(self, kind: ResourceType, resources: &[Arc<Resource>]) -> Bytes {
        let mut bytes = BytesMut::new();
        for resource in resources {
            let any = discovery::Any { type_url: kind.type_url().to_owned(), value: resource.body.clone() };
            match self {
                Self::Any => message::encode(RESOURCES, &any, &mut bytes),
                Self::Resource => {
                    let (name, version) = (resource.name.to_string(), resource.version.to_string());
                    let resource = discovery::Resource { version, resource: Some(any), name };
                    message::encode(RESOURCES, &resource, &mut bytes);
                }
            }
        }
        bytes.freeze()
    }
}

/// One walk over both. They are sorted by name.
fn differing(old: &Resources, new: &Resources) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    let mut old = old.iter().peekable();
    for (name, resource) in new {
        while let Some((gone, _)) = old.next_if(|(old, _)| *old < name) {
            names.push(gone.clone());
        }
        let before = old.next_if(|(old, _)| *old == name);
        if before.is_none_or(|(_, before)| before.version != resource.version) {
            names.push(name.clone());
        }
    }
    names.extend(old.map(|(gone, _)| gone.clone()));
    names
}

fn same(some: &[Arc<Resource>], others: &[Arc<Resource>]) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(one, other)| Arc::ptr_eq(one, other))
}

/// The last few answers to questions that many streams ask at about the same time.
#[derive(Debug)]
struct Memo<T>(Mutex<VecDeque<T>>);

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Memo<T> {
    /// Streams differ little in where they come from and what they want. Where they differ, each
    /// works for itself.
    const MOST: usize = 4;

    fn known(&self, is: impl FnMut(&&T) -> bool) -> Option<T> {
        // Compares outside of the lock: that may take a while with thousands of names.
        let answers: Vec<T> = self.answers().iter().cloned().collect();
        answers.iter().find(is).cloned()
    }

    /// Answers are not made under the lock either. Streams that ask for different things do not
    /// wait for each other, at the price that an answer may be made twice.
    fn keep(&self, answer: T) -> T {
        let mut answers = self.answers();
        answers.truncate(Self::MOST - 1);
        answers.push_front(answer.clone());
        answer
    }

    /// No code that holds the lock can panic. If it did, there would be nothing to mend.
    fn answers(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use legation_protos::discovery::{DeltaDiscoveryResponse, DiscoveryResponse};
    use prost::Message;

    use super::*;
    use crate::origin::Origin;

    /// The collection that is written `a@1 b@1`.
    fn collection(text: &str) -> Arc<Collection> {
        let origin = Origin { file: "gateway.yaml".into(), line: 1, column: 1 };
        let resources = text.split_whitespace().map(|word| {
            let (name, version) = word.split_once('@').unwrap();
            let body = word.to_owned().into();
            let (name, version, origin) = (name.into(), version.into(), origin.clone());
            let resource = Resource { name, version, body, origin, service_name: None };
            (resource.name.clone(), Arc::new(resource))
        });
        Arc::new(Collection::new(resources.collect()))
    }

    #[test]
    fn changes_are_names_that_came_went_or_have_another_version() {
        for (old, new, changes) in [
            ("", "", ""),
            ("", "a@1 b@1", "a b"),
            ("a@1 b@1", "", "a b"),
            ("a@1 b@1 c@1", "a@1 b@1 c@1", ""),
            ("a@1 b@1 c@1", "a@1 b@2 c@1", "b"),
            ("b@1 d@1", "a@1 b@1 c@1 d@2 e@1", "a c d e"),
            ("a@1 b@1 c@1 e@1", "b@1 d@1", "a c d e"),
        ] {
            let (old, new) = (collection(old), collection(new));
            assert_eq!(new.changes_since(&old).join(" "), changes);
            assert_eq!(old.changes_since(&new).join(" "), changes, "and back");
        }
    }

    #[test]
    fn changes_are_worked_out_once_for_each_other_collection() {
        let (one, two, new) = (collection("a@1"), collection("b@1"), collection("a@2"));
        let (since_one, since_two) = (new.changes_since(&one), new.changes_since(&two));
        assert!(Arc::ptr_eq(&since_one, &new.changes_since(&one)));
        assert!(Arc::ptr_eq(&since_two, &new.changes_since(&two)));
        assert_eq!((since_one.join(" "), since_two.join(" ")), ("a".to_owned(), "a b".to_owned()));
    }

    #[test]
    fn streams_that_are_sent_the_same_share_its_bytes() {
        let collection = collection("a@1 b@1");
        let parcel = |form, names: &[&str]| {
            let resources = names.iter().map(|name| collection.resources()[*name].clone());
            collection.parcel(ResourceType::Endpoints, form, resources.collect())
        };
        let first = parcel(Form::Resource, &["a", "b"]);
        assert!(Arc::ptr_eq(&first, &parcel(Form::Resource, &["a", "b"])));
        for other in [parcel(Form::Any, &["a", "b"]), parcel(Form::Resource, &["a"])] {
            assert_ne!(other.bytes, first.bytes);
        }
    }

    #[test]
    fn a_parcel_is_read_as_a_response_with_its_resources() {
        let collection = collection("a@1 b@2");
        let kind = ResourceType::Endpoints;
        let parcel = |form| collection.parcel(kind, form, collection.resources().values().cloned().collect());
        let delta = DeltaDiscoveryResponse::decode(parcel(Form::Resource).bytes.clone()).unwrap();
        let shown = delta.resources.iter().map(|resource| {
            let any = resource.resource.as_ref().unwrap();
            (&*resource.name, &*resource.version, &*any.type_url, &any.value[..])
        });
        let expected = [("a", "1", kind.type_url(), &b"a@1"[..]), ("b", "2", kind.type_url(), b"b@2")];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        let sotw = DiscoveryResponse::decode(parcel(Form::Any).bytes.clone()).unwrap();
        let shown = sotw.resources.iter().map(|any| (&*any.type_url, &any.value[..]));
        assert_eq!(shown.collect::<Vec<_>>(), expected.map(|(_, _, type_url, body)| (type_url, body)));
    }
}
