//! What every endpoint answers to input that is wrong, forged, hostile or not there.

use std::collections::BTreeSet;

use flyers::geocoder::Gazetteer;
use serde_json::{Value, json};
use service_kit::{config::Secret, cursor, token::Tokens};

use crate::{
    create,
    forms::{Form, picture},
    running::{Answer, Running},
};

/// Whether an endpoint wants to know who calls.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Ignored,
    Optional,
    Required,
}

/// What an endpoint reads.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Takes {
    Nothing,
    Json,
    Form,
}

use Takes::{Form as AForm, Json as AJson, Nothing};
use Token::{Ignored, Optional, Required};

/// Every operation of the API.
const ENDPOINTS: &[(&str, &str, Token, Takes)] = &[
    ("POST", "/api/v1/auth/register/", Ignored, AJson),
    ("POST", "/api/v1/auth/login/", Ignored, AJson),
    ("GET", "/api/v1/categories/", Ignored, Nothing),
    ("GET", "/api/v1/flyers/feed/", Optional, Nothing),
    ("GET", "/api/v1/flyers/", Optional, Nothing),
    ("POST", "/api/v1/flyers/", Required, AForm),
    ("GET", "/api/v1/flyers/{id}/", Optional, Nothing),
    ("PATCH", "/api/v1/flyers/{id}/", Required, AForm),
    ("PUT", "/api/v1/flyers/{id}/", Required, AForm),
    ("DELETE", "/api/v1/flyers/{id}/", Required, Nothing),
    ("POST", "/api/v1/favorites/", Required, AJson),
    ("DELETE", "/api/v1/favorites/{flyer_id}/", Required, Nothing),
    ("GET", "/api/v1/favorites/feed/", Required, Nothing),
    ("POST", "/api/v1/follows/", Required, AJson),
    ("DELETE", "/api/v1/follows/{user_id}/", Required, Nothing),
    ("GET", "/api/v1/follows/status/", Optional, Nothing),
    ("GET", "/api/v1/following/feed/", Required, Nothing),
    ("GET", "/api/v1/users/{id}/", Ignored, Nothing),
    ("GET", "/api/v1/users/{id}/profile/", Optional, Nothing),
    ("GET", "/api/v1/users/{id}/flyers/", Optional, Nothing),
    ("GET", "/api/v1/users/me/flyers/", Required, Nothing),
    ("GET", "/api/v1/users/me/profile/", Required, Nothing),
    ("PATCH", "/api/v1/users/me/profile/", Required, AJson),
    ("POST", "/api/v1/users/me/profile/picture/", Required, AForm),
    (
        "DELETE",
        "/api/v1/users/me/profile/picture/",
        Required,
        Nothing,
    ),
    (
        "GET",
        "/api/v1/users/me/privacy-settings/",
        Required,
        Nothing,
    ),
    (
        "PATCH",
        "/api/v1/users/me/privacy-settings/",
        Required,
        AJson,
    ),
];

const LISTS: &[&str] = &[
    "/api/v1/flyers/feed/?",
    "/api/v1/flyers/?",
    "/api/v1/favorites/feed/?",
    "/api/v1/following/feed/?",
    "/api/v1/users/1/flyers/?",
];

/// A service with a user, who likes and follows another one with a flyer of the same.
struct Scene {
    service: Running,
    token: String,
    flyer: i64,
    foreign: i64,
    other: i64,
}

impl Scene {
    fn new() -> Self {
        // Bad tokens and passwords by the dozen come from one address here.
        let no_limits = [
            ("LOGIN_ATTEMPTS_PER_ACCOUNT", "0"),
            ("LOGIN_ATTEMPTS_PER_ADDRESS", "0"),
        ];
        let service = Running::start(&no_limits, std::sync::Arc::new(Gazetteer));
        let (token, _) = service.register("a@example.org");
        let (other_token, other) = service.register("b@example.org");
        let flyer = service.flyer(&token, "Jazz", "events", "8001 Zürich");
        let foreign = service.flyer(&other_token, "Blues", "events", "8001 Zürich");
        Self {
            service,
            token,
            flyer,
            foreign,
            other,
        }
    }

