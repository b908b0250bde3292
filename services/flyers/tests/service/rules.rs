//! The rules of the domain, one by one, as a client sees them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::running::{Running, ids};

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn every_public_list_ends_a_flyer_at_the_same_instant() {
    let service = Running::empty();
    let (token, user) = service.register("a@example.org");
    let id = service.flyer(&token, "Vernissage", "events", "8001 Zürich");
    let lists = [
        "/api/v1/flyers/feed/?".to_owned(),
        "/api/v1/flyers/feed/?categories=events".to_owned(),
        "/api/v1/flyers/feed/?search=vernissage".to_owned(),
        "/api/v1/flyers/feed/?search=ve".to_owned(),
        "/api/v1/flyers/feed/?near_me=1&lat=47.3769&lng=8.5417".to_owned(),
        "/api/v1/flyers/feed/?lat=47.3769&lng=8.5417".to_owned(),
        format!("/api/v1/flyers/?creator={user}"),
        format!("/api/v1/users/{user}/flyers/?"),
    ];
    let profile = format!("/api/v1/users/{user}/profile/");
    let seen = |expected: &[i64]| {
        for list in &lists {
            assert_eq!(ids(&service.get(list).expect(200)), expected, "{list}");
        }
        let shown = service.get(&profile).expect(200);
        let published: Vec<_> = shown["published_flyers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|flyer| flyer["id"].as_i64().unwrap())
            .collect();
        assert_eq!(published, expected);
        assert_eq!(shown["flyer_count"], expected.len());
        let detail = service.get(&format!("/api/v1/flyers/{id}/")).status;
        assert_eq!(detail == 200, !expected.is_empty());
    };
    seen(&[id]);
    let now = service_kit::clock::now();
    let (tick, day) = (TimeDelta::microseconds(1), TimeDelta::days(1));
    service.set_dates(id, now - day, now);
    seen(&[]);
    service.set_dates(id, now + day, now + day + tick);
    seen(&[]);
    service.set_dates(id, now - day, now + day);
    seen(&[id]);
    service.execute("UPDATE flyers SET is_active = FALSE");
    seen(&[]);
}

#[test]
fn turned_off_with_a_future_date_is_expired_for_its_owner() {
    let service = Running::empty();
    let (token, user) = service.register("a@example.org");
    let id = service.flyer(&token, "x", "events", "8001 Zürich");
    service.execute("UPDATE flyers SET is_active = FALSE");
    let detail = service
        .get_as(&token, &format!("/api/v1/flyers/{id}/"))
        .expect(200);
    assert_eq!(
        (&detail["status"], &detail["validity"]["is_valid"]),
        (&json!("expired"), &json!(false))
    );
    let list = format!("/api/v1/users/{user}/flyers/");
    let own = service.get_as(&token, &list).expect(200);
    assert_eq!(own["results"][0]["status"], "expired");
    // The creator filter of the feed is public, also for the owner.
    let feed = format!("/api/v1/flyers/?creator={user}");
    assert!(ids(&service.get_as(&token, &feed).expect(200)).is_empty());
}

#[test]
fn flags_are_null_for_strangers_and_false_for_users() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let id = service.flyer(&token, "x", "events", "8001 Zürich");
    let (other, _) = service.register("b@example.org");
    let flags = |card: &Value| {
        (
            card["is_favorited"].clone(),
            card["creator"]["is_following"].clone(),
        )
    };
    let detail = format!("/api/v1/flyers/{id}/");
    for path in ["/api/v1/flyers/feed/", detail.as_str()] {
        let card = |answer: Value| {
            if path.ends_with("feed/") {
                answer["results"][0].clone()
            } else {
                answer
            }
        };
        let anonymous = card(service.get(path).expect(200));
        assert!(
            anonymous.get("is_favorited").is_some(),
            "said, not left out"
        );
        assert!(anonymous["creator"].get("is_following").is_some());
        assert_eq!(flags(&anonymous), (Value::Null, Value::Null), "{path}");
        let user = card(service.get_as(&other, path).expect(200));
        assert_eq!(flags(&user), (json!(false), json!(false)), "{path}");
    }
}

