//! One's own profile, those of others, finding people, habits, and what every answer has.

use serde_json::json;

use crate::running::{Running, habit, refused, user, wrong};

#[test]
fn a_profile_changes_where_it_is_told_to() {
    let service = Running::new();
    let before = service.get_by(1, "/users/me/").expect(200);
    assert_eq!(before["display_name"], "user1");
    assert_eq!(before["stats"]["active_challenges"], 0);
    assert_eq!(before["organization_id"], json!(null));
    let change = json!({
        "full_name": "One", "bio": "Hello", "avatar_url": "https://a.example/1.jpg", "display_name": null,
        "timezone": "Asia/Tokyo",
    });
    let after = service.patch_by(1, "/users/me", &change).expect(200);
    assert_eq!(after["full_name"], "One");
    assert_eq!(after["display_name"], "user1");
    assert_eq!(service.get_by(1, "/users/me/").expect(200), after);
    let renamed = json!({ "display_name": " Ärwin " });
    let renamed = service.patch_by(1, "/users/me/", &renamed).expect(200);
    assert_eq!(renamed["display_name"], "Ärwin");
    assert_eq!(renamed["bio"], "Hello");
    let found = service.get_by(2, "/users/search/?q=%C3%84rw").expect(200);
    assert_eq!(found[0]["id"], json!(user(1)));
}

#[test]
fn a_change_of_nothing_and_a_wrong_one_are_refused() {
    let service = Running::new();
    let nothing = service.patch_by(1, "/users/me/", &json!({ "bio": null }));
    assert_eq!(refused(&nothing, 400), "No fields to update");
    let body = json!({ "display_name": " ", "bio": "x".repeat(501), "avatar_url": "javascript:x", "full_name": "" });
    assert_eq!(
        wrong(&service.patch_by(1, "/users/me/", &body)),
        [
            "body.avatar_url",
            "body.bio",
            "body.display_name",
            "body.full_name"
        ]
    );
}

#[test]
fn friends_and_who_is_in_the_same_challenge_see_each_other() {
    let service = Running::new();
    let path = |number| format!("/users/{}/", user(number));
    assert_eq!(service.get_by(1, &path(1)).expect(200)["is_you"], true);
    assert_eq!(service.get_by(1, &path(2)).status, 403);
    service.befriend(1, 2);
    let friend = service.get_by(1, &path(2)).expect(200);
    assert_eq!(friend["is_you"], false);
    assert_eq!(friend["stats"]["friend_count"], 1);
    assert!(friend.get("email").is_none());
    let challenge = service.challenge(1, &[1]);
    assert_eq!(service.get_by(3, &path(1)).status, 403);
    service.join(3, &challenge).expect(200);
    assert_eq!(service.get_by(3, &path(1)).status, 200);
    let id = crate::running::text(&challenge["id"]).to_owned();
    service
        .post_by(3, &format!("/challenges/{id}/leave/"), &json!({}))
        .expect(200);
    assert_eq!(service.get_by(3, &path(1)).status, 403);
    let nobody = service.get_by(1, "/users/00000000-0000-0000-0000-000000000000/");
    assert_eq!(refused(&nobody, 404), "User not found");
    assert_eq!(wrong(&service.get_by(1, "/users/7/")), ["path.id"]);
}

#[test]
fn people_are_found_by_parts_of_names_and_by_two_letters_that_begin_a_word() {
    let service = Running::new();
    service.add(user(101), "Jean-Luc Picard");
    service.befriend(1, 2);
    let find = |q: &str| {
        let found = service
            .get_by(1, &format!("/users/search?q={q}"))
            .expect(200);
        let found = found.as_array().unwrap().iter();
        found
            .map(|one| one["display_name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(find("icar"), ["Jean-Luc Picard"]);
    assert_eq!(find("jean-l"), ["Jean-Luc Picard"]);
    assert_eq!(find("LU"), ["Jean-Luc Picard"]);
    assert!(find("uc").is_empty());
    assert_eq!(find("user"), ["user2", "user3", "user4", "user5", "user6"]);
    for odd in ["%25%25", "__", "a%22b%2A", "%27%29", "%2C%29%2C"] {
        assert!(find(odd).is_empty(), "{odd}");
    }
    let found = service
        .get_by(1, "/users/search/?q=user&limit=1")
        .expect(200);
    assert_eq!(found[0]["friendship_status"], "accepted");
    assert_eq!(found[0]["is_friend"], true);
    assert_eq!(found[0]["active_challenge_id"], json!(null));
    let stranger = service.get_by(1, "/users/search/?q=user3").expect(200);
    assert_eq!(stranger[0]["friendship_status"], json!(null));
    assert_eq!(stranger[0]["is_friend"], false);
    for (query, place) in [
        ("q=a", "query.q"),
        ("", "query.q"),
        ("q=ab&limit=51", "query.limit"),
    ] {
        assert_eq!(
            wrong(&service.get_by(1, &format!("/users/search/?{query}"))),
            [place]
        );
    }
}

#[test]
fn there_are_ten_habits_for_everybody() {
    let service = Running::new();
    let habits = service.get_by(1, "/habits/").expect(200);
    let habits = habits.as_array().unwrap();
    assert_eq!(habits.len(), 10);
    assert_eq!(habits[0]["id"], json!(habit(1)));
    assert_eq!(habits[9]["name"], "Connect with Loved Ones");
}

#[test]
fn every_answer_says_how_long_it_took_and_both_spellings_of_a_path_work() {
    let service = Running::with(&[(
        "ALLOWED_ORIGINS",
        "https://app.example, http://localhost:3000",
    )]);
    for path in [
        "/health",
        "/",
        "/api/v1/",
        "/api/v1",
        "/api/v1/habits/",
        "/api/v1/nothing",
    ] {
        let answer = service.get(path);
        let seconds: f64 = answer.headers["x-process-time"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((0.0..30.0).contains(&seconds), "{path}");
        if answer.status != 200 {
            assert_eq!(answer.headers["content-type"], "application/json", "{path}");
        }
    }
    let health = service.get("/health").expect(200);
    assert_eq!(
        (&health["status"], &health["app_name"]),
        (&json!("ok"), &json!("challenges"))
    );
    assert_eq!(
        service.get("/api/v1/").expect(200)["habits"],
        "/api/v1/habits"
    );
    let both = ["/habits", "/habits/"].map(|path| service.get_by(1, path).expect(200));
    assert_eq!(both[0], both[1]);
    let from = |origin: &str| service.get_with("/health", &[("origin", origin)]);
    let allowed = from("https://app.example");
    assert_eq!(
        allowed.headers["access-control-allow-origin"],
        "https://app.example"
    );
    assert!(
        !from("https://evil.example")
            .headers
            .contains_key("access-control-allow-origin")
    );
}
