//! The quickstart.