    /// The path with things of the user's own, or those that anybody may see.
    fn path(&self, template: &str) -> String {
        template
            .replace("/flyers/{id}/", &format!("/flyers/{}/", self.flyer))
            .replace("{id}", &self.other.to_string())
            .replace("{user_id}", &self.other.to_string())
            .replace("{flyer_id}", &self.foreign.to_string())
    }

    /// A body with nothing wrong in it: its type and its bytes.
    fn good_body(&self, path: &str, takes: Takes) -> (String, Vec<u8>) {
        let json = |value: Value| {
            (
                "application/json".to_owned(),
                value.to_string().into_bytes(),
            )
        };
        let form = |form: Form| (Form::kind(), form.bytes());
        match (takes, path) {
            (AForm, path) if path.ends_with("/picture/") => {
                form(Form::default().file("image", &picture(1)))
            }
            (AForm, path) if path.ends_with("/flyers/") => form(create::form(1)),
            (AForm, _) => json(json!({
                "title": "x", "category_tags": ["events"], "location_address": "8001 Zürich",
                "publication_date": "2100-01-01T00:00:00Z", "expiration_date": "2100-02-01T00:00:00Z",
            })),
            (_, path) if path.contains("/auth/") => {
                json(json!({ "email": "new@example.org", "password": "Abcdefg1" }))
            }
            (_, path) if path.ends_with("/favorites/") => json(json!({ "flyer_id": self.foreign })),
            (_, path) if path.ends_with("/follows/") => json(json!({ "followed_id": self.other })),
            (_, path) if path.ends_with("/privacy-settings/") => {
                json(json!({ "allow_email_contact": false }))
            }
            (AJson, _) => json(json!({ "name": "Ann" })),
            (Nothing, _) => (String::new(), Vec::new()),
        }
    }

    fn call(&self, method: &str, path: &str, token: Option<&str>, takes: Takes) -> Answer {
        let (kind, body) = self.good_body(path, takes);
        let path = if path.ends_with("/status/") {
            format!("{path}?user_id={}", self.other)
        } else {
            path.to_owned()
        };
        if method == "GET" {
            let token = token.map(|token| format!("Bearer {token}"));
            let headers: Vec<_> = token
                .iter()
                .map(|token| ("authorization", token.as_str()))
                .collect();
            return self.service.get_with(&path, &headers);
        }
        self.service.send_as(method, &path, token, &kind, &body)
    }
}

/// Checks that it is a refusal in the form of all refusals.
fn refusal(answer: &Answer, statuses: &[u16], what: &str) {
    assert!(
        statuses.contains(&answer.status),
        "{what}: {} {}",
        answer.status,
        answer.text
    );
    let json = answer.json();
    assert_eq!(
        answer.headers["content-type"], "application/problem+json",
        "{what}"
    );
    assert_eq!(json["status"], answer.status, "{what}");
    assert!(
        json["error"].is_string() && json["detail"].is_string(),
        "{what}: {json}"
    );
    assert!(json["fields"].is_object(), "{what}: {json}");
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn the_table_of_these_tests_has_every_operation_of_the_description() {
    let api = Running::empty().get("/openapi.json").expect(200);
    let mut described = BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let table = ENDPOINTS
        .iter()
        .map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(table.collect::<BTreeSet<_>>(), described);
}

#[test]
fn the_description_says_how_each_operation_refuses() {
    let api = Running::empty().get("/openapi.json").expect(200);
    for (method, path, token, takes) in ENDPOINTS {
        let operation = &api["paths"][path][method.to_lowercase()];
        let answers = operation["responses"].as_object().unwrap();
        let mut needed = vec!["400", "500", "503"];
        if *token != Ignored {
            needed.push("401");
        }
        if *takes != Nothing {
            needed.extend(["413", "415"]);
        }
        if path.contains('{') && *method != "DELETE" {
            needed.push("404");
        }
        for status in needed {
            let answer = answers.get(status).unwrap_or(&Value::Null);
            let schema = &answer["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(
                schema, "#/components/schemas/ProblemBody",
                "{method} {path} {status}"
            );
        }
        assert_eq!(
            operation["security"].is_array(),
            *token != Ignored,
            "{method} {path}"
        );
        assert_eq!(
            operation["requestBody"].is_object(),
            *takes != Nothing,
            "{method} {path}"
        );
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["description"].is_string(),
                "{method} {path} {parameter}"
            );
        }
    }
}