#[test]
fn every_url_in_an_answer_is_absolute() {
    fn urls<'v>(key: &str, value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Array(all) => all.iter().for_each(|one| urls(key, one, found)),
            Value::Object(all) => all.iter().for_each(|(key, one)| urls(key, one, found)),
            Value::String(text)
                if ["url", "thumb_url", "thumbnail", "next", "previous"].contains(&key)
                    || key.contains("profile_picture") =>
            {
                found.push(text);
            }
            _ => {}
        }
    }
    let service = Running::seeded(300);
    for path in [
        "/api/v1/flyers/feed/?page=2&page_size=10",
        "/api/v1/users/1/",
        "/api/v1/users/2/profile/",
    ] {
        let answer = service.get(path).expect(200);
        let mut found = Vec::new();
        urls("", &answer, &mut found);
        for url in found {
            assert!(url.starts_with(&service.origin), "{path}: {url}");
        }
    }
    let avatar = service.get("/media/default-avatar.svg");
    assert_eq!(avatar.status, 200);
}

#[test]
fn both_spellings_of_a_place_are_refused_alike() {
    let service = Running::empty();
    for path in ["/api/v1/flyers/feed/?", "/api/v1/flyers/?"] {
        for query in [
            "lat=47",
            "lng=8",
            "latitude=47",
            "lon=8",
            "long=8",
            "lat=NaN&lng=8",
            "lat=47&lng=inf",
            "lat=-inf&lng=8",
            "lat=1e999&lng=8",
            "lat=90.000001&lng=8",
            "lat=47&lng=180.000001",
            "lat=47,3&lng=8",
            "lat=&lng=8",
            "lat=47&lng=%00",
            "near_me=true&lat=47&lng=8&radius=0",
            "near_me=true&lat=47&lng=8&radius=NaN",
            "near_me=true&lat=47&lng=8&radius=50.1",
        ] {
            assert!(!service.get(&format!("{path}{query}")).fields().is_empty());
        }
        for query in [
            "lat=90&lng=180",
            "lat=-90&lng=-180",
            "latitude=0&long=-0",
            "lat=%20%2B1%20&lon=1e1",
            "near_me=true&lat=90&lng=0&radius=50",
            "near_me=true&lat=1&lng=-180&radius=0.000001",
        ] {
            let answer = service.get(&format!("{path}{query}"));
            assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        }
    }
}

#[test]
fn near_me_includes_its_edge_and_nothing_beyond() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let id = service.flyer(&token, "x", "events", "8001 Zürich");
    let here = flyers::geo::Point {
        lat: 47.0,
        lng: 8.0,
    };
    let there = flyers::geo::Point {
        lat: 47.03,
        lng: 8.04,
    };
    service.set_place(id, there.lat, there.lng);
    let km = here.distance_km(there);
    let found = |radius: f64| {
        let path = format!("/api/v1/flyers/feed/?near_me=true&lat=47&lng=8&radius={radius}");
        ids(&service.get(&path).expect(200)).len()
    };
    assert_eq!(found(km + 1e-6), 1);
    assert_eq!(found(km - 1e-6), 0);
}

