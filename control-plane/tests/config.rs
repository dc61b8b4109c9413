//! The person's file, from bytes to model or diagnostics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod config {
    mod golden;
}
