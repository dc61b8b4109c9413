//! The filter's module, embedded in the control plane. The build script builds it.

use crate::translate::Module;

/// The module.
pub const MODULE: Module =
    Module { bytes: include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm")), sha256: env!("LEGATION_FILTER_SHA256") };
