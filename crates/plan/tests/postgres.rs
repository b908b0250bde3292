//! Plans, schema, samples and lints of a real PostgreSQL server.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;

use speedwell_plan::{
    Certainty, Database, ExplainError, Label, Lint, LintContext, LintKind, Plan, Sampled, Schema,
    lint, suggest, unused_indexes,
};
use speedwell_sql::{Dialect, shape, structure};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use throwaway::Postgres;

/// Two users have many flyers, the others few; one category is rare.
const TABLES: &str = "
CREATE TYPE mood AS ENUM ('calm', 'loud');
CREATE TABLE users (
    id BIGSERIAL PRIMARY KEY, email VARCHAR(80) NOT NULL UNIQUE, name TEXT, joined_at TIMESTAMPTZ);
CREATE TABLE categories (id BIGINT PRIMARY KEY, slug TEXT);
CREATE TABLE flyers (
    id BIGSERIAL PRIMARY KEY, creator_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    is_active BOOLEAN NOT NULL, created_at TIMESTAMPTZ NOT NULL, category TEXT, title TEXT,
    mood mood, price NUMERIC(10, 2));
CREATE INDEX flyers_feed ON flyers (is_active, created_at DESC, id DESC);
CREATE INDEX flyers_creator ON flyers (creator_id) INCLUDE (title);
CREATE INDEX flyers_loud ON flyers (created_at DESC) WHERE mood = 'loud';
CREATE INDEX flyers_title ON flyers (lower(title), id);
CREATE INDEX flyers_price ON flyers (price);
CREATE TABLE images (
    id BIGSERIAL PRIMARY KEY, flyer_id BIGINT NOT NULL REFERENCES flyers (id), place INT);
CREATE INDEX images_flyer ON images (flyer_id);
CREATE TABLE favorites (
    user_id BIGINT, flyer_id BIGINT, created_at TIMESTAMPTZ, PRIMARY KEY (user_id, flyer_id));
CREATE TABLE visits (id BIGINT, day DATE NOT NULL, path TEXT) PARTITION BY RANGE (day);
CREATE TABLE visits_2024 PARTITION OF visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE visits_2025 PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE log (id BIGSERIAL PRIMARY KEY, line TEXT);
INSERT INTO users (email, name, joined_at)
SELECT 'user' || i || '@example.org', 'User ' || i, TIMESTAMPTZ '2024-01-01' + i * INTERVAL '1 hour'
FROM generate_series(1, 5000) AS i;
INSERT INTO categories SELECT i, 'c' || i FROM generate_series(1, 20) AS i;
INSERT INTO flyers (creator_id, is_active, created_at, category, title, mood, price)
SELECT CASE WHEN i % 5 = 0 THEN 1 ELSE 1 + i % 5000 END, i % 10 <> 0,
       TIMESTAMPTZ '2024-01-01' + i * INTERVAL '10 minutes',
       CASE WHEN i % 2000 = 0 THEN 'rare' ELSE 'c' || i % 4 END, 'Title ' || i,
       CASE WHEN i % 7 = 0 THEN 'loud'::mood ELSE 'calm'::mood END, i % 400
FROM generate_series(1, 20000) AS i;
INSERT INTO images (flyer_id, place)
SELECT 1 + i % 20000, i % 3 FROM generate_series(1, 40000) AS i;
INSERT INTO favorites
SELECT 1 + i % 5000, 1 + (i * 7) % 20000, TIMESTAMPTZ '2024-06-01' + i * INTERVAL '1 minute'
FROM generate_series(1, 30000) AS i ON CONFLICT DO NOTHING;
INSERT INTO visits
SELECT i, DATE '2024-01-01' + i % 700, '/p' || i % 50 FROM generate_series(1, 6000) AS i;
ANALYZE;
INSERT INTO log (line) SELECT 'line ' || i FROM generate_series(1, 3000) AS i;
";

struct Scratch {
    // Before the server's lease, so that it is dropped first.
    database: Database,
    schema: Schema,
    home: throwaway::Database,
    _server: Postgres,
}

