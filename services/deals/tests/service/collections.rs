//! Collections, as their documentation and the rulings on it have them.

use serde_json::{Value, json};

use crate::running::{Running, id, wrong};

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect()
}

fn listing_ids(view: &Value) -> Vec<i64> {
    let items = view["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["listing_id"].as_i64().unwrap())
        .collect()
}

#[test]
fn a_collection_is_made_changed_and_deleted_by_its_owner_alone() {
    let service = Running::empty();
    let body = json!({ "name": "  Mini PCs ", "description": "for the closet" });
    let made = service
        .post_by(1, "/api/v1/collections/", &body)
        .expect(201);
    assert_eq!(made["name"], "Mini PCs");
    assert_eq!(made["visibility"], "private");
    assert_eq!(
        (&made["item_count"], &made["items"]),
        (&json!(0), &Value::Null)
    );
    assert!(made["created_at"].as_str().unwrap().ends_with('Z'));
    let path = format!("/api/v1/collections/{}/", id(&made));
    for user in [2, 3] {
        assert_eq!(service.get_by(user, &path).status, 403);
        assert_eq!(
            service
                .patch_by(user, &path, &json!({ "name": "x" }))
                .status,
            403
        );
        assert_eq!(service.delete_by(user, &path).status, 403);
    }
    let changed = service
        .patch_by(1, &path, &json!({ "name": "Servers" }))
        .expect(200);
    assert_eq!(
        (&changed["name"], &changed["description"]),
        (&json!("Servers"), &json!("for the closet"))
    );
    let changed = service
        .patch_by(1, &path, &json!({ "description": null }))
        .expect(200);
    assert_eq!(
        (&changed["name"], &changed["description"]),
        (&json!("Servers"), &Value::Null)
    );
    assert_eq!(service.get_by(1, &path).expect(200)["name"], "Servers");
    assert_eq!(service.delete_by(1, &path).status, 204);
    assert_eq!(service.delete_by(1, &path).status, 404);
    assert_eq!(service.get_by(1, &path).status, 404);
}

#[test]
fn wrong_fields_are_422_by_name_in_the_envelope() {
    let service = Running::empty();
    let body = json!({ "name": " ", "description": "x".repeat(1001), "visibility": "secret" });
    let answer = service.post_by(1, "/api/v1/collections/", &body);
    assert_eq!(wrong(&answer), ["description", "name", "visibility"]);
    let json = answer.json();
    assert_eq!(json["error"]["code"], "invalid");
    assert_eq!(json["detail"], json["error"]["message"]);
    let said = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(json["request_id"], said);
    let own = [("x-request-id", "of-the-client")];
    let answer = service.get_with("/api/v1/collections/", &own);
    assert_eq!(answer.expect(401)["request_id"], "of-the-client");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    // A client that takes compressed answers can read it as well.
    let zipped = service.get_with("/api/v1/collections/", &[("accept-encoding", "gzip")]);
    assert!(zipped.headers.get("content-encoding").is_none());
    assert_eq!(zipped.expect(401)["error"]["code"], "unauthorized");
    let name = json!({ "name": null });
    let made = id(&service
        .post_by(1, "/api/v1/collections/", &json!({ "name": "a" }))
        .expect(201));
    let path = format!("/api/v1/collections/{made}/");
    assert_eq!(wrong(&service.patch_by(1, &path, &name)), ["name"]);
    assert_eq!(service.patch_by(1, &path, &json!("text")).status, 422);
}

#[test]
fn both_prefixes_and_both_ends_are_the_same_routes() {
    let service = Running::empty();
    let made = service.collection(1, "private", 0);
    for path in ["/api/v1/collections", "/v1/collections", "/v1/collections/"] {
        assert_eq!(id(&service.get_by(1, path).expect(200)[0]), made);
    }
}

#[test]
fn own_collections_come_newest_first_in_parts() {
    let service = Running::empty();
    for name in ["a", "b", "c", "d"] {
        service
            .post_by(1, "/api/v1/collections/", &json!({ "name": name }))
            .expect(201);
    }
    service
        .post_by(2, "/api/v1/collections/", &json!({ "name": "foreign" }))
        .expect(201);
    let list = |query: &str| {
        service
            .get_by(1, &format!("/api/v1/collections/?{query}"))
            .expect(200)
    };
    assert_eq!(names(&list("")), ["d", "c", "b", "a"]);
    assert_eq!(names(&list("limit=2&skip=1")), ["c", "b"]);
    assert_eq!(names(&list("limit=2&offset=3")), ["a"]);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("skip=-1", "skip"),
        ("offset=x", "offset"),
    ] {
        let answer = service.get_by(1, &format!("/api/v1/collections/?{query}"));
        assert_eq!(wrong(&answer), [field], "{query}");
    }
}

