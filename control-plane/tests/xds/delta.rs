//! Delta, as a script: what the client says, and what the server answers.

use legation::xds::Delta;
use legation_protos::discovery::DeltaDiscoveryRequest;

type Client = crate::support::Client<Delta>;

const NONE: [&str; 0] = [];

#[test]
fn a_wildcard_is_answered_with_all_and_an_ack_with_nothing_g9() {
    let mut client = Client::at("CDS a@1 b@1");
    client.asks("CDS");
    assert_eq!(client.hears(), ["CDS +a@1 +b@1"]);
    client.acks("CDS");
    assert_eq!(client.hears(), NONE);
}

#[test]
fn a_first_wildcard_is_answered_even_with_nothing_d10() {
    let mut client = Client::at("");
    client.asks("LDS");
    assert_eq!(client.hears(), ["LDS"]);
    client.acks("LDS");
    assert_eq!(client.hears(), NONE);
}

#[test]
fn nothing_is_answered_before_the_first_snapshot_g15() {
    let mut client = Client::new();
    client.asks("CDS");
    assert_eq!(client.hears(), NONE);
    client.publish(1, "CDS a@1");
    assert_eq!(client.hears(), ["CDS +a@1"]);
}

#[test]
fn only_what_changed_is_sent_d4() {
    let mut client = Client::with_all("CDS a@1 b@1", &["CDS"]);
    client.publish(2, "CDS a@2 b@1 c@1");
    assert_eq!(client.hears(), ["CDS +a@2 +c@1"]);
}

#[test]
fn what_is_gone_is_removed_once_and_sent_again_when_it_is_back_d5() {
    let mut client = Client::with_all("CDS a@1 b@1", &["CDS"]);
    client.publish(2, "CDS a@1");
    assert_eq!(client.hears_and_acks(), ["CDS -b"]);
    client.publish(3, "CDS a@1");
    assert_eq!(client.hears(), NONE);
    client.publish(4, "CDS a@1 b@1");
    assert_eq!(client.hears(), ["CDS +b@1"]);
}

#[test]
fn a_name_that_does_not_exist_is_answered_and_sent_when_it_comes_into_being_d6_g11() {
    let mut client = Client::with_all("EDS a@1", &["EDS a"]);
    client.asks("EDS b");
    assert_eq!(client.hears_and_acks(), ["EDS -b"]);
    client.publish(2, "EDS a@1 b@1");
    assert_eq!(client.hears(), ["EDS +b@1"]);
}

#[test]
fn a_name_is_sent_again_when_it_is_asked_for_again_d3() {
    let mut client = Client::with_all("EDS a@1 b@1", &["EDS a b"]);
    client.asks("EDS a");
    assert_eq!(client.hears(), ["EDS +a@1"]);
}

#[test]
fn names_count_in_an_ack_and_in_a_nack_and_with_an_old_nonce_d2() {
    let url = crate::support::kind("EDS").type_url();
    let request = |name: &str, nonce: &str, error: Option<&str>| {
        <Delta as crate::support::Wire>::request(url, &[name.to_owned()], nonce, error)
    };
    let mut client = Client::at("EDS a@1 b@1 c@1 d@1");
    client.asks("EDS a");
    assert_eq!(client.hears(), ["EDS +a@1"]);
    client.sends(request("b", "1", None)).unwrap();
    assert_eq!(client.hears(), ["EDS +b@1"]);
    client.sends(request("c", "2", Some("no"))).unwrap();
    assert_eq!(client.hears(), ["EDS +c@1"]);
    client.sends(request("d", "1", None)).unwrap();
    assert_eq!(client.hears(), NONE, "the one in flight comes first");
    client.sends(<Delta as crate::support::Wire>::request(url, &[], "3", None)).unwrap();
    assert_eq!(client.hears(), ["EDS +d@1"]);
}

#[test]
fn nothing_more_comes_for_a_name_that_was_unsubscribed_d7() {
    let mut client = Client::with_all("EDS a@1 b@1", &["EDS a b"]);
    client.asks("EDS -a -unknown");
    assert_eq!(client.hears(), NONE);
    client.publish(2, "EDS a@2 b@2");
    assert_eq!(client.hears(), ["EDS +b@2"]);
}

