//! The layer between Envoy and the core: the functions that Envoy calls, those that it offers, and
//! the glue. Only the forms of headers and the names of metrics also exist outside of wasm32.
//! `exports` and `imports`, which speak proxy-wasm 0.2.1, are the only files with `unsafe`.

#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(target_arch = "wasm32")]
mod glue;
#[cfg(target_arch = "wasm32")]
mod imports;
pub mod metric_names;
#[cfg(target_arch = "wasm32")]
mod metrics;
pub mod pairs;
