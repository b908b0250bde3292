//! The invented data: the same for the same numbers, and of the promised shape.

use chrono::DateTime;
use flyers::seed::{Plan, SeedError};

use crate::running::Running;

/// Every row of the seeded tables as one text per row.
fn content(service: &Running) -> Vec<String> {
    let sql = "
        SELECT concat_ws('|', id, email, username, password_hash, latitude, longitude, created_at) FROM users
        UNION ALL SELECT concat_ws('|', id, user_id, name, bio, profile_picture) FROM profiles
        UNION ALL SELECT concat_ws('|', id, creator_id, title, caption, info_field_1, info_field_2, location_address,
            latitude, longitude, publication_date, expiration_date, is_active, search_text, created_at) FROM flyers
        UNION ALL SELECT concat_ws('|', id, flyer_id, path, position) FROM flyer_images
        UNION ALL SELECT concat_ws('|', flyer_id, category_id, created_at, is_active) FROM flyer_categories
        UNION ALL SELECT concat_ws('|', id, user_id, flyer_id, created_at) FROM favorites
        UNION ALL SELECT concat_ws('|', id, follower_id, followed_id, created_at) FROM follows";
    let rows = sqlx::query_scalar::<_, String>(sql).fetch_all(service.database.read());
    service.runtime.block_on(rows).unwrap()
}

fn seeded_at(scale: u32, seed: u64) -> Running {
    let service = Running::empty();
    let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let plan = Plan {
        scale,
        seed,
        ..Plan::default()
    };
    service
        .runtime
        .block_on(plan.run_at(&service.database, now))
        .unwrap();
    service
}

#[test]
fn the_same_numbers_give_the_same_rows() {
    let one = content(&seeded_at(500, 7));
    assert_eq!(one, content(&seeded_at(500, 7)));
    assert_ne!(one, content(&seeded_at(500, 8)));
}

#[test]
fn the_shape_is_as_promised() {
    let service = Running::seeded(3000);
    let number = |sql: &'static str| -> f64 {
        service
            .runtime
            .block_on(sqlx::query_scalar(sql).fetch_one(service.database.read()))
            .unwrap()
    };
    let share = |sql| number(sql) / 3000.0;
    let expired = share(
        "SELECT CAST(count(*) AS REAL) FROM flyers WHERE NOT is_active OR datetime(expiration_date) <= datetime('now')",
    );
    assert!((0.27..0.33).contains(&expired), "{expired}");
    let unswept = share(
        "SELECT CAST(count(*) AS REAL) FROM flyers WHERE is_active AND datetime(expiration_date) <= datetime('now')",
    );
    assert!(unswept > 0.15, "{unswept}");
    let images = share("SELECT CAST(count(*) AS REAL) FROM flyer_images");
    assert!((2.7..3.3).contains(&images), "{images}");
    assert_eq!(
        number(
            "SELECT CAST(max(n) AS REAL) FROM (SELECT count(*) AS n FROM flyer_images GROUP BY flyer_id)"
        ),
        5.0
    );
    let most = number(
        "SELECT CAST(max(n) AS REAL) FROM (SELECT count(*) AS n FROM flyers GROUP BY creator_id)",
    );
    assert!((100.0..=260.0).contains(&most), "{most}");
    let pictures = number("SELECT avg(profile_picture IS NOT NULL) FROM profiles");
    assert!((0.6..0.8).contains(&pictures), "{pictures}");
    let untagged = number(
        "SELECT CAST(count(*) AS REAL) FROM flyers WHERE id NOT IN (SELECT flyer_id FROM flyer_categories)",
    );
    assert_eq!(untagged, 0.0);
}

#[test]
fn a_database_with_users_is_left_alone_unless_told() {
    let service = Running::seeded(200);
    let mut plan = Plan {
        scale: 210,
        seed: 7,
        ..Plan::default()
    };
    let again = service
        .runtime
        .block_on(flyers::seed::run(&service.database, &plan));
    assert!(matches!(again, Err(SeedError::NotEmpty { users: 200 })));
    plan.replace = true;
    let done = service
        .runtime
        .block_on(flyers::seed::run(&service.database, &plan))
        .unwrap();
    assert_eq!(done.flyers, 210);
    assert_eq!(service.execute("UPDATE flyers SET version = 2"), 210);
    for (table, rows) in [("users", 200), ("profiles", 200), ("privacy_settings", 200)] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let count: i64 = service
            .runtime
            .block_on(sqlx::query_scalar(sql).fetch_one(service.database.read()))
            .unwrap();
        assert_eq!(count, rows, "{table}");
    }
    service.execute("INSERT INTO flyer_search (flyer_search, rank) VALUES ('integrity-check', 1)");
    let triggers = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'";
    let count: i64 = service
        .runtime
        .block_on(sqlx::query_scalar(triggers).fetch_one(service.database.read()))
        .unwrap();
    assert_eq!(count, 4, "search and categories follow the flyers");
}

#[test]
fn the_users_file_signs_in() {
    let service = Running::empty();
    let file = tempfile::NamedTempFile::new().unwrap();
    let plan = Plan {
        scale: 200,
        seed: 7,
        users_csv: Some(file.path().to_owned()),
        ..Plan::default()
    };
    service
        .runtime
        .block_on(flyers::seed::run(&service.database, &plan))
        .unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (201, "email,password,user_id"));
    let [email, password, id] = lines[200].split(',').collect::<Vec<_>>()[..] else {
        panic!()
    };
    let login = service
        .post(
            "/api/v1/auth/login/",
            &serde_json::json!({ "email": email, "password": password }),
        )
        .expect(200);
    assert_eq!(login["user_id"].to_string(), id);
}

#[test]
fn the_search_index_still_follows_the_flyers_after_seeding() {
    let service = Running::seeded(200);
    let (token, _) = service.register("a@example.org");
    let id = service.flyer(&token, "Quokkaschau", "events", "8001 Zürich");
    let found = service
        .get("/api/v1/flyers/feed/?search=quokka")
        .expect(200);
    assert_eq!(crate::running::ids(&found), [id]);
    service.execute("UPDATE flyers SET search_text = 'x' WHERE title = 'Quokkaschau'");
    assert_eq!(
        service
            .get("/api/v1/flyers/feed/?search=quokka")
            .expect(200)["count"],
        0
    );
    service.execute("DELETE FROM flyers");
    service.execute("INSERT INTO flyer_search (flyer_search, rank) VALUES ('integrity-check', 1)");
}
