//! The database: one connection that writes and a few that read.

use std::{path::Path, str::FromStr, time::Duration};

use anyhow::Context;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

const SCHEMA: &str = include_str!("../migrations/schema.sql");

/// SQLite takes one writer at a time; readers of a write-ahead log do not wait for it. More
/// readers than this only queue for the cores of a small machine.
const READERS: u32 = 4;

/// The connections of the service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    /// For reading only.
    pub reads: SqlitePool,
    /// The one connection that writes.
    pub writes: SqlitePool,
}

impl Database {
    /// Opens the database that `url` names (`sqlite:data/faulty.db`) and makes it, with empty
    /// tables, if it is missing.
    ///
    /// # Errors
    /// When `url` is not an SQLite URL or the file cannot be made or opened.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::from_str(url)
            .with_context(|| format!("DATABASE_URL=`{url}` is not like `sqlite:data/faulty.db`"))?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        make_folder(options.get_filename())?;

        let writes = pool(1)
            .connect_with(options.clone().create_if_missing(true))
            .await
            .with_context(|| format!("cannot open `{url}` for writing"))?;
        create_tables(&writes)
            .await
            .with_context(|| format!("cannot make the tables of `{url}`"))?;
        let reads = pool(READERS)
            .connect_with(options.read_only(true))
            .await
            .with_context(|| format!("cannot open `{url}` for reading"))?;
        Ok(Self { reads, writes })
    }

    /// Closes all connections, so that the file is complete on its own.
    pub async fn close(&self) {
        self.reads.close().await;
        self.writes.close().await;
    }
}

/// A pool that opens its connections before the first request and keeps them: a connection opened
/// inside a request would show its PRAGMA statements as the request's.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
}

fn make_folder(file: &Path) -> anyhow::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display())),
        _ => Ok(()),
    }
}

async fn create_tables(writes: &SqlitePool) -> sqlx::Result<()> {
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'items'")
        .fetch_one(writes)
        .await?;
    if tables == 0 {
        let mut transaction = writes.begin().await?;
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Drops every table and makes them again, empty, on a connection that does not check foreign keys.
pub(crate) async fn recreate_tables(connection: &mut sqlx::SqliteConnection) -> sqlx::Result<()> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name
         FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .fetch_all(&mut *connection)
    .await?;
    for table in tables {
        let drop = sqlx::AssertSqlSafe(format!("DROP TABLE \"{table}\""));
        sqlx::raw_sql(drop).execute(&mut *connection).await?;
    }
    sqlx::raw_sql(SCHEMA).execute(connection).await?;
    Ok(())
}
