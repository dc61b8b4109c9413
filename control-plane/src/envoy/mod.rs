//! A local Envoy: where its binary is, how it joins, and how it is kept running.

pub mod admin;
pub mod bootstrap;
pub mod drains;
pub mod find;
pub mod overload;
pub mod supervise;
