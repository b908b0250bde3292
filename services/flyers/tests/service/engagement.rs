//! What users like and whom they follow: making, ending, and the lists that come of it.

use serde_json::{Value, json};
use service_kit::database::query;
use speedwell_trace::{Budget, Detectors, Thresholds, testing};

use crate::running::{Answer, Running, ids};

const FAVORITES: &str = "/api/v1/favorites/";
const FOLLOWS: &str = "/api/v1/follows/";

fn like(service: &Running, token: &str, flyer: i64) -> Answer {
    service.post_as(token, FAVORITES, &json!({ "flyer_id": flyer }))
}

fn follow(service: &Running, token: &str, user: i64) -> Answer {
    service.post_as(token, FOLLOWS, &json!({ "followed_id": user }))
}

/// The status of a DELETE.
fn delete(service: &Running, token: Option<&str>, path: &str) -> u16 {
    let mut request = service.agent().delete(format!("{}{path}", service.origin));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.call().unwrap().status().as_u16()
}

fn listed(service: &Running, token: &str, path: &str) -> Vec<i64> {
    ids(&service.get_as(token, path).expect(200))
}

fn forget(service: &Running, user: i64) {
    assert_eq!(
        service.run(query("DELETE FROM users WHERE id = $1").bind(user)),
        1
    );
}

#[test]
fn seed_001_liking_twice_is_one_favorite_and_unliking_always_works() {
    let service = Running::empty();
    let (owner, _) = service.register("owner@example.org");
    let (token, me) = service.register("me@example.org");
    let flyer = service.flyer(&owner, "x", "events", "8001 Zürich");
    let made = like(&service, &token, flyer).expect(201);
    assert_eq!(
        (&made["user_id"], &made["flyer_id"]),
        (&json!(me), &json!(flyer))
    );
    let again = like(&service, &token, flyer).expect(200);
    assert_eq!(again, made, "the first moment stays");
    assert_eq!(service.value::<i64>("SELECT count(*) FROM favorites"), 1);
    let card = &service.get_as(&token, "/api/v1/flyers/feed/").expect(200)["results"][0];
    assert_eq!(card["is_favorited"], true);
    let path = format!("/api/favorites/{flyer}");
    assert_eq!(delete(&service, Some(&token), &path), 204);
    assert_eq!(delete(&service, Some(&token), &path), 204);
    assert_eq!(
        delete(&service, Some(&token), "/api/v1/favorites/99999/"),
        204
    );
    assert_eq!(delete(&service, Some(&token), "/api/v1/favorites/x/"), 204);
    assert_eq!(service.value::<i64>("SELECT count(*) FROM favorites"), 0);
}

#[test]
fn only_a_flyer_that_the_caller_sees_can_be_liked() {
    let service = Running::empty();
    let (owner, _) = service.register("owner@example.org");
    let (token, _) = service.register("me@example.org");
    let flyer = service.flyer(&owner, "x", "events", "8001 Zürich");
    let (from, until) = Running::around_now();
    service.set_dates(flyer, from - (until - from), from);
    assert_eq!(like(&service, &token, flyer).status, 404, "expired");
    assert_eq!(
        like(&service, &owner, flyer).status,
        201,
        "its owner sees it"
    );
    assert_eq!(like(&service, &token, 99_999).status, 404);
    for body in [
        json!({}),
        json!({ "flyer_id": "x" }),
        json!({ "flyer_id": 1.5 }),
        json!({ "flyer_id": null }),
    ] {
        assert_eq!(
            service.post_as(&token, FAVORITES, &body).fields(),
            ["flyer_id"],
            "{body}"
        );
    }
    assert_eq!(
        service
            .post(FAVORITES, &json!({ "flyer_id": flyer }))
            .status,
        401
    );
    assert_eq!(delete(&service, None, &format!("{FAVORITES}{flyer}/")), 401);
}

#[test]
fn seed_001_following_twice_is_once_and_oneself_is_refused() {
    let service = Running::empty();
    let (token, me) = service.register("me@example.org");
    let (_, other) = service.register("other@example.org");
    let made = follow(&service, &token, other).expect(201);
    assert_eq!(
        (&made["follower_id"], &made["followed_id"]),
        (&json!(me), &json!(other))
    );
    assert_eq!(follow(&service, &token, other).expect(200), made);
    let refused = follow(&service, &token, me);
    assert_eq!(refused.fields(), ["followed_id"]);
    assert_eq!(
        refused.json()["fields"]["followed_id"],
        "Cannot follow yourself"
    );
    assert_eq!(follow(&service, &token, 99_999).status, 404);
    assert_eq!(
        service.post_as(&token, FOLLOWS, &json!({})).fields(),
        ["followed_id"]
    );
    assert_eq!(
        service
            .post(FOLLOWS, &json!({ "followed_id": other }))
            .status,
        401
    );
    let path = format!("{FOLLOWS}{other}/");
    assert_eq!(delete(&service, None, &path), 401);
    assert_eq!(delete(&service, Some(&token), &path), 204);
    assert_eq!(delete(&service, Some(&token), &path), 204);
    assert_eq!(service.value::<i64>("SELECT count(*) FROM follows"), 0);
}

