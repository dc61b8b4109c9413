//! Translates Envoy's calls to the core. There is one `State` a VM, which only this module changes.
//!
//! All plugins with the same code and `vm_id` share a VM. So do the old and the new configuration
//! of a plugin, until the old one's streams have ended. So each root context has its own tables,
//! and each stream keeps the root that it began with.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::imports::{self, Headers, Level, Status};
use super::metrics::Metrics;
use super::pairs;
use crate::compile::{Tables, compile_with, policy_of};
use crate::config::MAX_BYTES;
use crate::decide::{Decision, OnResponse, Outcome, decide};
use crate::headers::{Edit, Pair};
use crate::outside::{CountError, Outside, Seed, SharedState};
use crate::policy::{Policy, RoutePolicies};
use crate::problem::Problem;
use crate::rate_limit::{counts, fields};
use crate::reply::Refusal;
use crate::stream_headers;

/// The most problems of a configuration that are logged.
const MOST_PROBLEMS: usize = 20;

#[derive(Default)]
struct State {
    seed: Option<Seed>,
    roots: BTreeMap<u32, Root>,
    streams: BTreeMap<u32, Stream>,
    metrics: Metrics,
}

impl State {
    /// The root that a stream began with.
    fn root_of(&mut self, context: u32) -> Option<&mut Root> {
        self.roots.get_mut(&self.streams.get(&context)?.root)
    }
}

struct Root {
    tables: Arc<Tables>,
    policies: RoutePolicies,
}

