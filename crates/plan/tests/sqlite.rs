//! Plans, schema and lints of real SQLite files.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use speedwell_plan::{
    Certainty, Database, ExplainError, Lint, LintContext, LintKind, Operation, Plan, Schema, lint,
    suggest, unused_indexes,
};
use speedwell_sql::{Dialect, shape, structure};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

const TABLES: &str = r#"
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT);
CREATE TABLE categories (id INTEGER PRIMARY KEY, slug TEXT, position INTEGER);
CREATE TABLE flyers (
    id INTEGER PRIMARY KEY, creator_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    is_active INTEGER NOT NULL, created_at TEXT NOT NULL, category TEXT, latitude REAL,
    longitude REAL, title TEXT);
CREATE INDEX flyers_feed ON flyers (is_active, created_at DESC, id DESC);
CREATE INDEX flyers_creator ON flyers (creator_id);
CREATE INDEX flyers_box ON flyers (latitude, longitude);
CREATE TABLE images (id INTEGER PRIMARY KEY, flyer_id INTEGER REFERENCES flyers (id), "order" INTEGER);
CREATE INDEX images_flyer ON images (flyer_id);
CREATE TABLE favorites (
    user_id INTEGER, flyer_id INTEGER, created_at TEXT, PRIMARY KEY (user_id, flyer_id)
) WITHOUT ROWID;
CREATE TABLE notes (id INTEGER PRIMARY KEY, is_open BOOLEAN, written_at TEXT, body TEXT);
CREATE INDEX notes_open ON notes (written_at DESC) WHERE is_open;
CREATE INDEX notes_lower ON notes (lower(body), written_at);
CREATE VIRTUAL TABLE words USING fts5(title);
"#;

struct Scratch {
    folder: TempDir,
    database: Database,
    schema: Schema,
}

impl Scratch {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder).await;
        sqlx::raw_sql(TABLES).execute(&mut writer).await.unwrap();
        sqlx::raw_sql("INSERT INTO users (email) VALUES ('a'), ('b'), ('c')")
            .execute(&mut writer)
            .await
            .unwrap();
        writer.close().await.unwrap();
        let mut database = Database::open(&path(&folder)).await.unwrap();
        let schema = database.schema().await.unwrap();
        Self {
            folder,
            database,
            schema,
        }
    }

    async fn plan(&mut self, sql: &str) -> Plan {
        self.database
            .explain(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Lints when everything but `categories` grows.
    async fn lints(&mut self, sql: &str) -> Vec<Lint> {
        self.lints_growing(sql, &|table| table != "categories")
            .await
    }

    async fn lints_growing(&mut self, sql: &str, growing: &dyn Fn(&str) -> bool) -> Vec<Lint> {
        let plan = self.plan(sql).await;
        let structure = structure(sql, Dialect::Sqlite, &|table| self.schema.columns(table));
        // The parser does not know all of SQLite; the plan and the shape must do then.
        let structure = structure.ok();
        let context = LintContext {
            plan: &plan,
            sampled: &[],
            shape: &shape(sql, Dialect::Sqlite),
            structure: structure.as_ref(),
            schema: &self.schema,
            growing,
        };
        let lints = lint(&context);
        assert_eq!(lints, lint(&context), "lints are deterministic");
        lints
    }

    async fn faults(&mut self, sql: &str) -> Vec<(LintKind, String, Certainty)> {
        let lints = self.lints(sql).await;
        lints
            .into_iter()
            .map(|lint| (lint.kind, lint.table, lint.certainty))
            .collect()
    }

    async fn assert_healthy(&mut self, sql: &str) {
        let lints = self.lints(sql).await;
        let plan = self.plan(sql).await;
        assert!(lints.is_empty(), "{sql}\n{plan}{lints:#?}");
    }

    async fn assert_fault(&mut self, sql: &str, kind: LintKind, table: &str, certainty: Certainty) {
        let faults = self.faults(sql).await;
        let plan = self.plan(sql).await;
        assert!(
            faults.contains(&(kind, table.to_owned(), certainty)),
            "{sql}\n{plan}found {faults:?}"
        );
    }
}

fn path(folder: &TempDir) -> String {
    folder.path().join("test.db").display().to_string()
}

async fn writer(folder: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path(folder))
        .create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

use Certainty::{Likely, Possible};
use LintKind::{AutomaticIndex, FullScan, UnboundedSort};

#[tokio::test]
async fn a_bare_scan_that_filters_a_growing_table_is_a_full_scan() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT * FROM flyers WHERE category = $1",
        "SELECT * FROM flyers WHERE category = $1 LIMIT 20",
        "SELECT * FROM flyers WHERE title LIKE $1",
        "SELECT * FROM flyers WHERE category = $1 OR title = $2",
        "UPDATE flyers SET title = $1 WHERE category = $2",
        "DELETE FROM flyers WHERE category = $1",
        "SELECT COUNT(*) FROM flyers WHERE category = $1",
    ] {
        scratch.assert_fault(sql, FullScan, "flyers", Likely).await;
    }
    // The driving table of a join, read whole to reach some rows of the other.
    let sql = "SELECT f.title FROM favorites v CROSS JOIN flyers f ON f.id = v.flyer_id \
               WHERE f.category = $1";
    scratch
        .assert_fault(sql, FullScan, "favorites", Likely)
        .await;
}

