//! How challenges words its problems: `{"detail": …}`, as its clients know them.
//!
//! Input that is wrong in itself is 422 with a list that says where; everything else is a
//! sentence, and an object with a code for pictures and hitches.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use serde_json::{Value, json};
use service_kit::problem::{Fields, Problem, ProblemBody};
use utoipa::{
    Modify, PartialSchema as _, ToSchema as _,
    openapi::{
        Content, ContentBuilder, OpenApi, Ref, RefOr,
        path::{Operation, PathItem},
    },
};

/// Where in a request something is wrong: `query.page`. A name without a place is of the body.
const PLACES: [&str; 3] = ["query", "path", "header"];

/// One thing that is wrong with a request.
#[derive(Serialize, utoipa::ToSchema)]
struct Wrong {
    /// Where: `["body", "name"]`.
    loc: Vec<String>,
    /// A sentence for people.
    msg: String,
    /// A stable word for programs.
    #[serde(rename = "type")]
    kind: String,
}

/// A request that is wrong in itself.
#[derive(Serialize, utoipa::ToSchema)]
struct Invalid {
    detail: Vec<Wrong>,
}

/// What went wrong: a sentence, or a code with one.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what `words` writes")]
struct Refusal {
    /// A sentence, or for pictures and hitches an object with `error` and `message`.
    #[schema(value_type = Value)]
    detail: Value,
    /// Finds the request in the log.
    request_id: String,
}

/// Words a problem of the kit.
pub(crate) fn words(problem: &ProblemBody, request_id: &str) -> (StatusCode, Value) {
    if let (400, "invalid" | "malformed") = (problem.status, problem.error) {
        let detail = wrongs(problem);
        return (StatusCode::UNPROCESSABLE_ENTITY, json!(Invalid { detail }));
    }
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let detail = match problem.more.get(CODE) {
        Some(code) => json!({ "error": code, "message": problem.detail }),
        None => json!(problem.detail),
    };
    (
        status,
        json!({ "detail": detail, "request_id": request_id }),
    )
}

fn wrongs(problem: &ProblemBody) -> Vec<Wrong> {
    if problem.fields.is_empty() {
        return vec![Wrong {
            loc: vec!["body".to_owned()],
            msg: problem.detail.clone(),
            kind: "json_invalid".to_owned(),
        }];
    }
    let wrong = |(name, message): (&String, &String)| {
        let (place, field) = match name.split_once('.') {
            Some((place, field)) if PLACES.contains(&place) => (place, field),
            _ => ("body", name.as_str()),
        };
        let kind = match message.as_str() {
            "is required" => "missing",
            _ => "value_error",
        };
        Wrong {
            loc: vec![place.to_owned(), field.to_owned()],
            msg: message.clone(),
            kind: kind.to_owned(),
        }
    };
    problem.fields.iter().map(wrong).collect()
}

/// The member of a problem that makes its detail an object.
const CODE: &str = "code";

/// A problem whose detail has a code for programs.
pub(crate) fn coded(problem: Problem, code: &str) -> Problem {
    problem.with(CODE, json!(code))
}

/// The problem of all wrong parameters of a query, if there are any.
pub(crate) fn check_query(fields: Fields) -> Result<(), Problem> {
    if fields.is_empty() {
        return Ok(());
    }
    let fields = fields.into_iter();
    let placed = fields.map(|(name, message)| (format!("query.{name}"), message));
    Err(Problem::validation(placed.collect()))
}

/// What these problems look like is no `application/problem+json`.
pub(crate) async fn as_plain_json(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let kind = headers.get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind == "application/problem+json") {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    response
}

/// Says so in the description: after the kit's own `Problems`.
pub(crate) struct Words;

impl Modify for Words {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_with(Default::default);
        components.schemas.remove(&*ProblemBody::name());
        components
            .schemas
            .insert(Invalid::name().into_owned(), Invalid::schema());
        components
            .schemas
            .insert(Wrong::name().into_owned(), Wrong::schema());
        components
            .schemas
            .insert(Refusal::name().into_owned(), Refusal::schema());
        for response in components.responses.values_mut() {
            if let RefOr::T(response) = response {
                response.content = refusal();
            }
        }
        api.paths.paths.values_mut().for_each(reword);
    }
}

fn reword(item: &mut PathItem) {
    let PathItem {
        get,
        post,
        put,
        patch,
        delete,
        ..
    } = item;
    for operation in [get, post, put, patch, delete].into_iter().flatten() {
        reword_answers(operation);
    }
}

/// What the kit describes as 400 is 422 here; a route that answers 400 itself says so. Without a
/// token it is 403.
fn reword_answers(operation: &mut Operation) {
    let needs_token = operation.security.is_some();
    let responses = &mut operation.responses.responses;
    if let Some(wrong) = responses.get("400").cloned() {
        responses.entry("422".to_owned()).or_insert(wrong);
    }
    if let (true, Some(wrong)) = (needs_token, responses.get("401").cloned()) {
        responses.entry("403".to_owned()).or_insert(wrong);
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
        {
            if status == "403" {
                response.headers.remove("WWW-Authenticate");
            }
            response.content = match status.as_str() {
                "422" => content(&Invalid::name()),
                _ => refusal(),
            };
        }
    }
}

fn refusal<C: FromIterator<(String, RefOr<Content>)>>() -> C {
    content(&Refusal::name())
}

fn content<C: FromIterator<(String, RefOr<Content>)>>(schema: &str) -> C {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)));
    let content = RefOr::T(content.build());
    std::iter::once(("application/json".to_owned(), content)).collect()
}
