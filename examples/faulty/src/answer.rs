//! What handlers take and give: the size of a page, and errors.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use speedwell_cache::{BuildError, LoadError, WriteError};

/// How many rows a page shows: 1 to 100, 20 unless the request says otherwise.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(from = "i64")]
pub(crate) struct PageSize(i64);

impl PageSize {
    pub(crate) fn rows(self) -> i64 {
        self.0
    }
}

impl From<i64> for PageSize {
    fn from(asked: i64) -> Self {
        Self(asked.clamp(1, 100))
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(20)
    }
}

/// The query parameter that every list takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    #[serde(default)]
    pub(crate) page_size: PageSize,
}

/// The body of a request that writes: how many rows.
#[derive(Debug, Deserialize)]
pub(crate) struct Rows {
    pub(crate) count: PageSize,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No row has that id.
    #[error("there is no such row")]
    NotFound,
    /// The cursor was not made by this service.
    #[error("`after` is a cursor from the `next` of an earlier page")]
    Cursor,
    /// The database did not do what it was asked.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// What is cached could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError<sqlx::Error>),
    /// What is cached could not be changed.
    #[error(transparent)]
    Write(#[from] WriteError<sqlx::Error>),
    /// There is no cache.
    #[error(transparent)]
    Cache(#[from] BuildError),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, detail) = match &self {
            Self::NotFound => (StatusCode::NOT_FOUND, self.to_string()),
            Self::Cursor => (StatusCode::BAD_REQUEST, self.to_string()),
            Self::Database(sqlx::Error::PoolTimedOut) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no database connection is free".to_owned(),
            ),
            Self::Database(error) => internal(error, "the database refused a statement"),
            Self::Load(error) => internal(error, "a value could not be loaded"),
            Self::Write(error) => internal(error, "a write was not done"),
            Self::Cache(error) => internal(error, "the cache could not be made"),
        };
        (status, Json(json!({ "error": detail }))).into_response()
    }
}

fn internal(error: &dyn std::error::Error, what: &str) -> (StatusCode, String) {
    tracing::error!(%error, "{what}");
    (StatusCode::INTERNAL_SERVER_ERROR, what.to_owned())
}
