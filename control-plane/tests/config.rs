//! The person's file, from bytes to a model or to everything that is wrong with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "config/any_bytes.rs"]
mod any_bytes;
#[path = "config/command.rs"]
mod command;
#[path = "config/defaults.rs"]
mod defaults;
#[path = "config/describe.rs"]
mod describe;
#[path = "config/filter_rules.rs"]
mod filter_rules;
#[path = "fuzzed/file.rs"]
mod fuzzed;
#[path = "config/golden.rs"]
mod golden;
#[path = "config/hostile.rs"]
mod hostile;
#[path = "config/hosts.rs"]
mod hosts;
#[path = "config/interpolation.rs"]
mod interpolation;
#[path = "config/planned.rs"]
mod planned;
#[path = "config/raw.rs"]
mod raw;
#[path = "config/rules.rs"]
mod rules;
#[path = "config/streams.rs"]
mod streams;
#[path = "config/support.rs"]
mod support;