#[test]
fn the_status_of_following_is_told_to_anybody() {
    let service = Running::empty();
    let (token, _) = service.register("me@example.org");
    let (_, other) = service.register("other@example.org");
    let path = format!("/api/v1/follows/status/?user_id={other}");
    let status = |answer: Value| {
        (
            answer["is_following"].clone(),
            answer["followed_user_id"].clone(),
        )
    };
    assert_eq!(
        status(service.get(&path).expect(200)),
        (json!(false), json!(other))
    );
    assert_eq!(
        status(service.get_as(&token, &path).expect(200)),
        (json!(false), json!(other))
    );
    follow(&service, &token, other).expect(201);
    assert_eq!(
        status(service.get_as(&token, &path).expect(200)),
        (json!(true), json!(other))
    );
    assert_eq!(
        status(service.get(&path).expect(200)),
        (json!(false), json!(other))
    );
    for wrong in ["", "?user_id=", "?user_id=x"] {
        assert_eq!(
            service
                .get(&format!("/api/follows/status/{wrong}"))
                .fields(),
            ["user_id"]
        );
    }
    assert_eq!(
        service.get("/api/v1/follows/status/?user_id=9999").status,
        404
    );
}

#[test]
fn a_token_outlives_its_user_and_is_refused_then() {
    let service = Running::empty();
    let (owner, owner_id) = service.register("owner@example.org");
    let (token, me) = service.register("me@example.org");
    let flyer = service.flyer(&owner, "x", "events", "8001 Zürich");
    forget(&service, me);
    assert_eq!(like(&service, &token, flyer).status, 401);
    assert_eq!(follow(&service, &token, owner_id).status, 401);
    assert_eq!(
        delete(&service, Some(&token), &format!("{FAVORITES}{flyer}/")),
        401
    );
    assert_eq!(
        delete(&service, Some(&token), &format!("{FOLLOWS}{owner_id}/")),
        401
    );
    for path in ["/api/v1/favorites/feed/", "/api/v1/following/feed/"] {
        assert_eq!(service.get_as(&token, path).status, 401, "{path}");
    }
}