#[test]
fn what_the_table_calls_good_is_good() {
    for (method, path, _, takes) in ENDPOINTS {
        let scene = Scene::new();
        let answer = scene.call(method, &scene.path(path), Some(&scene.token), *takes);
        let expected: &[u16] = match *path {
            "/api/v1/auth/login/" => &[401],
            _ => &[200, 201, 204],
        };
        assert!(
            expected.contains(&answer.status),
            "{method} {path}: {}",
            answer.text
        );
    }
}

#[test]
fn wrong_tokens_are_refused_wherever_a_token_is_read() {
    let scene = Scene::new();
    let secret = Secret::new("a secret of the tests, long enough");
    let expired = Tokens::new(&secret, std::time::Duration::ZERO);
    let foreign = Tokens::new(&Secret::random(), std::time::Duration::from_secs(600));
    let parts: Vec<&str> = scene.token.split('.').collect();
    // {"typ":"JWT","alg":"none"}
    let none = format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{}.", parts[1]);
    let bad = [
        expired.issue(1, "a@example.org").unwrap(),
        foreign.issue(1, "a@example.org").unwrap(),
        none,
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}x", &scene.token[..scene.token.len() - 2]),
        "nonsense".to_owned(),
        "x".repeat(4000),
    ];
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for (method, path, token, takes) in ENDPOINTS {
        let path = scene.path(path);
        for forged in &bad {
            let answer = scene.call(method, &path, Some(forged), *takes);
            let what = format!("{method} {path} {}", &forged[..forged.len().min(40)]);
            if *token == Ignored {
                assert_ne!(answer.status / 100, 5, "{what}");
            } else {
                refusal(&answer, &[401], &what);
            }
        }
        if *token == Required {
            refusal(&scene.call(method, &path, None, *takes), &[401], &path);
        }
    }
    let profile = scene
        .service
        .get_as(&scene.token, "/api/v1/users/me/profile/")
        .expect(200);
    assert_eq!(profile["name"], "a", "nothing has happened");
}

#[test]
fn the_token_of_a_deleted_user_changes_nothing() {
    let scene = Scene::new();
    let (gone, _) = scene.service.register("gone@example.org");
    scene
        .service
        .execute("DELETE FROM users WHERE email = 'gone@example.org'");
    let tables = [
        "flyers",
        "favorites",
        "follows",
        "profiles",
        "privacy_settings",
    ];
    let counts = || tables.map(|table| scene.service.count(table));
    let before = counts();
    for (method, path, token, takes) in ENDPOINTS {
        if *token != Required {
            continue;
        }
        // Somebody else's flyer is refused before its caller is looked up.
        let path = path.replace("/flyers/{id}/", &format!("/flyers/{}/", scene.foreign));
        let path = scene.path(&path);
        let answer = scene.call(method, &path, Some(&gone), *takes);
        let what = format!("{method} {path}");
        match *method {
            "GET" => assert!(
                [200, 401].contains(&answer.status),
                "{what}: {}",
                answer.text
            ),
            _ if path.contains("/flyers/") && !path.ends_with("/flyers/") => {
                refusal(&answer, &[401, 403], &what);
            }
            _ => refusal(&answer, &[401], &what),
        }
    }
    assert_eq!(counts(), before);
    assert!(!scene.service.media().join("profiles").exists());
}

#[test]
fn other_peoples_flyers_cannot_be_changed() {
    let scene = Scene::new();
    let path = format!("/api/v1/flyers/{}/", scene.foreign);
    let before = scene.service.get(&path).expect(200);
    for method in ["PATCH", "PUT", "DELETE"] {
        let answer = scene.call(method, &path, Some(&scene.token), AForm);
        refusal(&answer, &[403], method);
    }
    assert_eq!(scene.service.get(&path).expect(200), before);
}

