//! Making, joining, changing and leaving challenges.

use serde_json::{Value, json};

use crate::running::{Running, day, habit, refused, text, user, wrong};

fn count(challenge: &Value) -> i64 {
    challenge["member_count"].as_i64().unwrap()
}

#[test]
fn a_new_challenge_has_its_creator_as_a_member_and_waits_for_its_first_day() {
    let service = Running::new();
    let body = json!({
        "name": " Read ", "start_date": day(2), "end_date": day(9), "habit_ids": [habit(3), habit(1)],
    });
    let made = service.post_by(1, "/challenges", &body).expect(201);
    assert_eq!(made["name"], "Read");
    assert_eq!((&made["status"], count(&made)), (&json!("pending"), 1));
    assert_eq!(
        (&made["type"], &made["checkin_type"]),
        (&json!("individual"), &json!("photo"))
    );
    assert_eq!(
        (&made["max_members"], &made["duration_days"]),
        (&json!(10), &json!(7))
    );
    assert_eq!(
        (&made["my_role"], &made["my_status"]),
        (&json!("creator"), &json!("active"))
    );
    assert_eq!(made["my_stats"]["hitch_count"], 2);
    assert_eq!(made["invite_code"].as_str().unwrap().len(), 6);
    let habits: Vec<_> = made["habits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["habit_id"].clone())
        .collect();
    assert_eq!(habits, [json!(habit(3)), json!(habit(1))]);
    assert_eq!(made["members"][0]["user_id"], json!(user(1)));
    assert_eq!(
        service
            .get_by(1, &format!("/challenges/{}", text(&made["id"])))
            .expect(200),
        made
    );
    service.days_pass(2);
    let begun = service
        .get_by(1, &format!("/challenges/{}/", text(&made["id"])))
        .expect(200);
    assert_eq!(begun["status"], "active");
    let profile = service.get_by(1, "/users/me/stats/").expect(200);
    assert_eq!(profile["active_challenges"], 1);
}

#[test]
fn what_is_wrong_with_a_new_challenge_is_named() {
    let service = Running::new();
    assert_eq!(
        wrong(&service.post_by(1, "/challenges/", &json!({}))),
        [
            "body.end_date",
            "body.habit_ids",
            "body.name",
            "body.start_date"
        ]
    );
    let change = |name: &str, value: Value| {
        let mut body = json!({
            "name": "x", "start_date": day(0), "end_date": day(1), "habit_ids": [habit(1)],
        });
        body[name] = value;
        service.post_by(1, "/challenges/", &body)
    };
    for (name, value) in [
        ("end_date", json!(day(0))),
        ("end_date", json!(day(366))),
        ("end_date", json!("2026-02-30")),
        ("start_date", json!("12000-01-01")),
        ("habit_ids", json!([habit(1), habit(1)])),
        (
            "habit_ids",
            json!([habit(1), habit(2), habit(3), habit(4), habit(5)]),
        ),
        ("habit_ids", json!(["7"])),
        ("max_members", json!(51)),
        ("max_members", json!(0)),
        ("type", json!("program")),
        ("checkin_type", json!("audio")),
        ("name", json!("x".repeat(201))),
        ("name", json!("a\u{0}b")),
    ] {
        let answer = change(name, value);
        let fields = wrong(&answer);
        assert!(
            fields.contains(&format!("body.{name}")) || fields == ["body.end_date"],
            "{name}: {fields:?}"
        );
    }
    let unknown = change("habit_ids", json!([habit(1), habit(99)]));
    assert_eq!(refused(&unknown, 400), "Some habit IDs not found");
    assert_eq!(service.get_by(1, "/challenges/").expect(200)["total"], 0);
}

#[test]
fn who_has_the_code_joins_once() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    let joined = service.join(2, &challenge).expect(200);
    assert_eq!((count(&joined), &joined["my_role"]), (2, &json!("member")));
    let again = refused(&service.join(2, &challenge), 400);
    assert_eq!(again, "You are already a member of this challenge");
    let told = service.get_by(1, "/notifications/").expect(200);
    assert_eq!(told["items"][0]["title"], "New Member!");
    assert_eq!(
        told["items"][0]["body"],
        "user2 joined your challenge 'Early birds'"
    );
    assert_eq!(told["items"][0]["data"]["challenge_id"], challenge["id"]);
    let code = json!({ "invite_code": "AAAAAA" });
    assert_eq!(
        refused(&service.post_by(3, "/challenges/join/", &code), 404),
        "Invalid invite code"
    );
    for code in [json!(null), json!("AB"), json!("ÄÖÜ")] {
        let body = json!({ "invite_code": code });
        assert_eq!(
            wrong(&service.post_by(3, "/challenges/join", &body)),
            ["body.invite_code"]
        );
    }
    let small = json!({ "invite_code": text(&challenge["invite_code"]).to_lowercase() });
    service.post_by(3, "/challenges/join/", &small).expect(200);
}

