//! The names that a client wants of one kind of resource.
//!
//! The rules are those of `xds_protocol`, "How the client specifies what resources to return" and
//! "Unsubscribing From Resources". A wildcard is the name `*`. It is also an empty list as long as
//! the client never sent a name: the legacy form, which only LDS and CDS have. Once the client sent
//! a name, an empty list means nothing (G12).

use std::{collections::BTreeSet, sync::Arc};

use super::{name_set::NameSet, variant::Size};
use crate::snapshot::Collection;

/// The name that stands for all resources.
pub(super) const WILDCARD: &str = "*";

/// The names of one kind that a client wants on one stream.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    names: NameSet,
    wildcard: bool,
    /// Whether the client ever sent a name, which ends the legacy meaning of an empty list.
    named: bool,
    /// Whether the client ever sent a request.
    asked: bool,
}

/// The changes by one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Names to which the server owes an answer, whatever the client already holds.
    pub owed: Vec<Arc<str>>,
    /// Those of them that the client did not ask for before.
    pub gained: Vec<Arc<str>>,
    /// Names that the client does not want any more.
    pub lost: Vec<Arc<str>>,
    /// A wildcard began. The server owes an answer, if only an empty one.
    pub wildcard_began: bool,
    /// The wildcard ended. The client still wants the names that it asked for.
    pub wildcard_ended: bool,
}

impl Subscription {
    /// State of the world: `names` is the whole subscription (S5). `legacy` says whether the kind
    /// has the legacy wildcard.
    pub fn replace(&mut self, names: Vec<String>, legacy: bool) -> Change {
        self.asked = true;
        self.named |= !names.is_empty();
        let wildcard = names.iter().any(|name| name == WILDCARD) || (legacy && !self.named);
        let names = names.into_iter().filter(|name| name != WILDCARD).map(Arc::from).collect::<NameSet>();
        // Most requests only answer. They keep the very same names, which other streams share.
        let names = if names == self.names { self.names.clone() } else { names };
        let before = std::mem::replace(&mut self.names, names);
        let had_wildcard = std::mem::replace(&mut self.wildcard, wildcard);
        let missing = |some: &NameSet, others: &NameSet| -> Vec<Arc<str>> {
            some.iter().filter(|name| !others.contains(name)).cloned().collect()
        };
        // Also a name that the client dropped and now wants again, or that it was once sent unasked
        // (S6).
        let gained = missing(&self.names, &before);
        Change {
            owed: gained.clone(),
            gained,
            lost: if wildcard { Vec::new() } else { missing(&before, &self.names) },
            wildcard_began: wildcard && !had_wildcard,
            wildcard_ended: had_wildcard && !wildcard,
        }
    }

    /// Removes names and adds others, as in delta. A name in both lists ends up subscribed.
    pub fn change(&mut self, subscribe: Vec<String>, unsubscribe: Vec<String>, legacy: bool) -> Change {
        let had_wildcard = self.wildcard;
        if !std::mem::replace(&mut self.asked, true) && legacy && subscribe.is_empty() {
            self.wildcard = true;
        }
        self.named |= !subscribe.is_empty();
        let mut unsubscribed = Vec::new();
        for name in unsubscribe {
            if name == WILDCARD {
                self.wildcard = false;
            } else {
                unsubscribed.extend(self.names.take(&name));
            }
        }
        // The server answers every name, also one that the client subscribed to before (D3).
        self.wildcard |= subscribe.iter().any(|name| name == WILDCARD);
        let names = subscribe.into_iter().filter(|name| name != WILDCARD).map(Arc::from);
        let mut owed = names.collect::<BTreeSet<Arc<str>>>().into_iter().collect::<Vec<_>>();
        let mut gained: Vec<_> = owed.iter().filter(|name| self.names.insert((*name).clone())).cloned().collect();
        self.names.settle();
        let taken: BTreeSet<_> = unsubscribed.iter().cloned().collect();
        gained.retain(|name| !taken.contains(name));
        unsubscribed.retain(|name| !self.names.contains(name));
        let lost = if self.wildcard {
            // The client forgets the name at once, although the wildcard may still cover it. So the
            // server tells it (D8).
            owed.append(&mut unsubscribed);
            Vec::new()
        } else {
            unsubscribed
        };
        Change {
            owed,
            gained,
            lost,
            wildcard_began: self.wildcard && !had_wildcard,
            wildcard_ended: had_wildcard && !self.wildcard,
        }
    }

    /// The size of the names that the client asked for one by one.
    pub fn size(&self) -> Size {
        self.names.size()
    }

    /// Returns whether the client ever asked for the kind.
    pub fn asked(&self) -> bool {
        self.asked
    }

    /// Whether the client wants nothing, or nothing any more.
    pub fn is_empty(&self) -> bool {
        !self.wildcard && self.names.is_empty()
    }

    /// Whether the client wants all resources.
    pub fn wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether the client wants the resource of this name, now or once it exists.
    pub fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Shares its names with streams that have equal ones.
    pub(super) fn share(&mut self, collection: &Collection) {
        self.names.share(collection);
    }

