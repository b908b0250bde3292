//! How deals words its problems: `{"error": {code, message, details}, "request_id"}`, as its
//! documentation promises, beside `detail`, which its code gave, and the members of RFC 9457.
//!
//! Input that is wrong in itself is 422; an id of something that does not exist stays 400.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use service_kit::problem::ProblemBody;
use utoipa::{
    Modify, PartialSchema as _, ToSchema as _,
    openapi::{OpenApi, path::PathItem},
};

/// What went wrong.
#[derive(Serialize, utoipa::ToSchema)]
struct ErrorOf {
    /// A stable word for programs.
    code: String,
    /// A sentence for people.
    message: String,
    /// One message per wrong input, and what a route adds.
    details: Map<String, Value>,
}

/// An answer that is not the one asked for.
#[derive(Serialize, utoipa::ToSchema)]
struct Envelope {
    /// Always `about:blank`: the status says the kind (RFC 9457).
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The HTTP status code.
    status: u16,
    /// A sentence for people.
    detail: String,
    error: ErrorOf,
    /// Finds the request in the log.
    request_id: String,
}

/// Words a problem of the kit.
pub(crate) fn words(problem: &ProblemBody, request_id: &str) -> (StatusCode, Value) {
    let status = match (problem.status, problem.error) {
        (400, "invalid" | "malformed") => StatusCode::UNPROCESSABLE_ENTITY,
        (status, _) => StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let fields = problem.fields.iter();
    let fields = fields.map(|(field, message)| (field.clone(), json!(message)));
    let more = problem.more.iter();
    let more = more.map(|(member, value)| ((*member).to_owned(), value.clone()));
    let envelope = Envelope {
        kind: problem.kind.to_owned(),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        detail: problem.detail.clone(),
        error: ErrorOf {
            code: problem.error.to_owned(),
            message: problem.detail.clone(),
            details: fields.chain(more).collect(),
        },
        request_id: request_id.to_owned(),
    };
    (status, json!(envelope))
}

/// Says so in the description: after the kit's own `Problems`.
pub(crate) struct Words;

impl Modify for Words {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_with(Default::default);
        components
            .schemas
            .insert(ProblemBody::name().into_owned(), Envelope::schema());
        let mut parts = Vec::new();
        Envelope::schemas(&mut parts);
        components.schemas.extend(parts);
        api.paths.paths.values_mut().for_each(add_422);
    }
}

/// What the kit describes as 400 is 422 here; a route that answers 400 itself says so.
fn add_422(item: &mut PathItem) {
    let PathItem {
        get,
        post,
        put,
        patch,
        delete,
        ..
    } = item;
    for operation in [get, post, put, patch, delete].into_iter().flatten() {
        let responses = &mut operation.responses.responses;
        if let Some(wrong) = responses.get("400").cloned() {
            responses.entry("422".to_owned()).or_insert(wrong);
        }
    }
}
