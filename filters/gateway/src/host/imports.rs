//! The functions that Envoy offers (proxy-wasm 0.2.1), and the bytes between it and this module.
//!
//! To return bytes, Envoy first asks for memory ([`allocate`]), then fills it and returns its
//! address. That memory is a vector, which [`RETURNED`] keeps until the call is over. It never
//! changes hands as a bare pointer.
#![allow(unsafe_code, reason = "a foreign interface: pointers and lengths into this module's own memory")]

use std::cell::RefCell;
use std::ptr;

use crate::config::MAX_BYTES;
use crate::reply::LocalReply;

/// The most bytes that Envoy may hand over at once: a configuration that is just too large. Its
/// limit of request headers is far lower.
const MOST_BYTES: usize = MAX_BYTES + 1;

/// A status other than OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u32);

impl Status {
    pub(super) const NOT_FOUND: Self = Self(1);
    pub(super) const CAS_MISMATCH: Self = Self(8);
    /// Envoy returned memory that it did not get.
    const INVALID_MEMORY: Self = Self(6);
}

/// A log level of Envoy.
#[derive(Clone, Copy)]
pub(super) enum Level {
    Error = 4,
}

/// The kind of a counter.
const COUNTER: u32 = 0;

const PLUGIN_CONFIGURATION: u32 = 7;
/// Says "no gRPC status" to [`proxy_send_local_response`].
const NO_GRPC_STATUS: u32 = u32::MAX;

thread_local! {
    static RETURNED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, length: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(now: *mut u64) -> u32;
    fn proxy_get_property(path: *const u8, length: usize, value: *mut *const u8, value_length: *mut usize) -> u32;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, most: usize, value: *mut *const u8, length: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(kind: u32, value: *mut *const u8, length: *mut usize) -> u32;
    fn proxy_add_header_map_value(
        kind: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        length: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        kind: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        length: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(kind: u32, name: *const u8, name_length: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_length: usize,
        value: *mut *const u8,
        length: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_length: usize, value: *const u8, length: usize, cas: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_length: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_length: usize,
        body: *const u8,
        body_length: usize,
        headers: *const u8,
        headers_length: usize,
        grpc_status: u32,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(bytes: *mut u8, length: usize) -> u32;
    fn environ_sizes_get(count: *mut usize, bytes: *mut usize) -> u32;
    fn environ_get(variables: *mut *mut u8, bytes: *mut u8) -> u32;
}

// What Envoy offers. SAFETY of all calls below: every pointer is that of a live slice or local,
// with its own length, and Envoy keeps none of them beyond the call.

/// Writes to Envoy's log.
pub(super) fn log(level: Level, message: &str) {
    // SAFETY: see above. A failure to log cannot be reported anywhere.
    let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// Returns nanoseconds since 1970. `None` if Envoy does not tell the time, for example because it
/// may not (`capability_restriction_config`).
pub(super) fn now() -> Option<u64> {
    let mut now = 0;
    // SAFETY: see above.
    ok(unsafe { proxy_get_current_time_nanoseconds(&raw mut now) }).ok().map(|()| now)
}

/// Returns random bytes.
pub(super) fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: see above. Without randomness of the host, fingerprints are guessable but correct.
    let _ = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
    bytes
}

/// A variable of the VM's environment.
pub(super) fn environment_variable(name: &str) -> Option<Vec<u8>> {
    let (mut count, mut length) = (0, 0);
    // SAFETY: see above.
    ok(unsafe { environ_sizes_get(&raw mut count, &raw mut length) }).ok()?;
    if count > MOST_BYTES || length > MOST_BYTES {
        return None;
    }
    let mut starts = vec![ptr::null_mut(); count];
    let mut bytes = vec![0; length];
    // SAFETY: see above. The host fills both with as many bytes as it announced.
    ok(unsafe { environ_get(starts.as_mut_ptr(), bytes.as_mut_ptr()) }).ok()?;
    let value = |variable: &[u8]| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec);
    bytes.split(|&byte| byte == 0).find_map(value)
}

/// Defines a counter with a new name.
pub(super) fn define_counter(name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: see above.
    ok(unsafe { proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &raw mut id) }).ok().map(|()| id)
}

