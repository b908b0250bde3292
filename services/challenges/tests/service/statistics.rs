//! Numbers of challenges.

use serde_json::{Value, json};

use crate::running::{Running, day, text, user, wrong};

/// Three members: the first keeps both habits for two days, the second one habit today.
fn kept() -> (Running, Value) {
    let service = Running::new();
    let challenge = service.challenge(1, &[1, 2]);
    for number in [2, 3] {
        service.join(number, &challenge).expect(200);
    }
    for number in [1, 2] {
        service.check_in(1, &challenge, number).expect(201);
    }
    service.days_pass(1);
    for number in [1, 2] {
        service.check_in(1, &challenge, number).expect(201);
    }
    service.check_in(2, &challenge, 1).expect(201);
    (service, challenge)
}

#[test]
fn a_challenge_has_averages_and_its_best_members() {
    let (service, challenge) = kept();
    let leave = format!("/challenges/{}/leave/", text(&challenge["id"]));
    service.post_by(3, &leave, &json!({})).expect(200);
    let path = format!("/stats/challenges/{}/", text(&challenge["id"]));
    let stats = service.get_by(2, &path).expect(200);
    assert_eq!(
        (&stats["total_members"], &stats["active_members"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(
        (&stats["total_checkins"], &stats["avg_points"]),
        (&json!(5), &json!(23.33))
    );
    assert_eq!(stats["avg_streak"], 1.0);
    // 31 days with two habits: 4 and 1 of 62.
    assert_eq!(stats["top_performers"][0]["completion_rate"], 6.45);
    assert_eq!(stats["top_performers"][0]["user_id"], json!(user(1)));
    assert_eq!(stats["habit_stats"][0]["total_checkins"], 3);
    assert_eq!(stats["habit_stats"][0]["completion_rate"], 75.0);
    assert_eq!(stats["challenge_info"]["name"], "Early birds");
    let old_name = format!("/stats/stats/{}", text(&challenge["id"]));
    assert_eq!(service.get_by(2, &old_name).expect(200), stats);
}

#[test]
fn members_compare_by_points_streak_or_completion() {
    let (service, challenge) = kept();
    let board = |query: &str| {
        let path = format!("/stats/leaderboard/{}/?{query}", text(&challenge["id"]));
        service.get_by(3, &path)
    };
    let ranks = |query: &str| {
        let board = board(query).expect(200);
        let rows = board["leaderboard"].as_array().unwrap().iter();
        rows.map(|row| (row["user_id"].clone(), row["rank"].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    let order = vec![
        (json!(user(1)), 1),
        (json!(user(2)), 2),
        (json!(user(3)), 3),
    ];
    for query in [
        "",
        "sort_by=points",
        "sort_by=streak",
        "sort_by=completion_rate",
    ] {
        assert_eq!(ranks(query), order, "{query}");
    }
    assert_eq!(ranks("limit=1").len(), 1);
    assert_eq!(board("limit=1").expect(200)["total_members"], 3);
    assert_eq!(wrong(&board("sort_by=name")), ["query.sort_by"]);
}

#[test]
fn history_and_dashboard_show_what_is_behind_and_what_goes_on() {
    let (service, challenge) = kept();
    let done = service.challenge(1, &[1]);
    service.check_in(1, &done, 1).expect(201);
    let path = format!("/challenges/{}/", text(&done["id"]));
    service
        .patch_by(
            1,
            &path,
            &json!({ "status": "completed", "name": "Done 100%" }),
        )
        .expect(200);
    let history = |query: &str| {
        service
            .get_by(1, &format!("/stats/history/?{query}"))
            .expect(200)
    };
    let all = history("");
    assert_eq!(all["total"], 2);
    let completed = history("status=completed");
    assert_eq!(
        (&completed["total"], &completed["items"][0]["name"]),
        (&json!(1), &json!("Done 100%"))
    );
    assert_eq!(completed["items"][0]["rank"], 1);
    assert_eq!(history("status=active")["items"][0]["id"], challenge["id"]);
    assert_eq!(history("status=left")["total"], 0);
    assert_eq!(history("search=100%25")["total"], 1);
    assert_eq!(history("search=EARLY")["total"], 1);
    let first = history("limit=1");
    let next = history(&format!("limit=1&cursor={}", text(&first["next_cursor"])));
    assert_eq!(
        (&next["total"], &next["items"][0]),
        (&json!(2), &all["items"][1])
    );
    assert_eq!(history("limit=1&page=5")["total"], 2);
    assert_eq!(
        wrong(&service.get_by(1, "/stats/history/?status=x")),
        ["query.status"]
    );
    let second = service.get_by(2, "/stats/history/").expect(200);
    assert_eq!(second["items"][0]["rank"], 2);
    let dashboard = service.get_by(1, "/stats/dashboard/").expect(200);
    assert_eq!(dashboard["user_stats"]["total_challenges_completed"], 1);
    assert_eq!(dashboard["active_challenges"].as_array().unwrap().len(), 1);
    assert_eq!(
        dashboard["active_challenges"][0]["end_date"],
        json!(day(29))
    );
    assert_eq!(dashboard["active_challenges"][0]["days_left"], 30);
    assert_eq!(dashboard["recent_completions"][0]["name"], "Done 100%");
    let nobody = service.get_by(6, "/stats/dashboard/").expect(200);
    assert_eq!(nobody["active_challenges"], json!([]));
}
