//! A PostgreSQL server: one bounded pool that outlives restarts of the server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use prometheus_client::metrics::histogram::Histogram;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{DatabaseError, Planning, PoolState, error::is_cut_off, waits};
use crate::config::PostgresUrl;

/// A server that is connected to.
#[derive(Debug, Clone)]
pub(super) struct PostgresDatabase {
    pub(super) pool: PgPool,
    pub(super) waits: Histogram,
    pub(super) health: Health,
    options: Box<PgConnectOptions>,
}

/// When a connection was last found dead. Those that were used since then live; the others
/// may have died with it.
#[derive(Debug, Clone)]
pub(super) struct Health(Arc<Deaths>);

#[derive(Debug)]
struct Deaths {
    born: Instant,
    /// Milliseconds since `born`.
    last: AtomicU64,
}

/// A request waits this long for a connection before it is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A statement that takes longer is given up: whoever asked is gone by then.
const STATEMENT_TIMEOUT: &str = "5s";
/// A row that somebody else holds longer is given up.
const LOCK_TIMEOUT: &str = "3s";
/// A transaction that nobody goes on with must not keep its locks.
const IDLE_TRANSACTION_TIMEOUT: &str = "30s";
/// A plan made once for all values does not know how many rows lie in a box, a list or a
/// range of dates: it read up to ten times as many as the one for the values at hand.
const FOR_VALUES: [(&str, &str); 1] = [("plan_cache_mode", "force_custom_plan")];
/// See [`Planning::AsWritten`].
const AS_WRITTEN: [(&str, &str); 2] = [("plan_cache_mode", "auto"), ("join_collapse_limit", "1")];

fn options_of(planning: Planning) -> Vec<(&'static str, &'static str)> {
    match planning {
        Planning::ForValues => FOR_VALUES.to_vec(),
        Planning::AsWritten => AS_WRITTEN.to_vec(),
    }
}
/// As for SQLite: some dozen statements and their variants.
const STATEMENTS_KEPT: usize = 256;
/// A connection that was idle this long is asked whether it still lives before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Any number: the same one for everybody who migrates.
const MIGRATION_LOCK: i64 = 0x5eed_f1e7;
const MIGRATION_PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl PostgresDatabase {
    pub(super) async fn open(
        url: &PostgresUrl,
        connections: u32,
        planning: Planning,
    ) -> Result<Self, DatabaseError> {
        let failed = |source| DatabaseError::Open {
            url: url.to_string(),
            source,
        };
        let options = url
            .options()
            .application_name(&program_name())
            .statement_cache_capacity(STATEMENTS_KEPT)
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT),
                ("lock_timeout", LOCK_TIMEOUT),
                (
                    "idle_in_transaction_session_timeout",
                    IDLE_TRANSACTION_TIMEOUT,
                ),
                // Compiling a plan takes longer than any statement of a request may.
                ("jit", "off"),
            ])
            .options(options_of(planning));
        // The pool tries until its time is over and then says only that; one connection
        // says why.
        let first = PgConnection::connect_with(&options).await.map_err(failed)?;
        first.close().await.map_err(failed)?;
        let health = Health::new();
        let pool = pool(connections, health.clone())
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        Ok(Self {
            pool,
            waits: waits(),
            health,
            options: Box::new(options),
        })
    }

    /// Brings the schema up to date, on a connection without timeouts.
    ///
    /// sqlx would wait for the lock inside a statement. An index that is built concurrently
    /// waits for the end of every statement that began before it: with two processes each
    /// would wait for the other. So the lock is asked for again and again instead.
    pub(super) async fn migrate(&self, migrator: &Migrator) -> Result<(), DatabaseError> {
        let mut connection = self
            .without_timeouts()
            .await
            .map_err(|error| DatabaseError::Migrate(error.into()))?;
        let migrated = migrate_alone(&mut connection, migrator).await;
        // The lock ends with the connection.
        let _ = connection.close().await;
        migrated
    }

    /// See [`Database::maintain`](super::Database::maintain).
    pub(super) async fn maintain(&self, statements: Vec<String>) -> Result<(), sqlx::Error> {
        let mut connection = self.without_timeouts().await?;
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
        }
        connection.close().await
    }

    async fn without_timeouts(&self) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::clone(&self.options)
            .options([("statement_timeout", "0"), ("lock_timeout", "0")]);
        PgConnection::connect_with(&options).await
    }

    pub(super) fn state(&self) -> PoolState {
        PoolState {
            name: "connections",
            size: self.pool.size(),
            idle: self.pool.num_idle(),
            waits: self.waits.clone(),
        }
    }
}

