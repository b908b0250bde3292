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
    service.register("j\u{f6}rg@example.org");
    let decomposed = json!({ "email": "JO\u{308}RG@example.org", "password": "Abcdefg1" });
    assert_eq!(service.post("/api/auth/register", &decomposed).status, 409);
    assert!(login["profile_id"].is_i64());

    let profile = service
        .get(&format!("/api/users/{id}/profile/"))
        .expect(200);
    assert_eq!(profile["name"], "ann.meier");
    assert_eq!(profile["flyer_count"], 0);
    let privacy = service.execute("UPDATE privacy_settings SET updated_at = created_at");
    assert_eq!(privacy, 2, "made together with each user");
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
    assert_eq!(service.publish(&token, &body).status, 401);
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

#[test]
fn what_is_missing_is_named() {
    let service = Running::empty();
    let fields = |path: &str, body| service.post(path, &body).fields();
    let register = "/api/v1/auth/register/";
    assert_eq!(fields(register, json!({})), ["email", "password"]);
    assert_eq!(
        fields(register, json!({ "email": null, "password": "Abcdefg1" })),
        ["email"]
    );
    assert_eq!(
        fields(register, json!({ "email": "a@example.org", "password": 7 })),
        ["password"]
    );
    let login = "/api/v1/auth/login/";
    assert_eq!(fields(login, json!({})), ["email", "password"]);
    assert_eq!(
        fields(login, json!({ "email": "  ", "password": "Abcdefg1" })),
        ["email"]
    );
}

#[test]
fn names_and_passwords_have_limits() {
    let service = Running::empty();
    let register = |email: &str, password: &str, name: &str| {
        let body = json!({ "email": email, "password": password, "name": name });
        service.post("/api/v1/auth/register/", &body)
    };
    for name in ["", "   ", "a\u{0}b", "a\nb", "<i>", &"x".repeat(51)] {
        assert_eq!(
            register("a@example.org", "Abcdefg1", name).fields(),
            ["name"],
            "{name:?}"
        );
    }
    for password in [
        "Abcdef1",
        "abcdefg1",
        "ABCDEFG1",
        "Abcdefgh",
        &"Aa1".repeat(86),
    ] {
        assert_eq!(
            register("a@example.org", password, "A").fields(),
            ["password"],
            "{password}"
        );
    }
    let longest = format!("{}@example.org", "x".repeat(64));
    register(&longest, &"Aa1b".repeat(64), &"ü".repeat(50)).expect(201);
}

#[test]
fn one_address_registered_twice_at_once_makes_one_account() {
    let service = Running::empty();
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = ["a@example.org", "A@Example.org", " a@example.ORG "]
            .map(|email| {
                let service = &service;
                scope.spawn(move || {
                    let body = json!({ "email": email, "password": "Abcdefg1" });
                    service.post("/api/v1/auth/register/", &body).status
                })
            })
            .into_iter()
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    for table in ["users", "profiles", "privacy_settings"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = service.value(sql);
        assert_eq!(count, 1, "{table}");
    }
}

/// A token with another header or other claims, signed as `sign` says.
fn altered(token: &str, header: &str, claims: Option<&str>, signature: Option<&str>) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = claims.map_or_else(|| parts[1].to_owned(), base64url);
    let signature = signature.unwrap_or(parts[2]);
    format!("{}.{claims}.{signature}", base64url(header))
}

fn base64url(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| {
            bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
        });
        for at in 0..=chunk.len() {
            out.push(char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    out
}

#[test]
fn forged_tokens_are_refused() {
    let service = Running::empty();
    let (token, id) = service.register("a@example.org");
    let own = "/api/v1/users/me/flyers/";
    let hs256 = r#"{"typ":"JWT","alg":"HS256"}"#;
    assert_eq!(
        altered(&token, hs256, None, None),
        token,
        "the forger writes tokens as the service does"
    );
    let later = format!(r#"{{"sub":"{id}","email":"a@example.org","iat":0,"exp":9999999999}}"#);
    for forged in [
        altered(&token, r#"{"typ":"JWT","alg":"none"}"#, None, Some("")),
        altered(
            &token,
            r#"{"typ":"JWT","alg":"None"}"#,
            Some(&later),
            Some(""),
        ),
        altered(&token, r#"{"typ":"JWT","alg":"HS512"}"#, None, None),
        altered(&token, r#"{"typ":"JWT","alg":"RS256"}"#, None, None),
        altered(&token, hs256, Some(&later), None),
        altered(&token, hs256, None, Some("")),
        String::new(),
        "..".to_owned(),
    ] {
        let answer = service.get_as(&forged, own);
        assert_eq!(answer.status, 401, "{forged}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
}
