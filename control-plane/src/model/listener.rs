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
    /// TLS. A listener that has it speaks nothing else.
    pub tls: Option<ListenerTls>,
    /// The bounds on its clients.
    pub limits: ListenerLimits,
    /// Its place in the file.
    #[serde(skip)]
    pub origin: Origin,
}

/// The bounds on clients of a listener. The translation has the defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListenerLimits {
    /// The number of open connections.
    pub connections: Option<u64>,
    /// The number of concurrent requests on an HTTP/2 connection.
    pub streams_per_connection: Option<u32>,
    /// The size of all headers of a request together, in KiB.
    pub header_kib: Option<u32>,
    /// The number of headers of a request.
    pub header_count: Option<u32>,
    /// The size of a request's body, in bytes. Routes enforce it, so the listener's resource does
    /// not have it.
    #[serde(skip)]
    pub request_body: Option<u64>,
}
