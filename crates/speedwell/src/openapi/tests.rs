//! Skeletons of small documents, and of those of the services.

use serde_json::{Value, json};

use super::*;

fn skeleton(document: &Value) -> String {
    let document = Document::read("shop.json", document.to_string().as_bytes()).unwrap();
    skeleton::write(&document, "shop.json")
}

fn shop() -> Value {
    let id = json!({ "name": "item_id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "shop", "version": "1" },
        "servers": [{ "url": "/api" }],
        "security": [{ "token": [] }],
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": {
                "Item": { "type": "object", "properties": { "id": { "type": "string" }, "title": { "type": "string" } } },
                "NewItem": {
                    "type": "object",
                    "required": ["title", "price", "kind", "shop_id", "tags"],
                    "properties": {
                        "title": { "type": "string", "maxLength": 40 },
                        "price": { "type": ["null", "number"], "minimum": 0.5 },
                        "kind": { "enum": ["new", "old"] },
                        "shop_id": { "type": "integer" },
                        "tags": { "type": "array", "minItems": 1, "items": { "type": "string", "example": "$5" } },
                        "note": { "type": "string" }
                    }
                }
            }
        },
        "paths": {
            "/login": { "post": {
                "operationId": "log_in", "security": [],
                "requestBody": { "content": { "application/json": { "schema": { "type": "object", "required": ["email", "password"], "properties": { "email": { "type": "string", "example": "ann@example.org" }, "password": { "type": "string" } } } } } },
                "responses": { "200": { "content": { "application/json": { "schema": { "type": "object", "properties": { "access_token": { "type": "string" } } } } } } }
            } },
            "/items/{item_id}": {
                "parameters": [id],
                "get": { "operationId": "get_item", "responses": { "200": {} } },
                "delete": { "operationId": "delete_item", "responses": { "204": {} } }
            },
            "/items": {
                "get": {
                    "operationId": "list_items", "security": [{}, { "token": [] }],
                    "parameters": [
                        { "name": "limit", "in": "query", "schema": { "type": "integer" } },
                        { "name": "q", "in": "query", "required": true, "schema": { "type": "string", "example": "a b" } },
                        { "name": "sort", "in": "query", "schema": { "type": "string" } }
                    ],
                    "responses": { "200": { "content": { "application/json": { "schema": { "type": "object", "properties": { "items": { "type": "array", "items": { "$ref": "#/components/schemas/Item" } } } } } } } }
                },
                "post": {
                    "operationId": "create_item",
                    "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/NewItem" } } } },
                    "responses": { "201": {}, "200": {} }
                }
            },
            "/items/{item_id}/picture": { "put": {
                "parameters": [id],
                "requestBody": { "content": { "multipart/form-data": { "schema": { "type": "object", "properties": { "picture": { "type": "string", "format": "binary" } } } } } },
                "responses": { "204": {} }
            } },
            "/reports/{id}": { "get": { "operationId": "get_report", "responses": { "200": {} } } }
        }
    })
}

#[test]
fn a_skeleton_has_a_route_for_each_operation_and_marks_what_it_cannot_know() {
    insta::assert_snapshot!(skeleton(&shop()));
}

#[test]
fn a_skeleton_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let text = skeleton(&shop());
    let path = folder.path().join("speedwell.toml");
    let audited = config::read_text(&path, &text, Use::Scenario).unwrap();
    audit::check_steps(&audited).unwrap();
    assert_eq!(audited.setup.len(), 1);
    // What deletes and what uploads is there as a comment.
    assert_eq!(audited.routes.len(), 4);
    assert!(
        text.contains("# delete = \"/api/items/${pick item}\""),
        "{text}"
    );
}

#[test]
fn the_documents_of_the_services_make_skeletons_that_read_back() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["flyers", "deals"] {
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi");
        let text = std::fs::read(fixtures.join(format!("{name}.json"))).unwrap();
        let document = Document::read(name, &text).unwrap();
        let text = skeleton::write(&document, name);
        let path = folder.path().join("speedwell.toml");
        let audited = config::read_text(&path, &text, Use::Scenario)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        audit::check_steps(&audited).unwrap();
        let operations = document.operations().len();
        let commented = text.lines().filter(|line| line.starts_with("# [[")).count();
        assert_eq!(
            audited.routes.len() + audited.setup.len() + commented,
            operations
        );
        assert!(text.contains("capture = {"), "{text}");
    }
}

#[test]
fn what_is_no_such_document_says_what_to_do() {
    let message = |text: &str| {
        Document::read("a", text.as_bytes())
            .err()
            .unwrap()
            .to_string()
    };
    for (text, part) in [
        ("openapi: 3.1.0\n", "yq -o json"),
        ("{}", "`openapi` is missing"),
        (r#"{"swagger": "2.0"}"#, "Swagger 2.0"),
        (r#"{"openapi": "4.0"}"#, "openapi: 4.0"),
        (r#"{"openapi": "3.0.3", "paths": {}}"#, "no operation"),
    ] {
        assert!(message(text).contains(part), "{}", message(text));
    }
}
