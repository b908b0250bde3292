//! Making an account, signing in, tokens.

use serde_json::json;

use crate::running::{Running, refused, text, wrong};

#[test]
fn who_registers_can_sign_in_and_ask_who_they_are() {
    let service = Running::new();
    let body = json!({ "email": " New@Example.org", "password": "correct horse", "timezone": "Europe/Zurich" });
    let made = service.post("/api/v1/auth/register/", &body).expect(201);
    assert_eq!(made["token_type"], "bearer");
    assert_eq!(made["expires_in"], 86_400);
    assert_eq!(made["user"]["display_name"], "new");
    assert_eq!(made["user"]["email"], "new@example.org");
    let sign_in = |password: &str| {
        let body = json!({ "email": "NEW@example.org", "password": password });
        service.post("/api/v1/auth/login", &body)
    };
    let token = sign_in("correct horse").expect(200);
    let token = text(&token["access_token"]).to_owned();
    let me = service.get_as(&token, "/api/v1/auth/me/").expect(200);
    assert_eq!(me["id"], made["user"]["id"]);
    assert_eq!(me["stats"]["points"], 0);
    assert_eq!(me["account_type"], "b2c");
    let verified = service.send("/api/v1/auth/verify", Some(&token), "application/json", "");
    assert_eq!(verified.expect(200)["email"], "new@example.org");
    let out = service.send("/api/v1/auth/logout/", Some(&token), "application/json", "");
    assert_eq!(out.expect(200)["success"], true);
    let profile = service.get_as(&token, "/api/v1/users/me/").expect(200);
    assert_eq!(profile["timezone"], "Europe/Zurich");
    assert!(profile["last_seen_at"].is_string());
    let answer = sign_in("wrong horse");
    assert_eq!(refused(&answer, 401), "Invalid email or password");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
}

#[test]
fn an_address_has_one_account() {
    let service = Running::new();
    let body = json!({ "email": "a@example.org", "password": "12345678" });
    service.post("/api/v1/auth/register/", &body).expect(201);
    let again = service.post("/api/v1/auth/register/", &body);
    assert_eq!(
        refused(&again, 400),
        "An account with this email already exists"
    );
}

#[test]
fn what_is_wrong_with_a_registration_is_named_at_once() {
    let service = Running::new();
    let body =
        json!({ "email": "a", "password": "short", "display_name": " ", "timezone": "Mars/Base" });
    let answer = service.post("/api/v1/auth/register/", &body);
    assert_eq!(
        wrong(&answer),
        [
            "body.display_name",
            "body.email",
            "body.password",
            "body.timezone"
        ]
    );
    assert_eq!(
        wrong(&service.post("/api/v1/auth/login/", &json!({}))),
        ["body.email", "body.password"]
    );
}

#[test]
fn without_a_token_it_is_403_and_with_a_wrong_one_401() {
    let service = Running::new();
    let without = service.get("/api/v1/users/me/");
    assert_eq!(refused(&without, 403), "Not authenticated");
    assert!(!without.headers.contains_key("www-authenticate"));
    let wrong = service.get_as("x.y.z", "/api/v1/users/me/");
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.headers["www-authenticate"], "Bearer");
    let mut nobody = [0; 16];
    nobody[0] = 1;
    let token = service.token_of(service_kit::uuid::Uuid::from_bytes(nobody));
    assert_eq!(service.get_as(&token, "/api/v1/users/me/").status, 401);
    assert_eq!(
        service
            .get_as(&service.token(1), "/api/v1/users/me/")
            .status,
        200
    );
}

#[test]
fn guessing_passwords_ends_after_ten() {
    let service = Running::new();
    let body = json!({ "email": "a@example.org", "password": "12345678" });
    service.post("/api/v1/auth/register/", &body).expect(201);
    let guess = json!({ "email": "a@example.org", "password": "guess" });
    for _ in 0..10 {
        assert_eq!(service.post("/api/v1/auth/login/", &guess).status, 401);
    }
    let answer = service.post("/api/v1/auth/login/", &body);
    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains_key("retry-after"));
}
