//! The feed: order, pages, filters.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::running::{Running, ids};

fn results(page: &Value) -> &Vec<Value> {
    page["results"].as_array().unwrap()
}

#[test]
fn a_page_has_cards_with_everything_in_them() {
    let service = Running::seeded(300);
    let page = service
        .get("/api/v1/flyers/feed/?page_size=3&lat=47.3769&lng=8.5417")
        .expect(200);
    let card = &results(&page)[0];
    for key in [
        "id",
        "title",
        "caption",
        "description",
        "creator",
        "creator_name",
        "creator_profile_picture_url",
        "images",
        "location",
        "validity",
        "categories",
        "status",
        "created_at",
    ] {
        assert!(!card[key].is_null(), "{key}");
    }
    assert!(card["is_favorited"].is_null() && card["creator"]["is_following"].is_null());
    let orders: Vec<_> = card["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["order"].as_i64().unwrap())
        .collect();
    assert_eq!(orders, (0..orders.len() as i64).collect::<Vec<_>>());
    assert!(
        card["images"][0]["thumb_url"]
            .as_str()
            .unwrap()
            .ends_with("_300.jpg")
    );
    assert!(card["location"]["distance_km"].as_f64().unwrap() <= 51.0);
    assert_eq!(card["status"], "active");
}

#[test]
fn pages_and_cursors_give_the_same_flyers_once_each() {
    let service = Running::seeded(400);
    for filter in [
        "",
        "&lat=47.4&lng=8.6",
        "&near_me=true&radius=20&lat=47.3769&lng=8.5417",
        "&categories=events,nightlife",
        "&search=markt",
        "&search=zu",
        "&categories=service&search=der",
    ] {
        let walk = |mut next: Option<String>| {
            let mut seen = Vec::new();
            while let Some(path) = next {
                let page = service.get(&path).expect(200);
                seen.extend(ids(&page));
                next = page["next"]
                    .as_str()
                    .map(|url| url[service.origin.len()..].to_owned());
            }
            seen
        };
        let by_page = walk(Some(format!("/api/v1/flyers/feed/?page_size=17{filter}")));
        let by_cursor = walk(Some(format!(
            "/api/v1/flyers/feed/?page_size=13&cursor={filter}"
        )));
        assert!(by_page.len() > 10, "{filter}: {}", by_page.len());
        assert_eq!(by_page, by_cursor, "{filter}");
        assert_eq!(
            by_page.iter().collect::<HashSet<_>>().len(),
            by_page.len(),
            "{filter}"
        );
        let first = service
            .get(&format!(
                "/api/v1/flyers/feed/?{}",
                &filter.trim_start_matches('&')
            ))
            .expect(200);
        assert_eq!(first["count"], by_page.len(), "{filter}");
    }
}

#[test]
fn newest_come_first_and_nearest_with_near_me() {
    let service = Running::seeded(400);
    let page = service.get("/api/v1/flyers/feed/?page_size=50").expect(200);
    let created: Vec<_> = results(&page)
        .iter()
        .map(|card| card["created_at"].to_string())
        .collect();
    assert!(created.is_sorted_by(|a, b| a >= b));
    let near = service
        .get("/api/v1/flyers/feed/?page_size=50&near_me=1&radius=15&lat=47.3769&lng=8.5417")
        .expect(200);
    let far: Vec<_> = results(&near)
        .iter()
        .map(|card| card["location"]["distance_km"].as_f64().unwrap())
        .collect();
    assert!(
        far.len() > 10 && far.is_sorted() && far[far.len() - 1] <= 15.0,
        "{far:?}"
    );
}

#[test]
fn equal_times_are_ordered_by_distance_and_pages_do_not_lose_any() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let towns = [
        "5000 Aarau",
        "8001 Zürich",
        "8400 Winterthur",
        "8610 Uster",
        "8001 Zürich",
    ];
    let made: Vec<i64> = towns
        .iter()
        .map(|town| service.flyer(&token, "x", "events", town))
        .collect();
    service.execute("UPDATE flyers SET created_at = '2024-01-01T00:00:00+00:00'");
    service.execute("UPDATE flyer_categories SET created_at = '2024-01-01T00:00:00+00:00'");
    let expected = [made[4], made[1], made[3], made[2], made[0]];
    for filter in ["", "&categories=events"] {
        let mut seen = Vec::new();
        let mut next = Some(format!(
            "/api/v1/flyers/feed/?page_size=2&cursor=&lat=47.3769&lng=8.5417{filter}"
        ));
        while let Some(path) = next {
            let page = service.get(&path).expect(200);
            seen.extend(ids(&page));
            next = page["next"]
                .as_str()
                .map(|url| url[service.origin.len()..].to_owned());
        }
        assert_eq!(seen, expected, "{filter}");
    }
}

