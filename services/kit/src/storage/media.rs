//! Stored files over HTTP, to be kept by browsers for ever.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::Storage;
use crate::{etag, problem::Problem};

/// A path is used once, so that what it names never changes (RFC 8246).
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Serves `GET` and `HEAD` of `<prefix>/<path>`, for a prefix such as `/media`.
///
/// Only `.jpg` files are served. Everything else, the trash and paths with empty parts or dots
/// in front are 404, which is never kept.
pub fn media(storage: Storage, prefix: &str) -> Router {
    let prefix = prefix.trim_end_matches('/');
    Router::new()
        .route(&format!("{prefix}/{{*path}}"), get(file))
        .with_state(storage)
}

async fn file(
    State(storage): State<Storage>,
    Path(path): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("there is no such file");
    if !path.ends_with(".jpg") {
        return Err(missing());
    }
    let stored = match method {
        Method::HEAD => storage.head(&path).await?,
        _ => storage.get(&path).await?,
    };
    let stored = stored.ok_or_else(missing)?;
    let known = headers.get(header::IF_NONE_MATCH);
    let (status, body) = match known.is_some_and(|known| etag::names(known, &stored.etag)) {
        true => (StatusCode::NOT_MODIFIED, Body::empty()),
        false => (StatusCode::OK, stored.body),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, FOR_EVER);
    if let Ok(etag) = HeaderValue::from_str(&stored.etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert("timing-allow-origin", HeaderValue::from_static("*"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    if status == StatusCode::OK {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(stored.size));
    }
    Ok(response)
}