    /// The names that the client asked for one by one, sorted.
    pub fn names(&self) -> &NameSet {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    fn arcs(names: &str) -> Vec<Arc<str>> {
        names.split_whitespace().map(Arc::from).collect()
    }

    /// Returns a subscription as `* a b`.
    fn shown(subscription: &Subscription) -> String {
        let mut names = subscription.names().iter().map(|name| &**name).collect::<Vec<_>>();
        if subscription.wildcard() {
            names.insert(0, WILDCARD);
        }
        names.join(" ")
    }

    /// Each row: the list that a client sends, the subscription then, names owed, names lost,
    /// wildcard began or ended.
    type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

    fn check(change: &Change, subscription: &Subscription, row: Row, step: usize) {
        let (_, wanted, owed, lost, wildcard) = row;
        let expected = Change {
            owed: arcs(owed),
            gained: change.gained.clone(),
            lost: arcs(lost),
            wildcard_began: wildcard == "began",
            wildcard_ended: wildcard == "ended",
        };
        assert_eq!((shown(subscription), change), (wanted.to_owned(), &expected), "step {step}: {row:?}");
    }

    fn sotw(legacy: bool, rows: &[Row]) {
        let mut subscription = Subscription::default();
        for (step, row) in rows.iter().enumerate() {
            let change = subscription.replace(strings(row.0), legacy);
            check(&change, &subscription, *row, step);
        }
    }

    /// Works as `sotw`. A `-` in front of a name unsubscribes from it.
    fn delta(legacy: bool, rows: &[Row]) {
        let mut subscription = Subscription::default();
        for (step, row) in rows.iter().enumerate() {
            let (out, into): (Vec<_>, Vec<_>) = strings(row.0).into_iter().partition(|name| name.starts_with('-'));
            let out = out.iter().map(|name| name.trim_start_matches('-').to_owned()).collect();
            let change = subscription.change(into, out, legacy);
            check(&change, &subscription, *row, step);
        }
    }

    #[test]
    fn the_four_steps_of_the_protocol_document_hold_in_state_of_the_world_g12() {
        sotw(
            true,
            &[
                ("", "*", "", "", "began"),
                ("* a", "* a", "a", "", ""),
                ("a", "a", "", "", "ended"),
                ("", "", "", "a", ""),
            ],
        );
    }

    #[test]
    fn the_four_steps_of_the_protocol_document_hold_in_delta_g12() {
        delta(
            true,
            &[
                ("", "*", "", "", "began"),
                ("* a", "* a", "a", "", ""),
                ("-*", "a", "", "", "ended"),
                ("-a", "", "", "a", ""),
            ],
        );
    }

    #[test]
    fn an_empty_list_is_a_wildcard_only_where_the_kind_has_one_g12() {
        sotw(false, &[("", "", "", "", ""), ("a", "a", "a", "", ""), ("", "", "", "a", "")]);
        delta(false, &[("", "", "", "", ""), ("a", "a", "a", "", ""), ("*", "* a", "", "", "began")]);
    }

    #[test]
    fn a_list_in_state_of_the_world_replaces_the_one_before_s5() {
        sotw(true, &[("a b", "a b", "a b", "", ""), ("b c", "b c", "c", "a", ""), ("b c", "b c", "", "", "")]);
    }

    #[test]
    fn a_name_dropped_and_wanted_again_is_owed_again_s6() {
        sotw(false, &[("a b", "a b", "a b", "", ""), ("b", "b", "", "a", ""), ("a b", "a b", "a", "", "")]);
    }

    #[test]
    fn a_name_that_a_wildcard_still_covers_is_not_lost_s5() {
        sotw(true, &[("* a", "* a", "a", "", "began"), ("*", "*", "", "", "")]);
    }

    #[test]
    fn a_name_is_gained_when_it_was_not_asked_for_before() {
        let mut subscription = Subscription::default();
        let mut gained = |into: &str, out: &str| subscription.change(strings(into), strings(out), true).gained;
        assert_eq!(gained("a b", ""), arcs("a b"));
        assert_eq!(gained("b c", ""), arcs("c"));
        assert_eq!(gained("a", "b"), arcs(""));
        assert_eq!(gained("b", ""), arcs("b"));
        assert_eq!(gained("b", "b"), arcs(""), "out and in is nothing new");
        let mut subscription = Subscription::default();
        let mut gained = |names: &str| subscription.replace(strings(names), true).gained;
        assert_eq!((gained("a b"), gained("b c"), gained("a")), (arcs("a b"), arcs("c"), arcs("a")));
    }

    #[test]
    fn subscribing_again_owes_the_name_again_d3() {
        delta(true, &[("a", "a", "a", "", ""), ("a b", "a b", "a b", "", "")]);
    }

    #[test]
    fn later_requests_without_names_change_nothing_in_delta_d2() {
        delta(true, &[("a", "a", "a", "", ""), ("", "a", "", "", ""), ("-a", "", "", "a", ""), ("", "", "", "", "")]);
    }

    #[test]
    fn unsubscribing_owes_nothing_and_unknown_names_are_harmless_d7() {
        delta(true, &[("a b", "a b", "a b", "", ""), ("-a -x", "b", "", "a", ""), ("-a", "b", "", "", "")]);
    }

    #[test]
    fn unsubscribing_a_name_that_a_wildcard_covers_owes_an_answer_d8() {
        delta(true, &[("* a", "* a", "a", "", "began"), ("-a", "*", "a", "", ""), ("-a", "*", "", "", "")]);
    }

    #[test]
    fn a_name_taken_out_and_in_by_one_request_stays_d2() {
        delta(true, &[("a", "a", "a", "", ""), ("-a a", "a", "a", "", "")]);
    }
}
