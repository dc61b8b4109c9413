//! What Envoy calls, in terms of the core: one `State` a VM, changed by no one else.
//!
//! A VM is shared by all plugins that have the same code and `vm_id`, and by the old and the new configuration of one
//! while the old one's streams end. So each root context has its own tables, and each stream keeps the root it began with.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::abi::{self, Headers, Level, Status};
use crate::compile::{MAX_BYTES, compile_with};
use crate::decide::{Decision, OnResponse, Outcome, Outside, decide};
use crate::edit::Edit;
use crate::metrics::Metrics;
use crate::pairs;
use crate::ratelimit_fields;
use crate::reply::Refusal;
use crate::retired::{Active, KEEP};
use crate::rules::Rules;
use crate::slots::{self, CountError, Seed, SharedState};
use crate::stream_headers;

/// At most so many problems of a configuration are logged.
const MOST_PROBLEMS: usize = 20;

#[derive(Default)]
struct State {
    seed: Option<Seed>,
    roots: BTreeMap<u32, Root>,
    /// Those that ended; the latest first.
    ended: Vec<Ended>,
    streams: BTreeMap<u32, Stream>,
    metrics: Metrics,
}

/// So many roots that ended are kept at most.
const MOST_ENDED: usize = 8;

/// What is kept of a root that ended: not who may call.
struct Ended {
    /// Nanoseconds since 1970.
    until: u64,
    plugin: Vec<u8>,
    rules: Arc<Rules>,
}

struct Root {
    /// What two configurations of one plugin have in common.
    plugin: Vec<u8>,
    active: Arc<Active>,
}