#[tokio::test]
async fn a_statement_that_asks_for_a_whole_table_is_no_full_scan() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT * FROM flyers",
        "SELECT COUNT(*) FROM flyers",
        "SELECT * FROM flyers LIMIT 20",
        "SELECT f.title, u.name FROM flyers f JOIN users u ON u.id = f.creator_id",
        "SELECT f.title, u.name FROM flyers f LEFT JOIN users u ON u.id = f.creator_id",
        "SELECT creator_id, COUNT(*) FROM flyers GROUP BY creator_id",
        "VALUES (1), (2)",
        "INSERT INTO users (email) VALUES ($1)",
    ] {
        scratch.assert_healthy(sql).await;
    }
}

#[tokio::test]
async fn an_ordered_walk_under_a_limit_is_healthy_and_without_it_is_not() {
    let mut scratch = Scratch::new().await;
    let walk = "SELECT * FROM notes WHERE is_open ORDER BY written_at DESC";
    assert!(
        scratch
            .plan(walk)
            .await
            .walk()
            .any(|node| node.operation == Operation::IndexWalk)
    );
    scratch.assert_healthy(&format!("{walk} LIMIT 20")).await;
    scratch.assert_fault(walk, FullScan, "notes", Likely).await;
    let covering = "SELECT COUNT(*) FROM flyers WHERE longitude > $1";
    scratch
        .assert_fault(covering, FullScan, "flyers", Possible)
        .await;
    // The rowid is an order too, though the plan calls the walk a scan.
    let by_key = "SELECT * FROM flyers WHERE category = $1 ORDER BY id DESC LIMIT 20";
    scratch
        .assert_fault(by_key, FullScan, "flyers", Possible)
        .await;
}

#[tokio::test]
async fn lookups_and_keyset_pages_are_healthy() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT * FROM users WHERE email = $1",
        "SELECT * FROM flyers WHERE id = $1",
        "SELECT * FROM flyers WHERE is_active = 1 ORDER BY created_at DESC, id DESC LIMIT $1",
        "SELECT * FROM flyers WHERE is_active = $1 AND (created_at, id) < ($2, $3) \
         ORDER BY created_at DESC, id DESC LIMIT $4",
        "SELECT * FROM flyers WHERE is_active = 1 AND (created_at, id) < (?, ?) \
         ORDER BY created_at DESC, id DESC LIMIT 20",
        "SELECT * FROM images WHERE flyer_id IN ($1, $2, $3)",
        "SELECT * FROM words WHERE words MATCH $1",
        "SELECT value FROM json_each($1)",
        "DELETE FROM favorites WHERE user_id = $1 AND flyer_id = $2",
        "SELECT f.*, EXISTS (SELECT 1 FROM favorites v WHERE v.user_id = ? AND v.flyer_id = f.id) \
         FROM flyers f WHERE f.id = ?",
        "SELECT * FROM flyers f WHERE f.is_active = 1 \
         AND EXISTS (SELECT 1 FROM images i WHERE i.flyer_id = f.id) \
         ORDER BY created_at DESC, id DESC LIMIT 20",
        "UPDATE flyers SET is_active = 0 WHERE id IN (SELECT id FROM flyers \
         WHERE is_active = 1 AND created_at < ? LIMIT 500)",
        "SELECT creator_id, COUNT(*) FROM flyers WHERE creator_id IN (?+) GROUP BY creator_id",
        "SELECT MAX(created_at) FROM flyers",
    ] {
        scratch.assert_healthy(sql).await;
    }
}

#[tokio::test]
async fn sorting_what_grows_is_a_fault() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT * FROM flyers WHERE creator_id = $1 ORDER BY created_at DESC LIMIT 20",
        "SELECT * FROM flyers ORDER BY title LIMIT 20",
        "SELECT DISTINCT category FROM flyers",
        "SELECT category, COUNT(*) FROM flyers GROUP BY category",
        "SELECT category, COUNT(*) FROM flyers GROUP BY category ORDER BY 2 DESC",
        "SELECT f.title FROM users u JOIN flyers f ON f.creator_id = u.id \
         WHERE u.email = $1 ORDER BY f.title",
        "SELECT * FROM (SELECT * FROM flyers WHERE creator_id = $1 ORDER BY title) LIMIT 3",
    ] {
        scratch
            .assert_fault(sql, UnboundedSort, "flyers", Likely)
            .await;
    }
}

