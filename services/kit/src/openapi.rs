//! What the description of every API says about problems.
//!
//! A handler names the answers that are its own. Those that any request can get, because its
//! body cannot be read, its token is wrong or the database is busy, are added here, and so is
//! what a problem looks like.

use utoipa::{
    Modify, PartialSchema as _, ToSchema as _,
    openapi::{
        Content, Header, OpenApi, Ref, RefOr, Response, ResponseBuilder, Type,
        header::HeaderBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::{Object, ObjectBuilder},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::problem::ProblemBody;

/// Says what the security scheme `bearer` of an API is: `#[openapi(modifiers(&BearerToken))]`.
#[derive(Debug, Clone, Copy)]
pub struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_with(Default::default);
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", scheme);
    }
}

/// Completes the description of an API: `#[openapi(modifiers(&Problems))]`.
#[derive(Debug, Clone, Copy)]
pub struct Problems;

/// The content type of a problem (RFC 9457).
const PROBLEM: &str = "application/problem+json";

impl Modify for Problems {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_with(Default::default);
        components
            .schemas
            .insert(ProblemBody::name().into_owned(), ProblemBody::schema());
        let mut wrong_method = empty("The path has other methods");
        describe("405", &mut wrong_method);
        components
            .responses
            .insert("MethodNotAllowed".to_owned(), wrong_method.into());
        api.paths.paths.values_mut().for_each(complete);
    }
}

fn complete(item: &mut PathItem) {
    if let Some(operation) = &mut item.get {
        add_condition(operation);
    }
    let PathItem {
        get,
        post,
        put,
        patch,
        delete,
        ..
    } = item;
    for operation in [get, post, put, patch, delete].into_iter().flatten() {
        add_answers(operation);
    }
}

/// The answers that do not depend on what the operation does.
fn add_answers(operation: &mut Operation) {
    let body = operation.request_body.is_some();
    let token = operation.security.is_some();
    let responses = &mut operation.responses.responses;
    for (applies, status, description) in [
        (true, "400", "The request is wrong; `fields` says where"),
        (token, "401", "The token is missing, expired or wrong"),
        (body, "413", "The body is too long"),
        (body, "415", "The body is of a type that is not read"),
        (true, "500", "A fault of the service"),
        (true, "503", "The service is busy; try again"),
    ] {
        if applies {
            let answer = || empty(description).into();
            responses.entry(status.to_owned()).or_insert_with(answer);
        }
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
        {
            describe(status, response);
        }
    }
}

/// A GET may say what the client has, and learn that it is still right.
fn add_condition(operation: &mut Operation) {
    let condition = ParameterBuilder::new()
        .name("If-None-Match")
        .parameter_in(ParameterIn::Header)
        .description(Some("The ETag of the answer that the client has"))
        .schema(Some(text()))
        .build();
    let parameters = operation.parameters.get_or_insert_with(Vec::new);
    parameters.push(RefOr::<Parameter>::T(condition));
    let same = empty("What the client has is still right");
    operation
        .responses
        .responses
        .insert("304".to_owned(), same.into());
}

/// Adds the body of a problem, and the headers that go with its status.
fn describe(status: &str, response: &mut Response) {
    if response.content.is_empty() {
        let problem = Ref::from_schema_name(ProblemBody::name());
        response
            .content
            .insert(PROBLEM.to_owned(), Content::new(Some(problem)).into());
    }
    let (name, schema, description) = match status {
        "401" => ("WWW-Authenticate", text(), "`Bearer`"),
        "405" => ("Allow", text(), "The methods that the path has"),
        "429" | "503" => ("Retry-After", whole(), "Seconds to wait"),
        _ => return,
    };
    let header: Header = HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        .build();
    response.headers.insert(name.to_owned(), header.into());
}

fn empty(description: &str) -> Response {
    ResponseBuilder::new().description(description).build()
}

fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

fn whole() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(put), modifiers(&Problems))]
    struct Api;

    #[utoipa::path(put, path = "/x/", request_body = String, security(("bearer" = [])), responses(
        (status = 204, description = "Done"),
        (status = 409, description = "Taken"),
        (status = 429, description = "Too often"),
    ))]
    #[allow(dead_code)]
    fn put() {}

    #[test]
    fn every_refusal_is_a_problem_with_the_headers_of_its_status() {
        let api = serde_json::to_value(<Api as utoipa::OpenApi>::openapi()).unwrap();
        let answers = api["paths"]["/x/"]["put"]["responses"].as_object().unwrap();
        let mut statuses: Vec<_> = answers.keys().map(String::as_str).collect();
        statuses.sort_unstable();
        let expected = [
            "204", "400", "401", "409", "413", "415", "429", "500", "503",
        ];
        assert_eq!(statuses, expected);
        for (status, answer) in answers {
            let schema = &answer["content"][PROBLEM]["schema"]["$ref"];
            assert_eq!(
                schema == "#/components/schemas/ProblemBody",
                status != "204"
            );
        }
        assert!(answers["429"]["headers"]["Retry-After"].is_object());
        assert_eq!(answers["409"]["description"], "Taken");
        let problem = &api["components"]["schemas"]["ProblemBody"];
        assert!(
            problem["required"]
                .as_array()
                .unwrap()
                .contains(&"fields".into())
        );
    }
}
