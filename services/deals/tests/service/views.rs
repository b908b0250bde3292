//! Every view counts, once.

use std::time::{Duration, Instant};

use serde_json::json;
use service_kit::{database::query, testing::Place};

use crate::running::Running;

/// What the database has, once everything that waits is stored.
fn stored(service: &Running) -> (i64, i64) {
    let count = "SELECT view_count, crawler_views FROM listing_share";
    service.rows::<(i64, i64)>(query(count))[0]
}

fn wait_for(service: &Running, views: i64) -> i64 {
    let until = Instant::now() + Duration::from_secs(10);
    while stored(service).0 < views && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    stored(service).0
}

#[test]
fn twenty_hits_count_twenty_views_and_each_answer_says_its_own() {
    let service = Running::empty();
    let link = service.share(1, service.listing("A", 5.0));
    let shown: Vec<_> = (0..20)
        .map(|_| {
            service.get(&link).expect(200)["view_count"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert_eq!(shown, (1..=20).collect::<Vec<_>>());
    assert_eq!(wait_for(&service, 20), 20);
    // After they are stored, too.
    assert_eq!(service.get(&link).expect(200)["view_count"], 21);
}

#[test]
fn views_of_crawlers_count_as_views_and_are_told_apart_and_a_head_is_none() {
    let service = Running::empty();
    let link = service.share(1, service.listing("A", 5.0));
    let json = ("accept", "application/json");
    for agent in ["Twitterbot/1.0", "Firefox", "facebookexternalhit/1.1"] {
        service
            .get_with(&link, &[json, ("user-agent", agent)])
            .expect(200);
    }
    assert_eq!(service.send_with("HEAD", &link, &[], b"").status, 200);
    wait_for(&service, 3);
    assert_eq!(stored(&service), (3, 2));
}

#[test]
fn simultaneous_views_are_all_counted() {
    let service = Running::empty();
    let link = service.share(1, service.listing("A", 5.0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| drop(service.get(&link).expect(200))));
        }
    });
    assert_eq!(wait_for(&service, 400), 400);
}

#[test]
fn nothing_is_lost_when_the_service_is_told_to_stop() {
    let place = Place::new(crate::DIALECT);
    let (url, keeper) = (place.url().to_owned(), Running::at(place, &[]));
    let mut service = keeper.beside(&[("DATABASE_URL", &url)]);
    let user =
        "INSERT INTO \"user\" (id, username, created_at, updated_at) VALUES (1, 'u', $1, $1)";
    service.run(query(user).bind(service_kit::clock::now()));
    let body = json!({ "title": "A" });
    let listing = service.post_by(1, "/api/v1/listings/", &body).expect(201)["id"]
        .as_i64()
        .unwrap();
    let link = service.share(1, listing);
    for _ in 0..7 {
        service.get(&link).expect(200);
    }
    service.tell_to_stop();
    service.ended().unwrap();
    assert_eq!(stored(&keeper).0, 7);
}

#[test]
fn views_wait_while_the_database_cannot_store_them() {
    let service = Running::empty();
    let link = service.share(1, service.listing("A", 5.0));
    service.get(&link).expect(200);
    assert_eq!(wait_for(&service, 1), 1);
    service.execute("ALTER TABLE listing_share RENAME COLUMN crawler_views TO aside");
    for _ in 0..5 {
        service.get(&link).expect(200);
    }
    std::thread::sleep(Duration::from_millis(1500));
    service.execute("ALTER TABLE listing_share RENAME COLUMN aside TO crawler_views");
    assert_eq!(service.get(&link).expect(200)["view_count"], 7);
    assert_eq!(wait_for(&service, 7), 7);
}

#[test]
fn popular_collections_are_those_whose_links_were_looked_at() {
    let service = Running::empty();
    let made: Vec<_> = (0..3).map(|_| service.collection(1, "public", 0)).collect();
    for (collection, looks) in [(made[0], 2), (made[1], 5)] {
        let path = format!("/api/v1/collections/{collection}/share-tokens/");
        let token = service.post_by(1, &path, &json!({})).expect(201)["token"].clone();
        for _ in 0..looks {
            let path = format!("/api/v1/collections/shared/{}/", token.as_str().unwrap());
            service.get(&path).expect(200);
        }
    }
    let until = Instant::now() + Duration::from_secs(10);
    while service.value::<i64>("SELECT max(share_views) FROM collection") < 5
        && Instant::now() < until
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let popular = service
        .get("/api/v1/collections/discover/?sort=popular")
        .expect(200);
    let ids: Vec<_> = popular
        .as_array()
        .unwrap()
        .iter()
        .map(crate::running::id)
        .collect();
    assert_eq!(ids, [made[1], made[0], made[2]]);
    assert_eq!(
        service.value::<i64>("SELECT max(view_count) FROM collection_share_token"),
        5
    );
}
