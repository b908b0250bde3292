//! Input of any kind is answered, never with a fault of ours.

use serde_json::{Value, json};

use crate::running::Running;

const PATHS: [(&str, &str); 26] = [
    ("GET", "collections/{}/"),
    ("PATCH", "collections/{}/"),
    ("DELETE", "collections/{}/"),
    ("PATCH", "collections/{}/visibility/"),
    ("POST", "collections/{}/copy/"),
    ("GET", "collections/{}/export/"),
    ("POST", "collections/{}/items/"),
    ("PATCH", "collections/1/items/{}/"),
    ("DELETE", "collections/1/items/{}/"),
    ("POST", "collections/{}/share-tokens/"),
    ("GET", "collections/{}/share-tokens/"),
    ("DELETE", "collections/1/share-tokens/{}/"),
    ("GET", "collections/public/{}/"),
    ("GET", "collections/shared/{}/"),
    ("GET", "listings/{}/"),
    ("PATCH", "listings/{}/"),
    ("PUT", "listings/{}/"),
    ("DELETE", "listings/{}/"),
    ("POST", "listings/{}/share/"),
    ("DELETE", "listings/1/share/{}/"),
    ("GET", "deals/{}/x/"),
    ("GET", "deals/1/{}/"),
    ("GET", "user-shares/{}/"),
    ("POST", "user-shares/{}/import/"),
    ("PATCH", "notifications/{}/read/"),
    ("DELETE", "notifications/{}/"),
];

#[test]
fn what_is_no_id_or_token_is_the_name_of_nothing() {
    let service = Running::empty();
    let body = json!({ "name": "a", "title": "a", "visibility": "public", "listing_id": 1 });
    let long = "9".repeat(30);
    for name in [
        "0",
        "-1",
        "999999",
        "9223372036854775807",
        &long,
        "x",
        "%00",
        "%ff",
        "1%27",
        "..%2f",
        "%F0%9F%92%A9",
    ] {
        for (method, path) in PATHS {
            let path = format!("/api/v1/{}", path.replace("{}", name));
            let body = match method {
                "GET" | "DELETE" => Value::Null,
                _ => body.clone(),
            };
            let answer = service.call(method, &service.token(1), &path, &body);
            // What was sent is not in the collection named, not to be imported, or no listing.
            let expected = [400, 404, 405, 422];
            assert!(
                expected.contains(&answer.status),
                "{method} {path}: {} {}",
                answer.status,
                answer.text
            );
        }
    }
}

#[test]
fn bodies_of_any_kind_are_refused_in_words() {
    let service = Running::empty();
    service.collection(1, "public", 1);
    let nul = "{\"name\":\"a\\u0000\",\"title\":\"a\\u0000\",\"message\":\"\\u0000\",\"notes\":\"\\u0000\",\"visibility\":\"\\u0000\",\"expires_in_days\":\"\\u0000\",\"days_old\":\"\\u0000\",\"listing_id\":\"\\u0000\",\"collection_id\":\"\\u0000\"}";
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for body in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"text\"",
        "{\"a\":}",
        "\u{feff}{}",
        nul,
        &deep,
    ] {
        for (method, path) in PATHS
            .iter()
            .filter(|(method, _)| !["GET", "DELETE"].contains(method))
        {
            if path.ends_with("read/") {
                continue;
            }
            let path = format!("/api/v1/{}", path.replace("{}", "1"));
            let answer = service.send_as(
                method,
                &path,
                Some(&service.token(1)),
                "application/json",
                body.as_bytes(),
            );
            assert_eq!(
                answer.status, 422,
                "{method} {path} {body}: {}",
                answer.text
            );
            assert!(answer.json()["error"]["code"].is_string());
        }
    }
    let text = service.send(
        "/api/v1/collections/",
        Some(&service.token(1)),
        "text/plain",
        "{}",
    );
    assert_eq!(text.status, 415);
    let large = "x".repeat(300 * 1024);
    let large = service.send(
        "/api/v1/collections/",
        Some(&service.token(1)),
        "application/json",
        &large,
    );
    assert_eq!(large.status, 413);
}

#[test]
fn every_route_but_the_public_ones_asks_who_it_is() {
    let service = Running::empty();
    let public = [
        "collections/public/{}/",
        "collections/shared/{}/",
        "deals/{}/x/",
        "deals/1/{}/",
    ];
    for (method, path) in PATHS.iter().filter(|(_, path)| !public.contains(path)) {
        let path = format!("/api/v1/{}", path.replace("{}", "1"));
        for headers in [
            vec![],
            vec![("authorization", "Bearer x.y.z".to_owned())],
            vec![("x-user-id", "1".to_owned())],
        ] {
            assert_eq!(
                service.send_with(method, &path, &headers, b"").status,
                401,
                "{method} {path}"
            );
        }
    }
    let open = Running::with(&[("TRUST_USER_HEADER", "true")]);
    let who = |id: &str| {
        open.get_with("/api/v1/collections/", &[("x-user-id", id)])
            .status
    };
    assert_eq!((who("1"), who("x")), (200, 401));
}
