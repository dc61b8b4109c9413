//! Order between kinds, warming and what is reported, in both variants.

use crate::support::{Client, Wire};
use legation::xds::{Delta, Refusal, Sotw, session::LONGEST_NAME};

pub const NONE: [&str; 0] = [];

pub const ALL: &str = "ECDS f@1, CDS a@1, EDS a@1, LDS l@1, RDS r@1";

both_variants! {
    endpoints_follow_a_changed_cluster_at_once_though_unchanged_o4,
}

/// A client that asks as Envoy does, and has everything of `text`, at generation 1.
pub fn envoy<V: Wire>(text: &str) -> Client<V> {
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
