//! A whole decision about any bytes that claim to be a request's headers.

use std::{collections::BTreeMap, sync::LazyLock};

use legation_filter::{
    api_key::source::{Found, Source},
    compile::{Tables, compile, policy_of},
    decide::{Decision, Outcome, decide},
    host::pairs,
    outside::{CountError, Outside, Seed, SharedState},
    policy::RoutePolicies,
    rate_limit::counts::prepare,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::envoy::{Header, apply, borrowed, count, encode, headers};

/// The key that alice holds; the seeds know it.
const KEY: &str = "alice-key";
const NOW: u64 = 1_800_000_000_000_000_000;

/// Policies by the name of the route; the last of them knows no route.
const ROUTES: [&str; 4] = ["keyed", "open", "kept", "unknown"];

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let sha256 = Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let places = json!({"header": "x-api-key", "bearer": true, "cookie": "key", "query": "key"});
    let with = |more: serde_json::Value| {
        let mut rule = places.clone();
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    let limits = json!([
        {"plan": true},
        {"limit": 1, "window": "1s", "burst": 3, "by": "ip"},
        {"limit": 3, "window": "1m", "by": "consumer"},
        {"limit": 1000, "window": "1h"},
        {"limit": 100, "window": "1h", "by": "header:x-tenant", "cost": "header:x-cost", "algorithm": "sliding_window"},
        {"limit": 1, "window": "1h", "by": "jwt:sub", "dry_run": true},
    ]);
    let anonymous = with(json!({"optional": true, "anonymous_plan": "free"}));
    let config = json!({
        "version": 1,
        "plans": [{"name": "pro", "limits": [{"limit": 2, "window": "1s"}]}, {"name": "free"}],
        "consumers": [{"name": "alice", "plan": "pro", "api_keys": [{"sha256": sha256, "expires": "2999-01-01"}],
            "metadata": {"tier": "gold"}}],
        "policies": [
            {"name": "keyed", "api_key": places, "rate_limit": limits},
            {"name": "open", "api_key": anonymous, "rate_limit": limits},
            {"name": "kept", "api_key": with(json!({"keep": true, "plans": ["pro"], "forward_metadata": true}))},
        ],
        "rules": [
            {"route": "keyed", "prefix": "/a", "hosts": ["*.example"], "policy": "open"},
            {"route": "keyed", "policy": "keyed"},
            {"route": "open", "policy": "open"},
            {"route": "kept", "policy": "kept"},
        ],
    });
    compile(config.to_string().as_bytes()).unwrap()
});

/// A seed, from tables that are not used: a value that is absent is an empty set.
static SEED: LazyLock<Option<Seed>> = LazyLock::new(|| prepare(&mut Elsewhere::default(), [3; 16]).ok());

#[derive(Default)]
struct Elsewhere {
    route: &'static str,
    values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    writes: u32,
    seed: Option<Seed>,
}

impl Outside for Elsewhere {
    fn now(&mut self) -> u64 {
        NOW
    }

    fn route_name(&mut self) -> Option<Vec<u8>> {
        Some(self.route.as_bytes().to_vec())
    }

    fn route_policy(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn source_address(&mut self) -> Option<Vec<u8>> {
        Some(b"192.0.2.1:80".to_vec())
    }

    fn claim(&mut self, _path: &[u8]) -> Option<Vec<u8>> {
        Some(b"sub".to_vec())
    }

    fn seed(&mut self) -> Option<Seed> {
        self.seed
    }
}

impl SharedState for Elsewhere {
    fn get(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
        Ok(self.values.get(key).cloned())
    }

    fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<bool, CountError> {
        self.writes += 1;
        let is_current = cas == 0 || self.values.get(key).is_none_or(|(_, current)| *current == cas);
        if is_current {
            self.values.insert(key.to_owned(), (value.to_owned(), self.writes));
        }
        Ok(is_current)
    }
}

/// The first byte says which route, and whether the rest are lines of headers or bytes as Envoy
/// hands them over.
pub fn check(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let list = if first & 0x80 == 0 { rest.to_vec() } else { encode(&headers(rest)) };
    let Some(pairs) = pairs::decode(&list) else { return };
    let before: Vec<Header> = pairs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(pairs::decode(&encode(&before)).as_deref(), Some(&*pairs), "what was read can be written");
    // Envoy gives each of these once at most.
    if [":path", ":authority"].iter().any(|name| count(&before, name.as_bytes()) > 1) {
        return;
    }
    let route = ROUTES[usize::from(*first) % ROUTES.len()];
    let mut outside = Elsewhere { route, seed: *SEED, ..Elsewhere::default() };
    // Again and again, until the limits are met.
    for _ in 0..4 {
        let policy = policy_of(&TABLES, &mut RoutePolicies::default(), &pairs, &mut outside, |_| ());
        judge(route, &before, decide(policy.as_deref(), &TABLES, &pairs, &mut outside));
    }
}

fn judge(route: &str, before: &[Header], decision: Decision<'_>) {
    let sources = [
        Source::Header("x-api-key".to_owned()),
        Source::Bearer,
        Source::Cookie("key".to_owned()),
        Source::Query("key".to_owned()),
    ];
    let is_key = |found: Found<'_>| matches!(found, Found::Key(key) if *key == *KEY.as_bytes());
    let has_key = |source: &Source, headers: &[Header]| is_key(source.find(&borrowed(headers)));
    let nothing = |source: &Source, headers: &[Header]| source.find(&borrowed(headers)) == Found::Nothing;
    let after = apply(before.to_vec(), &decision.edits);
    match decision.outcome {
        Outcome::Pass(on_response) => {
            assert_eq!(on_response.fields.is_empty(), route == "kept", "{on_response:?}");
            let is_alice = sources.iter().any(|source| has_key(source, before));
            let (consumer, plan) = if is_alice { (&["alice"][..], "pro") } else { (&[][..], "free") };
            assert!(is_alice || sources.iter().all(|source| nothing(source, before)), "{before:?}");
            let said = |name: &[u8]| {
                let spelt =
                    |other: &[u8]| other.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).eq(name.to_vec());
                after.iter().filter(|(other, _)| spelt(other)).map(|(_, value)| value.clone()).collect::<Vec<_>>()
            };
            assert_eq!(said(b"x-consumer-id"), consumer.iter().map(|it| it.as_bytes().to_vec()).collect::<Vec<_>>());
            assert_eq!(said(b"x-consumer-plan"), [plan.as_bytes().to_vec()]);
            let tier: &[&[u8]] = if route == "kept" { &[b"gold"] } else { &[] };
            assert_eq!(said(b"x-consumer-metadata-tier"), tier);
            assert!(route == "kept" || sources.iter().all(|source| nothing(source, &after)), "{after:?}");
        }
        Outcome::Refuse(refusal) => {
            let is_grpc = decision.is_grpc;
            let is_known = refusal.code != "unknown_policy";
            assert_eq!(is_known, route != "unknown", "{refusal:?}");
            assert!(!is_known || nothing(&sources[3], &after), "a key is left in the path: {after:?}");
            assert_ne!(refusal.code, "filter_failed");
            assert_ne!(refusal.code, "rate_limit_unavailable");
            let reply = refusal.reply(is_grpc);
            assert!(!reply.body.contains(KEY));
            assert!(is_grpc || serde_json::from_str::<serde_json::Value>(&reply.body).is_ok(), "{}", reply.body);
            let headers: Vec<_> = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert!(pairs::decode(&pairs::encode(&headers)).is_some());
        }
    }
}