impl Scratch {
    async fn new() -> Self {
        let server = Postgres::shared().unwrap();
        let home = server.database().unwrap();
        let mut writer = PgConnection::connect(&home.url()).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&mut writer).await.unwrap();
        writer.close().await.unwrap();
        let mut database = Database::open(&home.url()).await.unwrap();
        let schema = database.schema().await.unwrap();
        Self {
            database,
            schema,
            home,
            _server: server,
        }
    }

    async fn writer(&self) -> PgConnection {
        PgConnection::connect(&self.home.url()).await.unwrap()
    }

    async fn plan(&mut self, sql: &str) -> Plan {
        let plan = self.database.explain(sql).await;
        plan.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    async fn sampled(&mut self, sql: &str) -> Vec<Sampled> {
        let sampled = self.database.explain_sampled(sql).await;
        sampled.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Lints when everything but `categories` grows.
    async fn lints(&mut self, sql: &str) -> Vec<Lint> {
        let plan = self.plan(sql).await;
        let sampled = self.sampled(sql).await;
        let structure = structure(sql, Dialect::Postgres, &|table| self.schema.columns(table));
        let context = LintContext {
            plan: &plan,
            sampled: &sampled,
            shape: &shape(sql, Dialect::Postgres),
            structure: structure.as_ref().ok(),
            schema: &self.schema,
            growing: &|table| table != "categories",
        };
        let lints = lint(&context);
        assert_eq!(lints, lint(&context), "lints are deterministic");
        lints
    }

    async fn assert_healthy(&mut self, sql: &str) {
        let lints = self.lints(sql).await;
        let plan = self.plan(sql).await;
        let sampled = self.sampled(sql).await;
        assert!(
            lints.is_empty(),
            "{sql}\n{plan}{lints:#?}{}",
            shown(&sampled)
        );
    }

    async fn assert_fault(&mut self, sql: &str, kind: LintKind, table: &str, certainty: Certainty) {
        let lints = self.lints(sql).await;
        let plan = self.plan(sql).await;
        let sampled = self.sampled(sql).await;
        let found = lints
            .iter()
            .any(|lint| (lint.kind, &*lint.table, lint.certainty) == (kind, table, certainty));
        assert!(found, "{sql}\n{plan}{lints:#?}{}", shown(&sampled));
    }
}

fn shown(sampled: &[Sampled]) -> String {
    let mut text = String::new();
    for each in sampled {
        let _ = write!(text, "{}:\n{}", each.label, each.plan);
    }
    text
}

use Certainty::{Likely, Possible};
use LintKind::{CastOnColumn, DiscardingFilter, FullScan, UnboundedSort};

/// What services ask, and what makes the planner use each of its steps.
const STATEMENTS: [&str; 32] = [
    "SELECT title FROM flyers WHERE id = $1",
    "SELECT title FROM flyers AS f WHERE f.creator_id = $1",
    "SELECT creator_id, title FROM flyers WHERE creator_id = 7 AND title <> 'secret'",
    "SELECT id FROM flyers WHERE category = $1",
    "SELECT id FROM flyers WHERE is_active = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
    "SELECT id FROM flyers WHERE is_active AND (created_at, id) < ($1, $2)
     ORDER BY created_at DESC, id DESC LIMIT 20",
    "SELECT id FROM flyers ORDER BY created_at LIMIT 20 OFFSET $1",
    "SELECT id FROM flyers WHERE creator_id = $1 ORDER BY created_at DESC LIMIT 20",
    "SELECT id FROM flyers WHERE is_active = true ORDER BY created_at DESC, title LIMIT 20",
    "SELECT id FROM flyers WHERE creator_id = $1 OR lower(title) = $2",
    "SELECT id FROM flyers WHERE id = ANY($1)",
    "SELECT f.title, u.name FROM flyers f JOIN users u ON u.id = f.creator_id WHERE f.id = $1",
    "SELECT f.title, u.name FROM flyers f LEFT JOIN users u ON u.id = f.creator_id",
    "SELECT f.id FROM flyers f WHERE EXISTS (SELECT 1 FROM images i WHERE i.flyer_id = f.id)",
    "SELECT f.id FROM flyers f WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.flyer_id = f.id)",
    "SELECT f.id, (SELECT COUNT(*) FROM images i WHERE i.flyer_id = f.id) FROM flyers f
     WHERE f.creator_id = $1",
    "SELECT id FROM users WHERE joined_at = (SELECT MAX(joined_at) FROM users)",
    "WITH page AS MATERIALIZED (SELECT id FROM flyers WHERE is_active ORDER BY created_at DESC LIMIT 20)
     SELECT i.id FROM page JOIN images i ON i.flyer_id = page.id",
    "SELECT category, COUNT(*) FROM flyers GROUP BY category",
    "SELECT creator_id, COUNT(*) FROM flyers GROUP BY creator_id ORDER BY creator_id",
    "SELECT COUNT(*) FROM flyers WHERE price > $1",
    "SELECT DISTINCT category FROM flyers ORDER BY category",
    "SELECT id, row_number() OVER (PARTITION BY category ORDER BY id) FROM flyers",
    "SELECT id FROM flyers UNION ALL SELECT id FROM images",
    "SELECT id FROM flyers EXCEPT SELECT flyer_id FROM images",
    "WITH RECURSIVE up (id) AS (
         SELECT id FROM users WHERE id = $1
         UNION ALL SELECT u.id FROM users u JOIN up ON u.id = up.id + 1 WHERE up.id < 10)
     SELECT id FROM up",
    "SELECT path FROM visits WHERE day = $1",
    "SELECT generate_series(1, 3)",
    "SELECT i.id FROM unnest($1::BIGINT[]) AS u (id) JOIN images i ON i.flyer_id = u.id",
    "INSERT INTO flyers (creator_id, is_active, created_at) VALUES ($1, $2, $3) RETURNING id",
    "UPDATE flyers SET title = $1 WHERE id = $2",
    "SELECT id FROM flyers WHERE id = $1 FOR UPDATE",
];

