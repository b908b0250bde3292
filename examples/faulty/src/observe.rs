//! What the service says of itself: a log on standard error, and every request with its statements
//! to an OTLP receiver if the environment names one.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use speedwell_trace::{Options, Sink, otlp::OtlpSink};
use tracing::Instrument;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// The export of requests, if there is one.
pub(crate) struct Export(Option<Arc<OtlpSink>>);

impl Export {
    /// Sends what still waits, so that the last requests before the end are not lost.
    pub(crate) fn finish(&self) {
        if let Some(sink) = &self.0
            && !sink.flush(Duration::from_secs(2))
        {
            tracing::warn!("the OTLP receiver did not take the last spans within 2 s");
        }
    }
}

/// Starts the log (`RUST_LOG`, default `warn`) and, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set, the
/// export of requests.
pub(crate) fn start() -> anyhow::Result<Export> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    // The filter belongs to the log alone: on the whole registry it would hide the statements,
    // which sqlx sends at debug level, from the layer beside it.
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(filter);
    // Without a receiver there is nobody to observe for, and latency is measured undisturbed.
    let sink = OtlpSink::from_env().map(Arc::new);
    let observer = sink.clone().map(|sink| {
        let sinks: Vec<Arc<dyn Sink>> = vec![sink];
        speedwell_trace::layer(Options::default(), sinks)
    });
    tracing_subscriber::registry()
        .with(observer)
        .with(log)
        .try_init()?;
    Ok(Export(sink))
}

/// Puts each request into a span that names its route by the template, never by the filled path.
pub(crate) async fn request_span(request: Request, next: Next) -> Response {
    let header = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    let span = match request.extensions().get::<MatchedPath>() {
        Some(template) => speedwell_trace::request_span(
            request.method().as_str(),
            template.as_str(),
            Some(request.uri().path()),
            header,
        ),
        None => tracing::Span::none(),
    };
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}
