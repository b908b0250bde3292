//! One database, SQLite or PostgreSQL, behind one way to ask it.
//!
//! SQL is written by hand. One text serves both where it can (`$1`, `$2`, … are placeholders
//! of both), two texts stand side by side where the dialects differ ([`Text`]).

mod error;
mod postgres;
mod query;
mod sqlite;
mod target;
mod transaction;

use prometheus_client::metrics::histogram::Histogram;
use sqlx::migrate::Migrator;

pub(crate) use self::error::is_busy;
pub use self::{
    error::DatabaseError,
    query::{Insert, Query, Record, Text, Value, Wording, insert_rows, insert_rows_or, query},
    target::Target,
    transaction::Transaction,
};
use self::{
    postgres::PostgresDatabase,
    sqlite::SqliteDatabase,
    target::{Place, waited},
};
use crate::config::DatabaseUrl;

/// A database that is open. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database(Engine);

#[derive(Debug, Clone)]
enum Engine {
    Sqlite(SqliteDatabase),
    Postgres(PostgresDatabase),
}

/// How PostgreSQL plans the statements of a service. SQLite plans them once either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planning {
    /// Anew for the values of each execution, whatever the order in which joins are written: for
    /// statements whose values say how many rows they find.
    #[default]
    ForValues,
    /// Joins in the order in which they are written, and plans kept where they are as good as
    /// those for the values at hand: for statements with many joins. To look for the best order
    /// of ten tables took 40 ms, and carrying the plan out one half.
    AsWritten,
}

/// Which database it is, where that makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// The migrations of a service, one set for each database.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: &'static Migrator,
    /// For PostgreSQL. An index on a table that may have rows is made `CONCURRENTLY`, in a
    /// file of its own that begins with `-- no-transaction`, so that writers go on.
    pub postgres: &'static Migrator,
}

/// How many connections there are and how many of them wait for work.
#[derive(Debug, Clone)]
pub struct PoolState {
    /// `readers` and `writer` of SQLite, `connections` of PostgreSQL.
    pub name: &'static str,
    /// Connections that are open.
    pub size: u32,
    /// Connections that nobody uses.
    pub idle: usize,
    /// How long a connection was waited for, in seconds.
    pub waits: Histogram,
}

/// Bounds of the histogram of waits in seconds: from "was there" to the acquire timeout.
const WAIT_BOUNDS_S: [f64; 10] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 3.0];

fn waits() -> Histogram {
    Histogram::new(WAIT_BOUNDS_S)
}

impl Database {
    /// Opens the database with so many connections; SQLite gets one more, which writes.
    ///
    /// All of them are opened here, so that no request pays for it or sees their settings.
    ///
    /// # Errors
    /// The file cannot be opened, or the server cannot be reached or does not let us in.
    pub async fn open(url: &DatabaseUrl, connections: u32) -> Result<Self, DatabaseError> {
        Self::open_planned(url, connections, Planning::default()).await
    }

    /// Like [`Database::open`], planning as the service wants.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open_planned(
        url: &DatabaseUrl,
        connections: u32,
        planning: Planning,
    ) -> Result<Self, DatabaseError> {
        Ok(Self(match url {
            DatabaseUrl::Sqlite(path) => {
                Engine::Sqlite(SqliteDatabase::open(path, connections).await?)
            }
            DatabaseUrl::Postgres(url) => {
                Engine::Postgres(PostgresDatabase::open(url, connections, planning).await?)
            }
        }))
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match self.0 {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// A migration fails, or the database knows migrations that the program does not.
    pub async fn migrate(&self, migrations: Migrations) -> Result<(), DatabaseError> {
        match &self.0 {
            Engine::Sqlite(database) => Ok(migrations.sqlite.run(&database.writer).await?),
            Engine::Postgres(database) => database.migrate(migrations.postgres).await,
        }
    }

    /// Runs statements one after the other, each by itself and as long as it takes: upkeep, which
    /// no request waits for.
    ///
    /// # Errors
    /// The database fails.
    pub async fn maintain(&self, statements: Vec<String>) -> Result<(), sqlx::Error> {
        match &self.0 {
            Engine::Sqlite(_) => {
                for statement in statements {
                    query(statement).execute(self.write()).await?;
                }
                Ok(())
            }
            Engine::Postgres(database) => database.maintain(statements).await,
        }
    }

    /// Where to read. On SQLite nothing can be written there.
    pub fn read(&self) -> Target<'_> {
        Target(match &self.0 {
            Engine::Sqlite(database) => {
                Place::SqlitePool(&database.readers, &database.reader_waits)
            }
            Engine::Postgres(database) => Place::PostgresPool(database),
        })
    }

    /// Where to write without a transaction of several statements.
    pub fn write(&self) -> Target<'_> {
        Target(match &self.0 {
            Engine::Sqlite(database) => Place::SqlitePool(&database.writer, &database.writer_waits),
            Engine::Postgres(database) => Place::PostgresPool(database),
        })
    }

    /// A transaction that writes. On SQLite it takes the lock at once: one that reads first
    /// and writes later can fail half way when another process wrote in between.
    ///
    /// # Errors
    /// No connection within the acquire timeout, or the lock is held too long.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        match &self.0 {
            Engine::Sqlite(database) => {
                let begin = database.writer.begin_with("BEGIN IMMEDIATE");
                Ok(waited(&database.writer_waits, begin).await?.into())
            }
            Engine::Postgres(database) => {
                let begin = waited(&database.waits, database.pool.begin()).await;
                let health = database.health.clone();
                Ok(Transaction::postgres(health.note(begin)?, health))
            }
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn check(&self) -> Result<(), sqlx::Error> {
        query("SELECT TRUE")
            .fetch_scalar::<bool>(self.read())
            .await
            .map(drop)
    }

    /// The state of every pool.
    pub fn pools(&self) -> Vec<PoolState> {
        match &self.0 {
            Engine::Sqlite(database) => database.pools().into(),
            Engine::Postgres(database) => vec![database.state()],
        }
    }

    /// Lets running statements end, then closes; SQLite leaves fresh statistics behind.
    pub async fn close(&self) {
        match &self.0 {
            Engine::Sqlite(database) => database.close().await,
            Engine::Postgres(database) => database.pool.close().await,
        }
    }
}