#[tokio::test]
async fn plans_are_printed_as_a_tree_with_the_tables_behind_aliases() {
    let mut scratch = Scratch::new().await;
    let mut text = String::new();
    for sql in STATEMENTS {
        let plan = scratch.plan(sql).await;
        assert!(!plan.to_string().contains("secret"), "{plan}");
        let _ = writeln!(text, "{sql}\n-> {}\n{plan}", plan.summary());
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn reading_a_growing_table_to_find_some_rows_is_a_full_scan() {
    let mut scratch = Scratch::new().await;
    for (sql, table) in [
        ("SELECT id FROM flyers WHERE category = $1", "flyers"),
        ("SELECT id FROM flyers WHERE title LIKE '%x%'", "flyers"),
        ("SELECT id FROM users WHERE name = $1", "users"),
        ("UPDATE users SET name = $1 WHERE name = $2", "users"),
        ("DELETE FROM favorites WHERE flyer_id = $1", "favorites"),
        ("SELECT id FROM flyers WHERE upper(title) = $1", "flyers"),
        (
            "SELECT user_id FROM favorites WHERE flyer_id = %s",
            "favorites",
        ),
    ] {
        scratch.assert_fault(sql, FullScan, table, Likely).await;
    }
}

#[tokio::test]
async fn lookups_pages_and_whole_tables_are_healthy() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT * FROM users WHERE email = $1",
        "SELECT * FROM flyers WHERE id = $1",
        "SELECT * FROM flyers WHERE is_active = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
        "SELECT * FROM flyers WHERE is_active = true AND (created_at, id) < ($1, $2)
         ORDER BY created_at DESC, id DESC LIMIT 20",
        "SELECT * FROM images WHERE flyer_id = ANY($1)",
        "SELECT * FROM images WHERE flyer_id = ANY($1) ORDER BY flyer_id, place",
        "SELECT * FROM images WHERE flyer_id IN ($1, $2, $3) ORDER BY place",
        "SELECT * FROM categories WHERE slug = $1",
        "SELECT * FROM categories ORDER BY slug",
        "SELECT * FROM flyers",
        "SELECT COUNT(*) FROM flyers",
        "SELECT f.title, u.name FROM flyers f JOIN users u ON u.id = f.creator_id",
        "SELECT f.title, c.slug FROM flyers f JOIN categories c ON c.slug = f.category
         WHERE f.id = $1",
        "DELETE FROM favorites WHERE user_id = $1 AND flyer_id = $2",
        "INSERT INTO images (flyer_id, place) VALUES ($1, $2)",
        "INSERT INTO users (email) VALUES ($1) ON CONFLICT (email) DO UPDATE SET name = $2",
        "SELECT EXISTS (SELECT 1 FROM favorites WHERE user_id = $1 AND flyer_id = $2)",
        "WITH page AS MATERIALIZED (
             SELECT id FROM flyers WHERE is_active ORDER BY created_at DESC, id DESC LIMIT 20)
         SELECT i.* FROM page JOIN images i ON i.flyer_id = page.id ORDER BY page.id, i.place",
        "SELECT f.id, (SELECT COUNT(*) FROM images i WHERE i.flyer_id = f.id) FROM flyers f
         WHERE f.is_active ORDER BY f.created_at DESC, f.id DESC LIMIT 20",
        "SELECT MAX(id) FROM flyers",
        "SELECT id FROM flyers WHERE mood = 'loud' ORDER BY created_at DESC LIMIT 20",
    ] {
        scratch.assert_healthy(sql).await;
    }
}

