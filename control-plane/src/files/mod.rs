//! The gateway file and the files that it names: read, watched and checked.

pub mod certificates;
pub mod gateway_file;
pub mod key_pepper;
pub mod named;
pub mod watch;
