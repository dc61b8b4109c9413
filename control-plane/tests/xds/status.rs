//! What `/status`, CSDS and the metrics say of nodes, with a client made by hand at the other end
//! of each stream.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::support::{Client, Wire, kind};
use legation::{
    status::{Status, metrics::Metrics},
    xds::{Delta, Observer, Sotw, StreamId, server::csds::Clients},
};
use legation_protos::pb::envoy::service::status::v3::{ConfigStatus, client_config::GenericXdsConfig};
use serde_json::{Value, json};

const ALL: &str = "CDS a@1, EDS a@1, LDS l@1, RDS r@1";

/// The status, its metrics, and how many streams there were.
struct Watched {
    status: Arc<Status>,
    metrics: Arc<Metrics>,
}

impl Watched {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::default());
        let status = Arc::new(Status::new("gateway.yaml".to_owned(), metrics.clone()));
        Self { status, metrics }
    }

    /// Passes on what happened on a stream.
    fn sees<V: Wire>(&self, stream: u64, client: &mut Client<V>) {
        for event in client.raw_events() {
            self.status.event(StreamId(stream), event);
        }
    }

    fn leaves(&self, stream: u64) {
        self.status.closed(StreamId(stream));
    }

    fn nodes_after(&self, passed: Duration) -> Value {
        serde_json::to_value(self.status.report(Instant::now() + passed)).unwrap()["nodes"].take()
    }

    fn nodes(&self) -> Value {
        self.nodes_after(Duration::ZERO)
    }

    fn metric(&self, line: &str) -> String {
        let text = self.metrics.text().unwrap();
        let found = text.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {line} in {text}")).to_owned()
    }

    fn of_kind(&self, short: &str) -> GenericXdsConfig {
        let configs = self.status.client_configs();
        let [client] = &configs[..] else { panic!("{configs:?}") };
        client.generic_xds_configs.iter().find(|it| it.type_url == kind(short).type_url()).unwrap().clone()
    }
}

#[test]
fn a_node_that_accepted_everything_is_synced() {
    let watched = Watched::new();
    let mut client = Client::<Delta>::at(ALL);
    client.asks("CDS");
    client.hears_and_acks();
    watched.sees(1, &mut client);
    assert_eq!(
        watched.nodes(),
        json!([{"id": "envoy-1", "state": "SYNCED", "types": {"CDS": {"state": "SYNCED", "generation": 1}}}])
    );
}

#[test]
fn a_response_without_an_answer_for_more_than_5_s_makes_a_node_stale_until_it_answers() {
    let watched = Watched::new();
    let mut client = Client::<Sotw>::at(ALL);
    client.asks("CDS");
    client.hears();
    watched.sees(1, &mut client);
    assert_eq!(watched.nodes_after(Duration::from_secs(4))[0]["state"], "SYNCED");
    assert_eq!(watched.nodes_after(Duration::from_secs(6))[0]["state"], "STALE");
    assert_eq!(watched.nodes_after(Duration::from_secs(6))[0]["types"]["CDS"]["state"], "STALE");
    client.acks("CDS");
    watched.sees(1, &mut client);
    assert_eq!(watched.nodes_after(Duration::from_secs(6))[0]["state"], "SYNCED");
}

#[test]
fn a_rejection_shows_with_its_place_and_words_and_says_nothing_of_other_kinds_g8() {
    let watched = Watched::new();
    let mut client = Client::<Delta>::at(ALL);
    client.asks("CDS");
    client.asks("EDS a");
    client.hears();
    client.nacks("CDS", "no such thing");
    client.acks("EDS");
    watched.sees(1, &mut client);
    let expected = json!([{"id": "envoy-1", "state": "NACKED", "types": {
        "CDS": {"state": "NACKED", "generation": null, "at": "gateway.yaml:1:1", "error": "no such thing"},
        "EDS": {"state": "SYNCED", "generation": 1},
    }}]);
    assert_eq!(watched.nodes(), expected);
    assert_eq!(watched.metric("legation_xds_nacks_total{type=\"CDS\"}"), "1");
    client.publish(2, "CDS a@2, EDS a@1");
    client.hears_and_acks();
    watched.sees(1, &mut client);
    assert_eq!(watched.nodes()[0]["state"], "SYNCED", "{}", watched.nodes());
}

#[test]
fn what_a_node_alone_was_put_back_from_shows_until_it_accepts_something_newer() {
    let watched = Watched::new();
    let mut client = Client::<Delta>::at("CDS a@1");
    client.asks("CDS");
    client.hears_and_acks();
    client.publish(2, "CDS a@2");
    client.hears();
    client.nacks("CDS", "a: no such thing");
    client.publish(1, "CDS a@1");
    client.hears_and_acks();
    watched.sees(1, &mut client);
    let of_kind = &watched.nodes()[0]["types"]["CDS"];
    assert_eq!((&of_kind["state"], &of_kind["generation"]), (&json!("NACKED"), &json!(1)), "{of_kind}");
    assert_eq!(of_kind["error"], "a: no such thing");
    client.publish(3, "CDS a@3");
    client.hears_and_acks();
    watched.sees(1, &mut client);
    assert_eq!(watched.nodes()[0]["state"], "SYNCED", "{}", watched.nodes());
}