#[tokio::test]
async fn sorting_a_range_or_ties_is_possibly_a_fault() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT * FROM flyers WHERE latitude BETWEEN $1 AND $2 ORDER BY created_at DESC LIMIT 20",
        "SELECT * FROM flyers WHERE is_active = $1 ORDER BY created_at DESC, title LIMIT 20",
        // Duplicates are dropped as rows come; the limit stops both.
        "SELECT DISTINCT f.id FROM flyers f JOIN images i ON i.flyer_id = f.id \
         WHERE f.is_active = 1 ORDER BY f.created_at DESC LIMIT 20",
        "SELECT u.name, (SELECT f.title FROM flyers f WHERE f.creator_id = u.id \
         ORDER BY f.title LIMIT 1) FROM users u WHERE u.id = $1",
    ] {
        let faults = scratch.faults(sql).await;
        assert_eq!(
            faults,
            [(UnboundedSort, "flyers".to_owned(), Possible)],
            "{sql}"
        );
    }
}

#[tokio::test]
async fn sorting_what_is_bounded_is_healthy() {
    let mut scratch = Scratch::new().await;
    for sql in [
        r#"SELECT * FROM images WHERE flyer_id IN ($1, $2, $3) ORDER BY flyer_id, "order""#,
        r#"SELECT * FROM images WHERE flyer_id IN (SELECT value FROM json_each($1)) ORDER BY "order""#,
        r#"SELECT i.* FROM json_each($1) j JOIN images i ON i.flyer_id = j.value ORDER BY i."order""#,
        "SELECT * FROM flyers WHERE id IN ($1, $2) ORDER BY title",
        "SELECT * FROM flyers WHERE id IN (SELECT flyer_id FROM favorites WHERE user_id = $1 \
         ORDER BY flyer_id LIMIT 20) ORDER BY title",
        r#"SELECT p.id, i."order" FROM (SELECT id, created_at FROM flyers WHERE is_active = 1
           ORDER BY created_at DESC, id DESC LIMIT 20) p
           JOIN images i ON i.flyer_id = p.id ORDER BY p.created_at DESC, i."order""#,
        r#"WITH page AS MATERIALIZED (SELECT id FROM flyers WHERE is_active = 1 LIMIT 20)
           SELECT i.* FROM page JOIN images i ON i.flyer_id = page.id ORDER BY i."order""#,
        "SELECT * FROM categories ORDER BY position",
        "SELECT * FROM categories WHERE slug = $1 ORDER BY position",
        "SELECT u.name FROM users u WHERE u.email = $1 ORDER BY u.name",
    ] {
        scratch.assert_healthy(sql).await;
    }
}

#[tokio::test]
async fn a_list_from_an_uncapped_subquery_is_no_bound() {
    let mut scratch = Scratch::new().await;
    let sql = "SELECT * FROM flyers WHERE id IN (SELECT flyer_id FROM favorites WHERE user_id = $1) \
               ORDER BY title";
    let faults = scratch.faults(sql).await;
    assert!(
        faults.iter().any(|fault| fault.0 == UnboundedSort),
        "{faults:?}"
    );
}

#[tokio::test]
async fn an_automatic_index_on_a_growing_table_is_a_fault() {
    let mut scratch = Scratch::new().await;
    let sql = "SELECT a.id FROM flyers a JOIN notes b ON b.body = a.title";
    let lints = scratch.lints(sql).await;
    let found = lints.iter().find(|lint| lint.kind == AutomaticIndex);
    let found = found.unwrap_or_else(|| panic!("{lints:#?}"));
    assert_eq!((found.table.as_str(), found.certainty), ("notes", Likely));
    let suggestion = found.suggestion.as_ref().expect("the join column is known");
    assert_eq!(
        suggestion.ddl,
        "CREATE INDEX notes_body_idx ON notes (body)"
    );
    assert!(!suggestion.tried);
    let lints = scratch.lints_growing(sql, &|table| table != "notes").await;
    assert!(
        lints.iter().all(|lint| lint.kind != AutomaticIndex),
        "{lints:#?}"
    );
}

