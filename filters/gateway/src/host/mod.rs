//! Envoy around the core: the functions that it calls and those that it offers, and what joins them
//! to the core. All but the forms of headers and the names of metrics exist on wasm32 alone.
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
