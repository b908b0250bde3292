//! The API's paths: one registration serves `/api/v1/x/`, `/api/v1/x`, `/api/x/` and `/api/x`, or
//! another short form in the place of `/api`.

use std::{any::Any, convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};

use crate::{etag, problem::Problem};

/// Collects the paths of an API.
#[derive(Debug)]
pub struct ApiRoutes<S> {
    router: Router<S>,
    prefixes: [&'static str; 2],
}

/// What the paths of an API are called by.
const LONG: &str = "/api/v1";

/// Longer bodies are refused; what needs more (pictures) says so at its route.
const BODY_LIMIT: usize = 256 * 1024;

impl<S: Clone + Send + Sync + 'static> Default for ApiRoutes<S> {
    fn default() -> Self {
        Self::under("/api")
    }
}

impl<S: Clone + Send + Sync + 'static> ApiRoutes<S> {
    /// Paths under `/api/v1` and under another form of it, `/api` or `/v1`.
    pub fn under(short: &'static str) -> Self {
        Self {
            router: Router::new(),
            prefixes: [LONG, short],
        }
    }

    /// Adds a path, written with its slashes: `/flyers/{id}/`.
    #[must_use]
    pub fn route(self, path: &str, methods: MethodRouter<S, Infallible>) -> Self {
        let bare = path.trim_end_matches('/');
        let Self { router, prefixes } = self;
        let router = prefixes.into_iter().fold(router, |router, prefix| {
            router
                .route(&format!("{prefix}{bare}/"), methods.clone())
                .route(&format!("{prefix}{bare}"), methods.clone())
        });
        Self { router, prefixes }
    }

    /// The router, with what every API route does: a time limit, panics and unknown
    /// paths answered as problems, ETags, compression.
    pub fn finish(self, state: S, request_timeout: Duration) -> Router {
        self.router
            .fallback(|| async { Problem::not_found("there is no such path") })
            .with_state(state)
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(from_fn(etag::tag))
            .layer(from_fn_with_state(request_timeout, limit_time))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(CompressionLayer::new())
    }
}

/// The one name of a route: `/api/v1/…/` with a slash at the end, whichever of its four
/// forms was called.
pub(crate) fn template(matched: &MatchedPath) -> String {
    let path = matched.as_str().trim_end_matches('/');
    if path.is_empty() {
        return "/".to_owned();
    }
    let rest = ["/api/v1", "/api", "/v1"]
        .into_iter()
        .find_map(|prefix| path.strip_prefix(prefix));
    match rest {
        Some(rest) => format!("{LONG}{rest}/"),
        None => path.to_owned(),
    }
}

async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!(limit_s = limit.as_secs(), "a request took too long");
            Problem::unavailable("the request took too long", Duration::from_secs(1))
                .into_response()
        }
    }
}

// The signature is that of `CatchPanicLayer::custom`.
#[allow(clippy::needless_pass_by_value)]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a handler panicked");
    Problem::internal().into_response()
}
