//! The names that a policy refers to: plans, and the consumers of its document.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{self, ApiKeyRule};
use crate::consumer::unknown_plan;
use crate::names::Names;
use crate::plan::Plan;
use crate::problem::{At, Problems, code, text, value};

/// The plans and consumers that a policy refers to by name.
pub(crate) struct Known<'a> {
    pub(crate) plans: &'a BTreeMap<String, Arc<Plan>>,
    /// The field in which Envoy's JWT filter keeps the claims, if the configuration names it.
    pub(crate) payload: Option<&'a str>,
    /// The consumers in the policy's document. A policy that a route carries has no document: it
    /// may be a moment older or newer than the current consumers and plans. So an unknown name
    /// there is no mistake; it matches nobody.
    pub(crate) document: Option<Document<'a>>,
}

impl<'a> Known<'a> {
    /// Returns the plan of this name. Reports a problem if the policy's document has none.
    pub(crate) fn plan(&self, at: &At<'_>, name: &str, problems: &mut Problems) -> Option<&'a Arc<Plan>> {
        let plan = self.plans.get(name);
        if plan.is_none() && self.document.is_some() {
            unknown_plan(at, name, problems);
        }
        plan
    }

    /// Reports a consumer that the policy's document does not have.
    pub(crate) fn check_consumer(&self, at: &At<'_>, name: &str, problems: &mut Problems) {
        if self.document.as_ref().is_some_and(|document| document.names.place(name).is_none()) {
            problems.error(at, code::UNKNOWN_CONSUMER, [text("there is no consumer "), value(name)]);
        }
    }
}

/// The facts about a document's consumers that policies need.
pub(crate) struct Document<'a> {
    names: Names<'a>,
    /// A consumer with a key for each plan, and one for no plan.
    keyed: BTreeMap<Option<&'a str>, &'a str>,
    /// Whether a plan has limits.
    limited: BTreeMap<&'a str, bool>,
    /// The consumer at a place.
    at: &'a dyn Fn(usize) -> Option<Member<'a>>,
}

/// A consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    pub(crate) plan: Option<&'a str>,
    pub(crate) has_key: bool,
}

impl<'a> Member<'a> {
    pub(crate) fn of<S: AsRef<str>>(written: &'a config::Consumer<S>) -> Self {
        let plan = written.plan.as_ref().map(AsRef::as_ref);
        Self { name: written.name.as_ref(), plan, has_key: !written.api_keys.is_empty() }
    }
}

impl<'a> Document<'a> {
    /// Returns the consumers of these names. `at` returns the one at a place, or `None` after the
    /// last.
    pub(crate) fn new(
        names: Names<'a>,
        at: &'a dyn Fn(usize) -> Option<Member<'a>>,
        plans: &'a [config::Plan],
    ) -> Self {
        let mut keyed = BTreeMap::new();
        for member in (0..).map_while(at).filter(|member| member.has_key) {
            keyed.entry(member.plan).or_insert(member.name);
        }
        let has_limits = |plan: &config::Plan| !plan.limits.is_empty() || plan.quota.is_some();
        let mut limited = BTreeMap::new();
        for plan in plans {
            limited.insert(plan.name.as_str(), has_limits(plan));
        }
        Self { names, keyed, limited, at }
    }

    /// Returns consumers with a key whom a rule admits: one for each plan, and all named ones.
    pub(crate) fn admitted<'b>(
        &'b self,
        rule: &'b ApiKeyRule,
    ) -> impl Iterator<Item = (Option<&'a str>, &'a str)> + 'b {
        let everyone = rule.consumers.is_empty() && rule.plans.is_empty();
        let is_admitted = move |plan: Option<&str>| {
            everyone || plan.is_some_and(|plan| rule.plans.iter().any(|admitted| admitted == plan))
        };
        let by_plan = self.keyed.iter().map(|(plan, name)| (*plan, *name)).filter(move |(plan, _)| is_admitted(*plan));
        let named = rule.consumers.iter().filter_map(|name| (self.at)(self.names.place(name)?));
        by_plan.chain(named.filter(|member| member.has_key).map(|member| (member.plan, member.name)))
    }

    /// Returns whether a plan of the document has limits.
    pub(crate) fn has_limits(&self, plan: &str) -> Option<bool> {
        self.limited.get(plan).copied()
    }

    /// Returns whether a rule may admit a caller with this plan, with a key or without.
    pub(crate) fn may_come(&self, plan: &str, rule: &ApiKeyRule) -> bool {
        rule.anonymous_plan.as_deref() == Some(plan) || self.admitted(rule).any(|(of, _)| of == Some(plan))
    }
}
