//! Order between kinds, warming, rejection and what is reported, in both variants. Names of tests end in the rule that they
//! hold.

use std::sync::Arc;

use crate::support::{Client, Wire};
use legation::xds::{Delta, Refusal, Sotw, session::LONGEST_NAME};

const NONE: [&str; 0] = [];

const ALL: &str = "ECDS f@1, CDS a@1, EDS a@1, LDS l@1, RDS r@1";

both_variants! {
    routes_wait_until_the_listeners_of_their_generation_are_accepted_o9,
    a_generation_whose_listener_is_rejected_changes_no_route_o9,
    endpoints_follow_a_changed_cluster_at_once_though_unchanged_o4,
    a_mended_first_configuration_is_confirmed_g7_g8,
    rejections_that_follow_each_other_are_each_mended_g7_g8,
    what_was_rejected_is_not_sent_again_and_a_roll_back_is_g7,
}

/// A client that asks as Envoy does, and has everything of `text`, at generation 1.
fn envoy<V: Wire>(text: &str) -> Client<V> {
    Client::with_all(text, &["CDS", "EDS a", "LDS", "RDS r", "ECDS f"])
}

#[test]
fn a_new_envoy_gets_each_kind_as_soon_as_it_asks() {
    let mut client = Client::<Delta>::at(ALL);
    client.asks("CDS");
    assert_eq!(client.hears(), ["CDS +a@1"]);
    client.asks("EDS a");
    assert_eq!(client.hears(), ["EDS +a@1"], "endpoints do not wait for the clusters' ACK (O3)");
    client.acks("CDS");
    client.asks("LDS");
    assert_eq!(client.hears(), ["LDS +l@1"]);
    client.asks("ECDS f");
    client.asks("RDS r");
    assert_eq!(client.hears(), ["ECDS +f@1"], "the listener may still be rejected (O9)");
    client.acks("LDS");
    assert_eq!(client.hears(), ["RDS +r@1"]);
}

#[test]
fn an_envoy_that_comes_back_is_not_held_up_whatever_it_asks_first() {
    for order in [["CDS", "EDS a", "LDS", "RDS r", "ECDS f"], ["ECDS f", "RDS r", "LDS", "EDS a", "CDS"]] {
        let mut client = Client::<Sotw>::at(ALL);
        for ask in order {
            client.asks(ask);
        }
        let mut heard = client.hears_and_acks();
        heard.sort();
        assert_eq!(heard, ["CDS a@1", "ECDS f@1", "EDS a@1", "LDS l@1", "RDS r@1"]);
    }
}

#[test]
fn a_change_goes_out_in_order_and_routes_wait_until_the_clusters_are_warm_o1_o2_o3() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@2, CDS a@1 b@1, EDS a@2 b@1, LDS l@2, RDS r@2");
    assert_eq!(client.hears(), ["ECDS +f@2", "CDS +b@1", "EDS +a@2"]);
    client.acks("EDS");
    client.asks("EDS b");
    assert_eq!(client.hears(), ["EDS +b@1"], "the new cluster warms with it");
    client.acks("EDS");
    assert_eq!(client.hears(), NONE);
    client.acks("CDS");
    assert_eq!(client.hears(), ["LDS +l@2"]);
    client.acks("LDS");
    assert_eq!(client.hears(), ["RDS +r@2"], "and until the listeners are accepted (O9)");
}

#[test]
fn secrets_wait_for_no_cluster_since_clusters_warm_with_them_o3() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, SDS s@1, CDS a@1 b@1, EDS a@1, LDS l@1, RDS r@1");
    assert_eq!(client.hears(), ["CDS +b@1"]);
    client.asks("SDS s");
    assert_eq!(client.hears(), ["SDS +s@1"]);
    client.acks("SDS");
    client.publish(3, "ECDS f@1, SDS s@2, CDS a@1 b@1, EDS a@1, LDS l@2, RDS r@1");
    assert_eq!(client.hears(), ["SDS +s@2"], "the listener waits for the cluster, the secret does not");
    client.acks("CDS");
    assert_eq!(client.hears(), ["LDS +l@2"]);
}

