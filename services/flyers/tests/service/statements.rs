//! How many statements a request runs and how many rows it fetches: the same for any
//! number of flyers.

use serde_json::{Value, json};
use speedwell_trace::{Budget, Detectors, Thresholds, testing};

use crate::running::{Answer, Running};

/// Checks that a request ran exactly `statements`, fetched at most `rows` rows, and shows
/// no fault: nothing repeated, no statement per row.
fn costs(what: &str, answer: &Answer, statements: usize, rows: u64) {
    assert!(answer.status < 300, "{what}: {}", answer.text);
    let request = answer.seen();
    let budget = Budget::new().statements(statements as u64).rows(rows);
    let seen = Detectors::standard(Thresholds::tests()).inspect(&request, Some(&budget));
    if let Some(complaint) = testing::complaint(&budget, &request, &seen) {
        panic!("{what}: {complaint}");
    }
    // PostgreSQL's driver reports the end of a transaction, too.
    let ran = request.statements.iter();
    let ran = ran.filter(|statement| &*statement.text != "COMMIT").count();
    assert_eq!(ran, statements, "{what}: fewer than said");
}

/// Flyers, pictures and category links of a page of cards.
fn shown(page: &Value) -> u64 {
    let cards = page["results"].as_array().unwrap();
    let length = |card: &Value, key: &str| card[key].as_array().unwrap().len() as u64;
    cards
        .iter()
        .map(|card| 1 + length(card, "images") + length(card, "categories"))
        .sum()
}

/// A numbered list: flyers, pictures, categories, and a count unless the page is the last.
const NUMBERED: usize = 3;
/// A list by cursor: flyers, pictures, categories.
const BY_CURSOR: usize = 3;
/// A search that the index may answer asks it first how many hits there are.
const ASKS_INDEX: usize = 1;

#[test]
fn seed_000_lists_run_the_same_statements_for_any_number_of_flyers() {
    let services = [(1000, Running::seeded(1000)), (2000, Running::seeded(2000))];
    let mut seen_counted = 0;
    let mut seen_last = 0;
    for (path, base) in [
        ("feed/?x=1", NUMBERED),
        ("feed/?page=4", NUMBERED),
        ("feed/?cursor=", BY_CURSOR),
        ("feed/?lat=47.3769&lng=8.5417", NUMBERED),
        ("feed/?lat=47.3769&lng=8.5417&cursor=", BY_CURSOR),
        ("feed/?categories=events", NUMBERED),
        ("feed/?categories=events,retail,other", NUMBERED),
        ("feed/?categories=other&cursor=", BY_CURSOR),
        ("feed/?search=konzert", NUMBERED + ASKS_INDEX),
        ("feed/?search=und&cursor=", BY_CURSOR + ASKS_INDEX),
        ("feed/?search=in", NUMBERED),
        (
            "feed/?near_me=true&radius=20&lat=47.3769&lng=8.5417",
            NUMBERED,
        ),
        (
            "feed/?near_me=true&radius=20&lat=47.3769&lng=8.5417&cursor=",
            BY_CURSOR,
        ),
    ] {
        for (scale, service) in &services {
            for size in [1, 20, 50] {
                let answer = service.get(&format!("/api/v1/flyers/{path}&page_size={size}"));
                let page = answer.expect(200);
                let more = !page["next"].is_null();
                let counted = usize::from(more && page["count"].is_i64());
                seen_counted += counted;
                seen_last += usize::from(!more);
                // One row looks ahead; each count is a row.
                let around = 1 + counted + (base - NUMBERED);
                let what = format!("{path} {size} of {scale}");
                costs(&what, &answer, base + counted, shown(&page) + around as u64);
            }
        }
    }
    assert!(
        seen_counted > 30 && seen_last > 3,
        "both kinds of page: {seen_counted} {seen_last}"
    );
}

#[test]
fn a_list_costs_a_signed_in_caller_no_more() {
    let service = Running::seeded(1000);
    let login = json!({ "email": "user1@example.org", "password": flyers::seed::PASSWORD });
    let login = service.post("/api/v1/auth/login/", &login).expect(200);
    let token = login["token"].as_str().unwrap();
    for size in [1, 20, 50] {
        let path = format!("/api/v1/flyers/feed/?page_size={size}");
        let answer = service.get_as(token, &path);
        let page = answer.expect(200);
        costs(&path, &answer, NUMBERED + 1, shown(&page) + 2);
    }
}

#[test]
fn seed_002_a_creators_lists_cost_the_same_for_any_number_of_flyers() {
    let service = Running::empty();
    crate::bulk::fill(&service, 2000);
    // User 1 has 200 flyers, user 12 has ten.
    for (user, sizes) in [(1, [1, 20, 50].as_slice()), (12, &[1, 5])] {
        for size in sizes {
            for path in [
                format!("/api/v1/flyers/?creator={user}&page_size={size}"),
                format!("/api/v1/users/{user}/flyers/?page_size={size}"),
            ] {
                let answer = service.get(&path);
                let page = answer.expect(200);
                costs(&path, &answer, NUMBERED + 1, shown(&page) + 2);
            }
        }
        let path = format!("/api/v1/users/{user}/profile/");
        let answer = service.get(&path);
        let profile = answer.expect(200);
        let published = profile["published_flyers"].as_array().unwrap().len() as u64;
        assert_eq!(published, profile["flyer_count"].as_u64().unwrap().min(50));
        costs(&path, &answer, 2, published + 1);
    }
    // Nobody's flyers: one statement more, to tell nobody from a user without flyers.
    service.execute("DELETE FROM flyers WHERE creator_id = 13");
    let path = "/api/v1/flyers/?creator=13";
    costs(path, &service.get(path), 2, 1);
}

#[test]
fn single_things_run_a_constant_number_of_statements() {
    let service = Running::seeded(1000);
    let login = json!({ "email": "user1@example.org", "password": flyers::seed::PASSWORD });
    let answer = service.post("/api/v1/auth/login/", &login);
    let token = answer.expect(200)["token"].as_str().unwrap().to_owned();
    costs("login", &answer, 1, 1);
    let feed = service.get("/api/v1/flyers/feed/").expect(200);
    let flyer = &feed["results"][0]["id"];
    costs(
        "flyer",
        &service.get(&format!("/api/v1/flyers/{flyer}/")),
        3,
        9,
    );
    costs("user", &service.get("/api/v1/users/1/"), 1, 1);
    costs("categories", &service.get("/api/v1/categories/"), 1, 7);
    let new = json!({ "email": "new@example.org", "password": "Abcdefg1" });
    let answer = service.post("/api/v1/auth/register/", &new);
    costs("register", &answer, 3, 2);
    let new = json!({ "title": "x", "category_tags": ["events", "retail"], "location_address": "8001 Zürich" });
    let answer = service.publish(&token, &new);
    // Flyer, links and pictures; then it is read with pictures and categories.
    costs("create", &answer, 6, 5);
    service.publish(&token, &new).expect(201);
    // Flyers, count, categories; no count by cursor.
    let own = "/api/v1/users/me/flyers/?page_size=1";
    costs(own, &service.get_as(&token, own), 3, 2 + 1 + 3);
    let own = "/api/v1/users/me/flyers/?page_size=1&cursor=";
    costs(own, &service.get_as(&token, own), 2, 2 + 3);
}
