//! Checking in: streaks, points, evidence, taking it back.

use serde_json::{Value, json};

use crate::running::{Running, day, habit, refused, text, user, wrong};

/// Streak, points and check-ins of the user in the challenge, and over all challenges.
fn numbers(service: &Running, number: u8, challenge: &Value) -> [[i64; 4]; 2] {
    let path = format!("/challenges/{}/", text(&challenge["id"]));
    let detail = service.get_by(number, &path).expect(200);
    let profile = service.get_by(number, "/users/me/stats/").expect(200);
    let of = |value: &Value, names: [&str; 4]| names.map(|name| value[name].as_i64().unwrap());
    [
        of(
            &detail["my_stats"],
            [
                "current_streak",
                "longest_streak",
                "points_earned",
                "total_checkins",
            ],
        ),
        of(
            &profile,
            [
                "current_streak",
                "longest_streak",
                "points",
                "total_check_ins",
            ],
        ),
    ]
}

#[test]
fn a_check_in_earns_points_and_a_day_of_the_streak_once() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1, 2]);
    let first = service.check_in(1, &challenge, 1).expect(201);
    assert_eq!(
        (&first["new_streak"], &first["points_earned"]),
        (&json!(1), &json!(10))
    );
    assert_eq!(first["is_streak_broken"], false);
    assert_eq!(
        first["message"],
        "Check-in successful! Current streak: 1 days! Earned 10 points."
    );
    assert_eq!(first["checkin"]["checkin_date"], json!(day(0)));
    let again = refused(&service.check_in(1, &challenge, 1), 400);
    assert_eq!(again, "Already checked in today");
    service.check_in(1, &challenge, 2).expect(201);
    assert_eq!(numbers(&service, 1, &challenge), [[1, 1, 20, 2]; 2]);
    service.days_pass(1);
    assert_eq!(numbers(&service, 1, &challenge), [[1, 1, 20, 2]; 2]);
    let next = service.check_in(1, &challenge, 2).expect(201);
    assert_eq!(
        (&next["new_streak"], &next["points_earned"]),
        (&json!(2), &json!(20))
    );
    assert_eq!(numbers(&service, 1, &challenge), [[2, 2, 40, 3]; 2]);
    service.days_pass(2);
    assert_eq!(numbers(&service, 1, &challenge), [[0, 2, 40, 3]; 2]);
    let broken = service.check_in(1, &challenge, 1).expect(201);
    assert_eq!(
        (&broken["new_streak"], &broken["is_streak_broken"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(
        broken["message"],
        "Check-in successful! Your streak was reset. Earned 10 points."
    );
    assert_eq!(numbers(&service, 1, &challenge), [[1, 2, 50, 4]; 2]);
}

#[test]
fn the_streak_of_a_profile_goes_over_all_challenges() {
    let service = Running::new();
    let one = service.challenge(1, &[1]);
    let other = service.challenge(1, &[1]);
    service.check_in(1, &one, 1).expect(201);
    service.days_pass(1);
    service.check_in(1, &other, 1).expect(201);
    let [in_other, profile] = numbers(&service, 1, &other);
    assert_eq!(
        (in_other[0], in_other[2], profile[0], profile[2]),
        (1, 10, 2, 20)
    );
}

#[test]
fn taking_back_the_check_ins_of_today_takes_back_all_that_they_did() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1, 2]);
    service.check_in(1, &challenge, 1).expect(201);
    service.days_pass(1);
    let path = format!("/challenges/{}/", text(&challenge["id"]));
    let before = (
        numbers(&service, 1, &challenge),
        service.get_by(1, &path).expect(200),
    );
    let made = [1, 2].map(|number| service.check_in(1, &challenge, number).expect(201));
    assert_eq!(numbers(&service, 1, &challenge), [[2, 2, 50, 3]; 2]);
    let delete = |made: &Value| {
        service.delete_by(1, &format!("/checkins/{}/", text(&made["checkin"]["id"])))
    };
    assert_eq!(delete(&made[0]).status, 204);
    assert_eq!(numbers(&service, 1, &challenge), [[2, 2, 30, 2]; 2]);
    assert_eq!(delete(&made[0]).status, 404);
    assert_eq!(delete(&made[1]).status, 204);
    assert_eq!(
        (
            numbers(&service, 1, &challenge),
            service.get_by(1, &path).expect(200)
        ),
        before
    );
    let again = service.check_in(1, &challenge, 1).expect(201);
    assert_eq!(
        (&again["new_streak"], &again["points_earned"]),
        (&json!(2), &json!(20))
    );
}