#[test]
fn search_takes_special_characters_literally() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let make = |title: &str| service.flyer(&token, title, "events", "8001 Zürich");
    let cafe = make("CAFÉ ZÜRICH");
    let half = make("Alles 50% billiger");
    let plain = make("Alles 500 Stück");
    let quoted = make("Die \"beste\" $50 O'Brien -Bar* AND");
    let found = |text: &str| {
        let query: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        ids(&service
            .get(&format!("/api/v1/flyers/feed/?search={query}"))
            .expect(200))
    };
    assert_eq!(found("café"), [cafe]);
    assert_eq!(found("Café Zür"), [cafe]);
    assert_eq!(found("é"), [cafe], "shorter than a trigram");
    assert_eq!(found("50%"), [half]);
    assert_eq!(found("0%"), [half]);
    assert_eq!(found("alles"), [plain, half]);
    assert_eq!(found("\"beste\""), [quoted]);
    assert_eq!(found("o'b"), [quoted]);
    assert_eq!(found("-bar*"), [quoted]);
    assert_eq!(found(" and"), [quoted]);
    assert_eq!(found("$5"), [quoted]);
    assert!(found("a_b%c").is_empty());
    assert!(found("\u{0}\u{1}xy").is_empty());
    assert_eq!(found("   ").len(), 4, "empty means no filter");
}

#[test]
fn categories_are_any_of_and_unknown_ones_are_named() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let event = service.flyer(&token, "e", "events", "8001 Zürich");
    let food = service.flyer(&token, "f", "food-drink", "8001 Zürich");
    let found = |query: &str| ids(&service.get(&format!("/api/flyers/?{query}")).expect(200));
    assert_eq!(found("categories=events"), [event]);
    assert_eq!(found("category=events,food-drink"), [food, event]);
    assert!(found("categories=retail").is_empty());
    assert_eq!(found("categories=food-drink,events&search=e"), [event]);
    assert_eq!(
        service.get("/api/v1/flyers/feed/?categories=nope").fields(),
        ["categories"]
    );
}

#[test]
fn a_creators_feed_may_be_empty_but_a_stranger_is_unknown() {
    let service = Running::empty();
    let (token, user) = service.register("a@example.org");
    let path = format!("/api/v1/flyers/?creator={user}");
    assert_eq!(service.get(&path).expect(200)["count"], 0);
    assert_eq!(service.get("/api/v1/flyers/?creator=999").status, 404);
    assert_eq!(service.get("/api/v1/users/999/flyers/").status, 404);
    let id = service.flyer(&token, "x", "events", "8001 Zürich");
    assert_eq!(ids(&service.get(&path).expect(200)), [id]);
    assert_eq!(
        ids(&service
            .get(&format!("/api/v1/users/{user}/flyers/"))
            .expect(200)),
        [id]
    );
}

