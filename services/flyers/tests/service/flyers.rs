//! One flyer: making it, reading it, when it is seen.

use chrono::TimeDelta;
use serde_json::json;

use crate::running::{Running, ids};

#[test]
fn a_flyer_is_made_and_read_back() {
    let service = Running::empty();
    let (token, user) = service.register("a@example.org");
    let body = json!({
        "title": " Jazz am See ", "description": "Eintritt frei & 50% off", "info_field_1": "CHF 10",
        "category_tags": ["nightlife", "events", "events"], "location_address": "Seestrasse 1, 8810 Horgen",
    });
    let made = service.publish(&token, &body).expect(201);
    assert_eq!(made["title"], "Jazz am See");
    assert_eq!(
        (&made["caption"], &made["description"]),
        (&body["description"], &body["description"])
    );
    assert_eq!(made["categories"], json!(["events", "nightlife"]));
    assert_eq!(made["location"]["lat"], 47.26);
    assert_eq!(made["creator"]["id"], user);
    assert_eq!(
        (&made["is_owner"], &made["status"]),
        (&json!(true), &json!("active"))
    );
    assert_eq!(made["is_favorited"], false);

    let id = &made["id"];
    let read = service
        .get(&format!("/api/flyers/{id}?lat=47.26&lng=8.598"))
        .expect(200);
    assert_eq!(read["location"]["distance_km"], 0.0);
    assert_eq!(
        (&read["is_owner"], &read["is_favorited"]),
        (&json!(false), &json!(null))
    );
    assert!(read.get("editable").is_none());
}

#[test]
fn every_fault_of_a_new_flyer_is_named() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let body = json!({
        "title": "x".repeat(201), "caption": "y".repeat(2001), "info_field_2": "z".repeat(1001),
        "category_tags": ["unheard-of"], "location_address": "",
        "publication_date": "2001-01-01T00:00:00Z",
    });
    let mut fields = service.publish(&token, &body).fields();
    fields.sort();
    let expected = [
        "caption",
        "category_tags",
        "info_field_2",
        "location_address",
        "publication_date",
        "title",
    ];
    assert_eq!(fields, expected);

    let mut good =
        json!({ "title": "x", "category_tags": ["events"], "location_address": "Atlantis 1" });
    assert_eq!(
        service.publish(&token, &good).fields(),
        ["location_address"]
    );
    good["location_address"] = json!("8001 Zürich");
    good["category_tags"] = json!([]);
    assert_eq!(service.publish(&token, &good).fields(), ["category_tags"]);
    good["category_tags"] = json!(["events"]);
    good["expiration_date"] = json!("2020-01-01T00:00:00Z");
    assert_eq!(service.publish(&token, &good).fields(), ["expiration_date"]);
    assert_eq!(service.post("/api/v1/flyers/", &good).status, 401);
    assert_eq!(service.execute("DELETE FROM flyers"), 0, "nothing was made");
}

#[test]
fn only_the_owner_sees_expired_and_scheduled_flyers() {
    let service = Running::empty();
    let (owner, user) = service.register("a@example.org");
    let (other, _) = service.register("b@example.org");
    let (past, future) = Running::around_now();
    let day = TimeDelta::days(1);
    let expired = service.flyer(&owner, "over", "events", "8001 Zürich");
    service.set_dates(expired, past - day, past);
    let scheduled = service.flyer(&owner, "soon", "events", "8001 Zürich");
    service.set_dates(scheduled, future, future + day);

    for (id, status) in [(expired, "expired"), (scheduled, "scheduled")] {
        let path = format!("/api/v1/flyers/{id}/");
        assert_eq!(service.get(&path).status, 404);
        assert_eq!(service.get_as(&other, &path).status, 404);
        assert_eq!(service.get_as(&owner, &path).expect(200)["status"], status);
    }
    let list = format!("/api/v1/users/{user}/flyers/");
    assert_eq!(
        ids(&service.get_as(&owner, &list).expect(200)),
        [scheduled, expired]
    );
    assert!(ids(&service.get_as(&other, &list).expect(200)).is_empty());
    let own = service
        .get_as(&owner, "/api/v1/users/me/flyers/")
        .expect(200);
    assert_eq!(ids(&own), [scheduled, expired], "latest publication first");
    let profile = format!("/api/v1/users/{user}/profile/");
    assert_eq!(service.get(&profile).expect(200)["flyer_count"], 0);
    assert_eq!(
        service.get_as(&owner, &profile).expect(200)["flyer_count"],
        2
    );
}

#[test]
fn a_flyer_is_gone_at_the_instant_of_its_expiration() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let id = service.flyer(&token, "short", "events", "8001 Zürich");
    let now = service_kit::clock::now();
    let count = |at| {
        let filter = flyers::feed::statement::Filter {
            now: at,
            ..Default::default()
        };
        let (count,): (i64,) = service.rows(filter.count(crate::DIALECT).query())[0];
        count
    };
    let tick = TimeDelta::microseconds(1);
    let (from, until) = (now, now + TimeDelta::seconds(3));
    service.set_dates(id, from, until);
    assert_eq!(
        [from - tick, from, until - tick, until].map(count),
        [0, 1, 1, 0]
    );
}

#[test]
fn own_flyers_come_in_pages_and_by_cursor() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let made: Vec<i64> = (0..5)
        .map(|n| service.flyer(&token, &format!("f{n}"), "events", "8001 Zürich"))
        .collect();
    let page = service
        .get_as(&token, "/api/v1/users/me/flyers/?page_size=2")
        .expect(200);
    assert_eq!(
        (&page["count"], page["results"].as_array().unwrap().len()),
        (&json!(5), 2)
    );
    let mut seen = Vec::new();
    let mut next = Some("/api/v1/users/me/flyers/?page_size=2&cursor=".to_owned());
    while let Some(path) = next {
        let page = service.get_as(&token, &path).expect(200);
        assert!(page.get("count").is_none());
        seen.extend(ids(&page));
        next = page["next"]
            .as_str()
            .map(|url| url[service.origin.len()..].to_owned());
    }
    assert_eq!(seen, made.into_iter().rev().collect::<Vec<_>>());
}
