//! A certificate authority for a test.

pub use legation_testing::pki::*;
