//! Registration, sign-in, tokens.

use serde_json::json;

use crate::running::Running;

#[test]
fn an_account_is_made_once_and_signs_in() {
    let service = Running::empty();
    let (token, id) = service.register("Ann.Meier@Example.org");
    assert_eq!(
        service.get_as(&token, "/api/v1/users/me/flyers/").status,
        200
    );

    let again = json!({ "email": "ANN.meier@example.ORG", "password": "Abcdefg1" });
    let conflict = service.post("/api/auth/register", &again);
    assert!(conflict.expect(409)["fields"]["email"].is_string());

    let login = service.post("/api/v1/auth/login/", &again).expect(200);
    assert_eq!(login["user_id"], id);
    assert!(login["profile_id"].is_i64());

    let profile = service
        .get(&format!("/api/users/{id}/profile/"))
        .expect(200);
    assert_eq!(profile["name"], "ann.meier");
    assert_eq!(profile["flyer_count"], 0);
    let privacy = service.execute("UPDATE privacy_settings SET updated_at = created_at");
    assert_eq!(privacy, 1, "made together with the user");
}

#[test]
fn all_faults_of_a_registration_come_together() {
    let service = Running::empty();
    let body = json!({ "email": "nobody", "password": "short", "name": "<b>" });
    let mut fields = service.post("/api/v1/auth/register/", &body).fields();
    fields.sort();
    assert_eq!(fields, ["email", "name", "password"]);
}

#[test]
fn wrong_password_and_unknown_address_cannot_be_told_apart() {
    let service = Running::empty();
    service.register("a@example.org");
    let try_login = |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        let answer = service.post("/api/v1/auth/login/", &body);
        answer.expect(401)["detail"].to_string()
    };
    assert_eq!(
        try_login("a@example.org", "Wrong-123"),
        try_login("b@example.org", "Abcdefg1")
    );
    let missing = service.post("/api/v1/auth/login/", &json!({ "email": "a@example.org" }));
    assert_eq!(missing.fields(), ["password"]);
}

#[test]
fn tokens_are_demanded_and_checked() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let own = "/api/v1/users/me/flyers/";
    assert_eq!(service.get(own).status, 401);
    assert_eq!(service.get(own).headers["www-authenticate"], "Bearer");
    let forged = format!("{}x", &token[..token.len() - 1]);
    assert_eq!(service.get_as(&forged, own).status, 401);
    assert_eq!(
        service
            .get_with(own, &[("authorization", "Basic YTpi")])
            .status,
        401
    );
    // A wrong token is refused even where none is needed.
    assert_eq!(
        service.get_as("nonsense", "/api/v1/flyers/feed/").status,
        401
    );
}

#[test]
fn a_token_whose_user_is_gone_makes_nothing() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    service.execute("DELETE FROM users");
    let body =
        json!({ "title": "x", "category_tags": ["events"], "location_address": "8001 Zürich" });
    assert_eq!(
        service.post_as(&token, "/api/v1/flyers/", &body).status,
        401
    );
    assert_eq!(service.execute("DELETE FROM flyers"), 0);
}

#[test]
fn names_with_markup_or_odd_alphabets_are_harmless() {
    let service = Running::empty();
    let body =
        json!({ "email": "z@example.org", "password": "Abcdefg1", "name": "Zoé 🎷 O'Brien" });
    let id = service.post("/api/v1/auth/register/", &body).expect(201)["user_id"].clone();
    let profile = service
        .get(&format!("/api/v1/users/{id}/profile/"))
        .expect(200);
    assert_eq!(profile["name"], "Zoé 🎷 O'Brien");
    let user = service.get(&format!("/api/v1/users/{id}/")).expect(200);
    assert!(user.get("email").is_none() && user.get("latitude").is_none());
    assert!(user["profile_picture"].is_null());
}
