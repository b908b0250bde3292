//! The OTLP/HTTP side: one route, `POST /v1/traces`, protobuf, gzip or not.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    decode::{Refused, decode},
    receiver::Shared,
};

/// How long an exporter may take to send one body. Over loopback it takes milliseconds.
const BODY_TIME: Duration = Duration::from_secs(20);
/// Above this size a body is decoded off the threads that serve connections.
const LARGE: usize = 64 << 10;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Serves one connection until it closes.
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Some(BODY_TIME))
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an exporter's connection ended");
    }
}

async fn answer(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    match export(request, shared).await {
        Ok(rejected) => accepted(rejected),
        Err(refusal) => refusal.response(),
    }
}

/// Why a request is not answered with 200.
enum Refusal {
    NotFound,
    NotPost,
    ContentType,
    ContentEncoding,
    TooLarge(usize),
    Malformed(String),
}

impl From<(Refused, usize)> for Refusal {
    fn from((refused, max): (Refused, usize)) -> Self {
        match refused {
            Refused::TooLarge => Self::TooLarge(max),
            Refused::Malformed(reason) => Self::Malformed(reason),
        }
    }
}

impl Refusal {
    fn response(self) -> Response<Full<Bytes>> {
        let (status, text) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "send spans to /v1/traces".to_owned()),
            Self::NotPost => (StatusCode::METHOD_NOT_ALLOWED, "POST spans here".to_owned()),
            Self::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send application/x-protobuf (OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)"
                    .to_owned(),
            ),
            Self::ContentEncoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send gzip or no encoding".to_owned(),
            ),
            Self::TooLarge(max) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("send at most {max} bytes at a time"),
            ),
            Self::Malformed(reason) => (StatusCode::BAD_REQUEST, reason),
        };
        let mut response = Response::new(Full::from(text + "\n"));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// Takes in one export; gives the number of spans in it that have no valid ids.
async fn export(request: Request<Incoming>, shared: &Arc<Shared>) -> Result<u64, Refusal> {
    if request.uri().path() != "/v1/traces" {
        return Err(Refusal::NotFound);
    }
    if request.method() != Method::POST {
        return Err(Refusal::NotPost);
    }
    if !is_protobuf(request.headers()) {
        return Err(Refusal::ContentType);
    }
    let gzip = is_gzip(request.headers()).ok_or(Refusal::ContentEncoding)?;
    let result = receive(request, gzip, shared).await;
    match &result {
        Err(Refusal::Malformed(_)) => shared.count(|counters| counters.malformed += 1),
        Err(Refusal::TooLarge(_)) => shared.count(|counters| counters.refused_too_large += 1),
        _ => {}
    }
    result
}

async fn receive(
    request: Request<Incoming>,
    gzip: bool,
    shared: &Arc<Shared>,
) -> Result<u64, Refusal> {
    let max = shared.max_body;
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > max) {
        return Err(Refusal::TooLarge(max));
    }
    // So many bodies are in memory at a time, whatever the number of connections.
    let _permit = shared.bodies.acquire().await;
    let body = timeout(BODY_TIME, Limited::new(request.into_body(), max).collect())
        .await
        .map_err(|_| Refusal::Malformed("the body took too long".to_owned()))?
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => Refusal::TooLarge(max),
            None => Refusal::Malformed(format!("the body broke off: {error}")),
        })?
        .to_bytes();
    let large = gzip || body.len() > LARGE;
    let decoder = Arc::clone(shared);
    let work = move || decode(&body, gzip, max).map(|export| decoder.add(export));
    let taken = if large {
        let _permit = shared.decoding.acquire().await;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Refusal::Malformed(format!("the body could not be read: {error}")))?
    } else {
        work()
    };
    taken.map_err(|refused| (refused, max).into())
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let media = value.split(';').next().unwrap_or("").trim();
    media.eq_ignore_ascii_case("application/x-protobuf")
}

/// Whether the body is packed; `None` if it is packed in a way we do not know.
fn is_gzip(headers: &HeaderMap) -> Option<bool> {
    let Some(value) = headers.get(CONTENT_ENCODING) else {
        return Some(false);
    };
    match value.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Some(true),
        "identity" | "" => Some(false),
        _ => None,
    }
}

fn accepted(rejected: u64) -> Response<Full<Bytes>> {
    let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: "spans without a valid trace id or span id".to_owned(),
    });
    let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let mut response = Response::new(Full::from(body));
    response.headers_mut().insert(CONTENT_TYPE, PROTOBUF);
    response
}
