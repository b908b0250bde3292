//! What the database itself says: plans, tables and indexes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use faulty::Database;
use sqlx::{AssertSqlSafe, SqlitePool, sqlite::SqliteConnectOptions};

use crate::listen::Seen;

/// The lines of `EXPLAIN QUERY PLAN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan(pub(crate) Vec<String>);

impl Plan {
    /// Tables read from end to end, not in the order of an index.
    pub(crate) fn bare_scans(&self) -> impl Iterator<Item = &str> {
        let scans = self.0.iter().filter_map(|line| line.strip_prefix("SCAN "));
        scans
            .filter(|rest| !rest.contains("USING"))
            .filter_map(|rest| rest.split(' ').next())
    }

    /// Whether a line holds `words`.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.0.iter().any(|line| line.contains(words))
    }

    /// Declared indexes that it uses.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter_map(|line| line.split_once(" INDEX "))
            .filter_map(|(_, rest)| rest.split([' ', '(']).next())
    }
}

/// The plans of all statements in one database, and the indexes that are declared there.
pub(crate) struct Catalogue {
    plans: BTreeMap<String, Plan>,
    /// Declared indexes by name, with their tables; those of primary keys left out.
    pub(crate) indexes: BTreeMap<String, String>,
}

impl Catalogue {
    pub(crate) async fn read(pool: &SqlitePool, texts: &BTreeSet<&str>) -> Self {
        let mut plans = BTreeMap::new();
        for text in texts {
            plans.insert((*text).to_owned(), explain(pool, text).await);
        }
        let indexes: Vec<(String, String)> = sqlx::query_as(
            "SELECT name, tbl_name
             FROM sqlite_schema
             WHERE type = 'index' AND sql IS NOT NULL",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        Self {
            plans,
            indexes: indexes.into_iter().collect(),
        }
    }

    pub(crate) fn plan(&self, seen: &Seen) -> &Plan {
        &self.plans[&seen.text]
    }
}

async fn explain(pool: &SqlitePool, text: &str) -> Plan {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    let lines: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(explain).fetch_all(pool).await.unwrap();
    Plan(lines.into_iter().map(|(.., line)| line).collect())
}

/// Rows of each table.
pub(crate) async fn table_sizes(database: &Database) -> BTreeMap<String, i64> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name
         FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
    )
    .fetch_all(&database.reads)
    .await
    .unwrap();
    let mut sizes = BTreeMap::new();
    for table in tables {
        let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM \"{table}\""));
        let rows = sqlx::query_scalar(count)
            .fetch_one(&database.reads)
            .await
            .unwrap();
        sizes.insert(table, rows);
    }
    sizes
}

/// The same data in a database that was never analysed.
pub(crate) async fn without_statistics(database: &Database, folder: &Path) -> SqlitePool {
    let copy = folder.join("bare.db");
    let _ = std::fs::remove_file(&copy);
    let vacuum = AssertSqlSafe(format!("VACUUM INTO '{}'", copy.display()));
    sqlx::raw_sql(vacuum)
        .execute(&database.writes)
        .await
        .unwrap();
    let options = SqliteConnectOptions::new().filename(&copy);
    let pool = SqlitePool::connect_with(options.clone()).await.unwrap();
    sqlx::raw_sql("DROP TABLE IF EXISTS sqlite_stat1; DROP TABLE IF EXISTS sqlite_stat4")
        .execute(&pool)
        .await
        .unwrap();
    // Statistics are read when a connection opens.
    pool.close().await;
    SqlitePool::connect_with(options).await.unwrap()
}
