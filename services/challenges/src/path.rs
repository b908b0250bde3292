//! The id in a path.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use service_kit::{
    problem::Problem,
    uuid::{NoUuid, Uuid},
};

/// The only parameter of a path, a UUID; 422 where it is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathId(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wrong = |name: &str| Problem::invalid(&format!("path.{name}"), NoUuid.to_string());
        let params = RawPathParams::from_request_parts(parts, state).await;
        // Fails where a parameter is no UTF-8.
        let params = params.map_err(|_| wrong("id"))?;
        // The routes that take one have one.
        let (name, text) = params.iter().next().ok_or_else(|| wrong("id"))?;
        text.parse().map(Self).map_err(|_| wrong(name))
    }
}