#[test]
fn a_canary_that_has_a_generation_before_it_is_published_is_not_waited_for() {
    let watched = Watched::new();
    let mut canary = Client::<Delta>::at("CDS a@1");
    let mut other = Client::<Delta>::at("CDS a@1");
    for (stream, client) in [(1, &mut canary), (2, &mut other)] {
        client.asks("CDS");
        client.hears_and_acks();
        watched.sees(stream, client);
    }
    let has_it = |stream, client: &mut Client<Delta>| {
        client.publish(2, "CDS a@2");
        client.hears_and_acks();
        watched.sees(stream, client);
    };
    has_it(1, &mut canary);
    watched.status.serving(2, Instant::now());
    has_it(2, &mut other);
    assert_eq!(watched.metric("legation_propagation_seconds_count"), "1");
}

#[test]
fn a_generation_that_all_go_back_to_is_not_waited_for() {
    let watched = Watched::new();
    let mut client = Client::<Delta>::at("CDS a@1");
    client.asks("CDS");
    client.hears_and_acks();
    watched.sees(1, &mut client);
    watched.status.serving(2, Instant::now());
    watched.status.serving(1, Instant::now());
    client.publish(1, "CDS a@1");
    client.later(60_000);
    client.hears_and_acks();
    watched.sees(1, &mut client);
    assert_eq!(watched.metric("legation_propagation_seconds_count"), "0");
}

#[test]
fn a_node_whose_streams_all_ended_is_gone_until_it_comes_back() {
    let watched = Watched::new();
    let mut client = Client::<Delta>::at(ALL);
    client.asks("CDS");
    watched.sees(1, &mut client);
    watched.leaves(1);
    assert_eq!(watched.nodes(), json!([{"id": "envoy-1", "state": "GONE", "types": {}}]));
    assert_eq!(watched.metric("legation_nodes"), "0");
    assert!(watched.status.client_configs().is_empty(), "CSDS tells of clients that are there");
    let mut again = Client::<Delta>::at(ALL);
    again.asks("CDS");
    again.hears_and_acks();
    watched.sees(2, &mut again);
    assert_eq!(watched.nodes()[0]["state"], "SYNCED");
    assert_eq!(watched.nodes().as_array().unwrap().len(), 1);
}

#[test]
fn a_node_with_a_stream_for_each_kind_is_one_node_with_all_of_them() {
    let watched = Watched::new();
    let mut clusters = Client::<Sotw>::of(Some(kind("CDS")));
    clusters.publish(1, ALL);
    clusters.asks("CDS");
    clusters.hears_and_acks();
    watched.sees(1, &mut clusters);
    let mut listeners = Client::<Sotw>::of(Some(kind("LDS")));
    listeners.publish(1, ALL);
    listeners.asks("LDS");
    listeners.hears();
    listeners.nacks("LDS", "no");
    watched.sees(2, &mut listeners);
    assert_eq!(watched.metric("legation_nodes"), "1");
    assert_eq!(watched.nodes()[0]["state"], "NACKED");
    assert_eq!(watched.nodes()[0]["types"]["CDS"]["state"], "SYNCED");
    watched.leaves(2);
    assert_eq!(watched.nodes()[0]["state"], "SYNCED", "the other stream is still there");
}

#[test]
fn csds_says_of_each_kind_what_was_sent_and_what_the_client_said_c1() {
    let watched = Watched::new();
    let mut client = Client::<Delta>::at(ALL);
    client.asks("CDS");
    client.hears();
    watched.sees(1, &mut client);
    let node = watched.status.client_configs()[0].node.clone().unwrap();
    assert_eq!((node.id.as_str(), node.cluster.as_str()), ("envoy-1", "edge"));
    assert_eq!(watched.of_kind("CDS").config_status(), ConfigStatus::Stale);
    assert_eq!(watched.of_kind("LDS").config_status(), ConfigStatus::NotSent);
    client.nacks("CDS", "no such thing");
    watched.sees(1, &mut client);
    let rejected = watched.of_kind("CDS");
    assert_eq!(rejected.config_status(), ConfigStatus::Error);
    let error = rejected.error_state.unwrap();
    assert_eq!((error.details.as_str(), error.version_info.as_str()), ("gateway.yaml:1:1: no such thing", "1"));
    assert!(error.last_update_attempt.unwrap().seconds > 0);
    assert_eq!(error.failed_configuration, None, "contents are not for everybody");
    client.publish(2, "CDS a@2");
    client.hears_and_acks();
    watched.sees(1, &mut client);
    let accepted = watched.of_kind("CDS");
    assert_eq!(accepted.config_status(), ConfigStatus::Synced);
    assert_eq!((accepted.version_info.as_str(), accepted.error_state), ("2", None));
    assert_eq!(accepted.xds_config, None);
}

#[test]
fn how_long_a_generation_takes_to_all_nodes_is_measured_once_the_last_has_it() {
    let watched = Watched::new();
    let mut one = Client::<Delta>::at("CDS a@1");
    let mut two = Client::<Delta>::at("CDS a@1");
    for (stream, client) in [(1, &mut one), (2, &mut two)] {
        client.asks("CDS");
        client.hears_and_acks();
        client.later(60_000);
        client.hears();
        watched.sees(stream, client);
    }
    let count = "legation_propagation_seconds_count";
    assert_eq!(watched.metric(count), "0");
    watched.status.serving(2, Instant::now());
    for (stream, client) in [(1, &mut one), (2, &mut two)] {
        client.publish(2, "CDS a@2");
        client.hears_and_acks();
        client.later(60_000);
        client.hears();
        assert_eq!(watched.metric(count), "0");
        watched.sees(stream, client);
    }
    assert_eq!(watched.metric(count), "1");
    assert_eq!(watched.metric("legation_propagation_seconds_bucket{le=\"60.0\"}"), "1");
}