#[tokio::test]
async fn a_small_table_is_never_a_fault() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT * FROM flyers WHERE category = $1",
        "SELECT * FROM flyers ORDER BY title",
        "SELECT a.id FROM flyers a JOIN notes b ON b.body = a.title",
    ] {
        let lints = scratch.lints_growing(sql, &|_| false).await;
        assert!(lints.is_empty(), "{sql}: {lints:#?}");
    }
}

#[tokio::test]
async fn a_partial_index_serves_the_bare_column_and_no_parameter() {
    let mut scratch = Scratch::new().await;
    let bare = "SELECT * FROM notes WHERE is_open ORDER BY written_at DESC LIMIT 20";
    assert_eq!(scratch.plan(bare).await.summary(), "notes by notes_open");
    for condition in ["is_open = 1", "is_open = $1", "is_open IS TRUE"] {
        let sql =
            format!("SELECT * FROM notes WHERE {condition} ORDER BY written_at DESC LIMIT 20");
        let lints = scratch.lints(&sql).await;
        let scan = lints.iter().find(|lint| lint.kind == FullScan);
        let scan = scan.unwrap_or_else(|| panic!("{sql}: {lints:#?}"));
        assert_eq!(scan.certainty, Likely);
        let says_why = |line: &String| line.contains("notes_open holds only rows WHERE is_open");
        assert!(scan.evidence.iter().any(says_why), "{:#?}", scan.evidence);
    }
}

#[tokio::test]
async fn unused_indexes_are_those_that_no_plan_needs_and_no_rule_or_foreign_key_either() {
    let mut scratch = Scratch::new().await;
    let feed = scratch
        .plan("SELECT * FROM flyers WHERE is_active = 1 ORDER BY created_at DESC LIMIT 20")
        .await;
    let names = |lints: Vec<Lint>| -> Vec<String> {
        assert!(lints.iter().all(|lint| lint.certainty == Possible));
        lints.into_iter().filter_map(|lint| lint.index).collect()
    };
    // flyers_creator and images_flyer serve foreign keys, users.email is a rule.
    let unused = names(unused_indexes(&scratch.schema, &[&feed]));
    assert_eq!(unused, ["flyers_box", "notes_lower", "notes_open"]);
    let near = scratch
        .plan("SELECT * FROM flyers WHERE latitude > $1")
        .await;
    let unused = names(unused_indexes(&scratch.schema, &[&feed, &near]));
    assert_eq!(unused, ["notes_lower", "notes_open"]);
    assert_eq!(
        unused_indexes(&scratch.schema, &[]),
        [],
        "nothing observed, nothing said"
    );
}