#[test]
fn a_full_challenge_and_one_that_is_over_take_nobody() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    let path = format!("/challenges/{}/", text(&challenge["id"]));
    service.join(2, &challenge).expect(200);
    let fewer = service.patch_by(1, &path, &json!({ "max_members": 1 }));
    assert_eq!(refused(&fewer, 400), "The challenge has 2 members already");
    service
        .patch_by(1, &path, &json!({ "max_members": 2 }))
        .expect(200);
    assert_eq!(
        refused(&service.join(3, &challenge), 400),
        "Challenge is full"
    );
    service
        .patch_by(1, &path, &json!({ "max_members": 9, "status": "archived" }))
        .expect(200);
    assert_eq!(
        refused(&service.join(3, &challenge), 400),
        "This challenge is over"
    );
    service
        .patch_by(1, &path, &json!({ "status": "active" }))
        .expect(200);
    service.days_pass(31);
    assert_eq!(
        refused(&service.join(3, &challenge), 400),
        "This challenge is over"
    );
}

#[test]
fn who_leaves_comes_back_with_what_they_had_and_is_counted_once() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    service.join(2, &challenge).expect(200);
    service.check_in(2, &challenge, 1).expect(201);
    service.execute("UPDATE challenge_members SET hitch_count = 1 WHERE role = 'member'");
    let leave = format!("/challenges/{}/leave", text(&challenge["id"]));
    for _ in 0..3 {
        let done = service.post_by(2, &leave, &json!({})).expect(200);
        assert_eq!(done["message"], "Successfully left the challenge");
        let again = refused(&service.post_by(2, &leave, &json!({})), 400);
        assert_eq!(again, "You have already left this challenge");
        let path = format!("/challenges/{}/", text(&challenge["id"]));
        let seen = service.get_by(2, &path).expect(200);
        assert_eq!((count(&seen), &seen["my_status"]), (1, &json!("left")));
        assert!(seen["members"][1]["left_at"].is_string());
        assert_eq!(service.check_in(2, &challenge, 1).status, 403);
        let back = service.join(2, &challenge).expect(200);
        assert_eq!(
            (count(&back), &back["my_stats"]["total_checkins"]),
            (2, &json!(1))
        );
        assert_eq!(back["my_stats"]["hitch_count"], 1);
        assert_eq!(back["members"][1]["left_at"], json!(null));
    }
    let creator = refused(&service.post_by(1, &leave, &json!({})), 400);
    assert_eq!(creator, "The creator cannot leave the challenge");
    assert_eq!(service.post_by(3, &leave, &json!({})).status, 404);
    let told = service.get_by(1, "/notifications/").expect(200);
    assert_eq!(told["items"][1]["title"], "Member Left");
}

#[test]
fn who_was_sent_away_neither_reads_nor_comes_back() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    service.join(2, &challenge).expect(200);
    service.execute("UPDATE challenge_members SET status = 'kicked' WHERE role = 'member'");
    let id = text(&challenge["id"]);
    for path in ["", "/members", "/progress"] {
        assert_eq!(
            service.get_by(2, &format!("/challenges/{id}{path}")).status,
            403
        );
    }
    assert_eq!(
        service
            .get_by(2, &format!("/checkins/challenges/{id}/today/"))
            .status,
        403
    );
    assert_eq!(service.join(2, &challenge).status, 403);
}