#[tokio::test]
async fn sorting_what_grows_is_a_fault() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT * FROM flyers ORDER BY title LIMIT 20",
        "SELECT * FROM flyers WHERE creator_id = $1 ORDER BY created_at DESC LIMIT 20",
        "SELECT f.title FROM users u JOIN flyers f ON f.creator_id = u.id
         WHERE u.email = $1 ORDER BY f.title",
        "SELECT id FROM flyers WHERE id IN (SELECT flyer_id FROM favorites WHERE user_id = $1)
         ORDER BY title",
    ] {
        let lints = scratch.lints(sql).await;
        let plan = scratch.plan(sql).await;
        let sorts = lints
            .iter()
            .any(|lint| lint.kind == UnboundedSort && lint.certainty == Likely);
        assert!(sorts, "{sql}\n{plan}{lints:#?}");
    }
    let ties = "SELECT id FROM flyers WHERE is_active ORDER BY created_at DESC, title LIMIT 20";
    scratch
        .assert_fault(ties, UnboundedSort, "flyers", Possible)
        .await;
}

#[tokio::test]
async fn a_fault_of_the_generic_plan_alone_is_possible_at_most_and_says_so() {
    let mut scratch = Scratch::new().await;
    // A parameter cannot be known to match the partial index; every value of it can.
    let sql = "SELECT id FROM flyers WHERE mood = $1::mood ORDER BY created_at DESC LIMIT 20";
    let lints = scratch.lints(sql).await;
    assert!(!lints.is_empty());
    let mut writer = scratch.writer().await;
    sqlx::raw_sql("UPDATE flyers SET mood = 'loud'; ANALYZE flyers")
        .execute(&mut writer)
        .await
        .unwrap();
    let lints = scratch.lints(sql).await;
    let sampled = scratch.sampled(sql).await;
    assert!(!lints.is_empty(), "{}", shown(&sampled));
    for lint in &lints {
        assert_eq!(lint.certainty, Possible, "{lint:#?}{}", shown(&sampled));
        let says = |line: &String| line.starts_with("Generic plan only");
        assert!(lint.evidence.iter().any(says), "{lint:#?}");
    }
}

#[tokio::test]
async fn a_cast_on_the_column_is_named_as_the_cause() {
    let mut scratch = Scratch::new().await;
    let sql = "SELECT title FROM flyers WHERE id = $1::NUMERIC";
    scratch
        .assert_fault(sql, CastOnColumn, "flyers", Likely)
        .await;
    let lints = scratch.lints(sql).await;
    assert_eq!(lints.len(), 1, "{lints:#?}");
    assert!(
        lints[0].summary.contains("id of flyers is cast to numeric"),
        "{}",
        lints[0].summary
    );
    // An index serves this cast, which PostgreSQL writes for itself.
    scratch
        .assert_healthy("SELECT id FROM users WHERE email = $1::TEXT")
        .await;
}

#[tokio::test]
async fn a_filter_that_throws_nearly_all_away_is_a_fault() {
    let mut scratch = Scratch::new().await;
    let sql = "SELECT price FROM flyers WHERE creator_id = 1 AND category = 'rare'";
    scratch
        .assert_fault(sql, DiscardingFilter, "flyers", Likely)
        .await;
}

#[tokio::test]
async fn a_table_of_few_pages_may_be_read_whole() {
    let mut scratch = Scratch::new().await;
    let mut writer = scratch.writer().await;
    sqlx::raw_sql(
        "CREATE TABLE small AS SELECT i AS id FROM generate_series(1, 900) AS i; ANALYZE small",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    scratch.schema = scratch.database.schema().await.unwrap();
    scratch
        .assert_healthy("SELECT id FROM small WHERE id = $1")
        .await;
}

#[tokio::test]
async fn a_suggested_index_makes_the_fault_go_away() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT user_id FROM favorites WHERE flyer_id = $1",
        "SELECT * FROM flyers WHERE creator_id = $1 ORDER BY created_at DESC LIMIT 20",
        "SELECT id FROM users WHERE name = $1",
    ] {
        let lints = scratch.lints(sql).await;
        let suggestion = lints[0].suggestion.clone();
        let suggestion = suggestion.unwrap_or_else(|| panic!("{sql}: {lints:#?}"));
        let mut writer = scratch.writer().await;
        sqlx::raw_sql(AssertSqlSafe(format!("{}; ANALYZE", suggestion.ddl)))
            .execute(&mut writer)
            .await
            .unwrap();
        scratch.schema = scratch.database.schema().await.unwrap();
        scratch.assert_healthy(sql).await;
        let columns = |table: &str| scratch.schema.columns(table);
        let structure = structure(sql, Dialect::Postgres, &columns).unwrap();
        let table = &suggestion.table;
        assert_eq!(suggest(&structure, table, &scratch.schema), None, "{sql}");
    }
}