async fn migrate_alone(
    connection: &mut PgConnection,
    migrator: &Migrator,
) -> Result<(), DatabaseError> {
    let failed = |error: sqlx::Error| DatabaseError::Migrate(error.into());
    let until = Instant::now() + MIGRATION_PATIENCE;
    while !sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?
    {
        if Instant::now() > until {
            return Err(DatabaseError::MigratedByAnother {
                seconds: MIGRATION_PATIENCE.as_secs(),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    drop_broken_indexes(connection).await.map_err(failed)?;
    let migrator = Migrator {
        migrations: migrator.migrations.clone(),
        ignore_missing: migrator.ignore_missing,
        locking: false,
        no_tx: migrator.no_tx,
        table_name: migrator.table_name.clone(),
        create_schemas: migrator.create_schemas.clone(),
    };
    migrator.run(&mut *connection).await?;
    Ok(())
}

/// Building an index concurrently that was cut off leaves a broken one, which costs every
/// write and helps no read. Its migration is not noted as done and will run again.
async fn drop_broken_indexes(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let broken: Vec<String> = sqlx::query_scalar(
        "SELECT i.indexrelid::regclass::text
         FROM pg_index AS i
         JOIN pg_class AS c ON c.oid = i.indexrelid
         WHERE NOT i.indisvalid
           AND c.relnamespace = current_schema()::regnamespace",
    )
    .fetch_all(&mut *connection)
    .await?;
    for index in broken {
        tracing::warn!(index, "dropping an index that was never finished");
        // The name comes quoted from the server.
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
        sqlx::query(AssertSqlSafe(drop))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

impl Health {
    fn new() -> Self {
        Self(Arc::new(Deaths {
            born: Instant::now(),
            last: AtomicU64::new(0),
        }))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Looks at how a statement ended.
    pub(super) fn note<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        result.inspect_err(|error| {
            if is_cut_off(error) {
                self.note_death();
            }
        })
    }

    fn note_death(&self) {
        self.0.last.store(self.now() + 1, Ordering::Relaxed);
    }

    /// Whether a connection that is idle for so long may be used without a question.
    fn trusts(&self, idle: Duration) -> bool {
        let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let used_at = self.now().saturating_sub(idle_ms);
        idle < TRUSTED_FOR && used_at >= self.0.last.load(Ordering::Relaxed)
    }
}

fn pool(connections: u32, health: Health) -> PgPoolOptions {
    PgPoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(Duration::from_secs(3600))
        // Asking before every statement would cost a round trip each time. A connection is
        // asked if it was idle for a while, or if another one has died since it was used:
        // the server may have been restarted.
        .test_before_acquire(false)
        .before_acquire(move |connection, seen| {
            let health = health.clone();
            Box::pin(async move {
                if health.trusts(seen.idle_for) {
                    return Ok(true);
                }
                health.note(connection.ping().await).map(|()| true)
            })
        })
}

/// What the server's list of connections calls this process.
fn program_name() -> String {
    std::env::current_exe()
        .ok()
        .and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Database, Migrations, insert_rows, query};
    use crate::config::DatabaseUrl;

    async fn open(url: &str) -> Database {
        Database::open(&DatabaseUrl::parse(url).unwrap(), 3)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn every_kind_of_value_comes_back() {
        let server = throwaway::Postgres::shared().unwrap();
        let place = server.database().unwrap();
        let database = open(&place.url()).await;
        let now = crate::clock::now();
        type Row = (
            i64,
            f64,
            bool,
            String,
            chrono::DateTime<chrono::Utc>,
            Option<String>,
        );
        let row: Row = query("SELECT $1, $2, $3, $4, $5, $6")
            .bind(7_i64)
            .bind(0.5)
            .bind(true)
            .bind("a")
            .bind(now)
            .bind(None::<String>)
            .fetch_one(database.read())
            .await
            .unwrap();
        assert_eq!(row, (7, 0.5, true, "a".to_owned(), now, None));
        let found: Vec<(i64,)> =
            query("SELECT x FROM generate_series(1::bigint, 9) AS x WHERE x = ANY($1)")
                .bind(vec![2_i64, 5])
                .fetch_all(database.read())
                .await
                .unwrap();
        assert_eq!(found, [(2,), (5,)]);
    }

    #[tokio::test]
    async fn a_transaction_that_is_dropped_never_happened() {
        let server = throwaway::Postgres::shared().unwrap();
        let place = server.database().unwrap();
        let database = open(&place.url()).await;
        query("CREATE TABLE things (id BIGINT PRIMARY KEY)")
            .execute(database.write())
            .await
            .unwrap();
        let rows = |ids: [i64; 2]| {
            insert_rows(
                "INSERT INTO things (id)",
                ids.map(|id| vec![id.into()]).into(),
            )
        };
        let mut dropped = database.begin().await.unwrap();
        assert_eq!(rows([1, 2]).execute(&mut dropped).await.unwrap(), 2);
        drop(dropped);
        let mut kept = database.begin().await.unwrap();
        rows([3, 4]).execute(&mut kept).await.unwrap();
        kept.commit().await.unwrap();
        let ids: Vec<(i64,)> = query("SELECT id FROM things ORDER BY id")
            .fetch_all(database.read())
            .await
            .unwrap();
        assert_eq!(ids, [(3,), (4,)]);
    }

    #[tokio::test]
    async fn a_restarted_server_is_used_again_without_an_error() {
        let mut server = throwaway::Postgres::start().unwrap();
        let database = open(&server.url()).await;
        database.check().await.unwrap();
        server.kill();
        let down = loop {
            // A backend lives on until it notices; it may answer once more.
            if let Err(down) = database.check().await {
                break down;
            }
        };
        assert!(crate::database::is_busy(&down), "{down}");
        assert_eq!(crate::problem::Problem::from(down).status(), 503);
        server.start_again().unwrap();
        for _ in 0..10 {
            database.check().await.unwrap();
        }
    }

    #[tokio::test]
    async fn processes_that_migrate_together_do_not_wait_for_each_other_forever() {
        static FIRST: sqlx::migrate::Migrator = sqlx_macros::migrate!("tests/migrations");
        let migrations = Migrations {
            sqlite: &FIRST,
            postgres: &FIRST,
        };
        let server = throwaway::Postgres::shared().unwrap();
        let place = server.database().unwrap();
        let (one, other) = (open(&place.url()).await, open(&place.url()).await);
        let (first, second) = tokio::join!(one.migrate(migrations), other.migrate(migrations));
        first.unwrap();
        second.unwrap();
        let valid: bool =
            query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'migrated_name'::regclass")
                .fetch_scalar(one.read())
                .await
                .unwrap();
        assert!(valid);
    }

    #[tokio::test]
    async fn an_unfinished_index_is_dropped_before_it_is_built_again() {
        let server = throwaway::Postgres::shared().unwrap();
        let place = server.database().unwrap();
        let database = open(&place.url()).await;
        for sql in [
            "CREATE TABLE migrated (id BIGINT PRIMARY KEY, name TEXT NOT NULL)",
            "INSERT INTO migrated VALUES (1, 'same'), (2, 'same')",
        ] {
            query(sql).execute(database.write()).await.unwrap();
        }
        // A unique index over equal names fails after it was entered: it stays, broken.
        query("CREATE UNIQUE INDEX CONCURRENTLY migrated_broken ON migrated (name)")
            .execute(database.write())
            .await
            .unwrap_err();
        let place_url = place.url();
        let connecting = <sqlx::PgConnection as sqlx::Connection>::connect(&place_url);
        let mut connection = connecting.await.unwrap();
        super::drop_broken_indexes(&mut connection).await.unwrap();
        let left: i64 = query("SELECT count(*) FROM pg_class WHERE relname = 'migrated_broken'")
            .fetch_scalar(database.read())
            .await
            .unwrap();
        assert_eq!(left, 0);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_without_its_password() {
        let url = DatabaseUrl::parse("postgres://u:hunter2@127.0.0.1:1/d").unwrap();
        let error = Database::open(&url, 1).await.unwrap_err().to_string();
        assert!(
            error.contains("127.0.0.1:1") && error.contains("check that the server runs"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
}
