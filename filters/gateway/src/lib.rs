//! The gateway filter.
#![allow(missing_docs)]
pub mod config;
