//! What is cached is answered without a statement, and right after every change.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use throwaway::Redis;

use crate::running::{Running, text, user};

#[test]
fn seed_003_a_hit_asks_the_database_nothing() {
    let service = Running::new();
    service.challenge(1, &[1]);
    for path in [
        "/users/me/",
        "/users/me/stats/",
        "/auth/me/",
        "/challenges/",
        "/challenges/?limit=5&status_filter=active",
    ] {
        service.get_by(1, path).expect(200);
        let hit = service.get_by(1, path);
        assert_eq!(hit.statements(), Vec::<String>::new(), "{path}");
    }
    let other = service.get_by(2, "/users/me/");
    assert_eq!(other.statements().len(), 1);
}

/// What a change may touch, as two users see it.
fn seen(service: &Running, number: u8) -> [Value; 2] {
    ["/users/me/", "/challenges/"].map(|path| service.get_by(number, path).expect(200))
}

/// What happens, and whether the first and the second user see their profile and their challenges
/// change.
type Change<'c> = (&'c str, Box<dyn FnMut(&Running) + 'c>, [[bool; 2]; 2]);

#[test]
fn seed_003_every_change_is_seen_by_all_whom_it_concerns_at_once() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    service.join(2, &challenge).expect(200);
    let path = format!("/challenges/{}/", text(&challenge["id"]));
    let mut made = Value::Null;
    let friend = json!({ "addressee_id": user(2) });
    let asked = service.post_by(1, "/friends/request/", &friend).expect(201);
    let respond = format!("/friends/requests/{}/respond/", text(&asked["id"]));
    let mut changes: Vec<Change<'_>> = vec![
        (
            "profile",
            Box::new(|service| {
                service
                    .patch_by(1, "/users/me/", &json!({ "bio": "x" }))
                    .expect(200);
            }),
            [[true, false], [false, false]],
        ),
        (
            "check-in",
            Box::new(|service| {
                made = service.check_in(2, &challenge, 1).expect(201);
            }),
            [[false, false], [true, true]],
        ),
        (
            "joined",
            Box::new(|service| {
                service.join(3, &challenge).expect(200);
            }),
            [[false, true], [false, true]],
        ),
        (
            "name",
            Box::new(|service| {
                service
                    .patch_by(1, &path, &json!({ "name": "New" }))
                    .expect(200);
            }),
            [[false, true], [false, true]],
        ),
        (
            "completed",
            Box::new(|service| {
                service
                    .patch_by(1, &path, &json!({ "status": "completed" }))
                    .expect(200);
            }),
            [[true, true], [true, true]],
        ),
        (
            "friends",
            Box::new(|service| {
                service
                    .post_by(2, &respond, &json!({ "action": "accept" }))
                    .expect(200);
            }),
            [[true, false], [true, false]],
        ),
        (
            "no friends",
            Box::new(|service| {
                service
                    .delete_by(1, &format!("/friends/{}/", user(2)))
                    .expect(200);
            }),
            [[true, false], [true, false]],
        ),
        (
            "left",
            Box::new(|service| {
                service
                    .post_by(3, &format!("{path}leave/"), &json!({}))
                    .expect(200);
            }),
            [[false, true], [false, true]],
        ),
        (
            "made",
            Box::new(|service| {
                service.challenge(1, &[2]);
            }),
            [[true, true], [false, false]],
        ),
    ];
    for (what, change, expected) in &mut changes {
        let before = [1, 2].map(|number| seen(&service, number));
        change(&service);
        let after = [1, 2].map(|number| seen(&service, number));
        let differs: [[bool; 2]; 2] = std::array::from_fn(|one| {
            std::array::from_fn(|place| before[one][place] != after[one][place])
        });
        assert_eq!(differs, *expected, "{what}");
    }
    drop(changes);
    let before = seen(&service, 2);
    let path = format!("/checkins/{}/", text(&made["checkin"]["id"]));
    assert_eq!(service.delete_by(2, &path).status, 204);
    let after = seen(&service, 2);
    assert!(before[0] != after[0] && before[1] != after[1]);
}

#[test]
fn two_processes_over_one_redis_see_each_others_changes_and_none_needs_it() {
    let mut redis = Redis::start().unwrap();
    let url = redis.url();
    let one = Running::with(&[("REDIS_URL", &url)]);
    let other = one.beside(&[("REDIS_URL", &url)]);
    let until = Instant::now() + Duration::from_secs(10);
    while ![&one, &other]
        .iter()
        .all(|service| service.state.cache().stats().lease_valid)
    {
        assert!(Instant::now() < until, "the cache does not become ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    let challenge = one.challenge(1, &[1]);
    let agree = |streak: i64| {
        let lists = [&one, &other].map(|service| service.get_by(1, "/challenges/").expect(200));
        assert_eq!(lists[0], lists[1]);
        assert_eq!(lists[0]["challenges"][0]["current_streak"], streak);
        let bios = [&one, &other].map(|service| service.get_by(1, "/users/me/").expect(200));
        assert_eq!(bios[0], bios[1]);
    };
    agree(0);
    other.check_in(1, &challenge, 1).expect(201);
    agree(1);
    for number in 0..20 {
        let (writer, bio) = ([&one, &other][number % 2], number.to_string());
        writer
            .patch_by(1, "/users/me/", &json!({ "bio": bio }))
            .expect(200);
        agree(1);
    }
    redis.kill();
    one.patch_by(1, "/users/me/", &json!({ "bio": "without" }))
        .expect(200);
    agree(1);
    assert_eq!(other.get_by(1, "/users/me/").expect(200)["bio"], "without");
}
