//! The functions that Envoy calls (proxy-wasm 0.2.1). Only functions with a use are exported, since
//! each costs a call for every stream.
#![allow(unsafe_code, reason = "the names of functions that Envoy finds them by, which nobody else defines")]

use super::{glue, imports};

/// The answers of a header callback: go on, or stop after a local reply.
const CONTINUE: u32 = 0;
const STOP_ITERATION: u32 = 1;

unsafe extern "C" {
    /// The linker makes it. It runs code that must run before everything else.
    fn __wasm_call_ctors();
}

/// Envoy calls this once. Without it the linker takes the module for a command, and wraps every
/// function below in one that starts and ends the C library.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: Envoy calls this before anything else, and once. The linker makes the function.
    unsafe { __wasm_call_ctors() }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Allocates memory for data that Envoy is about to return.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    imports::allocate(size)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> u32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    u32::from(glue::on_configure(root, size))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    glue::on_context_create(context, parent);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    glue::on_delete(context);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: u32, _end_of_stream: u32) -> u32 {
    if glue::on_request_headers(context) { CONTINUE } else { STOP_ITERATION }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _count: u32, _end_of_stream: u32) -> u32 {
    glue::on_response_headers(context);
    CONTINUE
}
