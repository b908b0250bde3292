//! The invented data: the same for the same numbers, and of the promised shape.

use chrono::DateTime;
use flyers::seed::{Plan, SeedError};
use service_kit::{
    database::{Dialect, Text, query},
    seed::SeedError as Filling,
    text,
};

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
    let rows: Vec<(String,)> = service.rows(query(sql));
    rows.into_iter().map(|(row,)| row).collect()
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

const EXPIRED: Text = text!(
    "SELECT count(*) FROM flyers WHERE NOT is_active OR "
    { "datetime(expiration_date) <= datetime('now')" | "expiration_date <= now()" }
);
const UNSWEPT: Text = text!(
    "SELECT count(*) FROM flyers WHERE is_active AND "
    { "datetime(expiration_date) <= datetime('now')" | "expiration_date <= now()" }
);

/// Triggers of SQLite, trigger and index of PostgreSQL.
const FOLLOWING: Text = Text {
    sqlite: "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name)",
    postgres: "
SELECT string_agg(name, ',' ORDER BY name)
FROM (
    SELECT tgname::text AS name FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT c.relname::text
    FROM pg_class AS c
    JOIN pg_index AS i ON i.indexrelid = c.oid AND i.indisvalid
    WHERE c.relname = 'flyers_search_text'
) AS names",
};

/// Complains about a search index that does not fit the flyers. The one of PostgreSQL is
/// the database's own.
fn search_is_whole(service: &Running) {
    if crate::DIALECT == Dialect::Sqlite {
        service
            .execute("INSERT INTO flyer_search (flyer_search, rank) VALUES ('integrity-check', 1)");
    }
}

#[test]
fn the_shape_is_as_promised() {
    let service = Running::seeded(3000);
    let number = |sql: Text| service.value::<i64>(sql);
    let count = |sql| number(Text::same(sql));
    let share = |part: i64, of: i64| part as f64 / of as f64;
    let expired = share(number(EXPIRED), 3000);
    assert!((0.27..0.33).contains(&expired), "{expired}");
    let unswept = share(number(UNSWEPT), 3000);
    assert!(unswept > 0.15, "{unswept}");
    let images = share(count("SELECT count(*) FROM flyer_images"), 3000);
    assert!((2.7..3.3).contains(&images), "{images}");
    let most =
        count("SELECT max(n) FROM (SELECT count(*) AS n FROM flyer_images GROUP BY flyer_id) AS c");
    assert_eq!(most, 5);
    let most =
        count("SELECT max(n) FROM (SELECT count(*) AS n FROM flyers GROUP BY creator_id) AS c");
    assert!((100..=260).contains(&most), "{most}");
    let pictures = share(
        count("SELECT count(profile_picture) FROM profiles"),
        count("SELECT count(*) FROM profiles"),
    );
    assert!((0.6..0.8).contains(&pictures), "{pictures}");
    let untagged = count(
        "SELECT count(*) FROM flyers WHERE id NOT IN (SELECT flyer_id FROM flyer_categories)",
    );
    assert_eq!(untagged, 0);
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
    assert!(matches!(
        again,
        Err(SeedError::Filling(Filling::NotEmpty { users: 200 }))
    ));
    plan.replace = true;
    let done = service
        .runtime
        .block_on(flyers::seed::run(&service.database, &plan))
        .unwrap();
    assert_eq!(done.flyers, 210);
    assert_eq!(service.execute("UPDATE flyers SET version = 2"), 210);
    for (table, rows) in [("users", 200), ("profiles", 200), ("privacy_settings", 200)] {
        let count: i64 = service.value(format!("SELECT count(*) FROM {table}"));
        assert_eq!(count, rows, "{table}");
    }
    search_is_whole(&service);
    let following: String = service.value(FOLLOWING);
    let migrated: String = Running::empty().value(FOLLOWING);
    assert_eq!(
        following, migrated,
        "search and categories follow the flyers"
    );
    assert!(following.contains("search") && following.contains("validity"));
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
    search_is_whole(&service);
}
