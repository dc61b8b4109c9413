//! A gateway without Envoy: the core, its counts in memory, a clock that a test sets.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;

use legation_filter::compile::{Tables, compile, policy_of};
use legation_filter::decide::{Outcome as Decided, decide};
use legation_filter::headers::Edit;
use legation_filter::outside::{CountError, Outside, Seed, SharedState};
use legation_filter::policy::RoutePolicies;
use legation_filter::rate_limit::counts::prepare;
use legation_filter::reply::LocalReply;
use sha2::{Digest, Sha256};

pub const SECOND: u64 = 1_000_000_000;
/// 2027-01-15T08:00:00Z.
pub const START: u64 = 1_800_000_000 * SECOND;

pub struct Gateway {
    pub tables: Tables,
    pub policies: RoutePolicies,
    pub outside: Elsewhere,
}

#[derive(Default)]
pub struct Elsewhere {
    pub now: u64,
    pub route: Option<&'static str>,
    /// What the route's metadata says.
    pub route_policy: Option<Vec<u8>>,
    pub address: Option<String>,
    /// Claims of a verified token, by the path at which Envoy has them, joined by dots.
    pub claims: BTreeMap<&'static str, &'static str>,
    /// How often each thing was asked for.
    pub asked: BTreeMap<&'static str, u32>,
    pub is_broken: bool,
    values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    writes: u32,
    seed: Option<Seed>,
}

/// What became of a request, in words that are easy to compare.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `pass` or the refusal's code.
    pub says: String,
    /// The headers that the upstream sees, or those of the local reply.
    pub headers: Vec<(String, String)>,
    /// The `RateLimit` field of the response, if any.
    pub limits: Option<String>,
    /// All fields by which the response shows limits.
    pub fields: Vec<(&'static str, String)>,
    pub marks_streams: bool,
    /// Whether a limit that only tries out would have refused.
    pub would_refuse: bool,
    pub reply: Option<LocalReply>,
}

impl Gateway {
    pub fn new(config: &serde_json::Value) -> Self {
        let tables = compile(config.to_string().as_bytes()).unwrap();
        let mut outside = Elsewhere { now: START, ..Elsewhere::default() };
        if tables.has_limits() {
            outside.seed = Some(prepare(&mut outside, [3; 16]).unwrap());
            outside.asked.clear();
        }
        Self { tables, policies: RoutePolicies::default(), outside }
    }

    /// Puts another configuration in force.
    pub fn reload(&mut self, config: &serde_json::Value) {
        self.tables = compile(config.to_string().as_bytes()).unwrap();
        self.policies = RoutePolicies::default();
    }

    pub fn send(&mut self, headers: &[(&str, &str)]) -> Outcome {
        let headers: Vec<(&[u8], &[u8])> = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        self.send_bytes(&headers)
    }

    pub fn send_bytes(&mut self, headers: &[(&[u8], &[u8])]) -> Outcome {
        let policy = policy_of(&self.tables, &mut self.policies, headers, &mut self.outside, |_| ());
        let decision = decide(policy.as_deref(), &self.tables, headers, &mut self.outside);
        let would_refuse = decision.tally.dry_run_refused;
        match decision.outcome {
            Decided::Pass(on_response) => Outcome {
                says: "pass".to_owned(),
                headers: apply(headers, &decision.edits),
                limits: on_response
                    .fields
                    .iter()
                    .find(|(name, _)| *name == "ratelimit")
                    .map(|(_, value)| value.clone()),
                fields: on_response.fields,
                marks_streams: on_response.marks_streams,
                would_refuse,
                reply: None,
            },
            Decided::Refuse(refusal) => {
                let reply = refusal.reply(decision.is_grpc);
                let headers: Vec<(String, String)> =
                    reply.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                let limits = headers.iter().find(|(name, _)| name == "ratelimit").map(|(_, value)| value.clone());
                Outcome {
                    says: refusal.code.to_owned(),
                    headers,
                    limits,
                    fields: Vec::new(),
                    marks_streams: false,
                    would_refuse,
                    reply: Some(reply),
                }
            }
        }
    }
}

impl Outcome {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Edits as Envoy makes them. To replace what is there twice would be a mistake of the core, and so
/// would it be to add to what is there and is no list.
pub fn apply(headers: &[(&[u8], &[u8])], edits: &[Edit<'_>]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut list: Vec<(String, String)> = headers.iter().map(|(name, value)| (text(name), text(value))).collect();
    for edit in edits {
        let there = |list: &[(String, String)], name: &str| list.iter().filter(|(other, _)| other == name).count();
        match edit {
            Edit::Remove(name) => list.retain(|(other, _)| other.as_bytes() != *name),
            Edit::Add(name, value) => {
                assert!(there(&list, name) == 0 || name.starts_with("ratelimit"), "add of {name}, which is there");
                list.push(((*name).to_owned(), text(value)));
            }
            Edit::Replace(name, value) => {
                assert!(there(&list, name) <= 1, "replace of {name}");
                list.retain(|(other, _)| other != name);
                list.push(((*name).to_owned(), text(value)));
            }
        }
    }
    list
}

pub fn sha256(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Elsewhere {
    fn ask(&mut self, what: &'static str) {
        *self.asked.entry(what).or_default() += 1;
    }
}

impl Outside for Elsewhere {
    fn now(&mut self) -> u64 {
        self.ask("clock");
        self.now
    }

    fn route_name(&mut self) -> Option<Vec<u8>> {
        self.ask("route");
        self.route.map(|name| name.as_bytes().to_vec())
    }

    fn route_policy(&mut self) -> Option<Vec<u8>> {
        self.ask("policy");
        self.route_policy.clone()
    }

    fn source_address(&mut self) -> Option<Vec<u8>> {
        self.ask("address");
        self.address.as_ref().map(|address| address.as_bytes().to_vec())
    }

    fn claim(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        self.ask("claim");
        let path = String::from_utf8(path.to_vec()).unwrap().replace('\0', ".");
        self.claims.get(path.as_str()).map(|value| value.as_bytes().to_vec())
    }

    fn seed(&mut self) -> Option<Seed> {
        self.seed
    }
}

impl SharedState for Elsewhere {
    fn get(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
        self.ask("get");
        if self.is_broken { Err(CountError::Unavailable) } else { Ok(self.values.get(key).cloned()) }
    }

    fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<bool, CountError> {
        self.ask("set");
        self.writes += 1;
        if cas != 0 && self.values.get(key).is_some_and(|(_, current)| *current != cas) {
            return Ok(false);
        }
        self.values.insert(key.to_owned(), (value.to_owned(), self.writes));
        Ok(true)
    }
}