struct Stream {
    root: u32,
    on_response: OnResponse,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// The state, unless it is in use: Envoy calls the VM from one thread, and host calls call back only to allocate.
fn with_state<T: Default>(use_it: impl FnOnce(&mut State) -> T) -> T {
    STATE.with(|state| state.try_borrow_mut().map(|mut state| use_it(&mut state)).unwrap_or_default())
}

/// A context begins; a root has no parent.
pub(crate) fn on_context_create(context: u32, parent: u32) {
    if parent != 0 {
        with_state(|state| state.streams.insert(context, Stream { root: parent, on_response: OnResponse::default() }));
    }
}

/// A context has ended, root or stream.
pub(crate) fn on_delete(context: u32) {
    let root = with_state(|state| match state.streams.remove(&context) {
        Some(_) => None,
        None => state.roots.remove(&context),
    });
    if let Some(root) = root {
        let now = abi::now().unwrap_or_default();
        with_state(|state| {
            state.ended.retain(|ended| ended.until > now);
            let rules = Arc::clone(root.active.tables().rules());
            state.ended.insert(0, Ended { until: now.saturating_add(KEEP), plugin: root.plugin, rules });
            state.ended.truncate(MOST_ENDED);
        });
    }
}

/// Whether the configuration, of `size` bytes, is good and in force. It runs in a canary, on the main thread and on
/// each worker, and changes nothing outside the VM but to create the tables of counts.
pub(crate) fn on_configure(root: u32, size: usize) -> bool {
    // One byte more than allowed is enough to be refused.
    let json = abi::plugin_configuration(size.min(MAX_BYTES + 1)).unwrap_or_default();
    let tables = match compile_with(&json, abi::environment_variable) {
        Ok(tables) => tables,
        Err(problems) => {
            for problem in problems.iter().take(MOST_PROBLEMS) {
                abi::log(Level::Error, &format!("legation: configuration refused: {problem}"));
            }
            let more = problems.len().saturating_sub(MOST_PROBLEMS);
            if more > 0 {
                abi::log(Level::Error, &format!("legation: configuration refused: and {more} more"));
            }
            return false;
        }
    };
    if tables.has_limits() {
        match slots::prepare(&mut Host::default(), abi::random()) {
            Ok(seed) => with_state(|state| state.seed = Some(seed)),
            Err(error) => {
                abi::log(Level::Error, &format!("legation: the tables of counts can not be made: {error:?}"));
                return false;
            }
        }
    }
    let plugin =
        [abi::property(b"plugin_name"), abi::property(b"plugin_root_id")].map(Option::unwrap_or_default).join(&0);
    let now = abi::now().unwrap_or_default();
    with_state(|state| {
        // Contexts are numbered as they come, so the last is the latest.
        let old = state.roots.values().rev().find(|root| root.plugin == plugin).map(|root| Arc::clone(&root.active));
        let active = Arc::new(Active::new(tables, old.as_deref(), now));
        state.roots.insert(root, Root { plugin, active });
    });
    true
}

/// Whether the request goes on.
pub(crate) fn on_request_headers(context: u32) -> bool {
    let bytes = abi::headers(Headers::Request);
    let active = with_state(|state| {
        let stream = state.streams.get(&context)?;
        Some(Arc::clone(&state.roots.get(&stream.root)?.active))
    });
    let headers = bytes.as_deref().and_then(pairs::decode);
    let (Some(active), Some(headers)) = (active, headers) else {
        refuse(&Refusal::FilterFailed, false);
        return false;
    };
    let mut host = Host::default();
    let mut others = Vec::new();
    let mut decision = decide(&active, &others, &headers, &mut host);
    if decision.outcome == Outcome::Refuse(Refusal::UnknownPolicy) {
        others = others_of(context, host.now());
        decision = decide(&active, &others, &headers, &mut host);
    }
    let Decision { outcome, edits, is_grpc, tally } = decision;
    let are_made = edits.iter().all(|it| edit(Headers::Request, it));
    let outcome = match outcome {
        // A request with a forged identity must not go on.
        Outcome::Pass(_) if !are_made || host.has_no_clock => Outcome::Refuse(Refusal::FilterFailed),
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

/// The rules of the other configurations of a stream's plugin that are or were a moment ago in use, the latest first. Where a
/// configuration comes back that streams still use, Envoy takes up its root as it is and configures nothing: what was in force
/// until then is known only from its own root.
fn others_of(context: u32, now: u64) -> Vec<Arc<Rules>> {
    with_state(|state| {
        let Some(own) = state.streams.get(&context).map(|stream| stream.root) else { return Vec::new() };
        let Some(plugin) = state.roots.get(&own).map(|root| &root.plugin) else { return Vec::new() };
        let in_use = state.roots.iter().rev().filter(|(id, root)| **id != own && root.plugin == *plugin);
        let in_use = in_use.map(|(_, root)| root.active.tables().rules());
        let ended = state.ended.iter().filter(|ended| ended.until > now && ended.plugin == *plugin);
        in_use.chain(ended.map(|ended| &ended.rules)).map(Arc::clone).collect()
    })
}

/// Adds the fields of the limits that the request was charged to, and marks what streams. A local reply of the filter has its own
/// fields. A response that could not be edited is still good.
pub(crate) fn on_response_headers(context: u32) {
    let on_response =
        with_state(|state| state.streams.get_mut(&context).map(|stream| std::mem::take(&mut stream.on_response)));
    let Some(OnResponse { fields, marks_streams }) = on_response else { return };
    for it in ratelimit_fields::edits(fields) {
        edit(Headers::Response, &it);
    }
    let bytes = marks_streams.then(|| abi::headers(Headers::Response)).flatten();
    if let Some(headers) = bytes.as_deref().and_then(pairs::decode) {
        for it in stream_headers::edits(&headers) {
            edit(Headers::Response, &it);
        }
    }
}

/// Whether the edit was made.
fn edit(of: Headers, edit: &Edit<'_>) -> bool {
    match edit {
        Edit::Remove(name) => abi::remove_header(of, name),
        Edit::Add(name, value) => abi::add_header(of, name, value),
        Edit::Replace(name, value) => abi::replace_header(of, name, value),
    }
    .is_ok()
}

fn refuse(refusal: &Refusal<'_>, is_grpc: bool) {
    let reply = refusal.reply(is_grpc);
    let headers: Vec<(&str, &str)> = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if let Err(status) = abi::send_local_response(&reply, &pairs::encode(&headers)) {
        abi::log(Level::Error, &format!("legation: a request was refused without a reply: status {}", status.0));
    }
}

/// Envoy, as the core sees it during one call.
#[derive(Default)]
struct Host {
    now: Option<u64>,
    /// The clock was asked for, and Envoy said nothing: no key that expires and no limit can be judged.
    has_no_clock: bool,
}

impl Outside for Host {
    fn now(&mut self) -> u64 {
        *self.now.get_or_insert_with(|| {
            abi::now().unwrap_or_else(|| {
                self.has_no_clock = true;
                0
            })
        })
    }

    fn route_name(&mut self) -> Option<Vec<u8>> {
        abi::property(b"xds\0route_name")
    }

    fn source_address(&mut self) -> Option<Vec<u8>> {
        abi::property(b"source\0address")
    }

    fn claim(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        abi::property(path)
    }

    fn seed(&mut self) -> Option<Seed> {
        with_state(|state| state.seed)
    }
}

impl SharedState for Host {
    fn get(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
        match abi::shared_data(key) {
            Ok(found) => Ok(Some(found)),
            Err(Status::NOT_FOUND) => Ok(None),
            Err(_) => Err(CountError::Unavailable),
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<bool, CountError> {
        match abi::set_shared_data(key, value, cas) {
            Ok(()) => Ok(true),
            Err(Status::CAS_MISMATCH) => Ok(false),
            Err(_) => Err(CountError::Unavailable),
        }
    }
}
