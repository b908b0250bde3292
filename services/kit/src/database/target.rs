//! Where a statement runs: any connection of a pool, or the one of a transaction.

use std::time::Instant;

use prometheus_client::metrics::histogram::Histogram;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection};

use super::{
    Dialect, Transaction,
    postgres::{Health, PostgresDatabase},
};

/// Where a statement runs.
#[derive(Debug)]
pub struct Target<'t>(pub(super) Place<'t>);

#[derive(Debug)]
pub(super) enum Place<'t> {
    SqlitePool(&'t SqlitePool, &'t Histogram),
    PostgresPool(&'t PostgresDatabase),
    Sqlite(&'t mut SqliteConnection),
    Postgres(&'t mut PgConnection, &'t Health),
}

impl<'t> From<&'t mut Transaction> for Target<'t> {
    fn from(transaction: &'t mut Transaction) -> Self {
        transaction.target()
    }
}

impl<'t> Target<'t> {
    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match self.0 {
            Place::SqlitePool(..) | Place::Sqlite(_) => Dialect::Sqlite,
            Place::PostgresPool(_) | Place::Postgres(..) => Dialect::Postgres,
        }
    }

    /// A connection for as long as the statement takes.
    pub(super) async fn hold(self) -> Result<Held<'t>, sqlx::Error> {
        Ok(match self.0 {
            Place::SqlitePool(pool, waits) => {
                Held::SqlitePool(waited(waits, pool.acquire()).await?)
            }
            Place::PostgresPool(PostgresDatabase {
                pool,
                waits,
                health,
                ..
            }) => Held::PostgresPool(waited(waits, pool.acquire()).await?, health),
            Place::Sqlite(connection) => Held::Sqlite(connection),
            Place::Postgres(connection, health) => Held::Postgres(connection, health),
        })
    }
}

/// Notes how long a connection was waited for, whether or not it came.
pub(super) async fn waited<T>(
    waits: &Histogram,
    connection: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let started = Instant::now();
    let result = connection.await;
    waits.observe(started.elapsed().as_secs_f64());
    result
}

/// A connection, borrowed or taken from a pool until it is dropped.
pub(super) enum Held<'t> {
    SqlitePool(PoolConnection<Sqlite>),
    PostgresPool(PoolConnection<Postgres>, &'t Health),
    Sqlite(&'t mut SqliteConnection),
    Postgres(&'t mut PgConnection, &'t Health),
}

/// A connection to either database.
pub(super) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection, &'c Health),
}

impl Held<'_> {
    pub(super) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::SqlitePool(connection) => Connection::Sqlite(connection),
            Self::PostgresPool(connection, health) => Connection::Postgres(connection, health),
            Self::Sqlite(connection) => Connection::Sqlite(connection),
            Self::Postgres(connection, health) => Connection::Postgres(connection, health),
        }
    }
}
