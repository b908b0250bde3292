//! A PostgreSQL server: plans, schema and sampled values, all within transactions that can write
//! nothing and are rolled back.

mod catalogue;
mod condition;
mod recorded;
mod refusal;
mod sample;
mod tree;

use std::{str::FromStr, time::Duration};

use serde_json::Value;
use speedwell_sql::Dialect;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor as _, PgConnection, Row as _, Transaction,
    postgres::{PgConnectOptions, PgRow},
};

use self::{
    refusal::unreachable,
    tree::{Partitions, is_pruned, tree},
};
use crate::{Activity, ExplainError, Plan, statement};

pub(crate) use condition::{casts, parts};
pub use recorded::{Recorded, Recording, RecordingError, recorded};
pub(crate) use refusal::refused;
pub(crate) use tree::reads_all;

/// How long a connection may take to be made.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long the planner may take for one statement, as with SQLite.
const PLAN_TIME: Duration = Duration::from_secs(10);
/// How long a look at values or a count may take.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// What every session of this program is: read-only, unless a transaction says otherwise, and
/// never left open in a transaction by a program that hangs.
const SESSION: &str = "
    SET default_transaction_read_only = on;
    SET idle_in_transaction_session_timeout = '60s';
    SET standard_conforming_strings = on";

/// A PostgreSQL database under audit.
pub(crate) struct Postgres {
    connection: PgConnection,
    /// Number of the next prepared statement: names are not used twice.
    prepared: u64,
    partitions: Option<Partitions>,
}

/// A statement that the server has prepared.
struct Prepared {
    name: String,
    /// Types of its parameters, as they are written in SQL.
    types: Vec<String>,
}

/// Where a server is, without a password in any message.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, ExplainError> {
    // What the parser says of a bad address may quote it.
    let options = PgConnectOptions::from_str(url).map_err(|_| ExplainError::BadAddress)?;
    Ok(options
        .application_name("speedwell")
        .disable_statement_logging())
}

/// Connects, or says why not.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, ExplainError> {
    let connecting = PgConnection::connect_with(options);
    match tokio::time::timeout(CONNECT_TIME, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(unreachable(error, options)),
        Err(_) => Err(ExplainError::Unreachable {
            server: refusal::server(options),
            reason: format!("no answer within {} seconds", CONNECT_TIME.as_secs()),
        }),
    }
}

impl Postgres {
    pub(crate) async fn open(url: &str) -> Result<Self, ExplainError> {
        let options = options(url)?;
        let mut connection = connect(&options).await?;
        sqlx::raw_sql(SESSION)
            .execute(&mut connection)
            .await
            .map_err(refused)?;
        Ok(Self {
            connection,
            prepared: 0,
            partitions: None,
        })
    }

    pub(crate) async fn version(&mut self) -> Result<String, ExplainError> {
        let rows = self
            .ask("SELECT current_setting('server_version')", None)
            .await?;
        let version: String = scalar(&rows)?.unwrap_or_default();
        // Debian writes its package's version behind the server's.
        let version = version.split_whitespace().next().unwrap_or_default();
        Ok(format!("PostgreSQL {version}"))
    }

    pub(crate) async fn activity(&mut self) -> Result<Activity, ExplainError> {
        let rows = self.ask(ACTIVITY, None).await?;
        let number = |name: &str| -> Result<u64, ExplainError> {
            let row = rows
                .first()
                .ok_or(sqlx::Error::RowNotFound)
                .map_err(refused)?;
            let number: i64 = row.try_get(name).map_err(refused)?;
            Ok(u64::try_from(number).unwrap_or(0))
        };
        Ok(Activity {
            connections: number("connections")?,
            transactions: number("transactions")?,
        })
    }

    /// The generic plan. It is asked for by `PREPARE` and `EXPLAIN EXECUTE` on every version:
    /// `EXPLAIN (GENERIC_PLAN)` of version 16 says the same and goes by the simple protocol
    /// only, which takes several statements in one text.
    pub(crate) async fn explain(&mut self, sql: &str) -> Result<Plan, ExplainError> {
        let statement = statement::numbered(sql, Dialect::Postgres)?;
        let prepared = self.prepare(&statement).await?;
        let unknown = vec!["NULL".to_owned(); prepared.types.len()];
        let plan = self.plan(&prepared, GENERIC, &unknown).await;
        self.forget(&prepared).await;
        plan
    }

    /// Prepares a statement; types are inferred. It goes by the extended protocol, which refuses
    /// a text that holds more than one statement.
    async fn prepare(&mut self, statement: &str) -> Result<Prepared, ExplainError> {
        self.prepared += 1;
        let name = format!("speedwell_{}", self.prepared);
        let question = format!("PREPARE {name} AS {statement}");
        let mut transaction = self.begin(PLAN_TIME).await?;
        let prepared = transaction
            .execute(sqlx::query(AssertSqlSafe(question)).persistent(false))
            .await;
        let parameters = has_parameters(statement);
        prepared.map_err(|error| refusal::of_statement(error, parameters))?;
        // A prepared statement outlives the transaction.
        transaction.rollback().await.map_err(refused)?;
        let rows = self.ask(TYPES, Some(&name)).await?;
        let types = scalar::<Vec<String>>(&rows)?.unwrap_or_default();
        Ok(Prepared { name, types })
    }