#[test]
fn bodies_that_are_no_json_are_refused_everywhere() {
    let scene = Scene::new();
    let deep = "[".repeat(100_000);
    for (method, path, _, takes) in ENDPOINTS {
        if *takes != AJson {
            continue;
        }
        let path = scene.path(path);
        let send = |kind: &str, body: &[u8]| {
            scene
                .service
                .send_as(method, &path, Some(&scene.token), kind, body)
        };
        for body in [
            &b""[..],
            b"{",
            b"[]",
            b"[\"c@example.org\", \"Abcdefg1\", \"c\"]",
            b"[1]",
            b"[true]",
            b"null",
            b"7",
            b"\"a\"",
            b"\0",
            b"\xff\xfe",
            b"{\"a\":1}x",
            b"{\"name\": \"\\ud800\"}",
            b"{\"a\": NaN}",
            b"{'a': 1}",
            deep.as_bytes(),
        ] {
            let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
            refusal(
                &send("application/json", body),
                &[400],
                &format!("{method} {path} {shown}"),
            );
        }
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "",
        ] {
            refusal(
                &send(kind, b"{}"),
                &[415],
                &format!("{method} {path} {kind}"),
            );
        }
        let huge = format!("{{\"x\": \"{}\"}}", "x".repeat(300_000));
        refusal(&send("application/json", huge.as_bytes()), &[413], &path);
    }
}

#[test]
fn values_of_a_wrong_kind_are_named() {
    let scene = Scene::new();
    let kinds = [
        json!(null),
        json!(true),
        json!(1.5),
        json!("text"),
        json!([]),
        json!({}),
    ];
    for (method, path, field, fits) in [
        ("POST", "/api/v1/auth/register/", "email", "text"),
        ("POST", "/api/v1/auth/register/", "password", "text"),
        ("POST", "/api/v1/auth/login/", "email", "text"),
        ("POST", "/api/v1/auth/login/", "password", "text"),
        ("POST", "/api/v1/favorites/", "flyer_id", ""),
        ("POST", "/api/v1/follows/", "followed_id", ""),
        ("PATCH", "/api/v1/users/me/profile/", "name", "text"),
        (
            "PATCH",
            "/api/v1/users/me/privacy-settings/",
            "allow_email_contact",
            "true",
        ),
        ("PATCH", "/api/v1/flyers/{id}/", "title", "text null"),
        ("PATCH", "/api/v1/flyers/{id}/", "category_tags", "null"),
        ("PATCH", "/api/v1/flyers/{id}/", "version", "null"),
        ("PATCH", "/api/v1/flyers/{id}/", "is_active", "true null"),
        ("PATCH", "/api/v1/flyers/{id}/", "expiration_date", "null"),
    ] {
        for value in &kinds {
            let shown = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            if fits.split(' ').any(|fit| fit == shown) {
                continue;
            }
            let mut body = json!({ "email": "c@example.org", "password": "Abcdefg1" });
            body[field] = value.clone();
            let answer = scene
                .service
                .send_json(method, &scene.path(path), &scene.token, &body);
            refusal(&answer, &[400], &format!("{method} {path} {field} {value}"));
            assert!(
                answer.fields().contains(&field.to_owned()),
                "{path} {field} {value}: {}",
                answer.text
            );
        }
    }
}

#[test]
fn texts_that_no_database_should_see_are_refused_by_name() {
    let scene = Scene::new();
    let long = "x".repeat(3000);
    for (method, path, field) in [
        ("POST", "/api/v1/auth/register/", "email"),
        ("POST", "/api/v1/auth/register/", "name"),
        ("PATCH", "/api/v1/users/me/profile/", "name"),
        ("PATCH", "/api/v1/users/me/profile/", "bio"),
        ("PATCH", "/api/v1/flyers/{id}/", "title"),
        ("PATCH", "/api/v1/flyers/{id}/", "caption"),
        ("PATCH", "/api/v1/flyers/{id}/", "info_field_1"),
        ("PATCH", "/api/v1/flyers/{id}/", "info_field_2"),
        ("PATCH", "/api/v1/flyers/{id}/", "location_address"),
    ] {
        for text in ["a\u{0}b@example.org", "\u{0}", &long] {
            let mut body = json!({ "email": "c@example.org", "password": "Abcdefg1" });
            body[field] = json!(text);
            let answer = scene
                .service
                .send_json(method, &scene.path(path), &scene.token, &body);
            let what = format!("{path} {field} {:?}", &text[..text.len().min(9)]);
            refusal(&answer, &[400], &what);
            assert_eq!(answer.fields(), [field], "{what}");
        }
    }
    // Nobody has such an address or password.
    for (email, password) in [
        ("a\u{0}@example.org", "Abcdefg1"),
        ("a@example.org", "Abc\u{0}defg1"),
        ("' OR 1=1 --", "' OR 1=1 --"),
    ] {
        let body = json!({ "email": email, "password": password });
        let answer = scene.service.post("/api/v1/auth/login/", &body);
        refusal(&answer, &[400, 401], email);
    }
}