struct Stream {
    root: u32,
    on_response: OnResponse,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Uses the state, unless it is already in use. Envoy calls the VM from one thread, and host calls
/// call back only to allocate.
fn with_state<T: Default>(use_it: impl FnOnce(&mut State) -> T) -> T {
    STATE.with(|state| state.try_borrow_mut().map(|mut state| use_it(&mut state)).unwrap_or_default())
}

/// Begins a context. A root has no parent.
pub(super) fn on_context_create(context: u32, parent: u32) {
    if parent != 0 {
        with_state(|state| state.streams.insert(context, Stream { root: parent, on_response: OnResponse::default() }));
    }
}

/// Ends a context: a root or a stream.
pub(super) fn on_delete(context: u32) {
    with_state(|state| {
        if state.streams.remove(&context).is_none() {
            state.roots.remove(&context);
        }
    });
}

/// Reads the configuration, of `size` bytes, and returns whether it is good and in force. It runs
/// in a canary, on the main thread and on each worker. Outside the VM it only creates the tables of
/// counts.
pub(super) fn on_configure(root: u32, size: usize) -> bool {
    // One byte more than allowed is enough to refuse the configuration.
    let json = imports::plugin_configuration(size.min(MAX_BYTES + 1)).unwrap_or_default();
    let tables = match compile_with(&json, imports::environment_variable) {
        Ok(tables) => tables,
        Err(problems) => {
            log_problems("configuration", &problems);
            return false;
        }
    };
    if tables.has_limits() {
        match counts::prepare(&mut Host::default(), imports::random()) {
            Ok(seed) => with_state(|state| state.seed = Some(seed)),
            Err(error) => {
                imports::log(Level::Error, &format!("legation: the tables of counts can not be made: {error:?}"));
                return false;
            }
        }
    }
    let new = Root { tables: Arc::new(tables), policies: RoutePolicies::default() };
    with_state(|state| state.roots.insert(root, new));
    true
}

/// Logs why a configuration, or the policy of a route, is refused.
fn log_problems(what: &str, problems: &[Problem]) {
    for problem in problems.iter().take(MOST_PROBLEMS) {
        imports::log(Level::Error, &format!("legation: {what} refused: {problem}"));
    }
    let more = problems.len().saturating_sub(MOST_PROBLEMS);
    if more > 0 {
        imports::log(Level::Error, &format!("legation: {what} refused: and {more} more"));
    }
}

/// Decides about the request, and returns whether it goes on.
pub(super) fn on_request_headers(context: u32) -> bool {
    let bytes = imports::headers(Headers::Request);
    let tables = with_state(|state| Some(Arc::clone(&state.root_of(context)?.tables)));
    let headers = bytes.as_deref().and_then(pairs::decode);
    let (Some(tables), Some(headers)) = (tables, headers) else {
        refuse(&Refusal::filter_failed(), false);
        return false;
    };
    let mut host = Host::default();
    let policy = policy(context, &tables, &headers, &mut host);
    let Decision { outcome, edits, is_grpc, tally } = decide(policy.as_deref(), &tables, &headers, &mut host);
    let are_made = edits.iter().all(|it| edit(Headers::Request, it));
    let outcome = match outcome {
        // A request with a forged identity must not go on.
        Outcome::Pass(_) if !are_made || host.has_no_clock => Outcome::Refuse(Refusal::filter_failed()),
        outcome => outcome,
    };
    with_state(|state| state.metrics.count(&tally, outcome.code()));
    match outcome {
        Outcome::Refuse(refusal) => {
            refuse(&refusal, is_grpc);
            false
        }
        Outcome::Pass(on_response) => {
            if !on_response.is_nothing() {
                with_state(|state| {
                    if let Some(stream) = state.streams.get_mut(&context) {
                        stream.on_response = on_response;
                    }
                });
            }
            true
        }
    }
}

/// Returns the policy of a request. The policies of routes are compiled once a root, with the
/// root's tables.
fn policy(context: u32, tables: &Tables, headers: &[Pair<'_>], host: &mut Host) -> Option<Arc<Policy>> {
    with_state(|state| {
        let policies = &mut state.root_of(context)?.policies;
        policy_of(tables, policies, headers, host, |problems| log_problems("policy of a route", problems))
    })
}

/// Adds the fields of the limits that the request was charged to, and marks streaming responses. A
/// local reply of the filter has its own fields. A response that could not be edited is still
/// valid.
pub(super) fn on_response_headers(context: u32) {
    let on_response =
        with_state(|state| state.streams.get_mut(&context).map(|stream| std::mem::take(&mut stream.on_response)));
    let Some(OnResponse { fields, marks_streams }) = on_response else { return };
    for it in fields::edits(fields) {
        edit(Headers::Response, &it);
    }
    let bytes = marks_streams.then(|| imports::headers(Headers::Response)).flatten();
    if let Some(headers) = bytes.as_deref().and_then(pairs::decode) {
        for it in stream_headers::edits(&headers) {
            edit(Headers::Response, &it);
        }
    }
}

/// Makes the edit, and returns whether Envoy accepted it.
fn edit(of: Headers, edit: &Edit<'_>) -> bool {
    match edit {
        Edit::Remove(name) => imports::remove_header(of, name),
        Edit::Add(name, value) => imports::add_header(of, name, value),
        Edit::Replace(name, value) => imports::replace_header(of, name, value),
    }
    .is_ok()
}

fn refuse(refusal: &Refusal, is_grpc: bool) {
    let reply = refusal.reply(is_grpc);
    let headers: Vec<(&str, &str)> = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if let Err(status) = imports::send_local_response(&reply, &pairs::encode(&headers)) {
        imports::log(Level::Error, &format!("legation: a request was refused without a reply: status {}", status.0));
    }
}

/// Envoy, as the core sees it during one call.
#[derive(Default)]
struct Host {
    now: Option<u64>,
    /// Whether Envoy did not tell the time. Then the filter can judge neither keys with a time nor
    /// limits.
    has_no_clock: bool,
}

impl Outside for Host {
    fn now(&mut self) -> u64 {
        *self.now.get_or_insert_with(|| {
            imports::now().unwrap_or_else(|| {
                self.has_no_clock = true;
                0
            })
        })
    }

    fn route_name(&mut self) -> Option<Vec<u8>> {
        imports::property(b"xds\0route_name")
    }

    fn route_policy(&mut self) -> Option<Vec<u8>> {
        imports::property(b"xds\0route_metadata\0filter_metadata\0legation\0policy")
    }

    fn source_address(&mut self) -> Option<Vec<u8>> {
        imports::property(b"source\0address")
    }

    fn claim(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        imports::property(path)
    }

    fn seed(&mut self) -> Option<Seed> {
        with_state(|state| state.seed)
    }
}

impl SharedState for Host {
    fn get(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
        match imports::shared_data(key) {
            Ok(found) => Ok(Some(found)),
            Err(Status::NOT_FOUND) => Ok(None),
            Err(_) => Err(CountError::Unavailable),
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<bool, CountError> {
        match imports::set_shared_data(key, value, cas) {
            Ok(()) => Ok(true),
            Err(Status::CAS_MISMATCH) => Ok(false),
            Err(_) => Err(CountError::Unavailable),
        }
    }
}
