//! Listeners: where connections come in.

use std::net::IpAddr;

use serde::Serialize;

use super::ListenerTls;
use crate::origin::Origin;

/// A socket that accepts HTTP/1.1 and HTTP/2, in clear text or over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Its name, also in LDS, and the name of its route configuration in RDS.
    pub name: String,
    /// The address to bind.
    pub address: IpAddr,
    /// The port to bind, 1 to 65535.
    pub port: u16,
    /// TLS, where it speaks nothing else.
    pub tls: Option<ListenerTls>,
    /// What clients may take.
    pub limits: ListenerLimits,
    /// Where it is written.
    #[serde(skip)]
    pub origin: Origin,
}

/// What clients of a listener may take; what is not said, the translation says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListenerLimits {
    /// Open connections.
    pub connections: Option<u64>,
    /// Requests at once over a connection of HTTP/2.
    pub streams_per_connection: Option<u32>,
    /// All headers of a request together, in KiB.
    pub header_kib: Option<u32>,
    /// Headers of a request.
    pub header_count: Option<u32>,
    /// The body of a request, in bytes. Routes enforce it, so it is no part of the listener's resource.
    #[serde(skip)]
    pub request_body: Option<u64>,
}