#[test]
fn a_route_goes_out_after_the_policy_that_it_asks_for_while_an_earlier_one_is_unanswered() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@2, CDS a@1, EDS a@1, LDS l@1, RDS r@1");
    assert_eq!(client.hears(), ["ECDS +f@2"]);
    client.publish(3, "ECDS f@3, CDS a@1, EDS a@1, LDS l@1, RDS r@3");
    assert_eq!(client.hears(), NONE, "the policy waits for the ACK of the one before, and the route for the policy");
    client.acks("ECDS");
    assert_eq!(client.hears(), ["ECDS +f@3", "RDS +r@3"]);
    // A client that never answers holds up its routes no longer than clusters may.
    client.publish(4, "ECDS f@4, CDS a@1, EDS a@1, LDS l@1, RDS r@4");
    client.acks("RDS");
    client.later(15_000);
    assert_eq!(client.hears(), ["RDS +r@4"]);
}

#[test]
fn routes_wait_for_clusters_no_longer_than_15_s_o3() {
    let mut client = envoy::<Sotw>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1 b@1, EDS a@1, LDS l@1, RDS r@2");
    assert_eq!(client.hears(), ["CDS a@1 b@1"]);
    assert_eq!((client.wait().unwrap() - client.now).as_secs(), 15);
    client.later(14_999);
    assert_eq!(client.hears(), NONE);
    client.later(1);
    assert_eq!(client.hears(), ["RDS r@2"]);
}

#[test]
fn a_first_answer_of_routes_waits_for_clusters_too_o2() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1 b@1, EDS a@1, LDS l@1, RDS r@1 s@1");
    assert_eq!(client.hears(), ["CDS +b@1"]);
    client.asks("RDS s");
    assert_eq!(client.hears(), NONE);
    client.acks("CDS");
    assert_eq!(client.hears(), ["RDS +s@1"]);
}

#[test]
fn a_stream_without_clusters_and_listeners_waits_for_none_o8() {
    let mut client = Client::<Delta>::of(Some(crate::support::kind("RDS")));
    client.publish(1, ALL);
    client.asks("RDS r");
    assert_eq!(client.hears_and_acks(), ["RDS +r@1"]);
    client.publish(2, "CDS b@1, LDS l@2, RDS r@2");
    assert_eq!(client.hears_and_acks(), ["RDS +r@2"]);
}

/// The client is at generation 2, which changes listener and routes, and was sent the listener.
fn with_a_changed_listener<V: Wire>() -> Client<V> {
    let mut client = envoy::<V>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@1, LDS l@2, RDS r@2");
    assert_eq!(client.hears().len(), 1, "the listener");
    client
}

fn routes_wait_until_the_listeners_of_their_generation_are_accepted_o9<V: Wire>() {
    let mut client = with_a_changed_listener::<V>();
    client.later(14_999);
    assert_eq!(client.hears(), NONE);
    client.acks("LDS");
    assert_eq!(client.hears_and_acks().len(), 1, "the routes");
    assert_eq!(client.confirmed, Some(2));
}

#[test]
fn routes_wait_for_listeners_no_longer_than_15_s_o9() {
    let mut client = with_a_changed_listener::<Sotw>();
    assert_eq!((client.wait().unwrap() - client.now).as_secs(), 15);
    client.later(15_000);
    assert_eq!(client.hears(), ["RDS r@2"]);
}

fn a_generation_whose_listener_is_rejected_changes_no_route_o9<V: Wire>() {
    let mut client = with_a_changed_listener::<V>();
    client.nacks("LDS", "the port is taken");
    client.later(14_999);
    assert_eq!(client.hears(), NONE);
    client.publish(1, ALL);
    assert_eq!(client.hears_and_acks(), [V::either("LDS +l@1", "LDS l@1")], "the routes never knew");
    client.later(60_000);
    assert_eq!(client.hears(), NONE);
}

/// What a client has from an earlier stream may change too early as well.
#[test]
fn a_client_that_comes_back_with_routes_gets_none_of_a_generation_whose_listener_it_rejects_o9() {
    let mut client = Client::<Delta>::at(ALL);
    client.asks_holding("LDS", "l@0");
    client.asks_holding("RDS r", "r@0");
    assert_eq!(client.hears(), ["LDS +l@1"]);
    client.nacks("LDS", "the port is taken");
    assert_eq!(client.hears(), NONE);
    let mut client = Client::<Sotw>::at(ALL);
    for asks in ["LDS", "RDS r"] {
        let (kind, names) = asks.split_once(' ').unwrap_or((asks, ""));
        let names = names.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let mut request = Sotw::request(crate::support::kind(kind).type_url(), &names, "", None);
        request.version_info = "0".to_owned();
        client.sends(request).unwrap();
    }
    assert_eq!(client.hears(), ["LDS l@1"]);
    client.nacks("LDS", "the port is taken");
    assert_eq!(client.hears(), NONE);
}