#[tokio::test]
async fn unused_indexes_are_those_that_no_plan_needs_and_no_rule_or_foreign_key_either() {
    let mut scratch = Scratch::new().await;
    let feed = scratch
        .plan("SELECT id FROM flyers WHERE is_active ORDER BY created_at DESC LIMIT 20")
        .await;
    let price = scratch.plan("SELECT id FROM flyers WHERE price = $1").await;
    let unused: Vec<String> = unused_indexes(&scratch.schema, &[&feed, &price])
        .into_iter()
        .filter_map(|lint| lint.index)
        .collect();
    assert_eq!(unused, ["flyers_loud", "flyers_title"]);
}

#[tokio::test]
async fn samples_are_frequent_rare_and_absent_values_and_show_in_no_plan() {
    let mut scratch = Scratch::new().await;
    let sql = "SELECT id FROM flyers WHERE category = $1 AND created_at < $2 ORDER BY id LIMIT $3";
    let sampled = scratch.sampled(sql).await;
    let labels: Vec<Label> = sampled.iter().map(|sampled| sampled.label).collect();
    assert_eq!(labels, [Label::Hot, Label::Cold, Label::Absent]);
    let values = |at: usize| sampled[at].values.reveal();
    assert!(values(0)[0].starts_with("'c"), "{:?}", values(0));
    assert_eq!(values(1)[0], "'rare'::text");
    assert!(values(2)[0].contains("no such value"), "{:?}", values(2));
    assert!(values(0)[1].contains("2024-05"), "{:?}", values(0));
    assert!(values(1)[1].contains("2024-01"), "{:?}", values(1));
    assert_eq!(values(0)[2], "'20'::bigint");
    for each in &sampled {
        let text = format!("{} {each:?} {}", each.plan, each.plan.summary());
        assert!(!text.contains("rare") && !text.contains("2024"), "{text}");
    }
    // Without statistics some rows are looked at.
    let unknown = scratch
        .sampled("SELECT id FROM log WHERE line = $1 OR id = $1")
        .await;
    assert_eq!(unknown.len(), 0, "what stands under OR has no column");
    let unknown = scratch.sampled("SELECT id FROM log WHERE line = $1").await;
    assert_eq!(unknown[0].values.reveal(), ["'line 1'::text"]);
    assert!(
        scratch
            .sampled("SELECT id FROM log WHERE id = 5")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn every_type_of_column_can_be_sampled() {
    let mut scratch = Scratch::new().await;
    let mut writer = scratch.writer().await;
    sqlx::raw_sql(
        "CREATE TABLE kinds (a SMALLINT, b INT, c BIGINT, d NUMERIC, e REAL, f VARCHAR(9), g CHAR(3),
             h UUID, i DATE, j TIMESTAMP, k BOOLEAN, l mood, m JSONB, n BYTEA, o INET, p TEXT[],
             q INTERVAL, r TIME);
         INSERT INTO kinds
         SELECT i, i, i, i, i, i, i, gen_random_uuid(), DATE '2024-01-01' + i, now() + i * INTERVAL '1 h', TRUE, 'calm',
                '{}', 'x', '127.0.0.1', '{a}', i * INTERVAL '1 day', TIME '10:00' + i * INTERVAL '1 s'
         FROM generate_series(1, 500) AS i;
         ANALYZE kinds",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    for column in "abcdefghijklmnopqr".chars() {
        for sql in [
            format!("SELECT 1 FROM kinds WHERE {column} = $1"),
            format!("SELECT 1 FROM kinds WHERE {column} = ANY($1)"),
            format!("SELECT 1 FROM kinds WHERE {column} IN ($1, $2)"),
        ] {
            // There are no arrays of arrays.
            if !(column == 'p' && sql.contains("ANY")) {
                assert!(!scratch.sampled(&sql).await.is_empty(), "{sql}");
            }
        }
    }
    for column in "abcdeijqr".chars() {
        let sql = format!("SELECT 1 FROM kinds WHERE {column} BETWEEN $1 AND $2 AND {column} > $3");
        assert_eq!(scratch.sampled(&sql).await.len(), 3, "{sql}");
    }
    assert_eq!(
        scratch
            .sampled("SELECT 1 FROM kinds WHERE f LIKE $1")
            .await
            .len(),
        3
    );
}

#[tokio::test]
async fn explaining_changes_nothing_and_executes_nothing() {
    let mut scratch = Scratch::new().await;
    let mut writer = scratch.writer().await;
    sqlx::raw_sql(
        "CREATE TABLE marks (n BIGINT);
         CREATE FUNCTION mark() RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS
             $$ BEGIN INSERT INTO marks VALUES (1); RETURN 1; END $$;
         CREATE FUNCTION sly() RETURNS BIGINT LANGUAGE plpgsql IMMUTABLE AS
             $$ BEGIN INSERT INTO marks VALUES (1); RETURN 1; END $$",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    let count = "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM marks),
                        (SELECT last_value FROM users_id_seq), (SELECT MD5(STRING_AGG(name, '')) FROM users)";
    let before: (i64, i64, i64, String) =
        sqlx::query_as(count).fetch_one(&mut writer).await.unwrap();
    for sql in [
        "INSERT INTO users (email) SELECT email || 'x' FROM users",
        "INSERT INTO users (email) VALUES ($1) ON CONFLICT (email) DO UPDATE SET name = 'z'",
        "UPDATE users SET name = 'gone' WHERE id > $1",
        "DELETE FROM users",
        "WITH gone AS (DELETE FROM users RETURNING id) SELECT COUNT(*) FROM gone WHERE id = $1",
        "SELECT mark() FROM users WHERE id = $1",
        "SELECT nextval('users_id_seq')",
        "SELECT id FROM users WHERE id = mark() AND id > $1",
    ] {
        scratch.plan(sql).await;
        scratch.sampled(sql).await;
    }
    let sly = scratch
        .database
        .explain("SELECT id FROM users WHERE id = sly()")
        .await
        .unwrap_err();
    assert!(sly.to_string().contains("not allowed"), "{sly}");
    for refused in [
        "DROP TABLE users",
        "TRUNCATE users",
        "COMMIT",
        "SET default_transaction_read_only = off",
        "EXPLAIN ANALYZE DELETE FROM users",
        "COPY users TO PROGRAM 'true'",
        "DO $$ BEGIN DELETE FROM users; END $$",
        "DEALLOCATE ALL",
    ] {
        let error = scratch.database.explain(refused).await.unwrap_err();
        assert!(
            matches!(error, ExplainError::NotExplainable(_)),
            "{refused}: {error}"
        );
    }
    for several in [
        "SELECT 1; DROP TABLE users",
        "SELECT 1; COMMIT; DELETE FROM users",
    ] {
        let error = scratch.database.explain(several).await.unwrap_err();
        assert!(matches!(error, ExplainError::NotOneStatement(_)), "{error}");
    }
    let after: (i64, i64, i64, String) =
        sqlx::query_as(count).fetch_one(&mut writer).await.unwrap();
    assert_eq!(before, after);
    let left: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM pg_locks WHERE mode LIKE '%Exclusive%' AND locktype = 'relation'
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_one(&mut writer)
    .await
    .unwrap();
    assert_eq!(left, 0, "locks were left behind");
}

#[tokio::test]
async fn a_type_that_cannot_be_told_is_said_to_be_and_how_to_tell_it() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT $1 + $2",
        "SELECT id FROM users WHERE $1 IS NULL",
        "SELECT id FROM flyers WHERE created_at > now() - $1 AND id = $2",
        "SELECT id FROM users WHERE id = $1 OR name = $1",
    ] {
        let error = scratch.database.explain(sql).await.unwrap_err();
        assert!(
            matches!(error, ExplainError::UnknownType(_)),
            "{sql}: {error}"
        );
        assert!(error.to_string().contains("$1::text"), "{error}");
    }
    scratch
        .plan("SELECT id FROM users WHERE $1::text IS NULL OR name = $1")
        .await;
    for text in [
        "SELEC id FROM users",
        "SELECT 'open",
        "SELECT (((",
        "SELECT nothing FROM nowhere",
        "ü",
        "",
        ";;",
    ] {
        assert!(scratch.database.explain(text).await.is_err(), "{text}");
        let sampled = scratch.database.explain_sampled(text).await;
        assert!(sampled.is_err() || sampled.unwrap().is_empty(), "{text}");
    }
    scratch.plan("SELECT 1").await;
}

