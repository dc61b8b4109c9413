//! The filter's module, which the control plane carries. `build.rs` builds it.

use crate::translate::Module;

/// The module.
pub const MODULE: Module =
    Module { bytes: include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm")), sha256: env!("LEGATION_FILTER_SHA256") };