/// A first file of which one listener is bad serves the others, since there is nothing to go back to.
#[test]
fn a_new_client_that_rejects_a_listener_gets_its_first_routes_o9() {
    let mut client = Client::<Delta>::at(ALL);
    client.asks("LDS");
    client.hears();
    client.asks("RDS r");
    assert_eq!(client.hears(), NONE);
    client.nacks("LDS", "a port is taken");
    assert_eq!(client.hears(), ["RDS +r@1"]);
}

#[test]
fn a_listener_that_warms_for_its_routes_gets_them_once_it_is_accepted_o6_o9() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@1, LDS l@1 m@1, RDS r@1 s@1");
    assert_eq!(client.hears(), ["LDS +m@1"]);
    // Envoy may ask before it answers.
    client.asks("RDS s");
    assert_eq!(client.hears(), NONE);
    client.acks("LDS");
    assert_eq!(client.hears(), ["RDS +s@1"]);
}

/// The listener waits for the clusters, so that the routes wait for both.
#[test]
fn routes_wait_for_a_listener_that_waits_for_clusters_o3_o9() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1 b@1, EDS a@1, LDS l@2, RDS r@2");
    assert_eq!(client.hears(), ["CDS +b@1"]);
    client.later(15_000);
    assert_eq!(client.hears(), ["LDS +l@2"]);
    client.later(14_999);
    assert_eq!(client.hears(), NONE);
    client.later(1);
    assert_eq!(client.hears(), ["RDS +r@2"]);
}

#[test]
fn a_change_of_routes_alone_does_not_wait_for_listeners_that_only_go_o9() {
    let mut client = envoy::<Delta>("ECDS f@1, CDS a@1, EDS a@1, LDS l@1 m@1, RDS r@1");
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@1, LDS l@1, RDS r@2");
    assert_eq!(client.hears(), ["LDS -m", "RDS +r@2"]);
}

#[test]
fn a_cluster_is_removed_only_when_routes_and_listeners_have_let_go_of_it_o1() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS b@1, EDS b@1, LDS l@2, RDS r@2");
    assert_eq!(client.hears(), ["CDS +b@1"]);
    client.asks("EDS b");
    assert_eq!(client.hears(), ["EDS +b@1"]);
    client.acks("EDS");
    client.acks("CDS");
    assert_eq!(client.hears(), ["LDS +l@2"]);
    client.acks("LDS");
    assert_eq!(client.hears(), ["RDS +r@2"]);
    client.acks("RDS");
    assert_eq!(client.hears(), ["CDS -a"]);
    client.acks("CDS");
    assert_eq!(client.hears(), ["EDS -a"], "its endpoints last");
}

#[test]
fn a_cluster_is_not_removed_while_the_routes_of_a_new_listener_are_still_to_be_asked_for_o1() {
    let mut client = envoy::<Delta>("ECDS f@1, CDS a@1 b@1, EDS a@1, LDS l@1, RDS r@1");
    client.publish(2, "ECDS f@1, CDS b@1, EDS a@1, LDS m@1, RDS s@1");
    assert_eq!(client.hears(), ["LDS +m@1 -l"]);
    client.acks("LDS");
    assert_eq!(client.hears(), ["RDS -r"]);
    client.acks("RDS");
    assert_eq!(client.hears(), NONE, "the new listener is warming, the old one still leads to a");
    client.asks("RDS s");
    assert_eq!(client.hears(), ["RDS +s@1"]);
    client.acks("RDS");
    assert_eq!(client.hears(), ["CDS -a"]);
}

#[test]
fn in_state_of_the_world_clusters_come_first_with_the_old_ones_and_then_without_o1() {
    let mut client = envoy::<Sotw>(ALL);
    client.publish(2, "ECDS f@1, CDS b@1, EDS b@1, LDS l@1, RDS r@2");
    assert_eq!(client.hears(), ["CDS a@1 b@1"]);
    client.acks("CDS");
    assert_eq!(client.hears(), ["RDS r@2"]);
    client.acks("RDS");
    assert_eq!(client.hears(), ["CDS b@1"]);
}

#[test]
fn a_removal_waits_for_routes_no_longer_than_15_s_o3() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, LDS l@1, RDS r@2");
    assert_eq!(client.hears(), ["RDS +r@2"]);
    client.later(14_999);
    assert_eq!(client.hears(), NONE);
    client.later(1);
    assert_eq!(client.hears(), ["CDS -a"]);
}