#[tokio::test]
async fn every_placeholder_style_reaches_the_database() {
    let mut scratch = Scratch::new().await;
    for placeholder in ["?", "$1", "$7", "$1::INTEGER", ":id", "%s", "%(id)s", "…"] {
        let sql = format!("SELECT name FROM users WHERE id = {placeholder}");
        assert_eq!(
            scratch.plan(&sql).await.summary(),
            "users by users_pkey",
            "{placeholder}"
        );
        assert_eq!(scratch.sampled(&sql).await.len(), 3, "{placeholder}");
    }
}

#[tokio::test]
async fn the_schema_tells_columns_keys_indexes_and_rows() {
    let scratch = Scratch::new().await;
    let flyers = scratch.schema.table("flyers").unwrap();
    assert_eq!((flyers.rows, flyers.never_analyzed), (Some(20_000), false));
    assert_eq!(flyers.primary_key, ["id"]);
    let category = flyers
        .columns
        .iter()
        .find(|column| column.name == "category")
        .unwrap();
    assert_eq!(
        (category.kind.as_str(), category.distinct),
        ("text", Some(5))
    );
    assert_eq!(flyers.columns[7].kind, "numeric(10,2)");
    assert_eq!(flyers.foreign_keys[0].table, "users");
    assert_eq!(flyers.foreign_keys[0].columns, ["creator_id"]);
    let index = |name: &str| {
        flyers
            .indexes
            .iter()
            .find(|index| index.name == name)
            .unwrap()
    };
    let directions: Vec<bool> = index("flyers_feed")
        .columns
        .iter()
        .map(|column| column.descending)
        .collect();
    assert_eq!(directions, [false, true, true]);
    assert!(index("flyers_feed").declared && !index("flyers_feed").unique);
    assert_eq!(index("flyers_creator").included, ["title"]);
    assert_eq!(index("flyers_creator").columns.len(), 1);
    assert_eq!(
        index("flyers_loud").partial.as_deref(),
        Some("(mood = 'loud'::mood)")
    );
    let title = &index("flyers_title").columns;
    assert!(
        title[0].expression && title[0].name == "lower(title)",
        "{title:?}"
    );
    assert!(!title[1].expression && title[1].name == "id");
    let key = index("flyers_pkey");
    assert!(key.unique && !key.declared && key.valid && key.method == "btree");
    let visits = scratch.schema.table("visits").unwrap();
    assert_eq!(visits.rows, Some(6000));
    assert!(scratch.schema.table("visits_2024").is_none());
    assert!(scratch.schema.table("log").unwrap().never_analyzed);
    assert_eq!(
        scratch.schema.table("favorites").unwrap().primary_key,
        ["user_id", "flyer_id"]
    );
}

