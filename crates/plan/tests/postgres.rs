//! Plans, schema, samples and lints of a real PostgreSQL server.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;

use speedwell_plan::{
    Certainty, Database, ExplainError, Label, Lint, LintContext, LintKind, Plan, Sampled, Schema,
    ScratchDatabase, lint, suggest, unused_indexes,
};
use speedwell_sql::{Dialect, shape, structure};
use sqlx::{Connection as _, PgConnection};
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
        assert!(lints.is_empty(), "{sql}\n{plan}{lints:#?}{}", shown(&sampled));
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
        let _ = writeln!(text, "{sql}\n-> {}\n{plan}", plan.summary());
    }
    assert!(!text.contains("secret"), "{text}");
    insta::assert_snapshot!(text);
}
