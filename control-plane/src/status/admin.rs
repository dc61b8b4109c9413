//! The admin interface: health, metrics and status over HTTP. It shows no secret and changes
//! nothing.

use std::{io, sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::{Status, metrics::Metrics};

#[derive(Clone)]
struct Parts {
    status: Arc<Status>,
    metrics: Arc<Metrics>,
}

/// Serves until `shutdown`. Then it closes the open connections.
///
/// # Errors
/// What the system says when no connection can be accepted any more.
pub async fn serve(
    listener: TcpListener,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(index))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/status", get(report))
        .route("/metrics", get(scrape))
        .with_state(Parts { status, metrics });
    // This is no graceful end: a client that keeps its connection open would hold up the process.
    tokio::select! {
        result = axum::serve(listener, app) => result,
        () = shutdown => Ok(()),
    }
}

async fn index() -> &'static str {
    "Legation\n\n/healthz  the process runs\n/readyz   a good file is loaded and xDS is served\n\
     /status   generations, diagnostics and nodes, as JSON\n/metrics  for Prometheus\n"
}

/// The xDS port accepts connections before this interface does. So a good file is the only
/// condition.
async fn readyz(State(parts): State<Parts>) -> Response {
    if parts.status.is_ready() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no good file is loaded yet\n").into_response()
    }
}

async fn report(State(parts): State<Parts>) -> Response {
    Json(parts.status.report(Instant::now())).into_response()
}

async fn scrape(State(parts): State<Parts>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match parts.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