#[tokio::test]
async fn a_locked_table_is_an_error_that_says_so() {
    let mut scratch = Scratch::new().await;
    let mut writer = scratch.writer().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        .execute(&mut writer)
        .await
        .unwrap();
    let error = scratch
        .database
        .explain("SELECT id FROM users")
        .await
        .unwrap_err();
    assert!(matches!(error, ExplainError::TableLocked), "{error}");
    let error = scratch.database.schema().await.unwrap_err();
    assert!(matches!(error, ExplainError::TableLocked), "{error}");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut writer)
        .await
        .unwrap();
    scratch.plan("SELECT id FROM users").await;
}

#[tokio::test]
async fn what_cannot_be_reached_says_why_and_what_to_do_and_never_the_password() {
    let server = Postgres::start().unwrap();
    let port = server.port();
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    let hba: String = sqlx::query_scalar("SHOW hba_file")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    sqlx::raw_sql("CREATE ROLE ann LOGIN PASSWORD 'right'; CREATE ROLE bob LOGIN PASSWORD 'b'; CREATE TABLE hidden (id INT)")
        .execute(&mut admin)
        .await
        .unwrap();
    std::fs::write(
        &hba,
        "host all postgres 127.0.0.1/32 trust\nhost all bob 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    sqlx::raw_sql("SELECT pg_reload_conf()")
        .execute(&mut admin)
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let fails = async |url: String, words: &[&str]| {
        let error = Database::open(&url).await.err().expect("must fail");
        let text = format!("{error} {error:?}");
        for word in words {
            assert!(text.contains(word), "`{word}` is not in {text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    };
    let at = format!("127.0.0.1:{port}");
    fails(
        format!("postgres://ann:hunter2@{at}/postgres"),
        &["ann", "password", "PGPASSWORD", &at],
    )
    .await;
    fails(
        format!("postgres://bob:hunter2@{at}/postgres"),
        &["pg_hba.conf", "bob"],
    )
    .await;
    fails(
        format!("postgres://postgres:hunter2@{at}/nowhere"),
        &["no database `nowhere`"],
    )
    .await;
    fails(
        format!("postgres://postgres:hunter2@{at}/postgres?sslmode=require"),
        &["TLS", "sslmode=prefer"],
    )
    .await;
    fails(
        "postgres://ann:hunter2@127.0.0.1:1/x".to_owned(),
        &["127.0.0.1:1", "refused", "start it"],
    )
    .await;
    fails(
        "postgres://ann:hunter2@[bad/x".to_owned(),
        &["cannot be read"],
    )
    .await;
    let mut ann = Database::open(&format!("postgres://ann:right@{at}/postgres"))
        .await
        .unwrap();
    let error = ann.explain("SELECT id FROM hidden").await;
    // A plan needs no rights to the table; its rows do.
    assert!(error.is_ok() || error.unwrap_err().to_string().contains("permit"));
    assert_eq!(
        ann.schema().await.unwrap().table("hidden").unwrap().rows,
        None
    );
}

#[tokio::test]
async fn a_server_that_dies_is_a_failed_connection() {
    let mut server = Postgres::start().unwrap();
    let mut database = Database::open(&server.url()).await.unwrap();
    server.kill();
    // A killed server's sessions end when they notice.
    let mut answer = database.explain("SELECT 1").await;
    for _ in 0..300 {
        if answer.is_err() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = database.explain("SELECT 1").await;
    }
    let error = answer.unwrap_err();
    assert!(
        matches!(
            error,
            ExplainError::Connection(_) | ExplainError::Refused(_)
        ),
        "{error}"
    );
    let error = Database::open(&server.url())
        .await
        .err()
        .expect("must fail");
    assert!(matches!(error, ExplainError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_partial_index_that_the_constants_match_is_not_suggested_again() {
    let mut scratch = Scratch::new().await;
    let mut writer = scratch.writer().await;
    sqlx::raw_sql(
        "CREATE INDEX flyers_live ON flyers (creator_id, created_at DESC) WHERE is_active; ANALYZE",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    scratch.schema = scratch.database.schema().await.unwrap();
    let page = "SELECT id FROM flyers WHERE creator_id = $1 AND is_active
                ORDER BY created_at DESC LIMIT 20";
    scratch.assert_healthy(page).await;
    // A parameter may be false.
    let parameter = page.replace("is_active", "is_active = $2");
    let plan = scratch.plan(&parameter).await;
    assert!(!plan.summary().contains("flyers_live"), "{plan}");
}

#[tokio::test]
async fn a_page_found_sooner_by_reading_than_by_its_index_is_at_most_a_possible_fault() {
    let mut scratch = Scratch::new().await;
    let mut writer = scratch.writer().await;
    sqlx::raw_sql(
        "CREATE TABLE tagged (id BIGSERIAL PRIMARY KEY, tag INT NOT NULL);
         INSERT INTO tagged (tag) SELECT i * 7919 % 110 FROM generate_series(1, 20000) AS i;
         CREATE INDEX tagged_tag ON tagged (tag);
         ANALYZE tagged",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    scratch.schema = scratch.database.schema().await.unwrap();
    let page = "SELECT id FROM tagged WHERE tag = $1 LIMIT 1";
    let plan = scratch.plan(page).await;
    assert!(plan.to_string().contains("Seq Scan"), "{plan}");
    let lints = scratch.lints(page).await;
    let possible = lints.iter().all(|lint| lint.certainty == Possible);
    assert!(possible && lints.len() == 1, "{lints:#?}");
    // Without the index it is one.
    sqlx::raw_sql("DROP INDEX tagged_tag")
        .execute(&mut writer)
        .await
        .unwrap();
    scratch.schema = scratch.database.schema().await.unwrap();
    scratch.assert_fault(page, FullScan, "tagged", Likely).await;
}

#[tokio::test]
async fn a_hash_join_that_beats_an_index_is_healthy() {
    let mut scratch = Scratch::new().await;
    let sql = "SELECT f.title, u.name FROM flyers f JOIN users u ON u.id = f.creator_id
               WHERE f.is_active = true";
    let plan = scratch.plan(sql).await;
    assert!(plan.to_string().contains("Hash Join"), "{plan}");
    let lints = scratch.lints(sql).await;
    assert!(lints.iter().all(|lint| lint.table != "users"), "{lints:#?}");
}
