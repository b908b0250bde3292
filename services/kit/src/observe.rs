//! What happens around every request: an id, a span, counters, a log line.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::{metrics::Metrics, routes::template};

/// What the request is called in the log and in the header `x-request-id` of its answer; an
/// extension of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer: everything inside it happens in the request's span.
pub(crate) async fn observe(
    State(metrics): State<Metrics>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let template = request.extensions().get::<MatchedPath>().map(template);
    // Unknown paths share one name: nobody can fill the metrics by inventing paths.
    let template = template.as_deref().unwrap_or("(no route)").to_owned();
    let id = request_id(request.headers());
    let span = request_span(&request, &template);
    request
        .extensions_mut()
        .insert(RequestId(id.as_str().into()));

    let mut response = next.run(request).instrument(span.clone()).await;

    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    metrics.answered(&format!("{method} {template}"), status, started.elapsed());
    span.in_scope(|| log(&id, status, started));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn request_span(request: &Request, template: &str) -> Span {
    let traceparent = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    speedwell_trace::request_span(
        request.method().as_str(),
        template,
        Some(request.uri().path()),
        traceparent,
    )
}

/// The caller's id if it is a plain short word (it goes into logs), else a new one.
fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        })
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

fn log(request_id: &str, status: StatusCode, started: Instant) {
    let took_ms = started.elapsed().as_secs_f64() * 1e3;
    if status.is_server_error() {
        tracing::error!(
            request_id,
            status = status.as_u16(),
            took_ms,
            "request failed"
        );
    } else {
        tracing::debug!(
            request_id,
            status = status.as_u16(),
            took_ms,
            "request answered"
        );
    }
}
