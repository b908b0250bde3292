//! What is answered to requests that are wrong, and the service's own pages.

use serde_json::json;

use crate::running::Running;

#[test]
fn wrong_parameters_are_named() {
    let service = Running::empty();
    for (query, field) in [
        ("page=0", "page"),
        ("page=abc", "page"),
        ("page=600", "page"),
        ("page_size=0", "page_size"),
        ("page_size=x", "page_size"),
        ("cursor=tampered", "cursor"),
        ("cursor=&page=1", "cursor"),
        ("lat=47", "lng"),
        ("lat=91&lng=8", "lat"),
        ("lat=a&lng=b", "lat"),
        ("near_me=true", "near_me"),
        ("near_me=perhaps", "near_me"),
        ("near_me=1&lat=1&lng=1&radius=-1", "radius"),
        ("near_me=1&lat=1&lng=1&radius=51", "radius"),
        ("creator=x", "creator"),
        ("filter=everything", "filter"),
    ] {
        let answer = service.get(&format!("/api/v1/flyers/feed/?{query}"));
        assert!(
            answer.fields().contains(&field.to_owned()),
            "{query}: {}",
            answer.text
        );
    }
    let long = "x".repeat(101);
    assert_eq!(
        service
            .get(&format!("/api/v1/flyers/feed/?search={long}"))
            .fields(),
        ["search"]
    );
}

#[test]
fn a_cursor_of_another_list_is_refused() {
    let service = Running::seeded(200);
    let page = service
        .get("/api/v1/flyers/feed/?cursor=&page_size=5")
        .expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    for other in [
        "/api/v1/flyers/feed/?near_me=1&lat=47.4&lng=8.5",
        "/api/v1/flyers/feed/?lat=47.4&lng=8.5",
    ] {
        assert_eq!(
            service.get(&format!("{other}&cursor={cursor}")).fields(),
            ["cursor"]
        );
    }
}

#[test]
fn pages_past_the_end_do_not_exist() {
    let service = Running::seeded(200);
    assert_eq!(service.get("/api/v1/flyers/feed/?page=100").status, 404);
    assert_eq!(
        Running::empty().get("/api/v1/flyers/feed/").expect(200)["results"],
        json!([])
    );
}

#[test]
fn unknown_things_and_paths_are_problems_too() {
    let service = Running::empty();
    for path in [
        "/api/v1/flyers/1/",
        "/api/v1/flyers/abc/",
        "/api/v1/users/1/",
        "/api/v1/users/x/profile/",
        "/api/v1/flyers/99999999999999999999/",
        "/api/v1/nothing/",
        "/elsewhere",
    ] {
        let answer = service.get(path);
        assert_eq!(answer.expect(404)["error"], "not_found", "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let service = Running::empty();
    for (path, allowed) in [
        ("/api/v1/categories/", "GET,HEAD"),
        ("/api/users/1", "GET,HEAD"),
        ("/health", "GET,HEAD"),
    ] {
        let answer = service.post(path, &json!({}));
        assert_eq!(answer.expect(405)["error"], "method_not_allowed", "{path}");
        assert_eq!(answer.headers["allow"], allowed, "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    let answer = service.get("/api/v1/auth/login/");
    assert_eq!(
        (answer.status, &answer.headers["allow"]),
        (405, &"POST".parse().unwrap())
    );
}

#[test]
fn bodies_that_cannot_be_read_are_problems() {
    let service = Running::empty();
    let register = "/api/v1/auth/register/";
    for (kind, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "[]", 400),
        ("application/json", "", 400),
        ("application/json", r#"{"email": 5, "password": true}"#, 400),
        ("text/plain", "{}", 415),
        ("application/json", "\u{0}", 400),
    ] {
        assert_eq!(
            service.send(register, None, kind, body).expect(status)["status"],
            status,
            "{body}"
        );
    }
    let huge = format!(r#"{{"email": "{}"}}"#, "x".repeat(300_000));
    assert_eq!(
        service
            .send(register, None, "application/json", &huge)
            .expect(413)["status"],
        413
    );
}

#[test]
fn all_four_spellings_of_a_path_are_one_route() {
    let service = Running::empty();
    for path in [
        "/api/v1/categories/",
        "/api/v1/categories",
        "/api/categories/",
        "/api/categories",
    ] {
        let answer = service.get(path);
        assert_eq!(
            answer.expect(200)["categories"].as_array().unwrap().len(),
            7
        );
        assert_eq!(answer.seen().route.to_string(), "GET /api/v1/categories/");
    }
}

#[test]
fn an_answer_that_is_known_is_not_sent_again() {
    let service = Running::seeded(200);
    let first = service.get("/api/v1/categories/");
    assert_eq!(first.headers["cache-control"], "public, max-age=3600");
    let tag = first.headers["etag"].to_str().unwrap();
    let again = service.get_with("/api/v1/categories/", &[("if-none-match", tag)]);
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    let feed = service.get("/api/v1/flyers/feed/");
    assert_eq!(feed.headers["cache-control"], "private, no-cache");
    assert_ne!(feed.headers["etag"], first.headers["etag"]);
}

#[test]
fn links_use_the_host_that_was_asked() {
    let service = Running::seeded(200);
    let page = service
        .get_with("/api/v1/flyers/feed/", &[("host", "flyers.example.org:81")])
        .expect(200);
    assert!(
        page["next"]
            .as_str()
            .unwrap()
            .starts_with("http://flyers.example.org:81/api/v1/flyers/feed/?page=2")
    );
    let bad = service.get_with("/api/v1/flyers/feed/", &[("host", "a/b@c")]);
    assert_eq!(bad.status, 400);
}

#[test]
fn the_service_tells_about_itself() {
    let service = Running::empty();
    assert_eq!(service.get("/health").expect(200)["status"], "ok");
    assert_eq!(service.get("/ready").expect(200)["status"], "ready");
    let api = service.get("/openapi.json").expect(200);
    for (path, method) in [
        ("/api/v1/flyers/feed/", "get"),
        ("/api/v1/flyers/{id}/", "delete"),
        ("/api/v1/favorites/", "post"),
    ] {
        assert!(api["paths"][path][method].is_object(), "{method} {path}");
    }
    assert!(service.get("/docs").text.contains("/openapi.json"));
    service.get("/api/categories");
    let metrics = service.get("/metrics").text;
    assert!(
        metrics.contains(r#"http_requests_total{route="GET /api/v1/categories/",status="200"} 1"#),
        "{metrics}"
    );
    for unknown in ["/a", "/b", "/api/v1/c/"] {
        service.get(unknown);
    }
    let metrics = service.get("/metrics");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(metrics.headers["content-type"], kind);
    for line in [
        "# TYPE http_request_duration_seconds histogram",
        r#"http_request_duration_seconds_count{route="GET /api/v1/categories/"} 1"#,
        r#"http_request_duration_seconds_bucket{le="0.2",route="GET /api/v1/categories/"}"#,
        r#"http_requests_total{route="GET (no route)",status="404"} 3"#,
    ] {
        assert!(metrics.text.contains(line), "{line}\n{}", metrics.text);
    }
    assert!(metrics.text.ends_with("# EOF\n"));
    let known = service.get_with("/health", &[("x-request-id", "abc-1")]);
    assert_eq!(known.headers["x-request-id"], "abc-1");
    let odd = service.get_with("/health", &[("x-request-id", "a b")]);
    assert_ne!(odd.headers["x-request-id"], "a b");
}