#[test]
fn unsubscribing_a_name_under_a_wildcard_is_answered_d8() {
    let mut client = Client::with_all("CDS a@1", &["CDS * a x"]);
    client.asks("CDS -a");
    assert_eq!(client.hears_and_acks(), ["CDS +a@1"]);
    client.asks("CDS -x");
    assert_eq!(client.hears_and_acks(), ["CDS -x"]);
}

#[test]
fn a_wildcard_that_ends_leaves_the_names_g12() {
    let mut client = Client::with_all("CDS a@1 b@1", &["CDS", "CDS a", "CDS -*"]);
    client.publish(2, "CDS a@2 b@2");
    assert_eq!(client.hears(), ["CDS +a@2"]);
}

#[test]
fn a_client_that_comes_back_gets_only_what_differs_d9_d11() {
    let mut client = Client::at("CDS a@1 b@2, EDS a@1 b@2, LDS l@1, RDS r@2");
    client.asks_holding("CDS", "a@1 b@1 gone@1");
    assert_eq!(client.hears_and_acks(), ["CDS +b@2"], "what it still has may refer to the cluster that is gone");
    client.asks_holding("LDS", "l@1");
    client.asks_holding("RDS r", "r@1");
    assert_eq!(client.hears_and_acks(), ["LDS", "RDS +r@2", "CDS -gone"]);
    client.asks_holding("EDS a b gone", "a@1 b@1 gone@1 never-asked-for@1");
    assert_eq!(client.hears_and_acks(), ["EDS +b@2 -gone"]);
}

#[test]
fn a_client_that_comes_back_to_the_same_resources_gets_none_d9_d10() {
    let mut client = Client::at("ECDS f@1, CDS a@1, EDS a@1, LDS l@1, RDS r@1");
    client.asks_holding("CDS", "a@1");
    client.asks_holding("EDS a", "a@1");
    client.asks_holding("LDS", "l@1");
    client.asks_holding("RDS r", "r@1");
    client.asks_holding("ECDS f", "f@1");
    assert_eq!(client.hears_and_acks(), ["CDS", "LDS"], "only the wildcards, with nothing in it");
}

#[test]
fn what_a_client_says_it_holds_counts_in_its_first_request_only_d9() {
    let mut client = Client::with_all("EDS a@1 b@1", &["EDS a"]);
    client.asks_holding("EDS b", "b@1");
    assert_eq!(client.hears(), ["EDS +b@1"]);
}

#[test]
fn what_a_client_says_it_holds_is_kept_until_the_first_snapshot_d9_g15() {
    let mut client = Client::new();
    client.asks_holding("CDS", "a@1 b@1");
    client.publish(1, "CDS a@1 b@2");
    assert_eq!(client.hears(), ["CDS +b@2"]);
}

#[test]
fn filter_configurations_are_never_removed_d13() {
    let mut client = Client::with_all("ECDS f@1", &["ECDS f"]);
    client.publish(2, "");
    assert_eq!(client.hears(), NONE);
    client.asks("ECDS unknown");
    assert_eq!(client.hears(), NONE);
    client.publish(3, "ECDS f@1 unknown@1");
    assert_eq!(client.hears(), ["ECDS +unknown@1"], "it still has the other");
}

#[test]
fn secrets_are_never_removed_d13() {
    let mut client = Client::with_all("SDS s@1", &["SDS s"]);
    client.publish(2, "");
    assert_eq!(client.hears(), NONE);
    client.publish(3, "SDS s@2");
    assert_eq!(client.hears(), ["SDS +s@2"]);
}

#[test]
fn a_node_is_asked_for_once_g3() {
    let mut client = Client::at("CDS a@1");
    let cds = DeltaDiscoveryRequest { type_url: crate::support::kind("CDS").type_url().into(), ..Default::default() };
    assert!(client.session.request(cds.clone(), client.now).is_err(), "no node");
    client.sends(cds.clone()).unwrap();
    client.session.request(cds, client.now).unwrap();
}