#[test]
fn a_cluster_that_rejected_routes_leave_behind_is_not_removed_o1() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, LDS l@1, RDS r@2");
    assert_eq!(client.hears(), ["RDS +r@2"]);
    client.nacks("RDS", "no");
    client.later(60_000);
    assert_eq!(client.hears(), NONE);
}

fn endpoints_follow_a_changed_cluster_at_once_though_unchanged_o4<V: Wire>() {
    let mut client = envoy::<V>(ALL);
    client.publish(2, "ECDS f@1, CDS a@2, EDS a@1, LDS l@1, RDS r@1");
    assert_eq!(client.hears(), V::either(["CDS +a@2", "EDS +a@1"], ["CDS a@2", "EDS a@1"]));
}

#[test]
fn endpoints_of_another_name_follow_their_changed_cluster_o4() {
    let mut client = Client::<Delta>::with_all("CDS a@1/e, EDS a@1 e@1", &["CDS", "EDS e"]);
    client.publish(2, "CDS a@2/e, EDS a@1 e@1");
    assert_eq!(client.hears(), ["CDS +a@2", "EDS +e@1"]);
}

#[test]
fn endpoints_follow_a_changed_cluster_over_others_in_flight_but_do_not_pile_up_o4_o7() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@2, LDS l@1, RDS r@1");
    assert_eq!(client.hears(), ["EDS +a@2"]);
    client.publish(3, "ECDS f@1, CDS a@2, EDS a@2, LDS l@1, RDS r@1");
    assert_eq!(client.hears(), ["CDS +a@2", "EDS +a@2"]);
    client.acks("CDS");
    client.publish(4, "ECDS f@1, CDS a@3, EDS a@2, LDS l@1, RDS r@1");
    assert_eq!(client.hears(), ["CDS +a@3"], "two are on their way");
    client.acks("EDS");
    assert_eq!(client.hears(), ["EDS +a@2"]);
}

#[test]
fn endpoints_that_a_client_has_from_before_follow_its_changed_cluster_o4() {
    let mut client = Client::<Delta>::at(ALL);
    client.asks_holding("CDS", "a@0");
    assert_eq!(client.hears(), ["CDS +a@1"]);
    client.asks_holding("EDS a", "a@1");
    assert_eq!(client.hears(), ["EDS +a@1"]);
}

#[test]
fn a_changed_listener_does_not_bring_its_routes_again_but_new_ones_are_answered_o6() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@1, LDS l@2, RDS r@1");
    assert_eq!(client.hears_and_acks(), ["LDS +l@2"], "Envoy has the routes");
    client.publish(3, "ECDS f@1, CDS a@1, EDS a@1, LDS l@3, RDS r@1 s@1");
    assert_eq!(client.hears_and_acks(), ["LDS +l@3"]);
    client.asks("RDS s");
    assert_eq!(client.hears(), ["RDS +s@1"], "the listener warms with it");
}

#[test]
fn one_response_is_in_flight_and_changes_meanwhile_coalesce_o7() {
    let mut client = envoy::<Sotw>(ALL);
    for (generation, version) in [(2, 2), (3, 3), (4, 4)] {
        client.publish(generation, &format!("ECDS f@1, CDS a@1, EDS a@1, LDS l@1, RDS r@{version}"));
        assert_eq!(client.hears(), if version == 2 { vec!["RDS r@2"] } else { vec![] });
    }
    client.acks("RDS");
    assert_eq!(client.hears(), ["RDS r@4"]);
}

/// What a client rejected together, one of which is bad, and then that one goes.
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

