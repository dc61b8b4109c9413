//! What a client rejects, what the server then sends, and what it reports, in both variants.

use std::sync::Arc;

use crate::{
    order::{ALL, NONE, envoy},
    support::{Client, Wire},
};
use legation::xds::{Delta, Sotw};

both_variants! {
    a_mended_first_configuration_is_confirmed_g7_g8,
    rejections_that_follow_each_other_are_each_mended_g7_g8,
    what_was_rejected_is_not_sent_again_and_a_roll_back_is_g7,
}

/// A client rejects two listeners together, one of which is bad. Then the bad one goes.
fn what_was_rejected_along_with_something_bad_is_sent_once_more<V: Wire>(words: &str) {
    let mut client = Client::<V>::at("LDS good@1 second@bad");
    client.asks("LDS");
    client.hears();
    client.nacks("LDS", words);
    client.publish(2, "LDS good@1 second@bad");
    assert_eq!(client.hears(), NONE, "nothing was mended");
    client.publish(3, "LDS good@1");
    client.events();
    assert_eq!(client.hears_and_acks(), V::either(vec!["LDS +good@1", "LDS -second"], vec!["LDS good@1"]));
    client.later(20_000);
    assert_eq!(client.hears(), NONE);
    assert_eq!(client.events().last().map(String::as_str), Some("confirmed 3"));
}

fn a_mended_first_configuration_is_confirmed_g7_g8<V: Wire>() {
    for words in ["second: the port is taken", "something is wrong"] {
        what_was_rejected_along_with_something_bad_is_sent_once_more::<V>(words);
    }
}

#[test]
fn what_was_rejected_stays_unsent_while_what_it_blames_is_there_g7() {
    let mut client = Client::<Delta>::at("LDS good@1 second@bad");
    client.asks("LDS");
    client.hears();
    client.nacks("LDS", "second: the port is taken");
    client.publish(2, "LDS good@2 second@bad");
    assert_eq!(client.hears(), ["LDS +good@2"]);
}

#[test]
fn what_was_rejected_is_sent_again_when_it_is_to_be_tried_again() {
    let mut client = Client::<Delta>::at("LDS good@1 second@bad");
    client.asks("LDS");
    client.hears();
    client.nacks("LDS", "second: the port is taken");
    let retried = Arc::unwrap_or_clone(crate::support::snapshot(2, "LDS good@1 second@bad")).retried();
    client.session.publish(Arc::new(retried), client.now);
    assert_eq!(client.hears(), ["LDS +good@1 +second@bad"]);
    client.nacks("LDS", "second: it still is");
    client.later(20_000);
    assert_eq!(client.hears(), NONE, "it was tried once");
}

/// One resource is bad, then another beside it, and then both are mended.
fn rejections_that_follow_each_other_are_each_mended<V: Wire>(kind: &str) {
    let mut client = Client::<V>::at(&format!("{kind} good@1 a@bad"));
    client.asks(&format!("{kind} good a c"));
    client.hears();
    client.nacks(kind, "a: no");
    client.publish(2, &format!("{kind} good@1 a@bad c@bad"));
    assert_eq!(client.hears().len(), 1);
    client.nacks(kind, "c: no");
    client.later(20_000);
    client.hears();
    // The second one is mended, and the first one stands.
    client.publish(3, &format!("{kind} good@1 a@bad c@3"));
    client.events();
    client.hears_and_acks();
    let events = client.events();
    assert!(events.contains(&format!("nacked {kind} 3: a: no (a@bad)")), "{events:?}");
    client.publish(4, &format!("{kind} good@1 a@4 c@3"));
    client.hears_and_acks();
    client.later(20_000);
    client.hears_and_acks();
    assert_eq!(client.events().last().map(String::as_str), Some("confirmed 4"));
}

fn rejections_that_follow_each_other_are_each_mended_g7_g8<V: Wire>() {
    // In state of the world a rejected listener holds up the others of its response.
    for kind in ["EDS", "SDS", "ECDS", "RDS"].into_iter().chain(V::either(Some("LDS"), None)) {
        rejections_that_follow_each_other_are_each_mended::<V>(kind);
    }
}

#[test]
fn an_ack_that_overtakes_a_rejection_confirms_nothing_o4() {
    let mut client = Client::<Delta>::with_all("CDS x@1 y@1, EDS x@1 y@1", &["CDS", "EDS x y"]);
    client.publish(2, "CDS x@1 y@1, EDS x@bad y@1");
    assert_eq!(client.hears(), ["EDS +x@bad"]);
    client.publish(3, "CDS x@1 y@2, EDS x@bad y@1");
    assert_eq!(client.hears(), ["CDS +y@2", "EDS +y@1"]);
    client.nacks("EDS", "no");
    client.acks("EDS");
    client.acks("CDS");
    client.later(20_000);
    assert_eq!(client.hears(), NONE);
    let events = client.events();
    assert!(events.contains(&"nacked EDS 3: no (x@bad)".to_owned()), "{events:?}");
    assert!(!events.iter().any(|event| event.starts_with("confirmed")), "{events:?}");
}

