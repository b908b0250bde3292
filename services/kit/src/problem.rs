//! Answers that say what went wrong: `application/problem+json` (RFC 9457).

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;

use crate::{database::is_busy, observe::RequestId};

/// Which field of the input is wrong, and how.
pub type Fields = BTreeMap<String, String>;

/// An answer that is not the one asked for.
///
/// Beside the members of RFC 9457 it carries `error` (a stable word for programs),
/// `detail` (a sentence for people) and `fields` (one message per wrong input).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    error: &'static str,
    detail: String,
    fields: Fields,
    retry_after: Option<Duration>,
    more: BTreeMap<&'static str, Value>,
}

/// What a [`Problem`] looks like on the wire. Every such answer has it among its extensions, for a
/// service that words its problems otherwise.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// Always `about:blank`: the status says the kind.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status code.
    pub status: u16,
    /// A stable word for programs.
    pub error: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// One message per wrong input.
    pub fields: BTreeMap<String, String>,
    /// What a route adds (RFC 9457, 3.2), such as `current`.
    #[serde(flatten)]
    pub more: BTreeMap<&'static str, Value>,
}

/// How a service words its problems otherwise: from the problem and the id of the request to a
/// status and a body. Headers stay as they are.
pub type Reword = fn(&ProblemBody, &str) -> (StatusCode, Value);

/// Answers problems in the words of the service.
pub(crate) async fn reword(State(words): State<Reword>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let Some(body) = response.extensions_mut().remove::<ProblemBody>() else {
        return response;
    };
    let id = id.as_ref().map_or("", |RequestId(id)| id);
    let (status, body) = words(&body, id);
    *response.status_mut() = status;
    // The body that was compressed or measured is not the one that is sent.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().remove(header::CONTENT_ENCODING);
    *response.body_mut() = Body::from(body.to_string());
    response
}

/// How long a client should wait before it tries again when the database is busy.
const BUSY_RETRY: Duration = Duration::from_secs(1);

impl Problem {
    fn new(status: StatusCode, error: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            error,
            detail: detail.into(),
            fields: Fields::new(),
            retry_after: None,
            more: BTreeMap::new(),
        }
    }

    /// 400: one input is wrong.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::validation(Fields::from([(field.to_owned(), message.into())]))
    }

    /// 400: several inputs are wrong.
    pub fn validation(fields: Fields) -> Self {
        let detail = fields
            .iter()
            .map(|(field, message)| format!("{field}: {message}"))
            .collect::<Vec<_>>()
            .join("; ");
        Self {
            fields,
            ..Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
        }
    }

    /// 400: an input names something that does not exist.
    pub fn unknown(field: &str, message: impl Into<String>) -> Self {
        Self {
            error: "unknown",
            ..Self::invalid(field, message)
        }
    }

    /// 400: the request is understood, and cannot be done as things are.
    pub fn refused(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "refused", detail)
    }

    /// 400: the request as a whole cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 401: sign in first.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403: signed in, but not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: there is no such thing, or none that the caller may see.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 405: the path exists, the method does not.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this path has other methods",
        )
    }

    /// 409: somebody else was first.
    pub fn conflict(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut problem = Self::new(StatusCode::CONFLICT, "conflict", message.clone());
        problem.fields.insert(field.to_owned(), message);
        problem
    }

    /// 413: the body is longer than the service reads.
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the request body is too large",
        )
    }

    /// 415: the body is not of a type that the service reads.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            detail,
        )
    }

    /// 429: no more attempts until `retry_after` has passed.
    pub fn too_many_requests(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
        }
    }

    /// 503: try again after `retry_after`.
    pub fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }

    /// 500: our fault. What happened belongs in the log, not in the answer.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong on our side; the request id finds it in the log",
        )
    }

    /// With one more member on the wire.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: Value) -> Self {
        self.more.insert(member, value);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The wrong inputs.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            error: self.error,
            detail: self.detail,
            fields: self.fields,
            more: self.more,
        };
        let mut response = (self.status, axum::Json(&body)).into_response();
        response.extensions_mut().insert(body);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(
                header::RETRY_AFTER,
                // A part of a second too early would be refused again.
                HeaderValue::from((wait.as_secs_f64().ceil() as u64).max(1)),
            );
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<sqlx::Error> for Problem {
    /// A busy database is worth another try; every other failure is ours and goes to the log.
    fn from(error: sqlx::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&sqlx::Error> for Problem {
    /// The same for an error that several requests share.
    fn from(error: &sqlx::Error) -> Self {
        if is_busy(error) {
            tracing::warn!(%error, "the database is busy");
            return Self::unavailable("the database is busy, try again", BUSY_RETRY);
        }
        tracing::error!(%error, "the database failed");
        Self::internal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exhausted_pool_asks_to_come_back() {
        let response = Problem::from(sqlx::Error::PoolTimedOut).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn a_failing_database_is_not_shown_to_the_client() {
        let problem = Problem::from(sqlx::Error::Protocol("secret table name".into()));
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem.detail.contains("secret"));
    }
}
