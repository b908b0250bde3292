//! Listings sent from one user to another, and what both are told.

use chrono::TimeDelta;
use serde_json::{Value, json};
use service_kit::{clock::now, database::query};

use crate::running::{Running, id, wrong};

fn send(service: &Running, from: i64, to: i64, listing: i64) -> Value {
    let body = json!({ "recipient_id": to, "listing_id": listing, "message": "look" });
    service
        .post_by(from, "/api/v1/user-shares/", &body)
        .expect(201)
}

fn path(share: &Value) -> String {
    format!(
        "/api/v1/user-shares/{}/",
        share["share_token"].as_str().unwrap()
    )
}

#[test]
fn a_listing_that_is_sent_arrives_with_a_notification() {
    let service = Running::empty();
    let listing = service.listing("Dell OptiPlex", 200.0);
    let share = send(&service, 2, 3, listing);
    assert_eq!(
        (&share["is_viewed"], &share["is_expired"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(share["listing"]["cpu"]["name"], "i5-8500T");
    let inbox = service.get_by(3, "/api/v1/user-shares/").expect(200);
    assert_eq!(inbox[0], share);
    assert_eq!(
        service.get_by(2, "/api/v1/user-shares/sent/").expect(200)[0],
        share
    );
    assert_eq!(
        service.get_by(2, "/api/v1/user-shares/").expect(200),
        json!([])
    );
    let told = service.get_by(3, "/api/v1/notifications/").expect(200);
    assert_eq!(told["total"], 1);
    let told = &told["notifications"][0];
    assert_eq!(
        (&told["type"], &told["title"]),
        (
            &json!("share_received"),
            &json!("New deal from Second User")
        )
    );
    assert_eq!(
        told["message"],
        "Second User shared a deal with you: Dell OptiPlex"
    );
    // Somebody without a name is called by their user name.
    send(&service, 1, 3, listing);
    let told = service.get_by(3, "/api/v1/notifications/").expect(200);
    assert_eq!(told["notifications"][0]["title"], "New deal from user1");
}

#[test]
fn sending_to_nobody_oneself_or_of_nothing_is_refused_and_does_not_count() {
    let service = Running::empty();
    let listing = service.listing("A", 5.0);
    let post = |body: Value| service.post_by(1, "/api/v1/user-shares/", &body);
    for _ in 0..4 {
        for (recipient, listing, field) in [
            (1, listing, "recipient_id"),
            (99, listing, "recipient_id"),
            (2, 99, "listing_id"),
        ] {
            let answer =
                post(json!({ "recipient_id": recipient, "listing_id": listing })).expect(400);
            assert!(answer["error"]["details"].get(field).is_some(), "{answer}");
        }
    }
    assert_eq!(
        wrong(&post(json!({ "message": "x".repeat(501) }))),
        ["listing_id", "message", "recipient_id"]
    );
    assert_eq!(service.value::<i64>("SELECT count(*) FROM notification"), 0);
    let made = post(json!({ "recipient_id": 2, "listing_id": listing }));
    made.expect(201);
    assert_eq!(made.headers["x-ratelimit-remaining"], "9");
}

#[test]
fn ten_in_any_hour_however_many_try_at_once() {
    let service = Running::empty();
    let listing = service.listing("A", 5.0);
    let body = json!({ "recipient_id": 2, "listing_id": listing });
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..15)
            .map(|_| scope.spawn(|| service.post_by(1, "/api/v1/user-shares/", &body)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    let sent = answers.iter().filter(|answer| answer.status == 201).count();
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert_eq!((sent, refused.len()), (10, 5));
    let headers = &refused[0].headers;
    assert_eq!(
        (
            headers["x-ratelimit-limit"].to_str().unwrap(),
            headers["x-ratelimit-remaining"].to_str().unwrap()
        ),
        ("10", "0")
    );
    let wait: i64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert!(refused[0].json()["error"]["details"]["reset_at"].is_string());
    assert_eq!(service.value::<i64>("SELECT count(*) FROM user_share"), 10);
    // The window slides: when the first one is an hour old, there is room for one.
    let first = service.value::<i64>("SELECT min(id) FROM user_share");
    let past = now() - TimeDelta::minutes(61);
    service.run(
        query("UPDATE user_share SET created_at = $1 WHERE id = $2")
            .bind(past)
            .bind(first),
    );
    assert_eq!(
        service.post_by(1, "/api/v1/user-shares/", &body).status,
        201
    );
    assert_eq!(
        service.post_by(1, "/api/v1/user-shares/", &body).status,
        429
    );
    assert_eq!(
        service.post_by(3, "/api/v1/user-shares/", &body).status,
        201
    );
}

#[test]
fn the_inbox_is_filtered_and_the_first_look_of_the_recipient_counts() {
    let service = Running::empty();
    let listing = service.listing("A", 5.0);
    let shares: Vec<_> = (0..3).map(|_| send(&service, 1, 2, listing)).collect();
    let inbox = |query: &str| {
        let list = service
            .get_by(2, &format!("/api/v1/user-shares/?{query}"))
            .expect(200);
        list.as_array().unwrap().iter().map(id).collect::<Vec<_>>()
    };
    let ids: Vec<_> = shares.iter().map(id).collect();
    assert_eq!(inbox("filter=unviewed"), [ids[2], ids[1], ids[0]]);
    // The sender and others look without being noted.
    for user in [1, 3] {
        service.get_by(user, &path(&shares[0])).expect(200);
    }
    assert_eq!(inbox("filter=unviewed").len(), 3);
    let first = service.get_by(2, &path(&shares[0])).expect(200)["viewed_at"].clone();
    assert!(first.is_string());
    assert_eq!(
        service.get_by(2, &path(&shares[0])).expect(200)["viewed_at"],
        first
    );
    assert_eq!(inbox("filter=unviewed"), [ids[2], ids[1]]);
    let import = service.post_by(2, &format!("{}import/", path(&shares[1])), &json!({}));
    import.expect(201);
    assert_eq!(inbox("filter=active"), [ids[2], ids[0]]);
    let past = now() - TimeDelta::seconds(1);
    service.run(
        query("UPDATE user_share SET expires_at = $1 WHERE id = $2")
            .bind(past)
            .bind(ids[2]),
    );
    assert_eq!(inbox("filter=active"), [ids[0]]);
    assert_eq!(inbox("filter=all&limit=2&skip=1"), [ids[1], ids[0]]);
    // After its end only the two see it, and see that it ended.
    for (user, status) in [(1, 200), (2, 200), (3, 404)] {
        let answer = service.get_by(user, &path(&shares[2]));
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["is_expired"] == true, status == 200);
    }
    assert_eq!(
        wrong(&service.get_by(2, "/api/v1/user-shares/?filter=new")),
        ["filter"]
    );
    assert_eq!(
        service.get_by(2, "/api/v1/user-shares/nothing/").status,
        404
    );
}

#[test]
fn what_was_sent_is_taken_into_a_collection_and_the_sender_is_told() {
    let service = Running::empty();
    let listing = service.listing("A", 5.0);
    let share = send(&service, 2, 3, listing);
    let import =
        |user: i64, body: Value| service.post_by(user, &format!("{}import/", path(&share)), &body);
    assert_eq!(import(4, json!({})).status, 403);
    let item = import(3, json!({})).expect(201);
    assert_eq!(
        (&item["notes"], &item["listing_id"]),
        (&json!("Shared: look"), &json!(listing))
    );
    let collection = service
        .get_by(
            3,
            &format!("/api/v1/collections/{}/", item["collection_id"]),
        )
        .expect(200);
    assert_eq!(
        (&collection["name"], &collection["visibility"]),
        (&json!("My Deals"), &json!("private"))
    );
    assert_eq!(
        collection["description"],
        "Default collection for saved deals"
    );
    let told = service
        .get_by(2, "/api/v1/notifications/?notification_type=share_imported")
        .expect(200);
    assert_eq!(told["notifications"][0]["message"], "user3 saved your deal");
    // Again: it is there; another collection takes it; another user's does not.
    assert_eq!(import(3, json!({})).status, 409);
    let own = service.collection(3, "private", 0);
    import(3, json!({ "collection_id": own })).expect(201);
    let foreign = service.collection(1, "private", 0);
    assert_eq!(import(3, json!({ "collection_id": foreign })).status, 403);
    assert_eq!(import(3, json!({ "collection_id": 999 })).status, 404);
    let told = service.get_by(2, "/api/v1/notifications/").expect(200);
    assert_eq!(told["total"], 2, "what failed told nobody");
    service.execute("UPDATE user_share SET expires_at = shared_at");
    assert_eq!(import(3, json!({ "collection_id": own })).status, 400);
}

#[test]
fn anybody_takes_what_a_link_shows() {
    let service = Running::empty();
    let link = service.share(1, service.listing("A", 5.0));
    let token = link.rsplit('/').next().unwrap();
    let import = |token: &str| {
        service.post_by(
            4,
            &format!("/api/v1/user-shares/{token}/import/"),
            &json!({}),
        )
    };
    let item = import(token).expect(201);
    assert_eq!(item["notes"], Value::Null);
    assert_eq!(import("nothing").status, 400);
    service.execute("UPDATE listing_share SET expires_at = created_at");
    assert_eq!(import(token).status, 400);
    assert_eq!(service.value::<i64>("SELECT count(*) FROM notification"), 0);
}

#[test]
fn notifications_are_read_counted_and_thrown_away_by_their_user_alone() {
    let service = Running::empty();
    let listing = service.listing("A", 5.0);
    for _ in 0..5 {
        send(&service, 1, 2, listing);
    }
    let list = |query: &str| {
        service
            .get_by(2, &format!("/api/v1/notifications/?{query}"))
            .expect(200)
    };
    let unread = || {
        service
            .get_by(2, "/api/v1/notifications/unread-count/")
            .expect(200)["unread_count"]
            .as_i64()
    };
    assert_eq!(
        (
            &list("limit=2")["total"],
            list("limit=2")["notifications"].as_array().unwrap().len()
        ),
        (&json!(5), 2)
    );
    assert_eq!(list("limit=2&offset=4")["total"], 5);
    assert_eq!(list("limit=2&offset=8")["total"], 5);
    assert_eq!(unread(), Some(5));
    let ids: Vec<_> = list("")["notifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(id)
        .collect();
    let at = |id: i64, end: &str| format!("/api/v1/notifications/{id}/{end}");
    let read = service
        .patch_by(2, &at(ids[0], "read/"), &Value::Null)
        .expect(200);
    let again = service
        .post_by(2, &at(ids[0], "read/"), &json!({}))
        .expect(200);
    assert_eq!(read["read_at"], again["read_at"]);
    assert_eq!(
        (unread(), list("unread_only=true")["total"].as_i64()),
        (Some(4), Some(4))
    );
    for (user, id, status) in [(1, ids[1], 403), (2, 999, 404)] {
        assert_eq!(
            service
                .patch_by(user, &at(id, "read/"), &Value::Null)
                .status,
            status
        );
        assert_eq!(service.delete_by(user, &at(id, "")).status, status);
    }
    assert_eq!(service.delete_by(2, &at(ids[1], "")).status, 204);
    assert_eq!(
        service
            .post_by(2, "/api/v1/notifications/read-all/", &json!({}))
            .expect(200)["count"],
        3
    );
    assert_eq!(
        service
            .post_by(2, "/api/v1/notifications/mark-all-read/", &json!({}))
            .expect(200)["count"],
        0
    );
    let clean = |body: Value| service.post_by(2, "/api/v1/notifications/cleanup/", &body);
    assert_eq!(clean(json!({})).expect(200)["count"], 0);
    let past = now() - TimeDelta::days(40);
    service.run(query("UPDATE notification SET created_at = $1").bind(past));
    assert_eq!(clean(json!({ "days_old": 41 })).expect(200)["count"], 0);
    assert_eq!(clean(json!({ "days_old": 30 })).expect(200)["count"], 4);
    assert_eq!(wrong(&clean(json!({ "days_old": 0 }))), ["days_old"]);
}