/// Bad, then something else bad beside it, then both mended.
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
    // The second goes: the first stands.
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
    // In state of the world a listener that is rejected holds up the others of its response.
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
    // Another kind changes: that is sent after a while, the rejected is not.
    client.publish(3, "ECDS f@1, CDS a@bad b@1, EDS a@1, LDS l@1, RDS r@3");
    client.later(15_000);
    assert_eq!(client.hears_and_acks().iter().filter(|heard| heard.starts_with("CDS")).count(), 0);
    assert!(client.events().contains(&"nacked CDS 3: no such thing (?)".to_owned()), "it is said again");
    // A good one is.
    client.publish(4, "ECDS f@1, CDS a@4 b@1, EDS a@1, LDS l@1, RDS r@3");
    assert_eq!(client.hears()[0], V::either("CDS +a@4 +b@1", "CDS a@4 b@1"));
    client.nacks("CDS", "still not");
    // And a roll-back, with what may have been applied in part.
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
fn routes_are_not_changed_while_their_clusters_are_rejected_o2() {
    let mut client = envoy::<Delta>(ALL);
    client.publish(2, "ECDS f@1, CDS a@1 bad@1, EDS a@1, LDS l@1, RDS r@2");
    assert_eq!(client.hears(), ["CDS +bad@1"]);
    client.nacks("CDS", "no");
    assert_eq!(client.hears(), NONE);
    client.publish(1, ALL);
    assert_eq!(client.hears_and_acks(), ["CDS -bad"], "the routes never knew");
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

#[test]
fn a_generation_is_confirmed_when_all_is_accepted_and_at_once_when_nothing_changes() {
    let mut client = envoy::<Delta>(ALL);
    assert_eq!(client.confirmed, Some(1));
    client.publish(2, "ECDS f@1, CDS a@1, EDS a@1, LDS l@1, RDS r@2");
    assert_eq!(client.hears(), ["RDS +r@2"]);
    assert_eq!(client.confirmed, None);
    client.acks("RDS");
    assert_eq!(client.hears(), NONE);
    assert_eq!(client.confirmed, Some(2));
    client.publish(3, "ECDS f@1, CDS a@1, EDS a@1, LDS l@1, RDS r@2");
    client.events();
    assert_eq!(client.hears(), NONE);
    let expected = ["acked ECDS 3", "acked CDS 3", "acked EDS 3", "acked LDS 3", "acked RDS 3", "confirmed 3"];
    assert_eq!(client.events(), expected);
}

#[test]
fn a_client_that_is_still_asking_has_confirmed_nothing() {
    let mut client = Client::<Delta>::at(ALL);
    client.asks("CDS");
    client.hears_and_acks();
    assert_eq!(client.confirmed, None, "Envoy asks for listeners next");
    assert_eq!(client.wait().unwrap().as_secs(), 2);
    client.later(2000);
    client.hears();
    assert_eq!(client.confirmed, Some(1), "this one has all it wants");
}

#[test]
fn a_stream_begins_with_who_asks_and_what() {
    let mut client = Client::<Sotw>::at(ALL);
    client.asks("CDS");
    client.hears();
    client.acks("CDS");
    assert_eq!(client.events(), ["opened envoy-1 sotw", "subscribed CDS", "sent CDS 1", "acked CDS 1"]);
}

#[test]
fn a_kind_that_is_not_served_stays_unanswered_and_the_stream_lives_g14() {
    let mut client = Client::<Delta>::at(ALL);
    client.sends(Delta::request("type.googleapis.com/envoy.service.runtime.v3.Runtime", &[], "", None)).unwrap();
    assert_eq!(client.hears(), NONE);
    client.asks("CDS");
    assert_eq!(client.hears(), ["CDS +a@1"]);
}

#[test]
fn an_empty_type_ends_an_aggregated_stream_and_means_its_own_kind_on_another_g2() {
    let mut client = Client::<Delta>::at(ALL);
    assert_eq!(client.sends(Delta::request("", &[], "", None)), Err(Refusal::NoType));
    let mut client = Client::<Delta>::of(Some(crate::support::kind("CDS")));
    client.publish(1, ALL);
    client.sends(Delta::request("", &[], "", None)).unwrap();
    assert_eq!(client.hears(), ["CDS +a@1"]);
    let other = client.try_asks("LDS");
    assert_eq!(other, Err(Refusal::OtherType(crate::support::kind("CDS"))));
}

#[test]
fn a_stream_of_nobody_is_refused_g3() {
    let mut client = Client::<Sotw>::at(ALL);
    let request = Sotw::request(crate::support::kind("CDS").type_url(), &[], "", None);
    assert_eq!(client.session.request(request.clone(), client.now), Err(Refusal::NoNode));
    let nameless = Sotw::from_node(request, "");
    assert_eq!(client.session.request(nameless, client.now), Err(Refusal::NoNode));
}

#[test]
fn a_client_may_not_fill_the_memory_with_names() {
    let mut client = Client::<Delta>::at(ALL);
    let long = "x".repeat(LONGEST_NAME + 1);
    assert_eq!(client.try_asks(&format!("EDS {long}")), Err(Refusal::NameTooLong));
    let many = (0..150_000).map(|number| format!(" a{number}")).collect::<String>();
    client.asks(&format!("EDS{many}"));
    assert_eq!(client.try_asks(&format!("EDS{}", many.replace('a', "b"))), Err(Refusal::TooManyNames));
}
