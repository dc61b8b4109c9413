//! What a client, or an upstream, can do to a gateway that nobody configured further: everything
//! here is bounded in time and in Envoy's memory, and meanwhile the others are served and their
//! stream of events goes on.

mod dawdling;
mod endless;
mod floods;
mod headers;
mod idle;
mod scene;

mod smuggling;
mod upstreams;
