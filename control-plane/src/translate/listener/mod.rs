//! What words of a listener come to, a module each.

pub(super) mod tls;
