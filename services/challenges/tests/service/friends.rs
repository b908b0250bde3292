//! Asking to be friends, answering, ending it.

use serde_json::{Value, json};

use crate::running::{Answer, Running, refused, text, user, wrong};

fn ask(service: &Running, one: u8, other: u8) -> Answer {
    service.post_by(
        one,
        "/friends/request/",
        &json!({ "addressee_id": user(other) }),
    )
}

fn answer(service: &Running, number: u8, friendship: &Value, action: &str) -> Answer {
    let path = format!("/friends/requests/{}/respond/", text(&friendship["id"]));
    service.post_by(number, &path, &json!({ "action": action }))
}

#[test]
fn two_people_become_friends_and_both_are_told_and_counted() {
    let service = Running::new();
    let asked = ask(&service, 1, 2).expect(201);
    assert_eq!(
        (&asked["requester_id"], &asked["status"]),
        (&json!(user(1)), &json!("pending"))
    );
    assert_eq!(
        refused(&ask(&service, 1, 2), 400),
        "Friend request already sent"
    );
    assert_eq!(
        refused(&ask(&service, 2, 1), 400),
        "This user has already sent you a friend request"
    );
    let waiting = service.get_by(2, "/friends/requests").expect(200);
    assert_eq!(
        (&waiting["received_count"], &waiting["sent_count"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(waiting["received"][0]["requester_display_name"], "user1");
    let sent = service.get_by(1, "/friends/requests/").expect(200);
    assert_eq!(sent["sent"][0]["requester_display_name"], "user2");
    assert_eq!(answer(&service, 1, &asked, "accept").status, 403);
    assert_eq!(
        wrong(&answer(&service, 2, &asked, "maybe")),
        ["body.action"]
    );
    let count = |number: u8| {
        service.get_by(number, "/users/me/").expect(200)["stats"]["friend_count"].clone()
    };
    assert_eq!([1, 2].map(count), [0, 0]);
    let accepted = answer(&service, 2, &asked, "accept").expect(200);
    assert_eq!(accepted["status"], "accepted");
    assert_eq!([1, 2].map(count), [1, 1]);
    assert_eq!(answer(&service, 2, &asked, "reject").status, 400);
    assert_eq!(
        refused(&ask(&service, 2, 1), 400),
        "You are already friends"
    );
    let told = |number: u8| {
        service.get_by(number, "/notifications/").expect(200)["items"][0]["type"].clone()
    };
    assert_eq!(told(1), "friend_accepted");
    assert_eq!(told(2), "friend_request");
    let friends = service.get_by(2, "/friends/").expect(200);
    assert_eq!(
        (&friends["total"], &friends["friends"][0]["id"]),
        (&json!(1), &json!(user(1)))
    );
    assert!(friends["friends"][0]["became_friends_at"].is_string());
    let path = format!("/friends/{}/", user(2));
    assert_eq!(service.delete_by(1, &path).expect(200)["success"], true);
    assert_eq!([1, 2].map(count), [0, 0]);
    assert_eq!(
        refused(&service.delete_by(1, &path), 404),
        "Friendship not found"
    );
}

#[test]
fn what_was_rejected_can_be_asked_again_from_either_side() {
    let service = Running::new();
    let asked = ask(&service, 1, 2).expect(201);
    answer(&service, 2, &asked, "reject").expect(200);
    let again = ask(&service, 1, 2).expect(201);
    assert_eq!(again["id"], asked["id"]);
    answer(&service, 2, &again, "reject").expect(200);
    let back = ask(&service, 2, 1).expect(201);
    assert_eq!(
        (&back["requester_id"], &back["status"]),
        (&json!(user(2)), &json!("pending"))
    );
    assert_eq!(answer(&service, 2, &back, "accept").status, 403);
    answer(&service, 1, &back, "accept").expect(200);
}

#[test]
fn who_is_blocked_asks_no_more_and_cannot_end_it() {
    let service = Running::new();
    let asked = ask(&service, 1, 2).expect(201);
    answer(&service, 2, &asked, "block").expect(200);
    assert_eq!(ask(&service, 1, 2).status, 403);
    assert_eq!(ask(&service, 2, 1).status, 400);
    assert_eq!(
        service
            .delete_by(1, &format!("/friends/{}", user(2)))
            .status,
        403
    );
    service
        .delete_by(2, &format!("/friends/{}", user(1)))
        .expect(200);
    ask(&service, 1, 2).expect(201);
}

#[test]
fn one_cannot_ask_oneself_or_nobody() {
    let service = Running::new();
    assert_eq!(ask(&service, 1, 1).status, 400);
    assert_eq!(ask(&service, 1, 99).status, 404);
    assert_eq!(
        service
            .delete_by(1, &format!("/friends/{}/", user(1)))
            .status,
        400
    );
    assert_eq!(
        wrong(&service.post_by(1, "/friends/request/", &json!({}))),
        ["body.addressee_id"]
    );
    assert_eq!(
        wrong(&service.post_by(1, "/friends/request/", &json!({ "addressee_id": "x" }))),
        ["body.addressee_id"]
    );
}

#[test]
fn friends_are_listed_with_the_challenges_that_are_active() {
    let service = Running::new();
    for other in [2, 3, 4] {
        service.befriend(1, other);
    }
    ask(&service, 5, 1).expect(201);
    let challenge = service.challenge(2, &[1]);
    let second = service.challenge(2, &[1]);
    let path = format!("/challenges/{}/", text(&second["id"]));
    service
        .patch_by(2, &path, &json!({ "status": "completed" }))
        .expect(200);
    service.join(3, &challenge).expect(200);
    let list = |query: &str| service.get_by(1, &format!("/friends/?{query}")).expect(200);
    let friends = list("");
    let active: Vec<_> = friends["friends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["active_challenges"].clone())
        .collect();
    assert_eq!(active, [json!(0), json!(1), json!(1)]);
    assert_eq!(friends["total"], 3);
    assert_eq!(
        list("status_filter=pending")["friends"][0]["id"],
        json!(user(5))
    );
    assert_eq!(list("status_filter=all")["total"], 4);
    let second = list("limit=2&page=2");
    assert_eq!(
        (
            &second["total"],
            second["friends"].as_array().unwrap().len()
        ),
        (&json!(3), 1)
    );
    assert_eq!(list("limit=2&page=3")["total"], 3);
    assert_eq!(
        wrong(&service.get_by(1, "/friends/?status_filter=x")),
        ["query.status_filter"]
    );
}