#[test]
fn items_show_their_listings_in_the_order_of_their_positions() {
    let service = Running::empty();
    let collection = service.collection(1, "private", 3);
    let path = format!("/api/v1/collections/{collection}/");
    let view = service.get_by(1, &path).expect(200);
    assert_eq!(
        (&view["item_count"], &view["has_next"]),
        (&json!(3), &json!(false))
    );
    let item = &view["items"][1];
    assert_eq!(
        (&item["position"], &item["status"]),
        (&json!(1), &json!("undecided"))
    );
    let listing = &item["listing"];
    assert_eq!(listing["title"], "Listing 1");
    assert_eq!(
        listing["cpu"],
        json!({ "name": "i5-8500T", "cpu_mark_multi": 8000, "cpu_mark_single": 2000 })
    );
    assert_eq!(listing["gpu"]["name"], "UHD 630");
    assert_eq!(listing["ports_profile"], "Micro");
    assert_eq!(
        (&listing["ruleset"], &listing["profile"]),
        (&json!("Standard"), &json!("Balanced"))
    );
    assert_eq!(listing["ram"]["label"], "DDR4-2666");
    assert_eq!(listing["primary_storage"]["label"], "NVMe");
    assert_eq!(listing["secondary_storage"]["label"], "Disk");
    assert_eq!(listing["thumbnail_url"], "https://img.example/1.jpg");
    assert_eq!(
        listing["scores"]["dollar_per_cpu_mark_multi"],
        101.0 / 8000.0
    );
    let old = service
        .get_by(1, &format!("{path}?expand=none"))
        .expect(200);
    assert!(old["items"][0].get("listing").is_none());
    assert_eq!(listing_ids(&old), listing_ids(&view));
    // The last one moves to the front; one without a position stands before all.
    let items = view["items"].as_array().unwrap();
    let item_path = |at: usize| format!("{path}items/{}/", items[at]["id"]);
    service
        .patch_by(1, &item_path(2), &json!({ "position": null }))
        .expect(200);
    service
        .patch_by(1, &item_path(0), &json!({ "position": 9 }))
        .expect(200);
    let moved = service.get_by(1, &path).expect(200);
    let expected = [2, 1, 0].map(|at| items[at]["listing_id"].as_i64().unwrap());
    assert_eq!(listing_ids(&moved), expected);
    let newest = service
        .get_by(1, &format!("{path}?sort=added_at"))
        .expect(200);
    assert_eq!(listing_ids(&newest), expected);
}

#[test]
fn pages_of_items_join_without_gaps_in_every_order() {
    let service = Running::empty();
    let collection = service.collection(1, "private", 7);
    let path = format!("/api/v1/collections/{collection}/");
    // Two have no position, two share one.
    let items = service.get_by(1, &path).expect(200)["items"].clone();
    for (at, position) in [(1, json!(null)), (3, json!(null)), (5, json!(6))] {
        let item = format!("{path}items/{}/", items[at]["id"]);
        service
            .patch_by(1, &item, &json!({ "position": position }))
            .expect(200);
    }
    for sort in ["position", "added_at"] {
        let whole = listing_ids(
            &service
                .get_by(1, &format!("{path}?sort={sort}"))
                .expect(200),
        );
        for limit in 1..=8 {
            let mut joined = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = format!("{path}?sort={sort}&limit={limit}&cursor={cursor}");
                let page = service.get_by(1, &page).expect(200);
                joined.extend(listing_ids(&page));
                assert_eq!(page["item_count"], 7);
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(joined, whole, "{sort} {limit}");
        }
    }
    let page = service.get_by(1, &format!("{path}?limit=2")).expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let other = service.get_by(1, &format!("{path}?sort=added_at&cursor={cursor}"));
    assert_eq!(wrong(&other), ["cursor"]);
    assert_eq!(
        wrong(&service.get_by(1, &format!("{path}?limit=201"))),
        ["limit"]
    );
}