#[tokio::test]
async fn suggestions_put_equality_first_then_order_and_leave_out_what_exists() {
    let scratch = Scratch::new().await;
    let ddl = |sql: &str, table: &str| {
        let structure =
            structure(sql, Dialect::Sqlite, &|table| scratch.schema.columns(table)).unwrap();
        suggest(&structure, table, &scratch.schema).map(|suggestion| suggestion.ddl)
    };
    let cases = [
        (
            "SELECT * FROM flyers WHERE creator_id = ? ORDER BY created_at DESC, id DESC",
            "CREATE INDEX flyers_creator_id_created_at_id_idx \
             ON flyers (creator_id, created_at DESC, id DESC)",
        ),
        (
            "SELECT * FROM flyers WHERE title = ? AND category = ? AND created_at > ?",
            "CREATE INDEX flyers_category_title_created_at_idx \
             ON flyers (category, title, created_at)",
        ),
        (
            "SELECT * FROM flyers WHERE category IN (?, ?) ORDER BY created_at",
            "CREATE INDEX flyers_category_created_at_idx ON flyers (category, created_at)",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(ddl(sql, "flyers").as_deref(), Some(expected), "{sql}");
    }
    let same = "SELECT * FROM flyers WHERE category = ? AND title = ? AND created_at > ?";
    assert_eq!(
        ddl(same, "flyers").as_deref(),
        Some(cases[1].1),
        "the order of terms is no matter"
    );
    for served in [
        "SELECT * FROM flyers WHERE id = ?",
        "SELECT * FROM flyers WHERE is_active = ? ORDER BY created_at DESC, id DESC",
        "SELECT * FROM flyers WHERE is_active = ? ORDER BY created_at, id",
        "SELECT * FROM flyers WHERE creator_id = ?",
        "SELECT * FROM flyers ORDER BY id",
        "SELECT * FROM flyers WHERE title LIKE '%x%'",
        "SELECT * FROM flyers",
    ] {
        assert_eq!(ddl(served, "flyers"), None, "{served}");
    }
    let sql = r#"SELECT * FROM images WHERE flyer_id = ? ORDER BY "order""#;
    let expected = r#"CREATE INDEX images_flyer_id_order_idx ON images (flyer_id, "order")"#;
    assert_eq!(ddl(sql, "images").as_deref(), Some(expected));
    assert_eq!(ddl("SELECT * FROM nothing WHERE a = 1", "nothing"), None);
}

#[tokio::test]
async fn each_search_of_a_table_gets_an_index_of_its_own() {
    let mut scratch = Scratch::new().await;
    let cases = [
        // The other part of the UNION has its index already.
        (
            "SELECT id FROM flyers WHERE creator_id = ? UNION ALL SELECT id FROM flyers WHERE title = ?",
            Some("CREATE INDEX flyers_title_idx ON flyers (title)"),
        ),
        (
            "DELETE FROM images WHERE id IN (SELECT id FROM images WHERE \"order\" = ?)",
            Some("CREATE INDEX images_order_idx ON images (\"order\")"),
        ),
        // The order is that of the primary key, so it is the range that needs one.
        (
            "SELECT id FROM flyers WHERE created_at > ? ORDER BY id DESC",
            Some("CREATE INDEX flyers_created_at_idx ON flyers (created_at)"),
        ),
        // SQLite would not use a plain index for LIKE.
        ("SELECT id FROM flyers WHERE title LIKE ? LIMIT 20", None),
        ("SELECT id FROM flyers WHERE title LIKE 'a%'", None),
    ];
    for (sql, ddl) in cases {
        let lints = scratch.lints(sql).await;
        let [lint] = &lints[..] else {
            panic!("{sql}: {lints:#?}");
        };
        let suggested = lint.suggestion.as_ref().map(|suggestion| &*suggestion.ddl);
        assert_eq!(suggested, ddl, "{sql}");
    }
}

#[tokio::test]
async fn a_limit_in_the_select_list_bounds_nothing() {
    let mut scratch = Scratch::new().await;
    let picture =
        "SELECT (SELECT i.id FROM images i WHERE i.flyer_id = f.id LIMIT 1) FROM flyers f";
    scratch
        .assert_fault(
            &format!("{picture} WHERE f.title = ? ORDER BY f.latitude, f.longitude"),
            FullScan,
            "flyers",
            Likely,
        )
        .await;
    scratch
        .assert_healthy(&format!(
            "{picture} WHERE f.is_active = 1 ORDER BY f.created_at DESC, f.id DESC LIMIT 20"
        ))
        .await;
    scratch
        .assert_healthy(
            "WITH page AS (SELECT id FROM flyers WHERE is_active = 1 ORDER BY created_at DESC LIMIT ?)
             SELECT page.id, i.id FROM page JOIN images i ON i.flyer_id = page.id ORDER BY page.id",
        )
        .await;
}

#[tokio::test]
async fn odd_statements_that_are_healthy_have_no_lint() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "VALUES (1), (2)",
        "WITH v (id) AS (VALUES (1), (2)) SELECT f.id FROM v JOIN flyers f ON f.id = v.id ORDER BY f.title",
        "SELECT id FROM flyers WHERE creator_id = ? OR id = ?",
        "SELECT id FROM flyers WHERE creator_id = ? UNION SELECT flyer_id FROM favorites WHERE user_id = ? ORDER BY 1",
        "SELECT id FROM users WHERE EXISTS (SELECT 1 FROM flyers WHERE creator_id = users.id) AND id > ? LIMIT 20",
        "SELECT * FROM favorites WHERE user_id = ? ORDER BY flyer_id",
        "SELECT id FROM notes WHERE lower(body) = ? ORDER BY written_at",
        "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT 20",
        "INSERT INTO images (flyer_id) SELECT id FROM flyers WHERE creator_id = ?",
        "INSERT INTO users (email) VALUES (?) ON CONFLICT (email) DO UPDATE SET name = excluded.name",
        "UPDATE flyers SET title = u.name FROM users u WHERE u.id = flyers.creator_id AND flyers.id = ?",
        "DELETE FROM flyers WHERE id = ?",
        "WITH RECURSIVE up (id) AS (
             SELECT id FROM flyers WHERE id = ?
             UNION ALL SELECT f.creator_id FROM flyers f JOIN up ON f.id = up.id)
         SELECT id FROM up",
    ] {
        scratch.assert_healthy(sql).await;
    }
}

