//! Routes wait for the listeners of their generation, in both variants (O9).

use crate::{
    order::{ALL, NONE, envoy},
    support::{Client, Wire},
};
use legation::xds::{Delta, Sotw};

both_variants! {
    routes_wait_until_the_listeners_of_their_generation_are_accepted_o9,
    a_generation_whose_listener_is_rejected_changes_no_route_o9,
}

/// A client at generation 2, which changes listener and routes. The server has sent it the
/// listener.
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

/// What a client holds from an earlier stream may change too early as well.
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

/// A first file with one bad listener serves the others, since there is nothing to go back to.
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

/// The listener waits for the clusters, so the routes wait for both.
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