#[test]
fn taking_back_an_older_check_in_changes_counters_only() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    let old = service.check_in(1, &challenge, 1).expect(201);
    service.days_pass(1);
    service.check_in(1, &challenge, 1).expect(201);
    let path = format!("/checkins/{}/", text(&old["checkin"]["id"]));
    assert_eq!(service.delete_by(1, &path).status, 204);
    assert_eq!(numbers(&service, 1, &challenge), [[2, 2, 30, 1]; 2]);
}

#[test]
fn a_check_in_needs_its_member_its_habit_its_days_and_its_evidence() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    assert_eq!(service.check_in(2, &challenge, 1).status, 403);
    let habit_of_another = refused(&service.check_in(1, &challenge, 2), 400);
    assert_eq!(habit_of_another, "The habit is not part of this challenge");
    let nothing = json!({ "challenge_id": "00000000-0000-0000-0000-000000000000", "habit_id": habit(1), "caption": "x" });
    assert_eq!(service.post_by(1, "/checkins/", &nothing).status, 404);
    let send = |challenge: &Value, name: &str, value: &str| {
        let mut body = json!({ "challenge_id": challenge["id"], "habit_id": habit(1) });
        body[name] = json!(value);
        service.post_by(1, "/checkins", &body)
    };
    assert!(refused(&send(&challenge, "caption", "  "), 400).starts_with("Evidence is required"));
    assert_eq!(
        wrong(&send(&challenge, "photo_url", "x")),
        ["body.photo_url"]
    );
    assert_eq!(
        send(&challenge, "video_url", "https://v.example/1").status,
        201
    );
    let mut body = json!({
        "name": "Photos", "start_date": day(0), "end_date": day(3), "habit_ids": [habit(1)], "checkin_type": "photo",
    });
    let photos = service.post_by(1, "/challenges/", &body).expect(201);
    assert_eq!(
        send(&photos, "video_url", "https://v.example/1").status,
        400
    );
    assert_eq!(
        send(&photos, "photo_url", "https://v.example/1.jpg").status,
        201
    );
    body["require_evidence"] = json!(false);
    let trusting = service.post_by(1, "/challenges/", &body).expect(201);
    assert_eq!(send(&trusting, "caption", "").status, 201);
    body["start_date"] = json!(day(1));
    let later = service.post_by(1, "/challenges/", &body).expect(201);
    assert_eq!(
        refused(&send(&later, "caption", "x"), 400),
        "The challenge has not started yet"
    );
    service.days_pass(4);
    assert_eq!(
        refused(&send(&trusting, "caption", "x"), 400),
        "The challenge has ended"
    );
    let path = format!("/challenges/{}/", text(&challenge["id"]));
    service
        .patch_by(1, &path, &json!({ "status": "failed" }))
        .expect(200);
    assert_eq!(
        refused(&send(&challenge, "caption", "x"), 400),
        "The challenge is not active"
    );
    assert_eq!(
        wrong(&service.post_by(1, "/checkins/", &json!({ "caption": "x".repeat(501) }))),
        ["body.caption", "body.challenge_id", "body.habit_id"]
    );
}