#[tokio::test]
async fn lints_are_written_in_sentences() {
    let mut scratch = Scratch::new().await;
    let mut lints = Vec::new();
    for sql in [
        "SELECT id FROM flyers WHERE title = ? ORDER BY category LIMIT 20",
        "SELECT id FROM flyers WHERE created_at < ? AND category = ?",
        "SELECT id FROM notes WHERE is_open = ? ORDER BY written_at DESC LIMIT 20",
        "SELECT count(*) FROM users WHERE upper(email) = ?",
        "SELECT c.slug, f.id FROM categories c JOIN flyers f ON f.category = c.slug",
    ] {
        lints.extend(scratch.lints(sql).await);
    }
    let plan = scratch.plan("SELECT id FROM users WHERE id = 1").await;
    lints.extend(unused_indexes(&scratch.schema, &[&plan]));
    let is_sentence =
        |text: &str| text.starts_with(|c: char| c.is_uppercase()) && text.ends_with('.');
    for lint in &lints {
        let reason = lint
            .suggestion
            .as_ref()
            .map(|suggestion| &suggestion.reason);
        for text in lint.evidence.iter().chain([&lint.summary]).chain(reason) {
            assert!(is_sentence(text), "{text}");
        }
    }
    let reasons: Vec<_> = lints
        .iter()
        .filter_map(|lint| Some(lint.suggestion.as_ref()?.reason.as_str()))
        .collect();
    insta::assert_snapshot!(reasons.join("\n"), @r"
    An index on (title, category) finds the rows by title and gives them in the order of category.
    An index on (title, category) finds the rows by title and gives them in the order of category.
    An index on (category, created_at) finds the rows by category and a range of created_at.
    An index on (is_open, written_at) finds the rows by is_open and gives them in the order of written_at.
    An index on (is_open, written_at) finds the rows by is_open and gives them in the order of written_at.
    An index on (category) finds the rows by category.
    ");
}

#[tokio::test]
async fn a_suggested_index_makes_the_fault_go_away() {
    let mut scratch = Scratch::new().await;
    for sql in [
        "SELECT * FROM flyers WHERE category = $1",
        "SELECT * FROM flyers WHERE creator_id = $1 ORDER BY created_at DESC LIMIT 20",
        "SELECT * FROM flyers ORDER BY title LIMIT 20",
        r#"SELECT * FROM images WHERE flyer_id = $1 ORDER BY "order""#,
    ] {
        let lints = scratch.lints(sql).await;
        let suggestion = lints[0]
            .suggestion
            .clone()
            .unwrap_or_else(|| panic!("{sql}"));
        let mut writer = writer(&scratch.folder).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(suggestion.ddl))
            .execute(&mut writer)
            .await
            .unwrap();
        writer.close().await.unwrap();
        scratch.assert_healthy(sql).await;
    }
}

#[tokio::test]
async fn the_schema_tells_columns_keys_indexes_and_rows() {
    let scratch = Scratch::new().await;
    let flyers = scratch.schema.table("FLYERS").unwrap();
    assert_eq!(flyers.rows, Some(0));
    assert_eq!(flyers.primary_key, ["id"]);
    assert_eq!(flyers.columns[1].name, "creator_id");
    assert_eq!(flyers.columns[1].kind, "INTEGER");
    assert_eq!(flyers.foreign_keys[0].table, "users");
    let feed = flyers
        .indexes
        .iter()
        .find(|index| index.name == "flyers_feed")
        .unwrap();
    assert!(feed.declared && !feed.unique && feed.partial.is_none());
    let directions: Vec<bool> = feed
        .columns
        .iter()
        .map(|column| column.descending)
        .collect();
    assert_eq!(directions, [false, true, true]);
    let users = scratch.schema.table("users").unwrap();
    assert_eq!(users.rows, Some(3));
    assert!(
        users
            .indexes
            .iter()
            .all(|index| index.unique && !index.declared)
    );
    let notes = scratch.schema.table("notes").unwrap();
    let lower = notes
        .indexes
        .iter()
        .find(|index| index.name == "notes_lower")
        .unwrap();
    assert!(lower.columns[0].expression);
    assert_eq!(lower.columns[0].name, "lower(body)");
    let open = notes
        .indexes
        .iter()
        .find(|index| index.name == "notes_open")
        .unwrap();
    assert_eq!(open.partial.as_deref(), Some("is_open"));
    let favorites = scratch.schema.table("favorites").unwrap();
    assert!(favorites.without_rowid);
    assert_eq!(favorites.primary_key, ["user_id", "flyer_id"]);
    let words = scratch.schema.table("words").unwrap();
    assert!(words.virtual_table && words.rows.is_none());
    assert!(
        scratch.schema.table("words_data").is_none(),
        "shadow tables are not the service's"
    );
}