#[test]
fn search_compares_letters_not_their_spelling() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let make = |title: &str| service.flyer(&token, title, "events", "8001 Zürich");
    let composed = make("Caf\u{e9} M\u{fc}ller");
    let greek = make("ΟΔΥΣΣΕΥΣ live");
    let emoji = make("Party 🎉🎷👩‍👩‍👧 heute");
    let found = |text: &str| {
        let path = format!("/api/v1/flyers/feed/?search={}", encoded(text));
        ids(&service.get(&path).expect(200))
    };
    assert_eq!(found("Cafe\u{301}"), [composed], "as macOS spells it");
    assert_eq!(found("CAFE\u{301} MU\u{308}"), [composed]);
    assert_eq!(found("οδυσσ"), [greek]);
    assert_eq!(found("ΟΔΥΣ"), [greek], "a sigma is final only at the end");
    assert_eq!(found("δυσσευς"), [greek]);
    for text in ["🎉", "🎷", "🎉🎷", "👩‍👩‍👧", "y 🎉🎷"] {
        assert_eq!(found(text), [emoji], "{text}");
    }
    for nobody in [
        "%", "_", "'", "\"", "\\", "%%", "*", "NEAR(", "a\"b", "\u{202e}",
    ] {
        assert!(found(nobody).is_empty(), "{nobody}");
    }
    for all in ["", " ", "\0", "\t\n", "\u{0}\u{7f}"] {
        assert_eq!(found(all).len(), 3, "{all:?} is no filter");
    }
}

#[test]
fn page_sizes_are_clamped_and_pages_end() {
    let service = Running::seeded(200);
    let size = |query: &str| {
        ids(&service
            .get(&format!("/api/v1/flyers/feed/?{query}"))
            .expect(200))
        .len()
    };
    assert_eq!(size(""), 20);
    assert_eq!(size("page_size=51"), 50);
    assert_eq!(size("page_size=9223372036854775807"), 50);
    let last = service
        .get("/api/v1/flyers/feed/?page_size=50&page=3")
        .expect(200);
    assert!(last["next"].is_null() && last["next_cursor"].is_null());
    assert_eq!(last["count"], 100 + ids(&last).len());
    let past = service.get("/api/v1/flyers/feed/?page_size=50&page=4");
    assert_eq!(past.expect(404)["error"], "not_found");
}

#[test]
fn dates_of_a_new_flyer_have_defaults_and_a_tolerance() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let make = |more: Value| {
        let mut body = json!({
            "title": "x", "category_tags": ["events"], "location_address": "8001 Zürich",
        });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        service.publish(&token, &body)
    };
    let date = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let now = Utc::now();
    let made = make(json!({})).expect(201);
    let (from, until) = (
        date(&made["validity"]["valid_from"]),
        date(&made["validity"]["valid_until"]),
    );
    assert!((from - now).abs() < TimeDelta::minutes(1));
    assert_eq!(until - from, TimeDelta::days(30));
    assert_eq!(
        made["created_at"], made["validity"]["valid_from"],
        "one now"
    );

    make(json!({ "publication_date": now - TimeDelta::minutes(4) })).expect(201);
    let old = make(json!({ "publication_date": now - TimeDelta::minutes(6) }));
    assert_eq!(old.fields(), ["publication_date"]);
    let same = now + TimeDelta::days(1);
    let empty = make(json!({ "publication_date": same, "expiration_date": same }));
    assert_eq!(empty.fields(), ["expiration_date"]);
    let scheduled = make(json!({ "publication_date": same })).expect(201);
    assert_eq!(scheduled["status"], "scheduled");
    assert_eq!(
        make(json!({ "publication_date": "tomorrow" })).fields(),
        ["publication_date"]
    );
    // Only JSON has values of the wrong kind.
    for (field, value) in [
        ("title", json!(5)),
        ("category_tags", json!("events")),
        ("category_tags", json!([1])),
    ] {
        let body = json!({ field: value });
        let refused = service.post_as(&token, "/api/v1/flyers/", &body);
        assert_eq!(refused.fields(), [field], "{body}");
    }
}

#[test]
fn paths_that_name_nothing_are_not_found_however_odd() {
    let service = Running::empty();
    for id in [
        "0",
        "-1",
        "%FF",
        "%00",
        "1e3",
        "9223372036854775808",
        "a%2Fb",
    ] {
        for path in [
            format!("/api/v1/flyers/{id}/"),
            format!("/api/users/{id}"),
            format!("/api/v1/users/{id}/profile"),
            format!("/api/v1/users/{id}/flyers/"),
        ] {
            assert_eq!(service.get(&path).expect(404)["status"], 404, "{path}");
        }
    }
}
