//! State of the world, as a script: what the client says, and what the server answers.

use crate::support::Wire;
use legation::xds::{Next, Sotw};
use legation_protos::discovery::{DiscoveryRequest, DiscoveryResponse};

type Client = crate::support::Client<Sotw>;

const NONE: [&str; 0] = [];

/// A request of the kind that people abbreviate like this.
fn request(short: &str, names: &[&str], nonce: &str, error: Option<&str>) -> DiscoveryRequest {
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    Sotw::request(crate::support::kind(short).type_url(), &names, nonce, error)
}

#[test]
fn clusters_and_listeners_are_always_sent_whole_s1() {
    let mut client = Client::with_all("CDS a@1 b@1, LDS k@1 l@1", &["CDS", "LDS"]);
    client.publish(2, "CDS a@1 b@2, LDS k@1 l@2");
    assert_eq!(client.hears_and_acks(), ["CDS a@1 b@2", "LDS k@1 l@2"]);
}

#[test]
fn other_kinds_are_sent_as_far_as_they_changed_s2() {
    let mut client = Client::with_all("EDS a@1 b@1, RDS q@1 r@1", &["EDS a b", "RDS q r"]);
    client.publish(2, "EDS a@1 b@2, RDS q@2 r@1");
    assert_eq!(client.hears_and_acks(), ["EDS b@2", "RDS q@2"]);
}

#[test]
fn a_cluster_is_removed_by_a_response_without_it_and_other_kinds_are_not_s3() {
    let mut client = Client::with_all("CDS a@1 b@1, EDS a@1 b@1", &["CDS", "EDS a b"]);
    client.publish(2, "CDS a@1, EDS a@1");
    assert_eq!(client.hears_and_acks(), ["CDS a@1"]);
    client.later(2000);
    client.publish(3, "");
    assert_eq!(client.hears_and_acks(), ["CDS"]);
}

#[test]
fn a_first_wildcard_is_answered_even_with_nothing_s4() {
    let mut client = Client::at("");
    client.asks("CDS");
    client.asks("LDS");
    assert_eq!(client.hears_and_acks(), ["CDS", "LDS"]);
}

#[test]
fn dropping_a_name_is_not_answered_and_the_name_not_updated_s5() {
    let mut client = Client::with_all("EDS a@1 b@1", &["EDS a b"]);
    client.asks("EDS b");
    assert_eq!(client.hears(), NONE);
    client.publish(2, "EDS a@2 b@2");
    assert_eq!(client.hears(), ["EDS b@2"]);
}

#[test]
fn a_name_that_is_wanted_again_is_sent_though_unchanged_s6() {
    let mut client = Client::with_all("EDS a@1 b@1", &["EDS a b"]);
    client.asks("EDS b");
    client.asks("EDS a b");
    assert_eq!(client.hears(), ["EDS a@1"]);
}

#[test]
fn a_name_is_sent_though_a_wildcard_brought_it_before_s6() {
    let mut client = Client::with_all("CDS a@1 b@1", &["CDS"]);
    client.asks("CDS a");
    assert_eq!(client.hears(), ["CDS a@1"]);
}

#[test]
fn an_empty_list_after_a_name_is_no_wildcard_g12() {
    let mut client = Client::with_all("CDS a@1 b@1", &["CDS", "CDS * a", "CDS a", "CDS"]);
    client.publish(2, "CDS a@2 b@2");
    assert_eq!(client.hears(), NONE);
}

#[test]
fn equal_resources_have_equal_versions_on_every_stream_and_others_have_not_s7() {
    let version = |text: &str| {
        let mut client = Client::at(text);
        client.asks("CDS");
        match client.session.poll(client.now) {
            Next::Send(message) => message.read::<DiscoveryResponse>().unwrap().version_info,
            Next::Wait(_) => panic!("it has something to say"),
        }
    };
    assert_eq!(version("CDS a@1 b@1"), version("CDS b@1 a@1, LDS x@1"));
    assert_ne!(version("CDS a@1 b@1"), version("CDS a@1 b@2"));
    assert_ne!(version("CDS a@1 b@1"), version("CDS a@1"));
    assert_ne!(version("CDS ab@1"), version("CDS a@b1"));
}

#[test]
fn the_version_of_a_part_is_that_of_all_the_client_has_s7() {
    let mut client = Client::at("EDS a@1 b@1");
    let mut versions = Vec::new();
    for request in [request("EDS", &["a"], "", None), request("EDS", &["a", "b"], "1", None)] {
        client.sends(request).unwrap();
        if let Next::Send(message) = client.session.poll(client.now) {
            versions.push(message.read::<DiscoveryResponse>().unwrap().version_info);
        }
    }
    let mut other = Client::at("EDS a@1 b@1");
    other.asks("EDS a b");
    let Next::Send(message) = other.session.poll(other.now) else { panic!("it has something to say") };
    assert_ne!(versions[0], versions[1]);
    assert_eq!(versions[1], message.read::<DiscoveryResponse>().unwrap().version_info);
}

#[test]
fn the_names_of_a_request_with_an_old_nonce_do_not_count_s8() {
    let mut client = Client::at("EDS a@1 b@1 c@1");
    client.asks("EDS a");
    assert_eq!(client.hears(), ["EDS a@1"]);
    client.sends(request("EDS", &["a", "b"], "1", None)).unwrap();
    assert_eq!(client.hears(), ["EDS b@1"]);
    client.sends(request("EDS", &["a", "c"], "1", None)).unwrap();
    assert_eq!(client.hears(), NONE);
    client.sends(request("EDS", &["a", "b", "c"], "2", None)).unwrap();
    assert_eq!(client.hears(), ["EDS c@1"]);
}

#[test]
fn a_client_that_comes_back_is_answered_though_it_has_the_version_s9() {
    let mut client = Client::at("EDS a@1");
    client.sends(DiscoveryRequest { version_info: "1".into(), ..request("EDS", &["a"], "", None) }).unwrap();
    assert_eq!(client.hears(), ["EDS a@1"]);
}

#[test]
fn requests_that_come_together_get_one_answer_s10() {
    let mut client = Client::at("EDS a@1 b@1");
    client.asks("EDS a");
    client.asks("EDS a b");
    client.asks("EDS b");
    assert_eq!(client.hears(), ["EDS b@1"]);
}

#[test]
fn a_name_that_does_not_exist_is_sent_when_it_comes_into_being_g11() {
    let mut client = Client::with_all("EDS a@1", &["EDS a b"]);
    client.publish(2, "EDS a@1 b@1");
    assert_eq!(client.hears(), ["EDS b@1"]);
}

#[test]
fn a_named_cluster_that_does_not_exist_is_answered_by_its_absence_s3() {
    let mut client = Client::at("CDS a@1");
    client.asks("CDS a x");
    assert_eq!(client.hears_and_acks(), ["CDS a@1"]);
    client.asks("CDS a x y");
    assert_eq!(client.hears_and_acks(), ["CDS a@1"]);
}