#[test]
fn ids_of_nothing_are_not_found() {
    let scene = Scene::new();
    let long = "9".repeat(400);
    for (method, template, _, takes) in ENDPOINTS {
        let Some((before, rest)) = template.split_once('{') else {
            continue;
        };
        let after = rest.split_once('}').unwrap().1;
        for id in [
            "0",
            "-1",
            "999999",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "99999999999999999999999",
            &long,
            "abc",
            "1.0",
            "1e3",
            "+1x",
            "%00",
            "%FF",
            "%2e%2e",
            "1%20OR%201=1",
            "%F0%9F%8E%B7",
            "'",
            "null",
            "me2",
        ] {
            let path = format!("{before}{id}{after}");
            let answer = scene.call(method, &path, Some(&scene.token), *takes);
            // To dislike what was not liked is no fault.
            if *method == "DELETE" && !path.starts_with("/api/v1/flyers/") {
                assert_eq!(answer.status, 204, "{method} {path}");
            } else {
                refusal(&answer, &[404], &format!("{method} {path}"));
            }
        }
    }
    for (path, field) in [
        ("/api/v1/favorites/", "flyer_id"),
        ("/api/v1/follows/", "followed_id"),
    ] {
        for id in [0, -1, 999_999, i64::MAX, i64::MIN] {
            let answer = scene
                .service
                .post_as(&scene.token, path, &json!({ field: id }));
            refusal(&answer, &[404], &format!("{path} {id}"));
        }
        let beyond = format!("{{\"{field}\": 9223372036854775808}}");
        let answer = scene
            .service
            .send(path, Some(&scene.token), "application/json", &beyond);
        assert_eq!(answer.fields(), [field]);
    }
    for (id, status) in [
        ("0", 404),
        ("9223372036854775807", 404),
        ("9223372036854775808", 400),
        ("x", 400),
        ("", 400),
        ("%00", 400),
    ] {
        let answer = scene
            .service
            .get(&format!("/api/v1/follows/status/?user_id={id}"));
        refusal(&answer, &[status], id);
    }
}

#[test]
fn forms_that_are_broken_are_refused() {
    let scene = Scene::new();
    let good = create::form(1).bytes();
    let cut = &good[..good.len() / 2];
    let no_end = &good[..good.len() - 30];
    let boundary = "multipart/form-data; boundary=b";
    let unnamed = b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n";
    let headless = b"--b\r\n\r\nx\r\n--b--\r\n";
    let bad_text =
        b"--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n\xff\xfe\r\n--b--\r\n";
    let odd_name = b"--b\r\nContent-Disposition: form-data; name=\"\0\"\r\n\r\nx\r\n--b--\r\n";
    let many = b"--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nx\r\n".repeat(2000);
    let forms = ENDPOINTS.iter().filter(|(.., takes)| *takes == AForm);
    for (method, path, ..) in forms {
        let path = scene.path(path);
        let send = |kind: &str, body: &[u8]| {
            scene
                .service
                .send_as(method, &path, Some(&scene.token), kind, body)
        };
        for (kind, body) in [
            ("multipart/form-data", &good[..]),
            ("multipart/form-data; boundary=", &good),
            (boundary, &good),
            (boundary, b""),
            (boundary, b"--b"),
            (&Form::kind(), cut),
            (&Form::kind(), no_end),
            (boundary, unnamed),
            (boundary, headless),
            (boundary, bad_text),
            (boundary, odd_name),
            (boundary, &many),
        ] {
            refusal(
                &send(kind, body),
                &[400],
                &format!("{method} {path} {kind} {} bytes", body.len()),
            );
        }
        refusal(&send("text/plain", &good), &[415], &path);
        refusal(&send("image/jpeg", &picture(1)), &[415], &path);
        let huge = Form::default().file("image", &vec![b'x'; 27 << 20]).bytes();
        refusal(&send(&Form::kind(), &huge), &[413], &path);
    }
    let detail = scene
        .service
        .get(&format!("/api/v1/flyers/{}/", scene.flyer))
        .expect(200);
    assert_eq!(detail["title"], "Jazz");
    assert_eq!(scene.service.count("flyers"), 2);
}