#[test]
fn a_listing_is_in_a_collection_once_and_faults_are_named() {
    let service = Running::empty();
    let collection = service.collection(1, "private", 0);
    let listing = service.listing("A", 5.0);
    let path = format!("/api/v1/collections/{collection}/items/");
    let body =
        json!({ "listing_id": listing, "status": "shortlisted", "notes": "nice", "position": 4 });
    let made = service.post_by(1, &path, &body).expect(201);
    assert_eq!(
        (&made["status"], &made["notes"], &made["position"]),
        (&json!("shortlisted"), &json!("nice"), &json!(4))
    );
    let twice = service.put(1, collection, listing).expect(409);
    assert!(twice["detail"].as_str().unwrap().contains("already exists"));
    let second = service.listing("B", 6.0);
    assert_eq!(
        service.put(1, collection, second).expect(201)["position"],
        5
    );
    assert_eq!(
        service.put(1, collection, 999).expect(400)["error"]["code"],
        "unknown"
    );
    assert_eq!(service.put(1, 999, listing).status, 404);
    assert_eq!(service.put(2, collection, listing).status, 403);
    for (body, field) in [
        (json!({}), "listing_id"),
        (json!({ "listing_id": listing, "status": "sold" }), "status"),
        (
            json!({ "listing_id": listing, "notes": "x".repeat(501) }),
            "notes",
        ),
        (json!({ "listing_id": listing, "position": -1 }), "position"),
        (json!({ "listing_id": "7" }), "listing_id"),
    ] {
        assert_eq!(wrong(&service.post_by(1, &path, &body)), [field], "{body}");
    }
}

#[test]
fn an_item_is_reached_through_its_own_collection_only() {
    let service = Running::empty();
    let (one, other) = (
        service.collection(1, "private", 1),
        service.collection(1, "private", 0),
    );
    let items = service
        .get_by(1, &format!("/api/v1/collections/{one}/"))
        .expect(200)["items"]
        .clone();
    let item = &items[0]["id"];
    let through = |collection: i64| format!("/api/v1/collections/{collection}/items/{item}/");
    assert_eq!(
        service
            .patch_by(1, &through(other), &json!({ "notes": "x" }))
            .status,
        404
    );
    assert_eq!(service.delete_by(1, &through(other)).status, 404);
    assert_eq!(
        service
            .patch_by(2, &through(one), &json!({ "notes": "x" }))
            .status,
        403
    );
    let noted = service
        .patch_by(
            1,
            &through(one),
            &json!({ "notes": "x", "status": "bought" }),
        )
        .expect(200);
    assert_eq!(
        (&noted["notes"], &noted["status"]),
        (&json!("x"), &json!("bought"))
    );
    let cleared = service
        .patch_by(1, &through(one), &json!({ "notes": null }))
        .expect(200);
    assert_eq!(
        (&cleared["notes"], &cleared["status"]),
        (&Value::Null, &json!("bought"))
    );
    assert_eq!(service.delete_by(1, &through(one)).status, 204);
    assert_eq!(service.delete_by(1, &through(one)).status, 404);
}

#[test]
fn two_who_put_the_same_listing_in_at_once_have_it_in_once() {
    let service = Running::empty();
    let collection = service.collection(1, "private", 0);
    let listing = service.listing("A", 5.0);
    let put = || service.put(1, collection, listing).status;
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(put)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    let count = |status: u16| answers.iter().filter(|one| **one == status).count();
    assert_eq!((count(201), count(409)), (1, 7), "{answers:?}");
}