fn what_was_rejected_is_not_sent_again_and_a_roll_back_is_g7<V: Wire>() {
    let mut client = envoy::<V>(ALL);
    client.publish(2, "ECDS f@1, CDS a@bad b@1, EDS a@1, LDS l@1, RDS r@1");
    client.hears();
    client.nacks("CDS", "no such thing");
    assert!(client.hears().is_empty());
    assert!(client.events().iter().any(|event| event.starts_with("nacked CDS 2: no such thing (?)")));
    // Another kind changes. The server sends that after a while, and does not send the rejected
    // clusters.
    client.publish(3, "ECDS f@1, CDS a@bad b@1, EDS a@1, LDS l@1, RDS r@3");
    client.later(15_000);
    assert_eq!(client.hears_and_acks().iter().filter(|heard| heard.starts_with("CDS")).count(), 0);
    assert!(client.events().contains(&"nacked CDS 3: no such thing (?)".to_owned()), "it is said again");
    // The server sends a good cluster.
    client.publish(4, "ECDS f@1, CDS a@4 b@1, EDS a@1, LDS l@1, RDS r@3");
    assert_eq!(client.hears()[0], V::either("CDS +a@4 +b@1", "CDS a@4 b@1"));
    client.nacks("CDS", "still not");
    // And it sends a roll-back, with what the client may have applied in part.
    client.publish(1, ALL);
    let again = V::either("CDS +a@1, EDS +a@1, RDS +r@1, CDS -b", "CDS a@1, EDS a@1, RDS r@1");
    assert_eq!(client.hears_and_acks().join(", "), again);
    assert_eq!(client.confirmed, Some(1));
}

#[test]
fn a_name_that_is_new_is_sent_after_a_nack_g7() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@bad c@1, LDS l@1, RDS r@1");
    assert_eq!(client.hears(), ["EDS +a@bad"]);
    client.nacks("EDS", "no");
    client.asks("EDS c");
    assert_eq!(client.hears(), ["EDS +c@1"]);
    client.acks("EDS");
    assert_eq!(client.hears(), NONE);
    let events = client.events();
    assert!(!events.contains(&"confirmed 2".to_owned()), "what was rejected still is: {events:?}");
}

#[test]
fn a_rejected_cluster_that_nothing_replaces_is_taken_out_of_state_of_the_world_g7() {
    let mut client = envoy::<Sotw>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1 bad@1, EDS a@1, LDS l@1, RDS r@1");
    assert_eq!(client.hears(), ["CDS a@1 bad@1"]);
    client.nacks("CDS", "no");
    client.publish(3, ALL);
    assert_eq!(client.hears_and_acks(), ["CDS a@1"]);
    assert_eq!(client.confirmed, Some(3));
}

#[test]
fn a_removal_that_was_rejected_goes_with_the_next_change_g7() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@1, RDS r@1");
    assert_eq!(client.hears(), ["LDS -l"]);
    client.nacks("LDS", "no");
    assert_eq!(client.hears(), NONE);
    client.publish(3, "ECDS f@1, CDS a@1, EDS a@1, RDS r@1");
    assert_eq!(client.hears(), NONE);
    client.publish(4, "ECDS f@1, CDS a@1, EDS a@1, LDS m@1, RDS r@1");
    assert_eq!(client.hears_and_acks(), ["LDS +m@1 -l"]);
    assert_eq!(client.confirmed, Some(4));
}

#[test]
fn a_rejection_whatever_its_version_is_told_by_the_error_alone_g6_d1() {
    let mut client = envoy::<Sotw>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@1, LDS l@1, RDS r@2");
    client.hears();
    client.events();
    let mut request = Sotw::request(crate::support::kind("RDS").type_url(), &["r".to_owned()], "6", Some("no"));
    request.version_info = "whatever".to_owned();
    client.sends(request).unwrap();
    assert_eq!(client.events(), ["nacked RDS 2: no (r@2)"]);
}

#[test]
fn a_later_ack_ends_a_rejection_of_its_kind_g8() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@bad, LDS l@1, RDS r@bad");
    client.hears();
    client.nacks("EDS", "no");
    client.nacks("RDS", "no");
    client.publish(3, "ECDS f@1, CDS a@1, EDS a@3, LDS l@1, RDS r@bad");
    client.events();
    assert_eq!(client.hears_and_acks(), ["EDS +a@3"]);
    let events = client.events();
    assert!(events.contains(&"acked EDS 3".to_owned()) && events.contains(&"nacked RDS 3: no (r@bad)".to_owned()));
    assert!(!events.contains(&"confirmed 3".to_owned()));
}