#[test]
fn favorites_and_follows_show_in_cards_for_their_user() {
    let service = Running::seeded(200);
    let login = json!({ "email": "user1@example.org", "password": flyers::seed::PASSWORD });
    let token = service.post("/api/v1/auth/login/", &login).expect(200)["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = service
        .get_as(&token, "/api/v1/flyers/feed/?page_size=50")
        .expect(200);
    let flags = |name: &str| -> HashSet<String> {
        results(&page)
            .iter()
            .map(|card| {
                if name == "is_favorited" {
                    card[name].to_string()
                } else {
                    card["creator"][name].to_string()
                }
            })
            .collect()
    };
    let both = HashSet::from(["true".to_owned(), "false".to_owned()]);
    assert_eq!(flags("is_favorited"), both);
    assert_eq!(flags("is_following"), both);
}

#[test]
fn every_filter_combines_with_every_other() {
    let service = Running::seeded(400);
    let all: Vec<Value> = {
        let page = |n: i64| service.get(&format!("/api/v1/flyers/feed/?page_size=50&page={n}"));
        let count = page(1).expect(200)["count"].as_i64().unwrap();
        (1..=(count + 49) / 50)
            .flat_map(|n| results(&page(n).expect(200)).clone())
            .collect()
    };
    let creator = all[0]["creator"]["id"].as_i64().unwrap();
    type Test<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let here = flyers::geo::Point {
        lat: 47.3769,
        lng: 8.5417,
    };
    let parts: [(String, Test<'_>); 4] = [
        (
            "categories=events,retail".into(),
            Box::new(|card| {
                let slugs = card["categories"].as_array().unwrap();
                slugs.contains(&json!("events")) || slugs.contains(&json!("retail"))
            }),
        ),
        (
            "search=und".into(),
            Box::new(|card| {
                let text = format!(
                    "{}\n{}",
                    card["title"].as_str().unwrap(),
                    card["caption"].as_str().unwrap()
                );
                text.to_lowercase().contains("und")
            }),
        ),
        (
            "near_me=true&radius=25&lat=47.3769&lng=8.5417".into(),
            Box::new(move |card| {
                let place = &card["location"];
                let there = flyers::geo::Point {
                    lat: place["lat"].as_f64().unwrap(),
                    lng: place["lng"].as_f64().unwrap(),
                };
                here.distance_km(there) <= 25.0
            }),
        ),
        (
            format!("creator={creator}"),
            Box::new(move |card| card["creator"]["id"] == creator),
        ),
    ];
    for chosen in 0_u32..16 {
        let used = || {
            parts
                .iter()
                .enumerate()
                .filter(move |(bit, _)| chosen >> bit & 1 == 1)
                .map(|(_, part)| part)
        };
        let query: Vec<_> = used().map(|(text, _)| text.as_str()).collect();
        let expected: HashSet<i64> = all
            .iter()
            .filter(|card| used().all(|(_, test)| test(card)))
            .map(|card| card["id"].as_i64().unwrap())
            .collect();
        let mut found = HashSet::new();
        let mut next = Some(format!(
            "/api/v1/flyers/feed/?page_size=50&cursor=&{}",
            query.join("&")
        ));
        while let Some(path) = next {
            let page = service.get(&path).expect(200);
            found.extend(ids(&page));
            next = page["next"]
                .as_str()
                .map(|url| url[service.origin.len()..].to_owned());
        }
        assert_eq!(found, expected, "{query:?}");
    }
}

#[test]
fn near_me_works_across_the_date_line_and_at_the_poles() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let west = service.flyer(&token, "w", "events", "8001 Zürich");
    let east = service.flyer(&token, "e", "events", "8001 Zürich");
    let pole = service.flyer(&token, "p", "events", "8001 Zürich");
    service.set_place(west, 0.0, 179.99);
    service.set_place(east, 0.0, -179.98);
    service.set_place(pole, 89.99, 100.0);
    let near = |lat: f64, lng: f64| {
        ids(&service
            .get(&format!(
                "/api/v1/flyers/feed/?near_me=true&lat={lat}&lng={lng}"
            ))
            .expect(200))
    };
    assert_eq!(near(0.0, 179.999), [west, east]);
    assert_eq!(near(0.0, -180.0), [west, east]);
    assert_eq!(near(90.0, -30.0), [pole]);
    assert_eq!(near(89.99, -80.0), [pole]);
}
