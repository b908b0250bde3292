//! What people are told.

use serde_json::{Value, json};

use crate::running::{Running, refused, text, user, wrong};

/// A user who was told five things.
fn told() -> (Running, Vec<Value>) {
    let service = Running::new();
    for other in 2..=6 {
        let body = json!({ "addressee_id": user(1) });
        service
            .post_by(other, "/friends/request/", &body)
            .expect(201);
    }
    let items = service.get_by(1, "/notifications/").expect(200)["items"].clone();
    (service, items.as_array().unwrap().clone())
}

#[test]
fn they_come_in_pages_the_newest_first() {
    let (service, items) = told();
    assert_eq!(items.len(), 5);
    assert_eq!(items[0]["body"], "user6 sent you a friend request");
    assert_eq!(items[0]["action_url"], "/friends/requests");
    assert_eq!(items[0]["data"]["requester_id"], json!(user(6)));
    let list = |query: &str| {
        service
            .get_by(1, &format!("/notifications?{query}"))
            .expect(200)
    };
    let second = list("limit=2&page=2");
    assert_eq!(second["items"], json!(items[2..4]));
    assert_eq!((&second["total"], &second["pages"]), (&json!(5), &json!(3)));
    let cursor = list("limit=2")["next_cursor"].clone();
    assert_eq!(
        list(&format!("limit=2&cursor={}", text(&cursor)))["items"],
        second["items"]
    );
    for query in [
        "limit=0",
        "page=0",
        "limit=x",
        "unread_only=perhaps",
        "limit=101",
    ] {
        assert_eq!(
            service
                .get_by(1, &format!("/notifications/?{query}"))
                .status,
            422,
            "{query}"
        );
    }
}

#[test]
fn what_is_read_is_counted_once() {
    let (service, items) = told();
    let unread = || {
        service
            .get_by(1, "/notifications/unread/count/")
            .expect(200)["count"]
            .clone()
    };
    assert_eq!(unread(), 5);
    let mark = |number: u8, ids: Value| {
        service.post_by(
            number,
            "/notifications/mark-read/",
            &json!({ "notification_ids": ids }),
        )
    };
    let two = json!([items[0]["id"], items[1]["id"], user(9)]);
    assert_eq!(
        mark(2, two.clone()).expect(200)["message"],
        "Marked 0 notification(s) as read"
    );
    assert_eq!(
        mark(1, two.clone()).expect(200)["message"],
        "Marked 2 notification(s) as read"
    );
    assert_eq!(
        mark(1, two).expect(200)["message"],
        "Marked 0 notification(s) as read"
    );
    assert_eq!(unread(), 3);
    let listed = service
        .get_by(1, "/notifications/?unread_only=true&limit=2")
        .expect(200);
    assert_eq!(
        (&listed["total"], &listed["items"][0]),
        (&json!(3), &items[2])
    );
    let read = service.get_by(1, "/notifications/?limit=1").expect(200);
    assert_eq!(read["items"][0]["is_read"], true);
    assert!(read["items"][0]["read_at"].is_string());
    let all = service
        .post_by(1, "/notifications/mark-all-read", &json!({}))
        .expect(200);
    assert_eq!(all["message"], "Marked 3 notification(s) as read");
    assert_eq!(unread(), 0);
    assert_eq!(wrong(&mark(1, json!([]))), ["body.notification_ids"]);
    assert_eq!(
        wrong(&mark(1, json!(vec![user(1); 101]))),
        ["body.notification_ids"]
    );
    assert_eq!(wrong(&mark(1, json!(["x"]))), ["body.notification_ids"]);
}

#[test]
fn only_ones_own_are_thrown_away() {
    let (service, items) = told();
    let path = format!("/notifications/{}/", text(&items[0]["id"]));
    assert_eq!(service.delete_by(2, &path).status, 404);
    assert_eq!(service.delete_by(1, &path).status, 204);
    assert_eq!(
        refused(&service.delete_by(1, &path), 404),
        "Notification not found"
    );
    assert_eq!(service.get_by(1, "/notifications/").expect(200)["total"], 4);
}

#[test]
fn a_device_is_named_by_a_token_of_expo() {
    let service = Running::new();
    let register = |token: &str| {
        service.post_by(
            1,
            "/notifications/register-push-token/",
            &json!({ "token": token, "device_type": "ios" }),
        )
    };
    assert_eq!(register("ExponentPushToken[abc]").status, 200);
    let stored: String =
        service.value("SELECT push_token FROM user_profiles WHERE display_name = 'user1'");
    assert_eq!(stored, "ExponentPushToken[abc]");
    for token in ["abc", "ExponentPushToken[]", "ExponentPushToken[abc"] {
        assert_eq!(
            refused(&register(token), 400),
            "Invalid Expo push token format"
        );
    }
    assert_eq!(
        service.delete_by(1, "/notifications/push-token").status,
        200
    );
    let left: i64 =
        service.value("SELECT count(*) FROM user_profiles WHERE push_token IS NOT NULL");
    assert_eq!(left, 0);
}