#[test]
fn a_search_is_never_more_than_a_text() {
    let scene = Scene::new();
    let sharp = "ß".repeat(50);
    for text in [
        "'",
        "''",
        "\"",
        "\\",
        "%",
        "_",
        "*",
        "(",
        ")",
        "a OR b",
        "a AND",
        "NOT",
        "NEAR(a b)",
        "^a",
        "title:a",
        "-a",
        "a*",
        "\"a",
        "';DROP TABLE flyers;--",
        "' OR '1'='1",
        "\0",
        "a\0b",
        "\u{1}",
        "\u{202e}",
        "🎷🎷🎷",
        "\u{fffd}",
        "e\u{301}",
        "$50",
        "50%",
        "&amp;",
        "<script>",
        "[a]",
        "{a}",
        "a\tb\nc",
        "   ",
        "\u{200d}",
        "%00",
        "{\"$gt\": 1}",
        "\u{10ffff}",
        "İİİ",
        &sharp,
    ] {
        for list in LISTS {
            let path = format!("{list}search={}", encoded(text));
            let answer = scene.service.get_as(&scene.token, &path);
            let status = answer.status;
            assert!(
                [200, 400].contains(&status),
                "{list} {text:?}: {status} {}",
                answer.text
            );
            if status == 400 {
                assert_eq!(answer.fields(), ["search"], "{list} {text:?}");
            }
        }
    }
    // Bytes that are no text.
    for query in [
        "search=%FF%FE",
        "search=%C3%28",
        "search=%ED%A0%80",
        "%FF=1",
        "search",
        "search=a%",
    ] {
        for list in LISTS {
            let answer = scene
                .service
                .get_as(&scene.token, &format!("{list}{query}"));
            assert!(
                [200, 400].contains(&answer.status),
                "{list}{query}: {}",
                answer.text
            );
        }
    }
    assert_eq!(scene.service.count("flyers"), 2);
}