    /// The plan of a prepared statement. `mode`: generic or custom.
    async fn plan(
        &mut self,
        prepared: &Prepared,
        mode: &'static str,
        arguments: &[String],
    ) -> Result<Plan, ExplainError> {
        let partitions = self.partitions().await?.clone();
        let call = match arguments {
            [] => prepared.name.clone(),
            arguments => format!("{}({})", prepared.name, arguments.join(", ")),
        };
        let question = format!("EXPLAIN (FORMAT JSON) EXECUTE {call}");
        let mut answer = self.planned(mode, &question).await?;
        if mode == GENERIC && is_pruned(&answer) {
            // Partitions that NULL cannot be in were left out; other values are in them.
            answer = self.planned(GENERIC_UNPRUNED, &question).await?;
        }
        Ok(Plan {
            system: Dialect::Postgres,
            nodes: tree(&answer, &partitions),
        })
    }

    async fn planned(&mut self, mode: &'static str, question: &str) -> Result<Value, ExplainError> {
        let mut transaction = self.begin(PLAN_TIME).await?;
        sqlx::raw_sql(mode)
            .execute(&mut *transaction)
            .await
            .map_err(refused)?;
        let question = AssertSqlSafe(question.to_owned());
        let row = transaction
            .fetch_one(sqlx::query(question).persistent(false))
            .await
            .map_err(refused)?;
        transaction.rollback().await.map_err(refused)?;
        row.try_get(0).map_err(refused)
    }

    /// Forgets a prepared statement. If that fails the connection has failed, and the server has
    /// forgotten it already.
    async fn forget(&mut self, prepared: &Prepared) {
        let question = format!("DEALLOCATE {}", prepared.name);
        let _ = sqlx::raw_sql(AssertSqlSafe(question))
            .execute(&mut self.connection)
            .await;
    }

    /// Partitions and their tables, read once: plans name the former.
    async fn partitions(&mut self) -> Result<&Partitions, ExplainError> {
        if self.partitions.is_none() {
            let rows = self.ask(PARTITIONS, None).await?;
            let pairs = rows
                .iter()
                .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                .collect::<Result<Partitions, sqlx::Error>>();
            self.partitions = Some(pairs.map_err(refused)?);
        }
        Ok(self.partitions.get_or_insert_default())
    }

    /// A transaction that can write nothing, waits for no lock longer than a second and for no
    /// answer longer than `time`. It is rolled back when it is dropped.
    async fn begin(
        &mut self,
        time: Duration,
    ) -> Result<Transaction<'_, sqlx::Postgres>, ExplainError> {
        let begin = format!(
            "BEGIN READ ONLY;
             SET LOCAL statement_timeout = {};
             SET LOCAL lock_timeout = 1000",
            time.as_millis()
        );
        self.connection
            .begin_with(AssertSqlSafe(begin))
            .await
            .map_err(refused)
    }

    /// Asks the catalogue.
    async fn ask(
        &mut self,
        question: &'static str,
        about: Option<&str>,
    ) -> Result<Vec<PgRow>, ExplainError> {
        let mut query = sqlx::query(question).persistent(false);
        if let Some(about) = about {
            query = query.bind(about.to_owned());
        }
        let mut transaction = self.begin(PLAN_TIME).await?;
        let rows = transaction.fetch_all(query).await.map_err(refused)?;
        transaction.rollback().await.map_err(refused)?;
        Ok(rows)
    }
}

/// The first column of the first row.
fn scalar<'r, T>(rows: &'r [PgRow]) -> Result<Option<T>, ExplainError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    rows.first()
        .map(|row| row.try_get(0).map_err(refused))
        .transpose()
}

fn has_parameters(statement: &str) -> bool {
    speedwell_sql::tokens(statement, Dialect::Postgres)
        .any(|token| token.kind == speedwell_sql::TokenKind::Placeholder)
}

const GENERIC: &str = "SET LOCAL plan_cache_mode = force_generic_plan";
/// The plan made before is kept by the server, whatever is set, until it is discarded.
const GENERIC_UNPRUNED: &str = "
    DISCARD PLANS;
    SET LOCAL plan_cache_mode = force_generic_plan;
    SET LOCAL enable_partition_pruning = off";
const CUSTOM: &str = "SET LOCAL plan_cache_mode = force_custom_plan";

const TYPES: &str = "
    SELECT parameter_types::TEXT[]
    FROM pg_prepared_statements
    WHERE name = $1";

const PARTITIONS: &str = "
    SELECT c.relname::TEXT, root.relname::TEXT
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_class AS root ON root.oid = pg_partition_root(c.oid)
    WHERE c.relispartition";

const ACTIVITY: &str = "
    SELECT (SELECT COUNT(*)
            FROM pg_stat_activity AS a
            WHERE a.datname = current_database()
              AND a.pid <> pg_backend_pid()
              AND a.backend_type = 'client backend') AS connections,
           (SELECT d.xact_commit + d.xact_rollback
            FROM pg_stat_database AS d
            WHERE d.datname = current_database()) AS transactions";