#[test]
fn a_copy_is_private_whole_and_without_the_notes_of_others() {
    let service = Running::empty();
    let source = service.collection(1, "public", 3);
    let path = format!("/api/v1/collections/{source}/");
    let items = service.get_by(1, &path).expect(200)["items"].clone();
    service
        .patch_by(
            1,
            &format!("{path}items/{}/", items[0]["id"]),
            &json!({ "notes": "mine", "status": "bought" }),
        )
        .expect(200);
    let copy = |user: i64, body: Value| service.post_by(user, &format!("{path}copy/"), &body);
    let made = copy(2, json!({})).expect(201);
    assert_eq!(
        (&made["name"], &made["visibility"], &made["item_count"]),
        (&json!("Copy of Mini PCs"), &json!("private"), &json!(3))
    );
    let view = service
        .get_by(2, &format!("/api/v1/collections/{}/", id(&made)))
        .expect(200);
    assert_eq!(
        listing_ids(&view),
        listing_ids(&service.get_by(1, &path).expect(200))
    );
    assert_eq!(
        (&view["items"][0]["notes"], &view["items"][0]["status"]),
        (&Value::Null, &json!("bought"))
    );
    let own = copy(1, json!({ "name": "Again" })).expect(201);
    let view = service
        .get_by(1, &format!("/api/v1/collections/{}/", id(&own)))
        .expect(200);
    assert_eq!(
        (&view["name"], &view["items"][0]["notes"]),
        (&json!("Again"), &json!("mine"))
    );
    for (visibility, status) in [("unlisted", 201), ("private", 403)] {
        service
            .patch_by(
                1,
                &format!("{path}visibility/"),
                &json!({ "visibility": visibility }),
            )
            .expect(200);
        assert_eq!(copy(2, json!({})).status, status, "{visibility}");
    }
    assert_eq!(
        service
            .post_by(2, "/api/v1/collections/999/copy/", &json!({}))
            .status,
        404
    );
}

#[test]
fn the_public_see_what_is_public_without_notes() {
    let service = Running::empty();
    let collection = service.collection(2, "public", 2);
    let path = format!("/api/v1/collections/{collection}/");
    let items = service.get_by(2, &path).expect(200)["items"].clone();
    service
        .patch_by(
            2,
            &format!("{path}items/{}/", items[0]["id"]),
            &json!({ "notes": "secret" }),
        )
        .expect(200);
    let public = format!("/api/v1/collections/public/{collection}/");
    let seen = service.get(&public).expect(200);
    assert_eq!(seen["owner_username"], "user2");
    assert!(seen.get("user_id").is_none());
    assert_eq!(
        (
            &seen["items"][0]["notes"],
            &seen["items"][0]["listing"]["title"]
        ),
        (&Value::Null, &json!("Listing 0"))
    );
    for visibility in ["unlisted", "private"] {
        service
            .patch_by(
                2,
                &format!("{path}visibility/"),
                &json!({ "visibility": visibility }),
            )
            .expect(200);
        assert_eq!(service.get(&public).status, 404, "{visibility}");
    }
}

