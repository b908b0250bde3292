//! The data is the same for the same scale, grows as it says, and is quick to make.

use std::time::{Duration, Instant};

use faulty::{Database, seed};
use sqlx::AssertSqlSafe;

const TABLES: [&str; 13] = [
    "settings",
    "categories",
    "tags",
    "couriers",
    "shops",
    "authors",
    "items",
    "reviews",
    "item_tags",
    "orders",
    "order_lines",
    "shipments",
    "audit_log",
];

async fn seeded(url: &str, scale: i64) -> Database {
    let database = Database::open(url).await.unwrap();
    seed::seed(&database, scale).await.unwrap();
    database
}

/// All rows of all tables as text.
async fn dump(database: &Database) -> Vec<String> {
    let mut rows = Vec::new();
    for table in TABLES {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
            .bind(table)
            .fetch_all(&database.reads)
            .await
            .unwrap();
        let row = format!(
            "SELECT json_array('{table}', {}) FROM {table}",
            columns.join(", ")
        );
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(row))
            .fetch_all(&database.reads)
            .await
            .unwrap();
        assert!(!found.is_empty(), "{table} is empty");
        rows.extend(found);
    }
    rows
}

async fn count(database: &Database, table: &str) -> i64 {
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(count)
        .fetch_one(&database.reads)
        .await
        .unwrap()
}

fn url(folder: &tempfile::TempDir, name: &str) -> String {
    format!("sqlite:{}", folder.path().join(name).display())
}

#[tokio::test]
async fn the_same_scale_is_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let first = dump(&seeded(&url(&folder, "first.db"), 500).await).await;
    let second = dump(&seeded(&url(&folder, "second.db"), 500).await).await;
    assert!(first == second);
}

#[tokio::test]
async fn seeding_again_replaces_everything() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(&folder, "shop.db");
    let small = dump(&seeded(&url, 300).await).await;
    let large = seeded(&url, 700).await;
    assert_eq!(count(&large, "items").await, 700);
    seed::seed(&large, 300).await.unwrap();
    assert!(dump(&large).await == small);
}

#[tokio::test]
async fn references_hold_at_any_scale() {
    let folder = tempfile::tempdir().unwrap();
    for scale in [1, 7, 199, 201, 1_000] {
        let database = seeded(&url(&folder, &format!("{scale}.db")), scale).await;
        assert_eq!(count(&database, "items").await, scale);
        let broken = sqlx::query("PRAGMA foreign_key_check")
            .fetch_all(&database.reads)
            .await
            .unwrap();
        assert!(
            broken.is_empty(),
            "{} broken references at scale {scale}",
            broken.len()
        );
    }
}

#[tokio::test]
async fn every_item_of_the_newest_has_32_reviews() {
    let folder = tempfile::tempdir().unwrap();
    let database = seeded(&url(&folder, "shop.db"), 1_000).await;
    let reviews: Vec<i64> = sqlx::query_scalar(
        "SELECT COUNT(*)
         FROM reviews
         GROUP BY item_id
         ORDER BY item_id",
    )
    .fetch_all(&database.reads)
    .await
    .unwrap();
    assert!(reviews[..800].iter().all(|reviews| *reviews == 2));
    assert!(reviews[800..].iter().all(|reviews| *reviews == 32));
}

#[tokio::test]
async fn a_hundred_thousand_items_are_made_in_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let database = seeded(&url(&folder, "shop.db"), 100_000).await;
    // It takes about 2 s; the margin is for a busy machine.
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(count(&database, "items").await, 100_000);
}
