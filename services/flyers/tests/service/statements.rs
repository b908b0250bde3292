//! How many statements a request runs and how many rows it fetches: the same for any
//! number of flyers.

use serde_json::json;

use crate::running::{Answer, Running};

/// Statements and rows of a request.
fn cost(answer: &Answer) -> (usize, u64) {
    assert!(answer.status < 300, "{}", answer.text);
    let request = answer.seen();
    let rows = request
        .statements
        .iter()
        .map(|statement| statement.rows_returned.unwrap_or(0))
        .sum();
    (request.statements.len(), rows)
}

/// Elements of the arrays of an answer.
fn shown(value: &serde_json::Value) -> u64 {
    match value {
        serde_json::Value::Array(all) => all.len() as u64 + all.iter().map(shown).sum::<u64>(),
        serde_json::Value::Object(all) => all.values().map(shown).sum(),
        _ => 0,
    }
}

#[test]
fn seed_000_lists_run_no_more_statements_for_more_rows() {
    let small = Running::seeded(1000);
    let large = Running::seeded(2000);
    for (path, statements) in [
        ("/api/v1/flyers/feed/?x=1", 4),
        ("/api/v1/flyers/feed/?cursor=", 3),
        ("/api/v1/flyers/feed/?page=4", 4),
        ("/api/v1/flyers/feed/?categories=events", 4),
        ("/api/v1/flyers/feed/?categories=events,retail,other", 4),
        ("/api/v1/flyers/feed/?search=konzert", 5),
        ("/api/v1/flyers/feed/?search=in", 4),
        (
            "/api/v1/flyers/feed/?near_me=true&radius=20&lat=47.3769&lng=8.5417",
            4,
        ),
        ("/api/v1/users/1/profile/?x=1", 2),
    ] {
        for service in [&small, &large] {
            for size in [1, 20, 50] {
                let answer = service
                    .get(&format!("{path}&page_size={size}").replace("cursor=&", "cursor=&"));
                let (found, rows) = cost(&answer);
                assert!(found <= statements, "{path} {size}: {found} statements");
                // One row looks ahead; count, count of hits and the profile itself are one each.
                assert!(
                    rows <= shown(&answer.json()) + 4,
                    "{path} {size}: {rows} rows"
                );
            }
        }
    }
}

#[test]
fn single_things_run_a_constant_number_of_statements() {
    let service = Running::seeded(1000);
    let login = json!({ "email": "user1@example.org", "password": flyers::seed::PASSWORD });
    let answer = service.post("/api/v1/auth/login/", &login);
    let token = answer.expect(200)["token"].as_str().unwrap().to_owned();
    assert_eq!(cost(&answer).0, 1);
    let feed = service.get("/api/v1/flyers/feed/").expect(200);
    let flyer = &feed["results"][0]["id"];
    assert_eq!(cost(&service.get(&format!("/api/v1/flyers/{flyer}/"))).0, 3);
    assert_eq!(cost(&service.get("/api/v1/users/1/")).0, 1);
    assert_eq!(cost(&service.get("/api/v1/categories/")).0, 1);
    assert!(cost(&service.get_as(&token, "/api/v1/users/me/flyers/")).0 <= 3);
    let new = json!({ "title": "x", "category_tags": ["events", "retail"], "location_address": "8001 Zürich" });
    assert!(cost(&service.post_as(&token, "/api/v1/flyers/", &new)).0 <= 5);
    let new = json!({ "email": "new@example.org", "password": "Abcdefg1" });
    assert_eq!(cost(&service.post("/api/v1/auth/register/", &new)).0, 3);
}
