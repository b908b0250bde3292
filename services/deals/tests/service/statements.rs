//! How many statements a request runs: the same for any number of rows, none on a hit, and no
//! fault in any of them.

use serde_json::json;
use speedwell_trace::{Budget, Detectors, Thresholds, testing};

use crate::running::{Answer, Running, id};

/// Checks that a request ran so many statements and shows no fault.
fn costs(what: &str, answer: &Answer, statements: usize) {
    assert!(answer.status < 300, "{what}: {}", answer.text);
    let request = answer.seen();
    let budget = Budget::new().statements(statements as u64 + 1);
    let seen = Detectors::standard(Thresholds::tests()).inspect(&request, Some(&budget));
    if let Some(complaint) = testing::complaint(&budget, &request, &seen) {
        panic!("{what}: {complaint}");
    }
    // PostgreSQL's driver reports the ends of a transaction, too.
    let ran = request.statements.iter();
    let ran = ran
        .filter(|statement| !["BEGIN", "COMMIT"].contains(&&*statement.text))
        .count();
    assert_eq!(ran, statements, "{what}: {:#?}", request.statements);
}

#[test]
fn seed_004_a_collection_takes_two_statements_for_any_number_of_items_and_none_when_cached() {
    let service = Running::empty();
    for items in [1, 20, 60] {
        let collection = service.collection(1, "public", items);
        let path = format!("/api/v1/collections/{collection}/");
        let public = format!("/api/v1/collections/public/{collection}/");
        costs("own", &service.get_by(1, &path), 2);
        costs("own again", &service.get_by(1, &path), 0);
        costs(
            "bare",
            &service.get_by(1, &format!("{path}?expand=none")),
            2,
        );
        costs("public", &service.get(&public), 2);
        costs("public again", &service.get(&public), 0);
        costs(
            "export",
            &service.get_by(1, &format!("{path}export/?format=csv")),
            2,
        );
        costs(
            "copy",
            &service.post_by(2, &format!("{path}copy/"), &json!({})),
            3,
        );
    }
}

#[test]
fn seed_004_a_link_takes_one_statement_and_none_when_cached() {
    let service = Running::empty();
    let link = service.share(1, service.listing("A", 5.0));
    let first = service.get(&link);
    costs("first", &first, 1);
    for _ in 0..3 {
        costs("again", &service.get(&link), 0);
    }
}

#[test]
fn lists_take_the_same_statements_for_any_number_of_rows() {
    let service = Running::empty();
    for round in 1..=2 {
        for number in 0..12 {
            service.listing(&number.to_string(), f64::from(number));
            service.collection(1, "public", 0);
        }
        for limit in [1, 10] {
            let get = |path: &str, statements: usize| {
                let answer = service.get_by(1, &format!("/api/v1/{path}limit={limit}"));
                costs(&format!("{path} {limit} {round}"), &answer, statements);
            };
            get("collections/?", 1);
            get("collections/discover/?", 1);
            get("collections/discover/?q=mini&sort=popular&", 1);
            get("listings/?", 3);
            get("user-shares/?", 1);
            get("user-shares/sent/?", 1);
            service.get_by(1, &format!("/api/v1/listings/paginated/?limit={limit}"));
            // The total is cached.
            get("listings/paginated/?", 3);
        }
    }
}

#[test]
fn writes_take_few_statements() {
    let service = Running::empty();
    let listing = service.listing("A", 5.0);
    let collection = service.collection(1, "public", 3);
    let path = format!("/api/v1/collections/{collection}/");
    let put = service.put(1, collection, listing);
    let item = id(&put.json());
    costs("put", &put, 1);
    let item = format!("{path}items/{item}/");
    costs(
        "change an item",
        &service.patch_by(1, &item, &json!({ "notes": "x" })),
        1,
    );
    costs("take out", &service.delete_by(1, &item), 1);
    costs(
        "rename",
        &service.patch_by(1, &path, &json!({ "name": "x" })),
        2,
    );
    costs(
        "make",
        &service.post_by(1, "/api/v1/collections/", &json!({ "name": "x" })),
        1,
    );
    costs(
        "link",
        &service.post_by(1, &format!("{path}share-tokens/"), &json!({})),
        2,
    );
    costs("delete", &service.delete_by(1, &path), 1);
    let share = format!("/api/v1/listings/{listing}/share/");
    costs("share", &service.post_by(1, &share, &json!({})), 1);
    let send = json!({ "recipient_id": 2, "listing_id": listing });
    costs(
        "send",
        &service.post_by(1, "/api/v1/user-shares/", &send),
        6,
    );
    let change = json!({ "price_usd": 6 });
    costs(
        "price",
        &service.patch_by(1, &format!("/api/v1/listings/{listing}/"), &change),
        8,
    );
}