#[test]
fn wrong_parameters_are_named_by_every_list() {
    let scene = Scene::new();
    let pages = [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=1.5", "page"),
        ("page=9223372036854775807", "page"),
        ("page=9223372036854775808", "page"),
        ("page=%00", "page"),
        ("page_size=0", "page_size"),
        ("page_size=-9223372036854775808", "page_size"),
        ("page_size=ten", "page_size"),
        ("cursor=%00", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=..%2F..", "cursor"),
        ("cursor=&page=1", "cursor"),
    ];
    let filters = [
        ("categories=nonsense", "categories"),
        ("categories=events,%00", "categories"),
        ("categories='", "categories"),
        ("lat=47", "lng"),
        ("lng=8", "lat"),
        ("lat=1e400&lng=0", "lat"),
        ("lat=NaN&lng=0", "lat"),
        ("lat=-90.1&lng=0", "lat"),
        ("lat=0&lng=180.1", "lng"),
        ("near_me=2", "near_me"),
        ("near_me=1", "near_me"),
        ("near_me=1&lat=0&lng=0&radius=0", "radius"),
        ("near_me=1&lat=0&lng=0&radius=inf", "radius"),
        ("creator=x", "creator"),
        ("creator=9223372036854775808", "creator"),
        ("filter=none", "filter"),
        ("sort=random", "sort"),
        ("sort=distance", "sort"),
    ];
    let refused = |list: &str, query: &str, field: &str| {
        let answer = scene
            .service
            .get_as(&scene.token, &format!("{list}{query}"));
        refusal(&answer, &[400], &format!("{list}{query}"));
        let fields = answer.fields();
        // Which of two that belong together is named does not matter.
        let named =
            fields.iter().any(|one| one == field) || (field == "sort" && !fields.is_empty());
        assert!(named, "{list}{query}: {fields:?}");
    };
    for list in LISTS {
        for (query, field) in pages.iter().chain(&filters) {
            refused(list, query, field);
        }
    }
    for (query, field) in pages {
        refused("/api/v1/users/me/flyers/?", query, field);
    }
}

#[test]
fn cursors_that_were_tampered_with_never_break_a_list() {
    let service = Running::seeded(200);
    let (token, id) = service.register("c@example.org");
    for title in ["one", "two", "three"] {
        service.flyer(&token, title, "events", "8001 Zürich");
    }
    let own = "/api/v1/users/me/flyers/?".to_owned();
    let mine = format!("/api/v1/users/{id}/flyers/?");
    let orders = [
        "/api/v1/flyers/feed/?".to_owned(),
        "/api/v1/flyers/feed/?sort=distance&lat=47.37&lng=8.54&".to_owned(),
        "/api/v1/flyers/feed/?sort=smart&lat=47.37&lng=8.54&".to_owned(),
        own.clone(),
    ];
    let cursors: Vec<String> = orders
        .iter()
        .map(|list| {
            let page = service
                .get_as(&token, &format!("{list}page_size=2&cursor="))
                .expect(200);
            page["next_cursor"].as_str().unwrap().to_owned()
        })
        .collect();
    for (at, list) in orders.iter().enumerate() {
        for (from, cursor) in cursors.iter().enumerate() {
            let answer = service.get_as(&token, &format!("{list}cursor={cursor}"));
            if at == from {
                answer.expect(200);
            } else {
                refusal(
                    &answer,
                    &[400],
                    &format!("{list} with the cursor of {}", orders[from]),
                );
                assert_eq!(answer.fields(), ["cursor"]);
            }
        }
        let right = &cursors[at];
        for place in [0, 1, right.len() / 2, right.len() - 1] {
            let mut bytes = right.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            let answer = service.get_as(&token, &format!("{list}cursor={forged}"));
            assert_eq!(answer.fields(), ["cursor"], "{list} {forged}");
        }
    }
    // With a checksum that is right: another page of the same list, or refused.
    for key in [
        json!([i64::MAX, i64::MAX]),
        json!([i64::MIN, i64::MIN]),
        json!([0, 0]),
        json!([1.5, 1]),
        json!([1, 2, 3, 4, 5, 6]),
        json!({ "r": [i64::MAX, i64::MAX] }),
        json!({ "r": [i64::MIN, i64::MIN] }),
        json!({ "r": [253_402_300_800_000_000_i64, 1] }),
        json!({ "r": [1e300, 1] }),
        json!({ "r": "x" }),
        json!({ "d": [1e308, 1, 1] }),
        json!({ "s": [1e308, 1, 1] }),
        json!({ "r": [0, 0], "d": [0, 0] }),
        json!(null),
        json!("x"),
    ] {
        let forged = cursor::encode(&key);
        for list in orders.iter().chain([&mine]) {
            let answer = service.get_as(&token, &format!("{list}cursor={forged}"));
            assert!(
                [200, 400].contains(&answer.status),
                "{list} {key}: {}",
                answer.text
            );
        }
    }
}

#[test]
fn methods_that_are_not_there_name_those_that_are() {
    let scene = Scene::new();
    let paths: BTreeSet<&str> = ENDPOINTS.iter().map(|(_, path, ..)| *path).collect();
    for template in paths {
        let path = scene.path(template);
        let has: BTreeSet<&str> = ENDPOINTS
            .iter()
            .filter(|(_, other, ..)| *other == template)
            .map(|(method, ..)| *method)
            .collect();
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if has.contains(method) {
                continue;
            }
            let answer =
                scene
                    .service
                    .send_as(method, &path, Some(&scene.token), "application/json", b"{}");
            refusal(&answer, &[405], &format!("{method} {path}"));
            let allow = answer.headers["allow"].to_str().unwrap();
            let allowed: BTreeSet<&str> = allow.split(',').filter(|one| *one != "HEAD").collect();
            assert_eq!(allowed, has, "{path}");
        }
    }
}
