//! A SQLite file: many connections that read, one that writes.

use std::{path::Path, time::Duration};

use prometheus_client::metrics::histogram::Histogram;
use sqlx::{
    ConnectOptions as _, Connection as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{DatabaseError, PoolState, waits};

/// A file that is open.
///
/// SQLite admits one writer at a time. Giving it one connection of its own lets writes
/// wait in the process, in order, instead of failing with "database is locked"; the
/// readers are told `query_only`, so a write that takes the wrong way fails in its test.
#[derive(Debug, Clone)]
pub(super) struct SqliteDatabase {
    pub(super) readers: SqlitePool,
    pub(super) writer: SqlitePool,
    pub(super) reader_waits: Histogram,
    pub(super) writer_waits: Histogram,
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

impl SqliteDatabase {
    pub(super) async fn open(path: &Path, readers: u32) -> Result<Self, DatabaseError> {
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
            url: format!("sqlite:{}", path.display()),
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
        // The pool tries until its time is over and then says only that; one connection
        // says why.
        let first = options.connect().await.map_err(failed)?;
        first.close().await.map_err(failed)?;
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
        Ok(Self {
            readers,
            writer,
            reader_waits: waits(),
            writer_waits: waits(),
        })
    }

    pub(super) fn pools(&self) -> [PoolState; 2] {
        [
            ("readers", &self.readers, &self.reader_waits),
            ("writer", &self.writer, &self.writer_waits),
        ]
        .map(|(name, pool, waits)| PoolState {
            name,
            size: pool.size(),
            idle: pool.num_idle(),
            waits: waits.clone(),
        })
    }

    pub(super) async fn close(&self) {
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
    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

    use super::super::{Database, error::open_advice, is_busy, query};
    use crate::config::DatabaseUrl;

    async fn database() -> (Database, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("deep/er/test.db"));
        (Database::open(&url, 3).await.unwrap(), folder)
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let (database, _folder) = database().await;
        query("CREATE TABLE a_table_of_test (id INTEGER)")
            .execute(database.write())
            .await
            .unwrap();
        let error = query("INSERT INTO a_table_of_test (id) VALUES (1)")
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
    async fn a_file_that_somebody_holds_is_called_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("held.db");
        let mut holder = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql("BEGIN EXCLUSIVE")
            .execute(&mut holder)
            .await
            .unwrap();
        let url = DatabaseUrl::Sqlite(path);
        let error = Database::open(&url, 1).await.unwrap_err().to_string();
        assert!(error.contains("another process holds it locked"), "{error}");
    }

    #[tokio::test]
    async fn every_connection_is_open_from_the_start() {
        let (database, _folder) = database().await;
        assert_eq!(
            database
                .pools()
                .iter()
                .map(|pool| pool.size)
                .collect::<Vec<_>>(),
            [3, 1]
        );
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = DatabaseUrl::Sqlite(file.path().join("below/a/file.db"));
        let error = Database::open(&url, 1).await.unwrap_err().to_string();
        assert!(error.contains("DATABASE_URL"), "{error}");
    }
}