#[test]
fn many_at_once_make_one_pair() {
    let service = Running::empty();
    let (owner, owner_id) = service.register("owner@example.org");
    let (token, _) = service.register("me@example.org");
    let flyer = service.flyer(&owner, "x", "events", "8001 Zürich");
    let statuses: Vec<[u16; 2]> = std::thread::scope(|scope| {
        let both = || {
            [
                like(&service, &token, flyer).status,
                follow(&service, &token, owner_id).status,
            ]
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(both)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for which in 0..2 {
        let count = |status| statuses.iter().filter(|both| both[which] == status).count();
        assert_eq!((count(201), count(200)), (1, 7), "{statuses:?}");
    }
}

#[test]
fn seed_001_feeds_show_live_favorites_and_followed_creators_by_the_flyers_age() {
    let service = Running::empty();
    let (one, one_id) = service.register("one@example.org");
    let (two, _) = service.register("two@example.org");
    let (token, _) = service.register("me@example.org");
    let make = |who: &str| service.flyer(who, "x", "events", "8001 Zürich");
    let (first, second, third) = (make(&one), make(&two), make(&one));
    for path in ["/api/v1/favorites/feed/", "/api/v1/following/feed/"] {
        let page = service.get_as(&token, path).expect(200);
        assert_eq!((ids(&page).len(), &page["count"]), (0, &json!(0)), "{path}");
        assert_eq!(service.get(path).status, 401, "{path}");
    }
    // Liked in another order than they were made in.
    for flyer in [third, first, second] {
        like(&service, &token, flyer).expect(201);
    }
    follow(&service, &token, one_id).expect(201);
    assert_eq!(
        listed(&service, &token, "/api/favorites/feed"),
        [third, second, first]
    );
    assert_eq!(
        listed(&service, &token, "/api/following/feed"),
        [third, first]
    );
    let feed = |filter: &str| {
        listed(
            &service,
            &token,
            &format!("/api/v1/flyers/feed/?filter={filter}"),
        )
    };
    assert_eq!(feed("all"), [third, second, first]);
    assert_eq!(feed("favorites"), [third, second, first]);
    assert_eq!(feed("following"), [third, first]);
    assert_eq!(
        listed(&service, &token, "/api/favorites/feed/?filter=following"),
        [third, first]
    );
    // Over, it is hidden and stays a favorite; back, it is shown again.
    let (from, until) = Running::around_now();
    service.set_dates(third, from - (until - from), from);
    assert_eq!(feed("favorites"), [second, first]);
    assert_eq!(feed("following"), [first]);
    service.set_dates(third, from, until);
    assert_eq!(feed("favorites"), [third, second, first]);
}

#[test]
fn what_a_list_cannot_be_asked_for_is_named() {
    let service = Running::empty();
    let (token, _) = service.register("me@example.org");
    for (query, field) in [
        ("filter=mine", "filter"),
        ("sort=price", "sort"),
        ("sort=distance", "sort"),
        ("sort=smart", "sort"),
    ] {
        for path in ["flyers/feed", "favorites/feed", "following/feed"] {
            let answer = service.get_as(&token, &format!("/api/v1/{path}/?{query}"));
            assert_eq!(answer.fields(), [field], "{path} {query}");
        }
    }
    for filter in ["favorites", "following"] {
        let path = format!("/api/v1/flyers/feed/?filter={filter}");
        assert_eq!(service.get(&path).status, 401, "{filter}");
    }
    let smart = "/api/v1/flyers/feed/?sort=smart&lat=47.4&lng=8.5";
    service.flyer(&token, "a", "events", "8001 Zürich");
    service.flyer(&token, "b", "events", "8001 Zürich");
    let page = service.get(&format!("{smart}&page_size=1")).expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(service.get(&format!("{smart}&cursor={cursor}")).status, 200);
    let other = format!("/api/v1/flyers/feed/?lat=47.4&lng=8.5&cursor={cursor}");
    assert_eq!(service.get(&other).fields(), ["cursor"]);
}

#[test]
fn the_reach_of_near_me_can_be_set() {
    let gazetteer = std::sync::Arc::new(flyers::geocoder::Gazetteer);
    let service = Running::start(&[("NEAR_ME_RADIUS_KM", "25")], gazetteer);
    let (token, _) = service.register("me@example.org");
    let winterthur = service.flyer(&token, "w", "events", "8400 Winterthur");
    let near = "/api/v1/flyers/feed/?near_me=true&lat=47.3769&lng=8.5417";
    assert_eq!(ids(&service.get(near).expect(200)), [winterthur]);
    assert!(ids(&service.get(&format!("{near}&radius=5")).expect(200)).is_empty());
}

#[test]
fn pictures_of_a_card_have_ids_to_edit_them_by() {
    let service = Running::seeded(50);
    let page = service.get("/api/v1/flyers/feed/").expect(200);
    let images = page["results"][0]["images"].as_array().unwrap();
    assert!(
        !images.is_empty() && images.iter().all(|image| image["id"].is_i64()),
        "{images:?}"
    );
}

/// Statements of a numbered page that is not the last: flyers, count, pictures, categories.
const NUMBERED: u64 = 4;

#[test]
fn seed_001_feeds_run_the_same_statements_for_any_number_of_relations() {
    let service = Running::empty();
    crate::bulk::fill(&service, 5000);
    let (token, me) = service.register("me@example.org");
    for relations in [30, 300] {
        for sql in [
            "INSERT INTO favorites (user_id, flyer_id, created_at) SELECT $1, id, created_at FROM flyers WHERE id % 10 = 0 AND id <= 10 * $2 ON CONFLICT DO NOTHING",
            "INSERT INTO follows (follower_id, followed_id, created_at) SELECT $1, id, created_at FROM users WHERE id BETWEEN 2 AND 1 + $2 ON CONFLICT DO NOTHING",
        ] {
            service.run(query(sql).bind(me).bind(relations));
        }
        for path in [
            "favorites/feed/?x=1",
            "favorites/feed/?lat=47.4&lng=8.5",
            "favorites/feed/?sort=smart&lat=47.4&lng=8.5",
            "following/feed/?x=1",
            "following/feed/?lat=47.4&lng=8.5",
            "following/feed/?categories=events",
            "flyers/feed/?filter=following&sort=distance&lat=47.4&lng=8.5",
        ] {
            for size in [1, 20] {
                let path = format!("/api/v1/{path}&page_size={size}");
                let answer = service.get_as(&token, &path);
                let page = answer.expect(200);
                assert_eq!(ids(&page).len(), size, "{path}");
                let request = answer.seen();
                // Each card with its picture and some categories, one row ahead, the count.
                let budget = Budget::new().statements(NUMBERED).rows(size as u64 * 5 + 2);
                let seen =
                    Detectors::standard(Thresholds::tests()).inspect(&request, Some(&budget));
                if let Some(complaint) = testing::complaint(&budget, &request, &seen) {
                    panic!("{path}: {complaint}");
                }
                assert_eq!(request.statements.len() as u64, NUMBERED, "{path}");
            }
        }
        for (request, most) in [
            (like(&service, &token, 4999), 1),
            (like(&service, &token, 4999), 2),
            (follow(&service, &token, 450), 1),
            (follow(&service, &token, 450), 2),
        ] {
            assert!(request.seen().statements.len() <= most);
        }
        assert_eq!(
            delete(&service, Some(&token), &format!("{FAVORITES}4999/")),
            204
        );
        assert_eq!(
            delete(&service, Some(&token), &format!("{FOLLOWS}450/")),
            204
        );
    }
}