#[tokio::test]
async fn plans_are_printed_as_a_tree_with_the_tables_behind_aliases() {
    let mut scratch = Scratch::new().await;
    let sql = r#"
        SELECT p.id, i."order", (SELECT COUNT(*) FROM favorites v WHERE v.flyer_id = p.id)
        FROM (SELECT id, created_at FROM flyers AS f WHERE is_active = 1
              ORDER BY created_at DESC, id DESC LIMIT 20) p
        JOIN images i ON i.flyer_id = p.id
        ORDER BY p.created_at DESC, i."order""#;
    let plan = scratch.plan(sql).await;
    insta::assert_snapshot!(plan, @"
    CO-ROUTINE p
      SEARCH f USING COVERING INDEX flyers_feed (is_active=?)  [flyers]
    SCAN p
    SEARCH i USING INDEX images_flyer (flyer_id=?)  [images]
    CORRELATED SCALAR SUBQUERY 1
      SCAN v  [favorites]
    USE TEMP B-TREE FOR LAST TERM OF ORDER BY
    ");
    insta::assert_snapshot!(plan.summary(), @"flyers by flyers_feed, images by images_flyer, favorites scanned, ties sorted");
    let sql = "SELECT id FROM flyers WHERE category = :a OR id IN (SELECT flyer_id FROM favorites) \
               UNION SELECT id FROM users WHERE email = :b";
    let plan = scratch.plan(sql).await;
    insta::assert_snapshot!(plan, @"
    COMPOUND QUERY
      LEFT-MOST SUBQUERY
        SCAN flyers
        LIST SUBQUERY 1
          SCAN favorites
          CREATE BLOOM FILTER
      UNION USING TEMP B-TREE
        SEARCH users USING COVERING INDEX sqlite_autoindex_users_1 (email=?)
    ");
    insta::assert_snapshot!(plan.summary(), @"flyers scanned, favorites scanned, users by sqlite_autoindex_users_1");
    let sql = "SELECT * FROM flyers WHERE creator_id = %s OR latitude > %s";
    let plan = scratch.plan(sql).await;
    insta::assert_snapshot!(plan, @"
    MULTI-INDEX OR
      INDEX 1
        SEARCH flyers USING INDEX flyers_creator (creator_id=?)
      INDEX 2
        SEARCH flyers USING INDEX flyers_box (latitude>?)
    ");
    insta::assert_snapshot!(plan.summary(), @"flyers by flyers_creator, flyers by flyers_box");
    insta::assert_snapshot!(scratch.plan("VALUES (1)").await.summary(), @"no table");
}

#[tokio::test]
async fn a_table_behind_a_view_or_a_cte_of_the_same_name_is_not_mistaken() {
    let mut scratch = Scratch::new().await;
    let mut writer = writer(&scratch.folder).await;
    sqlx::raw_sql("CREATE VIEW recent AS SELECT x.* FROM flyers x WHERE x.category = 'a'")
        .execute(&mut writer)
        .await
        .unwrap();
    writer.close().await.unwrap();
    let plan = scratch.plan("SELECT * FROM recent").await;
    assert_eq!(plan.summary(), "flyers scanned");
    let sql = "WITH flyers AS MATERIALIZED (SELECT 1 AS id) SELECT * FROM flyers, users";
    let plan = scratch.plan(sql).await;
    assert_eq!(plan.summary(), "users scanned", "{plan}");
}

#[tokio::test]
async fn explaining_writes_changes_nothing() {
    let mut scratch = Scratch::new().await;
    let file = scratch.folder.path().join("test.db");
    let before = std::fs::read(&file).unwrap();
    for sql in [
        "INSERT INTO users (email) SELECT email || 'x' FROM users",
        "INSERT INTO users (id, email) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET email = 'z'",
        "REPLACE INTO users (id, email) VALUES (1, 'q')",
        "UPDATE users SET email = 'gone' WHERE id > 0",
        "DELETE FROM users",
        "WITH old AS (SELECT id FROM users) DELETE FROM users WHERE id IN (SELECT id FROM old)",
    ] {
        scratch.plan(sql).await;
    }
    for refused in [
        "PRAGMA journal_mode = DELETE",
        "PRAGMA query_only = OFF",
        "DROP TABLE users",
        "CREATE TABLE t (a)",
        "ATTACH '/tmp/x.db' AS x",
        "VACUUM",
        "EXPLAIN DELETE FROM users",
    ] {
        let error = scratch.database.explain(refused).await.unwrap_err();
        assert!(
            matches!(error, ExplainError::NotExplainable(_)),
            "{refused}: {error}"
        );
    }
    let error = scratch
        .database
        .explain("SELECT 1; DELETE FROM users")
        .await
        .unwrap_err();
    assert!(matches!(error, ExplainError::NotOneStatement(2)), "{error}");
    assert_eq!(scratch.database.schema().await.unwrap(), scratch.schema);
    assert!(
        before == std::fs::read(&file).unwrap(),
        "the file has changed"
    );
}

#[tokio::test]
async fn what_cannot_be_opened_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let says = |error: ExplainError, words: &str| {
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
    };
    let open = async |url: String| Database::open(&url).await.err().expect("must fail");
    says(
        open(path(&folder)).await,
        "no such file; run the service once",
    );
    assert!(
        !std::path::Path::new(&path(&folder)).exists(),
        "opening must not create it"
    );
    says(
        open(folder.path().display().to_string()).await,
        "it is a directory",
    );
    std::fs::write(
        folder.path().join("test.db"),
        "this is a text of no database at all\n".repeat(99),
    )
    .unwrap();
    says(open(path(&folder)).await, "is not a SQLite database");
    says(
        open("mysql://ann:secret@localhost/x".into()).await,
        "cannot be explained yet",
    );
}

#[tokio::test]
async fn a_locked_database_is_an_error_that_says_so() {
    let mut scratch = Scratch::new().await;
    let mut writer = writer(&scratch.folder).await;
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut writer)
        .await
        .unwrap();
    let url = format!("sqlite:{}", path(&scratch.folder));
    let error = Database::open(&url).await.err().expect("must fail");
    assert!(matches!(error, ExplainError::Locked(_)), "{error}");
    assert!(error.to_string().contains("locked by another process"));
    let error = scratch.database.schema().await.unwrap_err();
    assert!(matches!(error, ExplainError::Locked(_)), "{error}");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut writer)
        .await
        .unwrap();
    scratch.plan("SELECT * FROM users").await;
}