#[test]
fn a_day_is_the_day_of_who_checks_in() {
    let service = Running::new();
    let body = json!({
        "name": "Anywhere", "start_date": day(-3), "end_date": day(9), "habit_ids": [habit(1)], "require_evidence": false,
    });
    let challenge = service.post_by(1, "/challenges/", &body).expect(201);
    let check_in = |zone: &str| {
        let body = json!({ "challenge_id": challenge["id"], "habit_id": habit(1) });
        let token = format!("Bearer {}", service.token(1));
        let headers = [
            ("authorization", token),
            ("content-type", "application/json".to_owned()),
            ("x-timezone", zone.to_owned()),
        ];
        service.send_with(
            "POST",
            "/api/v1/checkins/",
            &headers,
            body.to_string().as_bytes(),
        )
    };
    // 25 hours apart: never the same day.
    let west = check_in("Pacific/Pago_Pago").expect(201);
    let east = check_in("Pacific/Kiritimati").expect(201);
    let date = |answer: &Value| text(&answer["checkin"]["checkin_date"]).to_owned();
    assert!(date(&west) < date(&east));
    assert_eq!(wrong(&check_in("Mars/Base")), ["header.x-timezone"]);
    service
        .patch_by(
            1,
            "/users/me/",
            &json!({ "timezone": "Pacific/Kiritimati" }),
        )
        .expect(200);
    let body = json!({ "challenge_id": challenge["id"], "habit_id": habit(1) });
    let again = service.post_by(1, "/checkins/", &body);
    assert_eq!(refused(&again, 400), "Already checked in today");
}

#[test]
fn members_see_a_check_in_and_its_owner_changes_it_on_its_day() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    service.join(2, &challenge).expect(200);
    let made = service.check_in(1, &challenge, 1).expect(201);
    let path = format!("/checkins/{}", text(&made["checkin"]["id"]));
    assert_eq!(service.get_by(2, &path).expect(200), made["checkin"]);
    assert_eq!(service.get_by(3, &path).status, 403);
    let leave = format!("/challenges/{}/leave/", text(&challenge["id"]));
    service.post_by(2, &leave, &json!({})).expect(200);
    assert_eq!(service.get_by(2, &path).status, 200);
    let new = json!({ "caption": "better" });
    let changed = service.patch_by(1, &path, &new).expect(200);
    assert_eq!(changed["caption"], "better");
    assert_eq!(service.get_by(1, &path).expect(200), changed);
    assert_eq!(service.patch_by(2, &path, &new).status, 403);
    assert_eq!(service.delete_by(2, &path).status, 403);
    assert_eq!(
        wrong(&service.patch_by(1, &path, &json!({}))),
        ["body.caption"]
    );
    service.days_pass(1);
    assert_eq!(
        refused(&service.patch_by(1, &path, &new), 400),
        "Only check-ins of today can be changed"
    );
    let nothing = "/checkins/00000000-0000-0000-0000-000000000000/";
    for answer in [
        service.get_by(1, nothing),
        service.delete_by(1, nothing),
        service.patch_by(1, nothing, &new),
    ] {
        assert_eq!(refused(&answer, 404), "Check-in not found");
    }
}

#[test]
fn ones_check_ins_come_in_pages_the_newest_day_first() {
    let service = Running::new();
    let one = service.challenge(1, &[1, 2]);
    let other = service.challenge(1, &[1]);
    service.join(2, &one).expect(200);
    for _ in 0..3 {
        for (challenge, number) in [(&one, 1), (&one, 2), (&other, 1)] {
            service.check_in(1, challenge, number).expect(201);
        }
        service.check_in(2, &one, 1).expect(201);
        service.days_pass(1);
    }
    let list = |query: &str| {
        service
            .get_by(1, &format!("/checkins/?{query}"))
            .expect(200)
    };
    let all = list("");
    assert_eq!(
        (&all["total"], all["checkins"].as_array().unwrap().len()),
        (&json!(9), 9)
    );
    assert_eq!(all["checkins"][0]["user_display_name"], "user1");
    assert_eq!(all["checkins"][0]["is_you"], true);
    assert_eq!(all["checkins"][0]["user_id"], json!(user(1)));
    let mut seen = Vec::new();
    let mut query = "limit=4".to_owned();
    loop {
        let page = list(&query);
        assert_eq!((&page["total"], &page["pages"]), (&json!(9), &json!(3)));
        seen.extend(page["checkins"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=4&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(json!(seen), all["checkins"]);
    assert_eq!(
        list("limit=4&page=3")["checkins"].as_array().unwrap().len(),
        1
    );
    let of_other = list(&format!("challenge_id={}&limit=2", text(&other["id"])));
    assert_eq!(
        (
            &of_other["total"],
            of_other["checkins"].as_array().unwrap().len()
        ),
        (&json!(3), 2)
    );
    assert_eq!(
        wrong(&service.get_by(1, "/checkins/?challenge_id=x")),
        ["query.challenge_id"]
    );
}
