//! Many flyers made inside the database: 100 000 in a few seconds, also in a debug build.

use service_kit::{
    database::{Dialect, Text, query},
    text,
};

use crate::running::{Running, take_time};

/// Ten flyers a user.
const USERS: &str = "
WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1 / 10)
INSERT INTO users (id, email, username, password_hash, created_at, updated_at)
SELECT i, 'user' || i || '@example.org', 'user' || i, '-',
       '2024-01-01T00:00:00+00:00', '2024-01-01T00:00:00+00:00'
FROM n";

const PROFILES: &str = "
INSERT INTO profiles (user_id, name, created_at, updated_at)
SELECT id, username, created_at, updated_at
FROM users";

/// One a minute, the newest a minute ago, in the form in which the service writes dates;
/// live for another month. Every tenth belongs to user 1. Places lie on a grid of
/// 100 by 100 km around Zurich.
const FLYERS: Text = text!(
    "
WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
INSERT INTO flyers (
    id, creator_id, title, caption, location_address, latitude, longitude,
    publication_date, expiration_date, search_text, created_at, updated_at
)
SELECT i,
       CASE WHEN i % 10 = 0 THEN 1 ELSE 1 + i % ($1 / 10) END,
       'Flyer ' || i,
       'Konzert am See',
       'Seestrasse 1, 8002 Zürich',
       46.93 + (i % 1000) * 0.0009,
       7.88 + (i * 7 % 1000) * 0.0013,"
    {
        "
       strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', (i - $1 - 1) || ' minutes'),
       strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', '30 days'),
       'flyer ' || i || char(10) || 'konzert am see',
       strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', (i - $1 - 1) || ' minutes'),
       strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now')"
        | "
       now() - make_interval(mins => ($1 - i + 1)::int),
       now() + make_interval(days => 30),
       'flyer ' || i || chr(10) || 'konzert am see',
       now() - make_interval(mins => ($1 - i + 1)::int),
       now()"
    }
    "
FROM n");

const IMAGES: &str = "
INSERT INTO flyer_images (flyer_id, path, position, created_at)
SELECT id, 'flyers/' || id || '/cover.jpg', 0, created_at
FROM flyers";

/// Category 1 has every flyer, category 5 every tenth, category 7 every 500th.
const LINKS: &str = "
INSERT INTO flyer_categories (
    flyer_id, category_id, created_at, publication_date, expiration_date, is_active
)
SELECT f.id, c.id, f.created_at, f.publication_date, f.expiration_date, f.is_active
FROM flyers AS f
JOIN categories AS c
  ON c.id = 1 OR c.id = 5 AND f.id % 10 = 0 OR c.id = 7 AND f.id % 500 = 0";

/// User 1 likes every hundredth flyer and follows 100 users.
const FAVORITES: &str = "
INSERT INTO favorites (user_id, flyer_id, created_at)
SELECT 1, id, created_at
FROM flyers
WHERE id % 100 = 0";

const FOLLOWS: &str = "
INSERT INTO follows (follower_id, followed_id, created_at)
SELECT 1, id, created_at
FROM users
WHERE id BETWEEN 2 AND 101";

/// What keeps the search index up to date, put aside while flyers are made: it is built
/// at once at the end.
const SEARCH: Text = Text {
    sqlite: "SELECT sql FROM sqlite_schema WHERE name = 'flyers_search_insert'",
    postgres: "SELECT indexdef FROM pg_indexes WHERE indexname = 'flyers_search_text'",
};
const PUT_SEARCH_ASIDE: Text = Text {
    sqlite: "DROP TRIGGER flyers_search_insert",
    postgres: "DROP INDEX flyers_search_text",
};

/// Ids were given out by the statements above; the next one comes from a sequence.
const NEXT_IDS: [&str; 2] = [
    "SELECT setval(pg_get_serial_sequence('users', 'id'), max(id)) FROM users",
    "SELECT setval(pg_get_serial_sequence('flyers', 'id'), max(id)) FROM flyers",
];

/// The time of most flyers ends; nobody turns them off yet.
pub(crate) const EXPIRE_19_OF_20: &str = "
UPDATE flyers
SET publication_date = '2024-01-01T00:00:00+00:00',
    expiration_date = '2024-01-02T00:00:00+00:00'
WHERE id % 20 <> 0";

/// Turns off what has expired.
pub(crate) const SWEEP: Text = text!(
    "
UPDATE flyers
SET is_active = FALSE
WHERE is_active
  AND expiration_date <= " { "strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now')" | "now()" }
);

/// Fills an empty database; `flyers` is a multiple of ten. Leaves no statistics.
pub(crate) fn fill(service: &Running, flyers: i64) {
    service.runtime.block_on(async {
        let mut tx = service.database.begin().await.unwrap();
        take_time(&mut tx).await.unwrap();
        let search: String = query(SEARCH).fetch_scalar(&mut tx).await.unwrap();
        query(PUT_SEARCH_ASIDE).execute(&mut tx).await.unwrap();
        for sql in [Text::same(USERS), FLYERS] {
            query(sql).bind(flyers).execute(&mut tx).await.unwrap();
        }
        for sql in [PROFILES, IMAGES, LINKS, FAVORITES, FOLLOWS] {
            query(sql).execute(&mut tx).await.unwrap();
        }
        let rest: &[&'static str] = match tx.dialect() {
            Dialect::Sqlite => &["INSERT INTO flyer_search (flyer_search) VALUES ('rebuild')"],
            Dialect::Postgres => &NEXT_IDS,
        };
        for sql in rest {
            query(*sql).execute(&mut tx).await.unwrap();
        }
        query(search).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    });
}