#[test]
fn strangers_see_nothing_and_unknown_challenges_are_404() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    let nothing = "00000000-0000-0000-0000-000000000000";
    for path in [
        "/challenges/{}/",
        "/challenges/{}/members/",
        "/challenges/{}/progress/",
        "/checkins/challenges/{}/today/",
        "/stats/challenges/{}/",
        "/stats/stats/{}/",
        "/stats/leaderboard/{}/",
    ] {
        let of = |id: &str| service.get_by(2, &path.replace("{}", id));
        assert_eq!(of(text(&challenge["id"])).status, 403, "{path}");
        assert_eq!(refused(&of(nothing), 404), "Challenge not found", "{path}");
        assert_eq!(wrong(&of("x")), ["path.id"], "{path}");
    }
    let change = service.patch_by(
        2,
        &format!("/challenges/{}/", text(&challenge["id"])),
        &json!({ "name": "x" }),
    );
    assert_eq!(change.status, 403);
    assert_eq!(
        service
            .patch_by(
                2,
                &format!("/challenges/{nothing}/"),
                &json!({ "name": "x" })
            )
            .status,
        404
    );
}

#[test]
fn a_completed_challenge_counts_once_for_all_who_take_part() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    let path = format!("/challenges/{}/", text(&challenge["id"]));
    for number in [2, 3] {
        service.join(number, &challenge).expect(200);
    }
    service
        .post_by(3, &format!("{path}leave/"), &json!({}))
        .expect(200);
    let completed = |number: u8| {
        let stats = service.get_by(number, "/users/me/stats/").expect(200);
        stats["total_challenges_completed"].as_i64().unwrap()
    };
    assert_eq!([1, 2, 3].map(completed), [0, 0, 0]);
    for _ in 0..2 {
        let done = service
            .patch_by(1, &path, &json!({ "status": "completed" }))
            .expect(200);
        assert_eq!(done["status"], "completed");
        assert_eq!([1, 2, 3].map(completed), [1, 1, 0]);
    }
    let told = service.get_by(2, "/notifications/").expect(200);
    assert_eq!(told["items"][0]["type"], "challenge_completed");
    assert_eq!(told["total"], 1);
    service
        .patch_by(1, &path, &json!({ "status": "active", "name": "Again" }))
        .expect(200);
    assert_eq!([1, 2, 3].map(completed), [0, 0, 0]);
    for (body, status) in [
        (json!({}), 400),
        (json!({ "status": "over" }), 422),
        (json!({ "name": "" }), 422),
    ] {
        assert_eq!(service.patch_by(1, &path, &body).status, status);
    }
    assert_eq!(
        service.patch_by(2, &path, &json!({ "name": "x" })).status,
        403
    );
}

