//! One database, two ways in: many connections that read, one that writes.

use std::{path::PathBuf, time::Duration};

use sqlx::{
    SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{
        Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    },
};

use crate::config::DatabaseUrl;

/// A database that is open.
///
/// SQLite admits one writer at a time. Giving it one connection of its own lets writes
/// wait in the process, in order, instead of failing with "database is locked"; the
/// readers are told `query_only`, so a write that takes the wrong way fails in its test.
#[derive(Debug, Clone)]
pub struct Database {
    readers: SqlitePool,
    writer: SqlitePool,
}

/// How many connections there are and how many of them wait for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// `readers` or `writer`.
    pub name: &'static str,
    /// Connections that are open.
    pub size: u32,
    /// Connections that nobody uses.
    pub idle: usize,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The folder of the file cannot be made.
    #[error(
        "cannot make the folder {path} for the database: {source}; set DATABASE_URL to a place that can be written"
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file cannot be opened.
    #[error("cannot open the database {url} (DATABASE_URL): {source}; {advice}", advice = open_advice(source))]
    Open {
        /// Which database.
        url: String,
        /// What the database says.
        source: sqlx::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database: {0}; {advice}", advice = migrate_advice(.0))]
    Migrate(#[from] MigrateError),
}

/// What to do about a database that does not open.
fn open_advice(error: &sqlx::Error) -> &'static str {
    if is_busy(error) {
        return "another process holds it locked; stop that process, or wait until it is done";
    }
    match primary_code(error) {
        // SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_NOTADB.
        Some(8) => "the file or its folder cannot be written; change its permissions",
        Some(14) => "set DATABASE_URL to a file in a folder that can be written",
        Some(26) => "set DATABASE_URL to a SQLite file, or to a new one",
        _ => "set DATABASE_URL to another file",
    }
}

fn migrate_advice(error: &MigrateError) -> &'static str {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            open_advice(error)
        }
        _ => "use the version of this program that made the file, or a new file",
    }
}

/// Whether another try may help: no connection in time, or a lock held too long.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY and SQLITE_LOCKED.
    matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
        || matches!(primary_code(error), Some(5 | 6))
}

/// SQLite's error code; extended codes keep the primary one in the low byte.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<u32>().ok()? & 0xff)
}

/// A request waits this long for a connection before it is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A writer of another process (a seed, a backup) may hold the lock this long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A service has a few dozen statements, a filtered feed some variants of each.
const STATEMENTS_KEPT: usize = 256;
/// 64 MB, as SQLite writes it: a transaction that changes more pages than fit writes them
/// to the log again and again. Memory is taken only as it is needed.
const WRITER_CACHE: &str = "-65536";
/// Rows that ANALYZE looks at per index when a connection closes (SQLite recommends 400).
const ANALYSIS_LIMIT: u32 = 400;

impl Database {
    /// Opens the database with `readers` connections that read and one that writes.
    ///
    /// All of them are opened here, so that no request pays for it or sees its PRAGMAs.
    ///
    /// # Errors
    /// The folder cannot be made or the file cannot be opened.
    pub async fn open(url: &DatabaseUrl, readers: u32) -> Result<Self, DatabaseError> {
        let DatabaseUrl::Sqlite(path) = url;
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(|source| DatabaseError::Folder {
                path: folder.to_owned(),
                source,
            })?;
        }
        let failed = |source| DatabaseError::Open {
            url: url.to_string(),
            source,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(STATEMENTS_KEPT)
            // 256 MB of the file are read without a system call.
            .pragma("mmap_size", "268435456")
            .pragma("temp_store", "MEMORY");
        let writer = pool(1)
            .connect_with(
                options
                    .clone()
                    .pragma("cache_size", WRITER_CACHE)
                    .optimize_on_close(true, ANALYSIS_LIMIT),
            )
            .await
            .map_err(failed)?;
        let readers = pool(readers)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(failed)?;
        Ok(Self { readers, writer })
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// A migration fails, or the file knows migrations that the program does not.
    pub async fn migrate(&self, migrator: &Migrator) -> Result<(), DatabaseError> {
        Ok(migrator.run(&self.writer).await?)
    }

    /// Where to read.
    pub fn read(&self) -> &SqlitePool {
        &self.readers
    }

    /// Where to write without a transaction of several statements.
    pub fn write(&self) -> &SqlitePool {
        &self.writer
    }

    /// A transaction that writes. It takes the lock at once: one that reads first and
    /// writes later can fail half way when another process wrote in between.
    ///
    /// # Errors
    /// No connection within the acquire timeout, or the lock is held too long.
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn check(&self) -> Result<(), sqlx::Error> {
        sqlx::query_scalar::<_, i64>("SELECT 1")
            .fetch_one(&self.readers)
            .await
            .map(drop)
    }

    /// The state of both pools.
    pub fn pools(&self) -> [PoolState; 2] {
        [("readers", &self.readers), ("writer", &self.writer)].map(|(name, pool)| PoolState {
            name,
            size: pool.size(),
            idle: pool.num_idle(),
        })
    }

    /// Lets running statements end, then closes; the writer leaves fresh statistics behind.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        // A file does not hang up: asking before each statement is a wasted round trip.
        .test_before_acquire(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn database() -> (Database, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("deep/er/test.db"));
        (Database::open(&url, 3).await.unwrap(), folder)
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let (database, _folder) = database().await;
        sqlx::query("CREATE TABLE a_table_of_test (id INTEGER)")
            .execute(database.write())
            .await
            .unwrap();
        let error = sqlx::query("INSERT INTO a_table_of_test (id) VALUES (1)")
            .execute(database.read())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("readonly"), "{error}");
        assert!(open_advice(&error).contains("permissions"));
    }

    #[tokio::test]
    async fn a_writer_of_another_process_makes_a_request_come_back_later() {
        let (database, folder) = database().await;
        // As a seed or a backup would: a pool of its own on the same file.
        let url = DatabaseUrl::Sqlite(folder.path().join("deep/er/test.db"));
        let other = Database::open(&url, 1).await.unwrap();
        let held = other.begin().await.unwrap();
        database.check().await.unwrap();
        let error = database.begin().await.unwrap_err();
        assert!(is_busy(&error), "{error}");
        assert_eq!(crate::problem::Problem::from(error).status(), 503);
        held.rollback().await.unwrap();
        database.begin().await.unwrap().rollback().await.unwrap();
    }

    #[tokio::test]
    async fn every_connection_is_open_from_the_start() {
        let (database, _folder) = database().await;
        assert_eq!(database.pools().map(|pool| pool.size), [3, 1]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = DatabaseUrl::Sqlite(file.path().join("below/a/file.db"));
        let error = Database::open(&url, 1).await.unwrap_err().to_string();
        assert!(error.contains("DATABASE_URL"), "{error}");
    }
}