/// Adds one to a metric.
pub(super) fn increment(id: u32) {
    // SAFETY: see above. A failure to count a metric must not fail the request.
    let _ = unsafe { proxy_increment_metric(id, 1) };
}

/// Returns a property. The parts of its path are joined by zeros. `None` if there is none.
pub(super) fn property(path: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: see above.
    returned(|value, length| unsafe { proxy_get_property(path.as_ptr(), path.len(), value, length) }).ok()
}

/// Returns the first `most` bytes of the plugin's configuration.
pub(super) fn plugin_configuration(most: usize) -> Option<Vec<u8>> {
    // SAFETY: see above.
    returned(|value, length| unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, most, value, length) }).ok()
}

/// The kind of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Headers {
    Request = 0,
    Response = 2,
}

/// Returns all headers, in the form of [`super::pairs`].
pub(super) fn headers(of: Headers) -> Option<Vec<u8>> {
    // SAFETY: see above.
    returned(|value, length| unsafe { proxy_get_header_map_pairs(of as u32, value, length) }).ok()
}

/// Returns a value of shared data and the number of its last write.
pub(super) fn shared_data(key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
    let mut cas = 0;
    // SAFETY: see above.
    let call = |value, length| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), value, length, &raw mut cas) };
    let value = returned(call)?;
    Ok((value, cas))
}

/// Writes a value of shared data.
pub(super) fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
    // SAFETY: see above.
    ok(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) })
}

/// Adds a header.
pub(super) fn add_header(of: Headers, name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: see above.
    ok(unsafe { proxy_add_header_map_value(of as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Replaces the header of this name, or adds it.
pub(super) fn replace_header(of: Headers, name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: see above.
    ok(unsafe { proxy_replace_header_map_value(of as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Removes all headers of this name.
pub(super) fn remove_header(of: Headers, name: &[u8]) -> Result<(), Status> {
    // SAFETY: see above.
    ok(unsafe { proxy_remove_header_map_value(of as u32, name.as_ptr(), name.len()) })
}

/// Answers the request. `headers` have the form of [`super::pairs`].
pub(super) fn send_local_response(reply: &LocalReply, headers: &[u8]) -> Result<(), Status> {
    let (details, body) = (&reply.response_code_details, &reply.body);
    // SAFETY: see above.
    ok(unsafe {
        proxy_send_local_response(
            reply.status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            reply.grpc_status.unwrap_or(NO_GRPC_STATUS),
        )
    })
}

/// Allocates memory for data that Envoy is about to return. Without memory it returns null, which
/// makes Envoy's call fail.
pub(super) fn allocate(size: usize) -> *mut u8 {
    let allocate = |returned: &mut Vec<u8>| {
        let mut bytes = Vec::new();
        if size > MOST_BYTES || bytes.try_reserve_exact(size).is_err() {
            return ptr::null_mut();
        }
        bytes.resize(size, 0);
        *returned = bytes;
        returned.as_mut_ptr()
    };
    RETURNED.with(|returned| returned.try_borrow_mut().map_or(ptr::null_mut(), |mut returned| allocate(&mut returned)))
}

/// Makes a call that returns bytes, and takes them.
fn returned(call: impl FnOnce(*mut *const u8, *mut usize) -> u32) -> Result<Vec<u8>, Status> {
    let (mut value, mut length) = (ptr::null(), 0);
    let called = ok(call(&raw mut value, &raw mut length));
    let mut bytes = RETURNED
        .with(|returned| returned.try_borrow_mut().map(|mut bytes| std::mem::take(&mut *bytes)).unwrap_or_default());
    called?;
    if length == 0 {
        return Ok(Vec::new());
    }
    if value != bytes.as_ptr() || length > bytes.len() {
        return Err(Status::INVALID_MEMORY);
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn ok(status: u32) -> Result<(), Status> {
    if status == 0 { Ok(()) } else { Err(Status(status)) }
}