#[test]
fn lists_are_of_ones_own_in_pages_by_status() {
    let service = Running::new();
    let made: Vec<Value> = (0..5).map(|_| service.challenge(1, &[1])).collect();
    let later = json!({ "name": "Later", "start_date": day(1), "end_date": day(5), "habit_ids": [habit(1)] });
    service.post_by(1, "/challenges/", &later).expect(201);
    let list = |query: &str| {
        service
            .get_by(1, &format!("/challenges/?{query}"))
            .expect(200)
    };
    let all = list("");
    assert_eq!(
        (&all["total"], &all["page"], &all["pages"]),
        (&json!(6), &json!(1), &json!(1))
    );
    assert_eq!(all["challenges"][0]["name"], "Later");
    assert_eq!(all["challenges"][1]["id"], made[4]["id"]);
    assert_eq!(all["challenges"][1]["invite_code"], made[4]["invite_code"]);
    assert_eq!(list("status_filter=pending")["total"], 1);
    assert_eq!(list("status_filter=active")["total"], 5);
    assert_eq!(list("status_filter=completed")["total"], 0);
    let second = list("page=2&limit=4");
    assert_eq!((&second["total"], &second["pages"]), (&json!(6), &json!(2)));
    assert_eq!(second["challenges"].as_array().unwrap().len(), 2);
    let past = list("page=9&limit=4");
    assert_eq!(
        (&past["total"], &past["challenges"]),
        (&json!(6), &json!([]))
    );
    let first = list("limit=4");
    let cursor = text(&first["next_cursor"]);
    let next = list(&format!("limit=4&cursor={cursor}"));
    assert_eq!(next["challenges"], second["challenges"]);
    assert_eq!(
        (&next["total"], &next["next_cursor"]),
        (&json!(6), &json!(null))
    );
    service.join(2, &made[0]).expect(200);
    let others = service.get_by(2, "/challenges/").expect(200);
    assert_eq!(
        (&others["total"], &others["challenges"][0]["invite_code"]),
        (&json!(1), &json!(null))
    );
    assert_eq!(others["challenges"][0]["my_role"], "member");
    let leave = format!("/challenges/{}/leave/", text(&made[0]["id"]));
    service.post_by(2, &leave, &json!({})).expect(200);
    assert_eq!(service.get_by(2, "/challenges/").expect(200)["total"], 0);
    assert_eq!(
        service
            .get_by(2, "/challenges/?member_status=left")
            .expect(200)["total"],
        1
    );
    for (query, place) in [
        ("status_filter=x", "query.status_filter"),
        ("member_status=kicked", "query.member_status"),
        ("limit=0", "query.limit"),
        ("page=x", "query.page"),
        ("cursor=x", "query.cursor"),
        ("page=600&limit=100", "query.page"),
    ] {
        assert_eq!(
            wrong(&service.get_by(1, &format!("/challenges/?{query}"))),
            [place]
        );
    }
}

#[test]
fn progress_shows_each_member_with_each_habit() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1, 2]);
    for number in [2, 3] {
        service.join(number, &challenge).expect(200);
    }
    service.check_in(1, &challenge, 1).expect(201);
    service.check_in(1, &challenge, 2).expect(201);
    service.check_in(2, &challenge, 2).expect(201);
    let path = format!("/challenges/{}/progress/", text(&challenge["id"]));
    let progress = service.get_by(3, &path).expect(200);
    assert_eq!(
        (&progress["date"], &progress["total_habits"]),
        (&json!(day(0)), &json!(2))
    );
    assert_eq!(progress["overall_completion"], 50.0);
    let done: Vec<_> = progress["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["total_completed"].clone())
        .collect();
    assert_eq!(done, [json!(2), json!(1), json!(0)]);
    assert_eq!(progress["members"][1]["habits"][0]["completed"], false);
    assert!(progress["members"][1]["habits"][1]["checked_in_at"].is_string());
    assert_eq!(progress["members"][1]["completion_percentage"], 50.0);
    let yesterday = service
        .get_by(3, &format!("{path}?target_date={}", day(-1)))
        .expect(200);
    assert_eq!(yesterday["overall_completion"], 0.0);
    assert_eq!(
        wrong(&service.get_by(3, &format!("{path}?target_date=today"))),
        ["query.target_date"]
    );
    let today = format!("/checkins/challenges/{}/today/", text(&challenge["id"]));
    let today = service.get_by(2, &today).expect(200);
    assert_eq!(today[0]["habit_id"], json!(habit(1)));
    assert_eq!(
        (
            &today[0]["total_checkins_today"],
            &today[0]["completion_rate"]
        ),
        (&json!(1), &json!(33.33))
    );
    assert_eq!(today[1]["members"][1]["checked_in_today"], true);
    assert_eq!(today[1]["members"][1]["is_you"], true);
    let members = service
        .get_by(
            3,
            &format!("/challenges/{}/members/", text(&challenge["id"])),
        )
        .expect(200);
    assert_eq!(members.as_array().unwrap().len(), 3);
    assert_eq!(members[0]["stats"]["total_checkins"], 2);
}
