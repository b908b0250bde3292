//! Input of any kind is answered, never with a fault of ours.

use serde_json::{Value, json};

use crate::running::{Running, habit, user, wrong};

const PATHS: [(&str, &str); 20] = [
    ("GET", "users/{}/"),
    ("GET", "challenges/{}/"),
    ("PATCH", "challenges/{}/"),
    ("GET", "challenges/{}/members/"),
    ("GET", "challenges/{}/progress/"),
    ("POST", "challenges/{}/leave/"),
    ("GET", "checkins/{}/"),
    ("PATCH", "checkins/{}/"),
    ("DELETE", "checkins/{}/"),
    ("GET", "checkins/challenges/{}/today/"),
    ("POST", "friends/requests/{}/respond/"),
    ("DELETE", "friends/{}/"),
    ("DELETE", "notifications/{}/"),
    ("GET", "stats/stats/{}/"),
    ("GET", "stats/challenges/{}/"),
    ("GET", "stats/leaderboard/{}/"),
    ("GET", "users/search/?q={}"),
    ("GET", "challenges/?cursor={}"),
    ("GET", "checkins/?cursor={}&challenge_id={}"),
    ("GET", "stats/history/?search={}"),
];

#[test]
fn what_is_no_id_is_named_and_breaks_nothing() {
    let service = Running::new();
    let body = json!({ "name": "a", "caption": "a", "action": "accept" });
    let long = "9".repeat(3000);
    for name in [
        "0",
        "-1",
        &long,
        "x",
        "%00",
        "%ff",
        "1%27",
        "%F0%9F%92%A9",
        "%5B%5D",
        "null",
    ] {
        for (method, path) in PATHS {
            let path = format!("/api/v1/{}", path.replace("{}", name));
            let body = match method {
                "GET" | "DELETE" => Value::Null,
                _ => body.clone(),
            };
            let answer = service.call(method, &service.token(1), &path, &body);
            assert!(
                [200, 422].contains(&answer.status),
                "{method} {path}: {}",
                answer.text
            );
        }
    }
}

#[test]
fn bodies_of_any_kind_are_answered_with_what_is_wrong() {
    let service = Running::new();
    let token = service.token(1);
    let posts = [
        "auth/register/",
        "auth/login/",
        "challenges/",
        "challenges/join/",
        "checkins/",
        "friends/request/",
        "hitch/",
        "notifications/mark-read/",
        "notifications/register-push-token/",
    ];
    for path in posts {
        let path = format!("/api/v1/{path}");
        for body in [
            "",
            "{",
            "[]",
            "null",
            "7",
            "\"x\"",
            "{\"a\": 1}",
            "[[[[",
            "{\"name\": {}}",
        ] {
            let answer = service.send(&path, Some(&token), "application/json", body);
            wrong(&answer);
        }
        let text = service.send(&path, Some(&token), "text/plain", "{}");
        assert_eq!(text.status, 415, "{path}");
        let long = format!("{{\"name\": \"{}\"}}", "x".repeat(300_000));
        let long = service.send(&path, Some(&token), "application/json", &long);
        assert_eq!(long.status, 413, "{path}");
    }
    let patch = service.patch_by(1, "/users/me/", &json!({ "display_name": ["x"] }));
    assert_eq!(wrong(&patch), ["body.display_name"]);
}

#[test]
fn texts_that_a_database_cannot_keep_are_refused_and_all_others_come_back() {
    let service = Running::new();
    for text in ["a\u{0}b", "\u{0}"] {
        let answer = service.patch_by(1, "/users/me/", &json!({ "bio": text }));
        assert_eq!(wrong(&answer), ["body.bio"]);
    }
    for text in [
        "'; DROP TABLE habits; --",
        "💩",
        "\u{202e}x",
        "<b>",
        "\\",
        "%_",
        "\u{feff}x",
    ] {
        let answer = service
            .patch_by(1, "/users/me/", &json!({ "bio": text }))
            .expect(200);
        assert_eq!(answer["bio"], text);
    }
    let challenge = service.challenge(1, &[1]);
    let body = json!({ "challenge_id": challenge["id"], "habit_id": habit(1).to_uppercase(), "caption": "ok" });
    service.post_by(1, "/checkins/", &body).expect(201);
}

#[test]
fn other_methods_and_paths_are_answered_in_the_same_words() {
    let service = Running::new();
    let method = service.call("PUT", &service.token(1), "/api/v1/users/me/", &json!({}));
    assert_eq!(method.status, 405);
    assert!(method.headers["allow"].to_str().unwrap().contains("PATCH"));
    assert!(method.json()["detail"].is_string());
    let nothing = service.get_by(1, "/nothing/");
    assert_eq!(nothing.status, 404);
    assert!(nothing.json()["request_id"].is_string());
    assert_eq!(
        service.get_by(1, &format!("/users/{}", user(1))).status,
        200
    );
}