#[test]
fn discovery_combines_filters_and_takes_every_character_as_it_is() {
    let service = Running::empty();
    let make = |user: i64, name: &str, description: &str, visibility: &str| {
        let body = json!({ "name": name, "description": description, "visibility": visibility });
        id(&service
            .post_by(user, "/api/v1/collections/", &body)
            .expect(201))
    };
    make(1, "Übersicht", "50% off", "public");
    make(1, "Mini PCs", "small ones", "public");
    make(2, "mini servers", "a_b \"quoted\"", "public");
    make(2, "Mini secrets", "", "private");
    make(2, "Mini unlisted", "", "unlisted");
    let find = |query: &str| {
        let found = service
            .get(&format!("/api/v1/collections/discover/?{query}"))
            .expect(200);
        assert!(
            found
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one["items"].is_null())
        );
        names(&found)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(find(""), ["mini servers", "Mini PCs", "Übersicht"]);
    assert_eq!(find("q=MINI"), ["mini servers", "Mini PCs"]);
    assert_eq!(find("search=mini&owner_filter=1"), ["Mini PCs"]);
    assert_eq!(find("q=%C3%BCBER"), ["Übersicht"]);
    assert_eq!(find("owner_id=2"), ["mini servers"]);
    // Wildcards and operators of both databases are plain text, short or long.
    assert_eq!(find("q=%25"), ["Übersicht"]);
    assert_eq!(find("q=50%25%20off"), ["Übersicht"]);
    assert_eq!(find("q=_"), ["mini servers"]);
    assert_eq!(find("q=%22quoted%22"), ["mini servers"]);
    assert_eq!(find("q=mini%20OR%20x"), [""; 0]);
    assert_eq!(find("q=mini*"), [""; 0]);
    assert_eq!(find("limit=1&offset=1"), ["Mini PCs"]);
    assert_eq!(
        wrong(&service.get("/api/v1/collections/discover/?sort=best")),
        ["sort"]
    );
    // A renamed collection is found by its new name only.
    let renamed = make(3, "old title", "", "public");
    service
        .patch_by(
            3,
            &format!("/api/v1/collections/{renamed}/"),
            &json!({ "name": "new title" }),
        )
        .expect(200);
    assert_eq!(find("q=old%20title"), [""; 0]);
    assert_eq!(find("q=new%20title"), ["new title"]);
}

#[test]
fn exports_are_whole_in_order_and_harmless() {
    let service = Running::empty();
    let body = json!({ "name": "Büro / \"A\"", "visibility": "private" });
    let collection = id(&service
        .post_by(1, "/api/v1/collections/", &body)
        .expect(201));
    let first = service.listing("=HYPERLINK(\"http://evil\")", 1.5);
    let second = service.listing("Dell, 16 GB", 200.0);
    for listing in [first, second] {
        service.put(1, collection, listing).expect(201);
    }
    let export = |format: &str| {
        service.get_by(
            1,
            &format!("/api/v1/collections/{collection}/export/?format={format}"),
        )
    };
    let csv = export("csv");
    assert_eq!(csv.status, 200);
    assert_eq!(
        csv.headers["content-disposition"],
        format!("attachment; filename=\"collection_{collection}.csv\"").as_str()
    );
    let lines: Vec<_> = csv.text.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "title,price_usd,cpu,gpu,dollar_per_cpu_mark,score,status,notes"
    );
    assert_eq!(
        lines[1],
        "\"'=HYPERLINK(\"\"http://evil\"\")\",1.50,i5-8500T,UHD 630,0.00,71.50,undecided,"
    );
    assert_eq!(
        lines[2],
        "\"Dell, 16 GB\",200.00,i5-8500T,UHD 630,0.03,71.50,undecided,"
    );
    assert_eq!(lines.len(), 4);
    let json = export("json");
    let name = json.headers["content-disposition"].to_str().unwrap();
    assert!(
        name.starts_with("attachment; filename=\"deal-brain-collection-B_ro____A_-"),
        "{name}"
    );
    assert!(
        name.contains("filename*=UTF-8''deal-brain-collection-B%C3%BCro%20_%20%22A%22-"),
        "{name}"
    );
    let json = json.expect(200);
    assert_eq!(
        (&json["version"], &json["collection"]["item_count"]),
        (&json!("1.0.0"), &json!(2))
    );
    assert_eq!(json["items"][1]["listing"]["title"], "Dell, 16 GB");
    assert_eq!(wrong(&export("xml")), ["format"]);
    let foreign = service.get_by(2, &format!("/api/v1/collections/{collection}/export/"));
    assert_eq!(foreign.status, 403);
}

#[test]
fn where_it_is_set_foreign_collections_do_not_exist() {
    let service = Running::with(&[("FOREIGN_COLLECTION", "404")]);
    let collection = service.collection(1, "private", 0);
    assert_eq!(
        service
            .get_by(2, &format!("/api/v1/collections/{collection}/"))
            .status,
        404
    );
    assert_eq!(
        service.put(2, collection, service.listing("A", 1.0)).status,
        404
    );
}
