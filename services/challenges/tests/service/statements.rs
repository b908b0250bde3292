//! How many statements a request takes: two to read, however much there is; a fixed number to write.

use serde_json::{Value, json};

use crate::running::{Running, habit, text, user};

/// A user with so many of everything.
fn with(count: u8) -> (Running, Vec<String>) {
    let service = Running::new();
    let challenge = service.challenge(1, &[1, 2, 3, 4]);
    for number in 0..count {
        let id = 100 + number;
        service.add(user(id), &format!("member{id}"));
        if number < 5 {
            service.join(id, &challenge).expect(200);
            service.check_in(id, &challenge, 1).expect(201);
        }
        service.befriend(id, 1);
        let waits = 150 + number;
        service.add(user(waits), &format!("waiting{waits}"));
        service
            .post_by(
                waits,
                "/friends/request/",
                &json!({ "addressee_id": user(1) }),
            )
            .expect(201);
        service.challenge(1, &[1]);
    }
    let made = service.check_in(1, &challenge, 2).expect(201);
    let id = text(&challenge["id"]);
    let checkin = text(&made["checkin"]["id"]);
    let paths = [
        "/users/me/".to_owned(),
        format!("/users/{}/", user(100)),
        "/users/search/?q=member".to_owned(),
        "/habits/".to_owned(),
        "/challenges/".to_owned(),
        "/challenges/?limit=1".to_owned(),
        "/challenges/?status_filter=active&page=2&limit=1".to_owned(),
        format!("/challenges/{id}/"),
        format!("/challenges/{id}/members/"),
        format!("/challenges/{id}/progress/"),
        format!("/checkins/challenges/{id}/today/"),
        "/checkins/".to_owned(),
        "/checkins/?limit=1".to_owned(),
        format!("/checkins/{checkin}/"),
        "/friends/".to_owned(),
        "/friends/?status_filter=all".to_owned(),
        "/friends/requests/".to_owned(),
        "/notifications/".to_owned(),
        "/notifications/?unread_only=true&limit=1".to_owned(),
        "/notifications/unread/count/".to_owned(),
        "/stats/history/".to_owned(),
        format!("/stats/challenges/{id}/"),
        format!("/stats/leaderboard/{id}/"),
        "/stats/dashboard/".to_owned(),
    ];
    (service, paths.to_vec())
}

/// How many statements each path takes of a user whom nobody has cached.
fn counts(count: u8) -> Vec<(String, usize)> {
    let (service, paths) = with(count);
    let names = paths.into_iter().map(|path| {
        service
            .patch_by(1, "/users/me/", &json!({ "bio": path }))
            .expect(200);
        service.challenge(1, &[1]);
        let answer = service.get_by(1, &path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let route = path.replace(|c: char| c.is_ascii_hexdigit() || c == '-', "");
        (route, answer.statements().len())
    });
    names.collect()
}

#[test]
fn seed_003_a_read_takes_two_statements_at_most_however_much_there_is() {
    let (few, many) = (counts(1), counts(20));
    assert_eq!(few.len(), many.len());
    for ((route, few), (_, many)) in few.into_iter().zip(many) {
        assert!(few <= 2 && many <= 2, "{route}: {few} and {many}");
    }
}

/// Statements of a write, without those that read what it answers.
fn written(answer: &crate::running::Answer) -> usize {
    assert!(answer.status < 300, "{}", answer.text);
    answer.statements().len()
}

#[test]
fn a_write_is_one_transaction_of_a_fixed_number_of_statements() {
    let few = writes(1);
    let many = writes(5);
    assert_eq!(few, many);
    for (what, count) in few {
        assert!(count <= 9, "{what}: {count}");
    }
}

fn writes(members: u8) -> Vec<(&'static str, usize)> {
    let service = Running::new();
    let challenge = service.challenge(1, &[1, 2]);
    for number in 2..2 + members.min(4) {
        service.join(number, &challenge).expect(200);
    }
    service.add(user(99), "last");
    let id = text(&challenge["id"]).to_owned();
    let habits: Vec<Value> = (1..=members.min(4))
        .map(|number| json!(habit(number)))
        .collect();
    let new = json!({ "name": "x", "start_date": challenge["start_date"], "end_date": challenge["end_date"], "habit_ids": habits });
    let targets: Vec<_> = (2..2 + members.min(4)).map(user).collect();
    let hitch = json!({ "challenge_id": id, "habit_id": habit(1), "target_user_ids": targets });
    let made = service.check_in(1, &challenge, 1);
    let checkin = text(&made.json()["checkin"]["id"]).to_owned();
    let completed = json!({ "status": "completed" });
    vec![
        ("create", written(&service.post_by(1, "/challenges/", &new))),
        ("join", written(&service.join(99, &challenge))),
        (
            "leave",
            written(&service.post_by(99, &format!("/challenges/{id}/leave/"), &json!({}))),
        ),
        ("check in", written(&made)),
        (
            "take back",
            written(&service.delete_by(1, &format!("/checkins/{checkin}/"))),
        ),
        ("hitch", written(&service.post_by(1, "/hitch/", &hitch))),
        (
            "complete",
            written(&service.patch_by(1, &format!("/challenges/{id}/"), &completed)),
        ),
    ]
}
