//! Attacks of clients and of upstreams on a gateway with the file's defaults. Time and Envoy's
//! memory bound each of them. Meanwhile the gateway serves other clients, and their stream of
//! events goes on.

mod dawdling;
mod endless;
mod floods;
mod headers;
mod idle;
mod scene;

mod smuggling;
mod upstreams;
