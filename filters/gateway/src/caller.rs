//! The caller, and how upstreams see it. The filter removes a client's claims about itself and adds
//! what it knows.

use std::borrow::Cow;

use crate::consumer::Consumer;
use crate::headers::{Edit, Pair};
use crate::identity::{CONSUMER_HEADER, PLAN_HEADER};
use crate::plan::Plan;

/// The caller of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Caller<'a> {
    /// `None` without a key.
    pub(crate) consumer: Option<Consumer<'a>>,
    pub(crate) plan: Option<&'a Plan>,
}

impl<'a> Caller<'a> {
    /// Removes the `forged` headers from a request and adds the caller's identity, with its
    /// metadata if the policy wants it.
    pub(crate) fn edits(&self, forwards_metadata: bool, headers: &[Pair<'a>], forged: &[&'a [u8]]) -> Vec<Edit<'a>> {
        let name = self.consumer.map(|consumer| (CONSUMER_HEADER, consumer.name));
        let plan = self.plan.map(|plan| (PLAN_HEADER, plan.name.as_str()));
        let metadata = self.consumer.filter(|_| forwards_metadata).map_or(&[][..], |consumer| consumer.metadata);
        let metadata = metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let set: Vec<(&'a str, &'a str)> = name.into_iter().chain(plan).chain(metadata).collect();

        // Replaces a single header. Removes a repeated one first, since `replace` does not promise
        // to remove the others.
        let once = |name: &str| headers.iter().filter(|(other, _)| *other == name.as_bytes()).count() == 1;
        let is_replaced = |name: &[u8]| set.iter().any(|(own, _)| own.as_bytes() == name && once(own));
        let mut edits = Vec::new();
        edits.extend(forged.iter().filter(|name| !is_replaced(name)).map(|name| Edit::Remove(name)));
        for (name, value) in &set {
            let value = Cow::Borrowed(value.as_bytes());
            edits.push(if once(name) { Edit::Replace(name, value) } else { Edit::Add(name, value) });
        }
        edits
    }
}
