//! Statements that the server itself has recorded, as its extension `pg_stat_statements` tells.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _, Row as _, postgres::PgRow};

use super::{PLAN_TIME, Postgres, refusal::refused};
use crate::{ExplainError, database::scheme};

/// A statement that the server has recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its text. The server has put `$n` in place of constants too.
    pub sql: String,
    /// The server's number for it.
    pub query_id: i64,
    /// How often it ran.
    pub executions: u64,
    /// How long that took in all.
    pub time: Duration,
}

/// What the server has recorded of one database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// The most total time first.
    pub statements: Vec<Recorded>,
    /// Statements of other users, whose texts this user may not read.
    pub hidden: u64,
    /// How long they took in all.
    pub hidden_time: Duration,
}

/// Why there is no recording, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Another database.
    #[error("only PostgreSQL records its statements; give the address of a PostgreSQL database")]
    NotPostgres,
    /// The extension is not in this database.
    #[error(
        "the database has no extension pg_stat_statements; add it to `shared_preload_libraries` in postgresql.conf, restart the server, and run `CREATE EXTENSION pg_stat_statements` in this database"
    )]
    NoExtension,
    /// The extension is there and the server does not record.
    #[error(
        "the server does not load pg_stat_statements; add it to `shared_preload_libraries` in postgresql.conf and restart the server"
    )]
    NotLoaded,
    /// The database could not be asked.
    #[error(transparent)]
    Explain(#[from] ExplainError),
}

/// The statements that the server has recorded of the database at `url`, which is only read. Those
/// that this crate runs are left out.
///
/// # Errors
/// When nothing is recorded there, or the database cannot be asked.
pub async fn recorded(url: &str) -> Result<Recording, RecordingError> {
    if !matches!(scheme(url), Some("postgres" | "postgresql")) {
        return Err(RecordingError::NotPostgres);
    }
    let mut database = Postgres::open(url).await?;
    let found = database.ask(VIEW, None).await?;
    let view = found.first().ok_or(RecordingError::NoExtension)?;
    let question = question(view).map_err(refused)?;
    let rows = database.view(question).await?;
    read(&rows).map_err(|error| refused(error).into())
}

impl Postgres {
    async fn view(&mut self, question: String) -> Result<Vec<PgRow>, RecordingError> {
        let mut transaction = self.begin(PLAN_TIME).await?;
        let query = sqlx::query(AssertSqlSafe(question)).persistent(false);
        let rows = transaction.fetch_all(query).await.map_err(|error| {
            let code = error.as_database_error().and_then(|error| error.code());
            match code.as_deref() {
                Some(NOT_LOADED) => RecordingError::NotLoaded,
                _ => refused(error).into(),
            }
        })?;
        transaction.rollback().await.map_err(refused)?;
        Ok(rows)
    }
}

/// The question for the view as it is here: its schema is the user's choice, and its columns are
/// those of the extension's version, which may be older than the server.
fn question(view: &PgRow) -> Result<String, sqlx::Error> {
    let schema: String = view.try_get("schema")?;
    let columns: Vec<String> = view.try_get("columns")?;
    let has = |name: &str| columns.iter().any(|column| column == name);
    // Before version 1.8 (PostgreSQL 13) there was one time, after it planning is apart.
    let time = match has("total_exec_time") {
        true => "total_exec_time",
        false => "total_time",
    };
    // Since version 1.9 (PostgreSQL 14) what functions run inside is told apart.
    let toplevel = match has("toplevel") {
        true => "AND s.toplevel",
        false => "",
    };
    Ok(STATEMENTS
        .replace("{schema}", &schema)
        .replace("{time}", time)
        .replace("{toplevel}", toplevel))
}

fn read(rows: &[PgRow]) -> Result<Recording, sqlx::Error> {
    let mut recording = Recording::default();
    for row in rows {
        let sql: String = row.try_get("query")?;
        let count = |name: &str| -> Result<u64, sqlx::Error> {
            Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0))
        };
        let seconds = row.try_get::<f64, _>("millis")? / 1000.0;
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if is_own(&sql) {
            continue;
        }
        match row.try_get("query_id")? {
            Some(query_id) if sql != HIDDEN => recording.statements.push(Recorded {
                sql,
                query_id,
                executions: count("executions")?,
                time,
            }),
            _ => {
                recording.hidden += count("entries")?;
                recording.hidden_time += time;
            }
        }
    }
    Ok(recording)
}

/// Whether this crate has run it itself, to count the rows of a table (`catalogue.rs`) or to look at
/// its values (`sample.rs`).
fn is_own(sql: &str) -> bool {
    let counted = sql.strip_prefix("SELECT COUNT(*) FROM ");
    counted.is_some_and(|table| !table.contains(char::is_whitespace))
        || sql.starts_with("WITH look AS MATERIALIZED (")
}

/// "object not in prerequisite state"
const NOT_LOADED: &str = "55000";

/// What the server shows in place of a text that the user may not read; there is no number then.
const HIDDEN: &str = "<insufficient privilege>";

const VIEW: &str = "
    SELECT quote_ident(n.nspname) AS schema,
           ARRAY(SELECT a.attname::TEXT
                 FROM pg_catalog.pg_attribute AS a
                 WHERE a.attrelid = c.oid
                   AND a.attnum > 0
                   AND NOT a.attisdropped) AS columns
    FROM pg_catalog.pg_extension AS e
    JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = e.extname
    WHERE e.extname = 'pg_stat_statements'";

/// Several users may run the same statement. A text can be lost with the file that holds it.
const STATEMENTS: &str = "
    SELECT s.query, s.queryid AS query_id, COUNT(*) AS entries,
           SUM(s.calls)::BIGINT AS executions, SUM(s.{time})::FLOAT8 AS millis
    FROM {schema}.pg_stat_statements AS s
    WHERE s.dbid = (SELECT d.oid
                    FROM pg_catalog.pg_database AS d
                    WHERE d.datname = current_database())
      AND s.calls > 0
      AND s.query IS NOT NULL
      {toplevel}
    GROUP BY s.query, s.queryid
    ORDER BY millis DESC, s.queryid, s.query";

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn what_this_crate_runs_is_no_work_of_the_service() {
        assert!(is_own("SELECT COUNT(*) FROM flyers"));
        assert!(is_own("WITH look AS MATERIALIZED (\n SELECT a AS v"));
        assert!(!is_own("SELECT COUNT(*) FROM flyers WHERE a = $1"));
    }
}