#[tokio::test]
async fn text_that_is_no_sql_is_refused_in_the_words_of_the_database() {
    let mut scratch = Scratch::new().await;
    let text = "SELECT * FRM users";
    let error = scratch.database.explain(text).await.unwrap_err();
    assert!(
        error.to_string().contains("near \"users\"") || error.to_string().contains("near \"FRM\""),
        "{error}"
    );
    let error = scratch
        .database
        .explain("SELECT * FROM nowhere")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the database refuses the statement: no such table: nowhere"
    );
    for text in [
        "SELECT 'open",
        "SELECT \0 1",
        "WITH",
        "SELECT (((((",
        "SELECT \"",
        "ü",
        "",
        ";;",
    ] {
        assert!(scratch.database.explain(text).await.is_err(), "{text}");
    }
    scratch.plan("SELECT * FROM users").await;
}

#[tokio::test]
async fn a_statement_of_100_kilobytes_is_explained() {
    let mut scratch = Scratch::new().await;
    let list: Vec<String> = (0..14_000).map(|number| format!("${number}")).collect();
    let sql = format!(
        "SELECT * FROM images WHERE flyer_id IN ({})",
        list.join(", ")
    );
    assert!(sql.len() > 100_000);
    assert_eq!(scratch.plan(&sql).await.summary(), "images by images_flyer");
}

#[tokio::test]
async fn every_placeholder_style_reaches_the_database() {
    let mut scratch = Scratch::new().await;
    for placeholder in [
        "?", "?1", "$1", "$7", "$0", ":id", "@id", "$id", "%s", "%(id)s",
    ] {
        let sql = format!("SELECT * FROM users WHERE id = {placeholder}");
        assert_eq!(
            scratch.plan(&sql).await.summary(),
            "users by primary key",
            "{placeholder}"
        );
    }
}

#[tokio::test]
async fn values_are_bound_where_they_change_a_plan() {
    let mut scratch = Scratch::new().await;
    let mut writer = writer(&scratch.folder).await;
    sqlx::raw_sql(
        "CREATE INDEX users_name ON users (name COLLATE NOCASE);
         UPDATE users SET name = 'Name ' || id",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    let sql = "SELECT id FROM users WHERE name LIKE ? LIMIT ?";
    assert!(scratch.plan(sql).await.to_string().starts_with("SCAN"));
    let sampled = scratch.database.explain_sampled(sql).await.unwrap();
    assert!(!sampled.is_empty());
    for each in &sampled {
        assert!(each.plan.to_string().starts_with("SEARCH"), "{each:?}");
        assert!(!format!("{each:?}").contains("Nam"), "{each:?}");
    }
    assert_eq!(sampled[0].values.reveal(), ["'Nam%'", "20"]);
    let of_key = "SELECT name FROM users WHERE id = $1";
    assert!(
        scratch
            .database
            .explain_sampled(of_key)
            .await
            .unwrap()
            .is_empty()
    );
    sqlx::raw_sql("ANALYZE").execute(&mut writer).await.unwrap();
    let sampled = scratch.database.explain_sampled(of_key).await.unwrap();
    assert!(
        !sampled.is_empty(),
        "values matter once ANALYZE has left samples"
    );
}
